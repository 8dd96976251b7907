"""What hidden layers of GANs tell apart.

Channels of γ p -> p π⁺π⁻, and beam energies. In each hidden layer, and in what the player is
given: how often an event's nearest neighbours tell its label, how pure the clusters of the layer's
t-SNE are, and what the two largest are. The exclusive critic also untrained, and its last layer
with the dissertation's settings of t-SNE and DBSCAN (sec. 8.2.2, Figs. 41 and 42); the layers of
cFAT-GAN also at energies that were not learned: how alike its critic sees true and generated events
there (sec. 5.5.3, Figs. 21 and 22). Pictures and clusters lie in the storage.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from benchmarks.common.options import Paper
from benchmarks.common.results import Results, Row
from benchmarks.paper import exclusive
from benchmarks.physics import energies
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.prepare import prepare
from mleg_ray.commands.analyses import look
from mleg_ray.config import parse
from mleg_ray.interpret.latent import LatentSpec
from mleg_ray.models.gan import GAN
from mleg_ray.storage import join

EVENTS = 3000
DISSERTATION = {
    "perplexity": 100.0,
    "learning_rate": 200.0,
    "iterations": 5000,
    "eps": 0.5,
    "min_samples": 25,
}
LOOKED_AT = (10, 20, 30, 35, 40, 50, 60)  # GeV: those learned, one between and one beyond
LARGEST = 2  # clusters that are told

Player = Literal["critic", "generator"]


def measure(options: Paper, results: Results) -> None:
    """Look into every hidden layer of both players of the exclusive GAN and of cFAT-GAN."""
    options.require(exclusive.GAN, options.for_budget(energies.CFATGAN))
    pythia = energies.prepared(options)
    beyond = at_energies(options)
    for seed in options.seeds:
        gan = exclusive.trained(options, "GAN", seed)
        cfatgan = energies.trained(options, energies.CFATGAN, seed, pythia)
        for checkpoint, truth in ((gan, None), (cfatgan, None), (cfatgan, beyond)):
            for player, layer in options.some(hidden(checkpoint)):
                tell(checkpoint, player, layer, seed, options, results, truth=truth)
        critic = [(player, layer) for player, layer in hidden(gan) if player == "critic"]
        for player, layer in options.some(critic):
            own: Row = {"weights": "untrained"}
            tell(untrained(gan), player, layer, seed, options, results, own=own)
        own = {"settings": "the dissertation's"}
        tell(gan, *critic[-1], seed, options, results, settings=DISSERTATION, own=own)


def at_energies(options: Paper) -> Dataset:
    """Prepare Pythia's events at the energies that are looked at, for this alone."""
    own = (
        "name=dis-ep-looked-at",
        f"source.beam_energies={[float(energy) for energy in LOOKED_AT]}",
        "source.seed=20261129",
        f"source.events={options.few(2_000 * len(LOOKED_AT))}",
        "splits={ train = 0.0, validation = 0.0, test = 1.0 }",
    )
    return prepare(DatasetSpec.load(energies.PYTHIA, own), options.place)


def hidden(checkpoint: Checkpoint) -> list[tuple[Player, int]]:
    """Return the players with each of their hidden layers, from 1."""
    model = checkpoint.model
    assert isinstance(model, GAN)
    depths: dict[Player, int] = {"critic": model.critic.depth, "generator": model.generator.depth}
    return [(player, layer) for player in depths for layer in range(1, depths[player] + 1)]


def untrained(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint with the weights with which its training began."""
    return replace(checkpoint, model=checkpoint.run.build_model(checkpoint.feature_map))


def tell(
    checkpoint: Checkpoint,
    player: Player,
    layer: int,
    seed: int,
    options: Paper,
    results: Results,
    *,
    truth: Dataset | None = None,
    settings: Mapping[str, object] | None = None,
    own: Row | None = None,
) -> None:
    """Keep what a layer separates, of its own validation events or of all of another dataset.

    `own` labels tell what is else than in other rows.
    """
    labels: Row = {
        "dataset": truth.manifest.name if truth else checkpoint.run.dataset,
        "player": player,
        "number": layer,
        **(own or {}),
    }
    values = {"player": player, "layer": layer, "events": options.few(EVENTS, 400), "seed": seed}
    spec = parse(LatentSpec, values | dict(settings or {}), "latent")
    name = "-".join([checkpoint.digest[:8], *map(str, labels.values()), str(seed)])
    folder = join(options.place, "latent", name.replace(" ", "-"))
    found = look(checkpoint, spec, options.place, folder, (truth, None) if truth else None)
    for label, spaces in found.separation.items():
        purity = found.purity[label]
        figures: Row = {space: [f.value, f.uncertainty] for space, f in spaces.items()}
        figures |= {"by chance": spaces["layer"].floor, "clusters": len(found.largest)}
        figures["purity, by chance"] = [purity.value, purity.floor]
        for rank, cluster in enumerate(found.largest[:LARGEST], start=1):
            what = [cluster.events, cluster.majority[label], cluster.purity[label]]
            figures[f"cluster {rank}: events, {label}, its share"] = what
        results.add(labels | {"label": label}, figures, seed=seed)
    if found.told_apart:
        figures = {space: [f.value, f.uncertainty] for space, f in found.told_apart.items()}
        figures["by chance"] = 0.5
        results.add(labels | {"label": "true or generated"}, figures, seed=seed)
