"""Shower images by the GANs and VAEs of a dissertation, beside rivals that cost nothing.

Tables 4.4, 5.1 and 5.2 of M. S. Albergo, 2018, whose figures (of Geant4) stand beside ours (of the
embedded cascade): they are of other events. Images are those of lead and polystyrene added up.
KL: Σ p ln(p/q) of the cells' shares in the mean images, plus 1e-5, the mean over draws of as many
generated events. Difference: the largest of the mean image, over its peak. Rows: how far the means
and spreads of rows of the mean image are from the truth's, root mean squares weighted with energy.
Deposits, their deviation and lit cells (above 1 keV, of both layers): generated, true. Classifiers
and diversity: see docs/metrics.md, of fewer events. Images' diversity and signs of collapse: see
the guide. Reconstruction: Σ (x - x')² over cells of test and of train events, codes drawn.

`the truth itself` are train events: what chance alone makes of each figure; of the library, of
independent cells and of the parametrisation see `benchmarks.common.image_rivals`. Of the β-CVAE
each energy has a row. Pictures: images, means and rows of each system, reconstructions of each VAE,
and the mean cell against steps.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.common.image_pictures import (
    SHOWN,
    images_picture,
    reconstructions_picture,
    steps_picture,
)
from benchmarks.common.image_rivals import RIVALS
from benchmarks.common.options import Paper, one_of
from benchmarks.common.results import Results, Row, budget, estimates
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.evaluation.metrics.mean_images import kl_mean_image, row_differences
from mleg_ray.evaluation.samples.datasets import from_events
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.events import Events
from mleg_ray.models.vae import Autoencoder
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from mleg_ray.training.collapse import signs_of_collapse

EVENTS = 20_000  # of a mean image
DRAWS = 5  # of generated events, over which the divergence is averaged
JUDGED = 10_000  # events that classifiers see
AT_ONCE = 500  # images
TRUTH = "the truth itself"

Array = NDArray[np.float64]


class System(NamedTuple):
    """A recipe, what it is assigned, and the dissertation's divergence and error, MeV²."""

    recipe: str
    assigned: tuple[str, ...] = ()
    kl: float | None = None
    error: float | None = None


SYSTEMS = {
    "DCGAN-DP-32": System("dcgan-dp-showers", kl=0.019),
    "DCGAN-DP-64": System("dcgan-dp-showers-64", kl=1.46),
    "DCWGAN-GP-32": System("dcwgan-gp-showers", kl=0.113),
    "DCWGAN-GP-64": System("dcwgan-gp-showers-64", kl=0.586),
    "FCGAN-DP-32": System("fcgan-showers"),
    "VAE-32": System("vae-showers", kl=0.0042, error=40.2),
    "VAE-64": System("vae-showers-64", kl=0.0089, error=46.3),
    **{
        f"beta-CVAE-{beta:g}": System("bcvae-showers", (f"objective.beta={beta}",))
        for beta in (1.0, 2.5, 4.0, 8.0)
    },
}


@dataclass(frozen=True, kw_only=True)
class Asked(Paper):
    """Which systems are trained."""

    systems: Annotated[
        list[str],
        typer.Option(
            "--system",
            default_factory=lambda: list(SYSTEMS),
            callback=one_of(SYSTEMS),
            help="Repeatable.",
            show_default="all",
        ),
    ]


@dataclass(frozen=True)
class Showers:
    """What is told of many showers of one energy.

    The mean image (rows, columns), MeV, that of each layer's cells, the first events for metrics,
    and the first images.
    """

    mean: Array
    mean_cell: float
    sample: EventSample
    first: list[Array]

    @staticmethod
    def of(parts: Iterable[Events], dataset: Dataset) -> "Showers":
        """Read events part by part: all of them may not fit the memory."""
        total, n, judged = np.zeros(()), 0, []
        for events in parts:
            if n < JUDGED:
                judged.append(events[: JUDGED - n])
            total, n = total + flat(events).sum(axis=0), n + len(events)
        layers = dataset.schema.shapes["image"][0]
        first = list(flat(judged[0][:SHOWN]))
        sample = from_events(Events.concatenate(judged), dataset.manifest)
        return Showers(total / n, float(total.mean()) / n / layers, sample, first)

    def figures(self, name: str) -> tuple[float, float]:
        """Return the mean and the deviation of a shower variable."""
        values = self.sample.columns[name].values
        return float(values.mean()), float(values.std())


def measure(options: Asked, results: Results) -> None:
    """Train each system with each seed, and compare what it makes."""
    n = options.few(EVENTS, 200)
    truths: dict[str, dict[float, Showers]] = {}
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in options.some(options.systems):
        system = SYSTEMS[name]
        recipe = f"{system.recipe}-paper" if options.full else system.recipe
        run = RunConfig.load(recipe, (*system.assigned, *options.assigned))
        dataset = options.prepared(run.dataset)
        if run.dataset not in truths:
            truths[run.dataset] = true_showers(dataset, n, results)
        for seed in options.seeds:
            checkpoint = options.trained(recipe, seed, *system.assigned, dataset=dataset)
            for energy, truth in truths[run.dataset].items():
                made = [
                    Showers.of(generated(checkpoint, energy, n, DRAWS * seed + draw), dataset)
                    for draw in range(options.few(DRAWS, 1))
                ]
                found = compared(truth, made) | of_training(checkpoint, system.kl)
                at = f"{name}-{energy:g}"
                means = [truth.mean, made[0].mean]
                results.draw(images_picture, truth.first, made[0].first, means, name=at)
                if isinstance(checkpoint.model, Autoencoder):
                    found |= errors(checkpoint, dataset, energy, options.few(5000, 100), seed)
                    found |= {"dissertation's, MeV²": system.error or "none"}
                    pairs = pairs_of(checkpoint, dataset, energy, seed)
                    results.draw(reconstructions_picture, pairs, name=f"{at}-again")
                labels = {"system": name, "dataset": run.dataset, "MeV": energy}
                results.add(labels, found | budget(checkpoint), seed=seed)
            curves.setdefault(run.dataset, {})[name] = [
                (moment["step"], moment["mean.image"])
                for moment in checkpoint.card.history
                if "mean.image" in moment
            ]
    for of, lines in curves.items():
        cells = [truth.mean_cell for truth in truths[of].values()]
        results.draw(steps_picture, lines, float(np.mean(cells)), name=f"steps-{of}")


def true_showers(dataset: Dataset, events: int, results: Results) -> dict[float, Showers]:
    """Return true showers by their energy, and tell how far others and rivals are from these."""
    energies = [*dataset.manifest.conditions.values()] or energies_of(dataset)
    truths = {}
    for energy in energies:
        truth = Showers.of(split(dataset, "test", energy, events), dataset)
        train = Events.concatenate(list(split(dataset, "train", energy, events)))
        made = {TRUTH: train}
        for name, rival in RIVALS.items():
            wanted = np.full(events, energy)
            made[name] = rival(train, wanted, np.random.default_rng(1))
        for name, others in made.items():
            labels: Row = {"system": name, "dataset": dataset.manifest.name, "MeV": energy}
            results.add(labels, compared(truth, [Showers.of([others], dataset)]))
        truths[energy] = truth
    return truths


def energies_of(dataset: Dataset) -> list[float]:
    """Return the energies that a dataset of several has."""
    shards = dataset.shards("test")
    return sorted({dataset.manifest.conditions_of(shard)["energy"] for shard in shards})


def split(dataset: Dataset, name: str, energy: float, events: int) -> Iterator[Events]:
    """Yield the first so many events of a split that have the energy, some at a time."""
    left = events
    for chunk in dataset.chunks(name):
        own = chunk[chunk.columns["energy"] == energy][:left]
        if len(own):
            yield own
        left -= len(own)
        if not left:
            return


def generated(checkpoint: Checkpoint, energy: float, events: int, seed: int) -> Iterator[Events]:
    """Yield so many generated events of an energy, some at a time."""
    rng = torch.Generator().manual_seed(seed)
    for part in checkpoint.given(events, {"energy": energy}).split(AT_ONCE):
        yield checkpoint.generate(part, generator=rng)


def compared(truth: Showers, made: list[Showers]) -> Row:
    """Return how far showers are from the truth; of several draws, the first tells all but KL."""
    some = made[0]
    deposits, lit = (
        [showers.figures(name) for showers in (some, truth)] for name in ("total", "occupancy")
    )
    card = scorecard(truth.sample, some.sample, metrics=("c2st_auc", "diversity"))
    return {
        "KL": float(np.mean([kl_mean_image(truth.mean, one.mean) for one in made])),
        "difference, %": 100 * float(np.abs(some.mean - truth.mean).max() / truth.mean.max()),
        "rows, cells": row_differences(truth.mean, some.mean),
        "deposit, MeV": [mean for mean, _ in deposits],
        "deviation, MeV": [deviation for _, deviation in deposits],
        "lit, %": [100 * mean for mean, _ in lit],
        **estimates(card, "c2st_auc", "diversity"),
    }


def of_training(checkpoint: Checkpoint, kl: float | None) -> Row:
    """Return the diversity of the snapshot that is used, what looks like collapse, and a KL."""
    card = checkpoint.card
    kept = next(moment for moment in card.history if moment["step"] == card.step)
    signs = signs_of_collapse(card.history, card.step)
    return {
        "images' diversity": kept.get("diversity.image", "none"),
        "signs": "; ".join(signs) or "none",
        "dissertation's KL": kl or "none",
    }


def flat(events: Events) -> Array:
    """Return images with their layers added up (n, rows, columns), float64."""
    added: Array = events.columns["image"].sum(dim=1, dtype=torch.float64).numpy()
    return added


def pairs_of(
    checkpoint: Checkpoint, dataset: Dataset, energy: float, seed: int
) -> list[tuple[Array, Array]]:
    """Return some true images, each with what an autoencoder makes of it."""
    events = next(split(dataset, "test", energy, SHOWN))
    return list(zip(flat(events), flat(reconstructed(checkpoint, events, seed)), strict=True))


def reconstructed(checkpoint: Checkpoint, events: Events, seed: int) -> Events:
    """Return what an autoencoder makes of the codes that it draws of events."""
    model, feature_map = checkpoint.model, checkpoint.feature_map
    assert isinstance(model, Autoencoder)
    noise = Noise(checkpoint.device)
    noise.seed(seed)
    batch = feature_map.encode(events, noise=noise)
    drawn = noise.normal(len(events), model.latent_dim)
    code, _ = model.code(batch.x, batch.condition, drawn)
    return feature_map.decode(model.decode(code, batch.condition), events)


def errors(checkpoint: Checkpoint, dataset: Dataset, energy: float, n: int, seed: int) -> Row:
    """Return Σ (x - x')² over cells, MeV², the mean over test events and that over train events."""
    found: list[float] = []
    for name in ("test", "train"):
        squares: list[Array] = []
        for chunk in split(dataset, name, energy, n):
            for part in chunk.split(AT_ONCE):
                change = flat(part) - flat(reconstructed(checkpoint, part, seed))
                squares.append(np.square(change).sum(axis=(1, 2)))
        found.append(float(np.concatenate(squares).mean()))
    return {"reconstruction, MeV²": found}
