"""Trials of Ray Tune beside the same trainings without it.

Every trial is `fatgan-quick` on tape2.txt on one core, judged and saved six times; 900 steps take
about a minute. Measured are both wall times, the share that the study adds, and how long a trial
exists without training, which is mostly its start.
"""

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import torch

from benchmarks.common.options import TAPE2, Stored, Tapes, Trials
from benchmarks.common.results import Results, timed
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import run_uri
from mleg_ray.cluster.session import environment, ray_session
from mleg_ray.cluster.tune import run_study
from mleg_ray.run import RunConfig
from mleg_ray.storage import join
from mleg_ray.study.ledger import load
from mleg_ray.study.plan import Plan
from mleg_ray.training.trainee import Trainee


@dataclass(frozen=True, kw_only=True)
class Asked(Stored):
    """The size of the study."""

    root: Tapes
    trials: Trials = 8
    steps: int = 900


def measure(options: Asked, results: Results) -> None:
    """Run the study, then the same trainings without it."""
    steps, stamp = options.few(options.steps, 6), int(time.time())
    plan = Plan.load(
        "fatgan-quick",
        (
            f"dataset={TAPE2}",
            f"training.steps={steps}",
            f"selection.every={steps // 6}",
            f"study.trials={options.few(options.trials, 1)}",
            f"study.pruning.first={steps // 6}",
        ),
    )
    # A space that changes nothing: all trials take as long as the bare trainings.
    space = {"objective.gradient_penalty": plan.space["objective.gradient_penalty"]}
    alone = {"pruning": None, "repeats": None, "points": ()}
    plan = plan.model_copy(update={"space": space, "study": plan.study.model_copy(update=alone)})
    with ray_session(spare=0):
        dataset = options.tape2(options.root)
        summary, study = timed(
            partial(run_study, plan, dataset, options.place, name=f"overhead-{stamp}")
        )
    idle = []
    for trial, told in zip(load(plan, summary.folder).trials, summary.trials, strict=True):
        assert trial.duration
        idle.append(trial.duration.total_seconds() - told.seconds)
    bare = join(options.place, "bare")
    places = [run_uri(bare, f"{stamp}-{trial.name}") for trial in summary.trials]
    _, alone_s = timed(partial(train_all, plan.run, dataset.uri, places))
    figures = {
        "s of the study": study,
        "s without it": alone_s,
        "added": 1 - alone_s / study,
        "s of a trial": statistics.median(trial.seconds for trial in summary.trials),
        "s of a trial without training": statistics.median(idle),
    }
    results.add({"trials": len(summary.trials), "steps": steps}, figures)


def train_all(run: RunConfig, uri: str, folders: list[str]) -> None:
    """Train as often as there are folders, as many at once as there are cores."""
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(partial(train_bare, run, uri), folders))


def train_bare(run: RunConfig, uri: str, folder: str) -> None:
    """Train as a trial does, without Ray."""
    torch.set_num_threads(1)
    trainee = Trainee.alone(run, Dataset.open(uri), environment(), torch.device("cpu"))
    for moment in trainee.train():
        if moment.snapshot is not None:
            trainee.save(folder)
