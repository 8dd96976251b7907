"""What hidden layers of GANs tell apart: channels of γ p -> p π⁺π⁻, and beam energies.

In each hidden layer, and in what the player is given: how often an event's nearest neighbours tell
its label, and how pure the clusters of the layer's t-SNE are. Pictures and clusters lie in the
storage folder.
"""

import energies as benchmark

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.interpret.latent import LatentSpec
from mleg_ray.report.latent import look
from mleg_ray.storage import join
from paper.energies import cfatgan
from paper.exclusive import GAN, trained
from paper.measuring import Options, Results, Row

EVENTS = 3000


def latent(options: Options, results: Results) -> None:
    """Look into every hidden layer of both players of the exclusive GAN and of cFAT-GAN."""
    for seed in options.seeds:
        layers(trained(options, GAN, seed), seed, options.storage, results)
        pythia = benchmark.prepared(options.storage)
        layers(cfatgan(options, pythia, seed), seed, options.storage, results)


def layers(checkpoint: Checkpoint, seed: int, storage: str, results: Results) -> None:
    """Keep what each layer of each player separates."""
    model = checkpoint.run.model
    depths = {
        "critic": len(model.critic.widths),
        "generator": len(model.generator.widths),
    }
    for player, layer in ((p, layer) for p in depths for layer in range(1, depths[p] + 1)):
        spec = LatentSpec(player=player, layer=layer, events=EVENTS, seed=seed)
        name = f"{checkpoint.digest[:8]}-{player}-{layer}-{seed}"
        found = look(checkpoint, spec, storage, join(storage, "latent", name))
        clusters = sum(cluster.number >= 0 for cluster in found.clusters)
        for label, spaces in found.separation.items():
            purity = found.purity[label]
            figures: Row = {space: [f.value, f.uncertainty] for space, f in spaces.items()}
            figures |= {"by chance": spaces["layer"].floor, "clusters": clusters}
            figures["purity, by chance"] = [purity.value, purity.floor]
            labels = {"dataset": checkpoint.run.dataset, "player": player, "number": layer}
            results.add(labels | {"label": label}, seed, figures)
