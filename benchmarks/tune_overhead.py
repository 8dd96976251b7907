"""What Ray Tune costs: equal trials of a study beside the same trainings in bare processes.

    python benchmarks/tune_overhead.py --root FOLDER_OF_THE_TAPES --trials 8 --steps 900

Every trial is `fatgan-quick` on tape2.txt on one core, judged and saved six times; 900 steps take
about a minute. Prints both wall times, the share that the study adds, and how long a trial exists
without training, which is mostly its start.
"""

import argparse
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from common.results import keep
from tape2_quality import DATASET, tape2

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import run_uri
from mleg_ray.cluster.session import environment, ray_session
from mleg_ray.cluster.tune import run_study
from mleg_ray.run import RunConfig
from mleg_ray.storage import absolute, join
from mleg_ray.study.ledger import load
from mleg_ray.study.plan import Plan
from mleg_ray.training.trainee import Trainee


def train_bare(run: RunConfig, uri: str, folder: str) -> None:
    """Train as a trial does, without Ray."""
    torch.set_num_threads(1)
    trainee = Trainee.alone(run, Dataset.open(uri), environment(), torch.device("cpu"))
    for moment in trainee.train():
        if moment.snapshot is not None:
            trainee.save(folder)


def main() -> None:
    """Run both, print the figures, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage, stamp = absolute(options.storage), int(time.time())
    cores = len(os.sched_getaffinity(0))
    plan = Plan.load(
        "fatgan-quick",
        (
            f"dataset={DATASET}",
            f"training.steps={options.steps}",
            f"selection.every={options.steps // 6}",
            f"study.trials={options.trials}",
            f"study.pruning.first={options.steps // 6}",
        ),
    )
    # A space that changes nothing: all trials take as long as the bare trainings.
    space = {"objective.gradient_penalty": plan.space["objective.gradient_penalty"]}
    alone = {"pruning": None, "repeats": None, "points": ()}
    plan = plan.model_copy(update={"space": space, "study": plan.study.model_copy(update=alone)})
    with ray_session(spare=0):
        dataset = tape2(options.root, storage)
        started = time.monotonic()
        summary = run_study(plan, dataset, storage, name=f"overhead-{stamp}")
        study_s = time.monotonic() - started
    idle = []
    for trial, told in zip(load(plan, summary.folder).trials, summary.trials, strict=True):
        assert trial.duration
        idle.append(trial.duration.total_seconds() - told.seconds)
    started = time.monotonic()
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        places = [
            run_uri(join(storage, "bare"), f"{stamp}-{trial.name}") for trial in summary.trials
        ]
        list(pool.map(train_bare, *zip(*((plan.run, dataset.uri, p) for p in places), strict=True)))
    bare_s = time.monotonic() - started
    row = {
        "trials": options.trials,
        "study_s": study_s,
        "bare_s": bare_s,
        "added": 1 - bare_s / study_s,
        "trial_s": statistics.median(trial.seconds for trial in summary.trials),
        "not_training_in_a_trial_s": statistics.median(idle),
    }
    print(row)
    keep("tune_overhead", row)


if __name__ == "__main__":
    main()
