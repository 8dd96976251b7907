"""How well one conditional generator of e p -> e' X does at each beam energy, in and out of range.

    python benchmarks/energies.py --recipe flow-dis-energies
    python benchmarks/energies.py --recipe flow-dis-energies --root FOLDER_OF_THE_TAPES

Trains a recipe at 10, 20, 30, 40 and 50 GeV. Without `--root` on Pythia 8 events, and judges it by
fresh ones at these energies, between them and beyond; with it on the cFAT-GAN authors' events, and
judges it by the test split at these energies. Prints a row for each energy and writes JSON.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from common.results import keep, rounded
from common.tapes import tapes

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.datasets import MAX_EVENTS, from_dataset, from_generated, judged_by
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

PYTHIA, TAPES = "dis-ep-energies", "dis-ep-energies-tapes"
TRAINED, BETWEEN, BEYOND = (10, 20, 30, 40, 50), (15, 25, 35, 45), (60, 70, 90)
TRAINING_EVENTS, JUDGING_EVENTS = 2_500_000, 300_000
W2 = (
    'observables.w2={ expression = "dis.w2(electron, beam_energy)", '
    'unit = "GeV2", label = "W^2", log = true }'
)
SUBJECTS = {
    "chi2_ndf": ["x_bj, q2"],
    "kl": ["electron.energy", "electron.px", "electron.py", "electron.pz", "w2"],
    "unphysical_rate": ["any"],
}


def figures(truth: Dataset, checkpoint: Checkpoint, storage: str, energy: float) -> dict[str, Any]:
    """Sample at an energy, as many events as ten times the truth's test split, and judge them."""
    rows = min(truth.rows("test"), MAX_EVENTS)
    conditions = {"beam_energy": energy}
    target = default_target(storage, checkpoint.uri, 10 * rows, 1, conditions)
    generated = sample(checkpoint.uri, 10 * rows, target, conditions=conditions)
    card = scorecard(
        from_dataset(truth, "test", seed=1),
        from_generated(judged_by(truth, generated), seed=1, max_events=rows),
        metrics={name: METRICS[name] for name in ("c2st_auc", *SUBJECTS)},
        seed=1,
    )
    classifiers = card.figures["c2st_auc"]
    worst = max(classifiers, key=lambda name: getattr(classifiers[name], "value", 0.0))
    chosen = {"c2st_auc": [worst]} | SUBJECTS
    row: dict[str, Any] = {"beam_energy": energy, "events": rows, "classifier": worst}
    for metric, subjects in chosen.items():
        for subject in subjects:
            figure = card.figures[metric][subject]
            name = metric if metric == "c2st_auc" else f"{metric} {subject}"
            if isinstance(figure, Estimate):
                row[name] = figure.value
                row[f"{name} floor"] = [figure.floor, figure.floor_spread]
            else:
                row[name] = str(figure)
    return row


def prepared(storage: str, root: str = "", events: int = TRAINING_EVENTS) -> Dataset:
    """Prepare what is learned: Pythia events, or the authors' if the folder of theirs is given."""
    if root:
        return prepare(tapes(TAPES, root, W2), storage)
    return prepare(DatasetSpec.load(PYTHIA, (*_shards(events, 20_000), W2)), storage)


def beams(dataset: Dataset) -> Sequence[int]:
    """Return the energies at which there are true events."""
    return TRAINED if dataset.manifest.name == TAPES else sorted(TRAINED + BETWEEN + BEYOND)


def judged(
    checkpoint: Checkpoint,
    dataset: Dataset,
    storage: str,
    energies: Sequence[int],
    events: int = JUDGING_EVENTS,
) -> Iterator[dict[str, Any]]:
    """Judge a checkpoint at energies, by the authors' test splits or by fresh Pythia events."""
    for energy in energies:
        if dataset.manifest.name == TAPES:
            truth = dataset.at({"beam_energy": energy})
        else:
            truth = _fresh(energy, events, storage)
        yield figures(truth, checkpoint, storage, energy)


def _shards(events: int, most: int) -> tuple[str, str]:
    return f"source.events={events}", f"shard_events={min(most, events // 20)}"


def _fresh(energy: float, events: int, storage: str) -> Dataset:
    assignments = (
        f"name=dis-ep-{energy}",
        f"conditions.beam_energy={float(energy)}",
        *_shards(events, 5000),
        "source.seed=20261122",
        W2,
    )
    return prepare(DatasetSpec.load("dis-ep-50", assignments), join(storage, "judging"))


def main() -> None:
    """Train, sample and judge at each energy; print the rows, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="flow-dis-energies")
    parser.add_argument("--root", default="")
    parser.add_argument("--energies", nargs="*", type=int, help="judge it at these alone, in GeV")
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    rows = []
    with ray_session():
        dataset = prepared(storage, options.root)
        name = dataset.manifest.name
        run = RunConfig.load(options.recipe, (f"dataset={name}", *options.assignments))
        checkpoint = train(run, dataset, storage, name=run_name(options.recipe, run, dataset))
        for row in judged(checkpoint, dataset, storage, options.energies or beams(dataset)):
            rows.append(row)
            print(rounded(row), flush=True)
    result = {
        "recipe": options.recipe,
        "set": options.assignments,
        "dataset": name,
        "training_s": checkpoint.card.seconds,
        "rows": rows,
    }
    keep(f"energies-{options.recipe}-{name}", result)


if __name__ == "__main__":
    main()
