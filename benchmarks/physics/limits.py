"""What limits a conditional flow on the cFAT-GAN authors' events: edges, network or data.

Trains a recipe on their train split at 10 to 50 GeV, a third of its own steps if not `--full`. At
each energy classifiers then tell from the test split: other true events, the limit of any
generator; these through the features and back, that of any network behind them; and generated
ones. Those are also told from the train split: a network that has learned its events by heart is
closer to these than to others, and the data limit it; one that is as far from both limits itself.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.common.options import TAPES, Paper, Rounds
from benchmarks.common.results import Results, Row
from benchmarks.physics.energies import prepared
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.evaluation.metrics.c2st import auc_figures
from mleg_ray.evaluation.samples.datasets import from_dataset, from_events
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.scorecards import worst
from mleg_ray.evaluation.statistics.classifiers import classify
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.events import Events
from mleg_ray.randomness import Noise, derive_seed, stream

QUICK = ("training.steps=4000", "selection.every=500")


@dataclass(frozen=True, kw_only=True)
class Asked(Paper):
    """What is trained, and where it is looked at."""

    root: Annotated[Path, TAPES]
    recipe: str = "flow-dis-energies"
    rounds: Rounds = 3
    energies: Annotated[
        list[int],
        typer.Option(
            "--energy",
            default_factory=lambda: [10, 50],
            show_default="10, 50",
            help="In GeV; repeatable.",
        ),
    ]


def measure(options: Asked, results: Results) -> None:
    """Train with each seed, and set all samples side by side at each energy."""
    options.require(options.recipe)
    dataset = prepared(options, options.root)
    for seed in options.seeds:
        checkpoint = options.trained(options.recipe, seed, *options.quick(*QUICK), dataset=dataset)
        for energy in options.some(options.energies):
            part = dataset.at({"beam_energy": float(energy)})
            test, train = (from_dataset(part, split, seed=1) for split in ("test", "train"))
            back, generated = (
                from_events(events, part.manifest)
                for events in (_through(checkpoint, part), _generated(checkpoint, part, seed))
            )
            for name, truth, sample in (
                ("true, from the test split", test, train),
                ("true, through the features and back, from the test split", test, back),
                ("generated, from the test split", test, generated),
                ("generated, from the train split", train, generated),
            ):
                labels = {"recipe": options.recipe, "beam energy": energy, "told": name}
                results.add(labels, told(truth, sample, options.few(options.rounds, 1)), seed=seed)


def told(truth: EventSample, sample: EventSample, rounds: int) -> Row:
    """Return the mean of the worst classifier's AUC over so many trainings, and its error."""
    found: list[tuple[str, Estimate]] = []
    for number in range(rounds):
        rng = np.random.default_rng(derive_seed(1, "limits", number))
        classifier, figure = worst(auc_figures(classify(truth, sample, rng)))
        assert isinstance(figure, Estimate)
        found.append((classifier, figure))
    classifier, last = found[-1]
    mean = float(np.mean([figure.value for _, figure in found]))
    auc = [mean, last.floor_spread / math.sqrt(rounds)]
    return {"events": last.events, "classifier": classifier, "auc": auc}


def _through(checkpoint: Checkpoint, part: Dataset) -> Events:
    """Return the train events through the features and back: what a perfect network would make."""
    events = part.load("train")
    noise = Noise(checkpoint.device)
    noise.seed(derive_seed(1, "limits/encode"))
    features = checkpoint.feature_map.encode(events, noise=noise).x
    return checkpoint.feature_map.decode(features, events)


def _generated(checkpoint: Checkpoint, part: Dataset, seed: int) -> Events:
    """Generate an event under the condition of each train event."""
    generator = stream(derive_seed(seed, "limits/generate"), checkpoint.device)
    return checkpoint.generate(part.load("train"), generator=generator)
