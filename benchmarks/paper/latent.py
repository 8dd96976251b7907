"""What hidden layers of GANs tell apart.

Channels of γ p -> p π⁺π⁻, and beam energies. In each hidden layer, and in what the player is
given: how often an event's nearest neighbours tell its label, and how pure the clusters of the
layer's t-SNE are. Pictures and clusters lie in the storage.
"""

from typing import Literal

from benchmarks.common.options import Paper
from benchmarks.common.results import Results, Row
from benchmarks.paper import exclusive
from benchmarks.physics import energies
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.commands.analyses import look
from mleg_ray.interpret.latent import LatentSpec
from mleg_ray.models.gan import GAN
from mleg_ray.storage import join

EVENTS = 3000


def measure(options: Paper, results: Results) -> None:
    """Look into every hidden layer of both players of the exclusive GAN and of cFAT-GAN."""
    options.require(exclusive.GAN, energies.CFATGAN)
    pythia = energies.prepared(options)
    for seed in options.seeds:
        gan = exclusive.trained(options, exclusive.GAN, seed)
        cfatgan = energies.trained(options, energies.CFATGAN, seed, pythia)
        for checkpoint in (gan, cfatgan):
            layers(checkpoint, seed, options, results)


def layers(checkpoint: Checkpoint, seed: int, options: Paper, results: Results) -> None:
    """Keep what each layer of each player separates."""
    model = checkpoint.model
    assert isinstance(model, GAN)
    depths: dict[Literal["critic", "generator"], int] = {
        "critic": model.critic.depth,
        "generator": model.generator.depth,
    }
    hidden = [(player, layer) for player in depths for layer in range(1, depths[player] + 1)]
    for player, layer in options.some(hidden):
        events = options.few(EVENTS, 400)
        spec = LatentSpec(player=player, layer=layer, events=events, seed=seed)
        name = f"{checkpoint.digest[:8]}-{player}-{layer}-{seed}"
        found = look(checkpoint, spec, options.place, join(options.place, "latent", name))
        clusters = sum(cluster.number >= 0 for cluster in found.clusters)
        for label, spaces in found.separation.items():
            purity = found.purity[label]
            figures: Row = {space: [f.value, f.uncertainty] for space, f in spaces.items()}
            figures |= {"by chance": spaces["layer"].floor, "clusters": clusters}
            figures["purity, by chance"] = [purity.value, purity.floor]
            labels = {"dataset": checkpoint.run.dataset, "player": player, "number": layer}
            results.add(labels | {"label": label}, figures, seed=seed)
