"""How close recipes come to the FAT-GAN authors' own events, in how much time.

    python benchmarks/tape2_quality.py --root FOLDER_OF_THE_TAPES --recipes fatgan-quick bvae-dis

Trains each recipe on 45% of tape2.txt (5% more choose the snapshot), generates as many events as
ten times the test half and judges them by that half. Prints a table and writes JSON; the reports
lie in the storage folder.
"""

import argparse
import statistics
import time

from common.results import Row, keep, rounded
from common.tapes import tapes

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.evaluate import evaluate
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join

DATASET = "dis-ep-50-tape2"


def tape2(root: str, storage: str) -> Dataset:
    """Prepare the authors' events, which lie in the folder `root`."""
    return prepare(tapes(DATASET, root), storage)


QUOTED = {
    "auc": ("c2st_auc", "boosted trees"),
    "chi2_ndf": ("chi2_ndf", "x_bj, q2"),
    "chi2_paper": ("chi2_paper", "x_bj, q2"),
    "unphysical": ("unphysical_rate", "any"),
}


def figures(card: Scorecard) -> Row:
    """Return the quoted figures and their floors, or why one cannot be computed."""
    ks = [figure for figure in card.figures["ks"].values() if isinstance(figure, Estimate)]
    row: Row = {
        "mean_ks": statistics.fmean(figure.value for figure in ks),
        "mean_ks_floor": statistics.fmean(figure.floor for figure in ks),
    }
    for name, (metric, subject) in QUOTED.items():
        figure = card.figures[metric][subject]
        if isinstance(figure, Estimate):
            row |= {name: figure.value, f"{name}_floor": figure.floor}
            row[f"{name}_floor_spread"] = figure.floor_spread
        else:
            row[name] = str(figure)
    return row


def measured(
    recipe: str, assignments: tuple[str, ...], dataset: Dataset, storage: str, seed: int
) -> tuple[Checkpoint, Row]:
    """Train a recipe with a seed, sample ten times the test split, and judge it by that."""
    own = (f"dataset={dataset.manifest.name}", f"training.seed={seed}")
    run = RunConfig.load(recipe, (*own, *assignments))
    started = time.monotonic()
    checkpoint = train(run, dataset, storage, name=run_name(recipe, run, dataset))
    wall = time.monotonic() - started
    events = 10 * dataset.rows("test")
    target = default_target(storage, checkpoint.uri, events, seed)
    generated = sample(checkpoint.uri, events, target, seed=seed)
    report = join(storage, "reports", target.rsplit("/", 1)[-1])
    card = evaluate(generated.uri, dataset, "test", report, seed=seed)
    row: Row = {
        "steps": checkpoint.card.step,
        "training_s": checkpoint.card.seconds,
        "wall_s": wall,
    }
    return checkpoint, row | figures(card)


def main() -> None:
    """Train, sample and judge each recipe with each seed; print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--recipes", nargs="+", default=["fatgan-quick"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    rows = []
    with ray_session():
        dataset = tape2(options.root, storage)
        for recipe in options.recipes:
            for seed in options.seeds:
                _, row = measured(recipe, tuple(options.assignments), dataset, storage, seed)
                rows.append({"recipe": recipe, "seed": seed} | row)
                print(rounded(rows[-1]))
    keep("tape2_quality", {"rows": rows})


if __name__ == "__main__":
    main()
