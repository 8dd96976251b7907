"""A study on the FAT-GAN authors' events beside the paper's own values for the same total time.

    python benchmarks/tune_tape2.py --root FOLDER_OF_THE_TAPES --trials 30

Searches `fatgan-quick`'s space, trains its winner with other seeds (`study.repeats`), and then
trains `fatgan` once a seed for as long as the whole study took, on all cores. All are judged by the
test half of tape2.txt. Prints ks_sum and C2ST AUC of each seed.
"""

import argparse
import os
import time

from common.results import Row, keep
from tape2_quality import DATASET, figures, tape2

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.evaluate import evaluate
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import train
from mleg_ray.cluster.tune import run_study
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join
from mleg_ray.study.plan import Plan


def judged(checkpoint: Checkpoint, dataset: Dataset, storage: str, seed: int) -> Row:
    """Return a checkpoint's validation ks_sum and its figures by the test half."""
    events = 10 * dataset.rows("test")
    target = default_target(storage, checkpoint.uri, events, seed)
    generated = sample(checkpoint.uri, events, target, seed=seed)
    report = join(storage, "reports", target.rsplit("/", 1)[-1])
    card = evaluate(generated.uri, dataset, "test", report, seed=seed)
    return {"ks_sum": checkpoint.card.metrics["ks_sum"], "seed": seed, **figures(card)}


def main() -> None:
    """Search, train the paper's values, judge both; print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--set", nargs="*", default=[], dest="assignments", help="of the study")
    parser.add_argument("--set-paper", nargs="*", default=[], dest="paper", help="of `fatgan`")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage = absolute(options.storage)
    assignments = (f"dataset={DATASET}", f"study.trials={options.trials}", *options.assignments)
    plan = Plan.load("fatgan-quick", assignments)
    rows = []
    with ray_session(spare=0):
        dataset = tape2(options.root, storage)
        started = time.monotonic()
        summary = run_study(plan, dataset, storage, name=f"tape2-{int(time.time())}")
        wall = time.monotonic() - started
        for repeat in summary.ranked[0].repeats:
            row = judged(Checkpoint.load(repeat.checkpoint), dataset, storage, repeat.seed)
            rows.append({"of": "study", **row})
            print(rows[-1])
    with ray_session():
        for seed in (repeat.seed for repeat in summary.ranked[0].repeats):
            own = (
                f"training.threads={os.cpu_count()}",
                f"training.seconds={wall}",
                "selection.every=50",  # its steps take seconds; time is looked at when judging
                f"training.seed={seed}",
                *options.paper,
            )
            run = RunConfig.load("fatgan", (f"dataset={DATASET}", *own))
            checkpoint = train(run, dataset, storage, name=f"paper-{int(wall)}-{seed}")
            rows.append({"of": "paper", **judged(checkpoint, dataset, storage, seed)})
            print(rows[-1])
    keep("tune_tape2", {"study_s": wall, "rows": rows})


if __name__ == "__main__":
    main()
