"""One generator at beam energies in and out of its range.

Trains a recipe at 10, 20, 30, 40 and 50 GeV. Without `--root` on Pythia 8 events, and judges it by
fresh ones at these energies, between them and beyond; with it on the cFAT-GAN authors' events, and
judges it by the test split at these energies. `cfatgan` is the dissertation's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.common.options import SMALL_GAN, TAPES, Paper
from benchmarks.common.results import Results, Row, budget, estimate, estimates
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.samples.datasets import MAX_EVENTS, from_dataset, from_generated, judged_by
from mleg_ray.evaluation.scorecards import scorecard, worst
from mleg_ray.sampling.spectra import constant
from mleg_ray.storage import join

PYTHIA, OF_AUTHORS = "dis-ep-energies", "dis-ep-energies-tapes"
CFATGAN = "cfatgan"
TRAINED, BETWEEN, BEYOND = (10, 20, 30, 40, 50), (15, 25, 35, 45), (60, 70, 80, 90)
TRAINING_EVENTS, JUDGING_EVENTS = 2_500_000, 300_000
W2 = "observables.w2.expression='dis.w2(electron, beam_energy, beam_energy)'"
SUBJECTS = {
    "chi2_ndf": ["x_bj, q2"],
    "chi2_paper": ["x_bj, q2"],
    "kl": ["electron.energy", "electron.px", "electron.py", "electron.pz", "w2"],
    "unphysical_rate": ["any"],
}


@dataclass(frozen=True, kw_only=True)
class Asked(Paper):
    """What is trained, and where it is judged."""

    recipe: str = "flow-dis-energies"
    root: Annotated[Path | None, TAPES] = None
    energies: Annotated[
        list[int],
        typer.Option(
            "--energy",
            default_factory=list,
            show_default="all",
            help="Judge it at this one alone, in GeV; repeatable.",
        ),
    ]


def measure(options: Asked, results: Results) -> None:
    """Train with each seed, and judge at each energy."""
    recipe = options.for_budget(options.recipe)
    options.require(recipe)
    dataset = prepared(options, options.root)
    beams = TRAINED if options.root else sorted(TRAINED + BETWEEN + BEYOND)
    for seed in options.seeds:
        checkpoint = trained(options, options.recipe, seed, dataset)
        for energy in options.some(options.energies or beams):
            beam = {"beam_energy": float(energy)}
            truth = dataset.at(beam) if options.root else _fresh(energy, options)
            labels = {"recipe": recipe, "dataset": dataset.manifest.name}
            figures = budget(checkpoint)
            figures |= judged(truth, checkpoint, options.place, beam)
            results.add(labels | {"beam energy": energy}, figures, seed=seed)


def prepared(options: Paper, root: Path | None = None) -> Dataset:
    """Prepare what is learned: Pythia events, or the authors' if the folder of theirs is given."""
    if root:
        return prepare(options.tapes(OF_AUTHORS, root, W2), options.place)
    own = (*_shards(options.few(TRAINING_EVENTS), 20_000), W2)
    return prepare(DatasetSpec.load(PYTHIA, own), options.place)


def trained(options: Paper, recipe: str, seed: int, dataset: Dataset) -> Checkpoint:
    """Train a recipe, cFAT-GAN with less than its own budget if that is not asked for."""
    quick = options.quick(*SMALL_GAN, "training.steps=4000") if recipe == CFATGAN else ()
    return options.trained(options.for_budget(recipe), seed, *quick, dataset=dataset)


def judged(truth: Dataset, checkpoint: Checkpoint, storage: str, beam: dict[str, float]) -> Row:
    """Sample at an energy, as many events as ten times the truth's test split, and judge them."""
    rows = min(truth.rows("test"), MAX_EVENTS)
    at = {name: constant(value) for name, value in beam.items()}
    target = default_target(storage, checkpoint.uri, 10 * rows, 1, at)
    generated = sample(checkpoint.uri, 10 * rows, target, conditions=at)
    card = scorecard(
        from_dataset(truth, "test", seed=1),
        from_generated(judged_by(truth, generated), seed=1, max_events=rows),
        metrics={name: METRICS[name] for name in ("c2st_auc", *SUBJECTS)},
        seed=1,
    )
    classifier, auc = worst(card.figures["c2st_auc"])
    figures = {"events": rows, "classifier": classifier, "auc": estimate(auc)}
    return figures | estimates(card, **SUBJECTS)


def _shards(events: int, most: int) -> tuple[str, str]:
    return f"source.events={events}", f"shard_events={min(most, events // 20)}"


def _fresh(energy: int, options: Paper) -> Dataset:
    own = (
        f"name=dis-ep-{energy}",
        f"conditions.beam_energy={float(energy)}",
        *_shards(options.few(JUDGING_EVENTS), 5000),
        "source.seed=20261122",
        W2,
    )
    return prepare(DatasetSpec.load("dis-ep-50", own), join(options.place, "judging"))
