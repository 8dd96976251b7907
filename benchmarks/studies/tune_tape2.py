"""A study beside the paper's own values for the same time.

Searches `fatgan-quick`'s space, trains its winner with other seeds (`study.repeats`), and then
trains `fatgan` once a seed for as long as the whole study took, on all cores. All are judged by the
test half of tape2.txt.
"""

import os
import time
from dataclasses import dataclass
from functools import partial

from benchmarks.common.options import FEW_STEPS, SMALL_GAN, TAPE2, Assigned, Tapes, Trials
from benchmarks.common.results import Results, timed
from benchmarks.physics.tape2_quality import quoted
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import train
from mleg_ray.cluster.tune import run_study
from mleg_ray.run import RunConfig
from mleg_ray.study.plan import Plan

FEW_TRIALS = ("study.trials=1", "study.repeats={ best = 1, seeds = 2 }", "study.pruning.first=2")


@dataclass(frozen=True, kw_only=True)
class Asked(Assigned):
    """What is searched."""

    root: Tapes
    trials: Trials = 30


def measure(options: Asked, results: Results) -> None:
    """Search, train the paper's values, judge both."""
    small = (*FEW_STEPS, *FEW_TRIALS) if options.small else ()
    own = (f"study.trials={options.trials}", *small, *options.assigned)
    plan = Plan.load("fatgan-quick", (f"dataset={TAPE2}", *own))

    def judge(of: str, checkpoint: Checkpoint, seed: int) -> None:
        _, card = options.judged(checkpoint, dataset, seed)
        ks_sum = {"validation ks_sum": checkpoint.card.metrics["ks_sum"]}
        results.add({"of": of, "s of the study": wall}, ks_sum | quoted(card), seed=seed)

    with ray_session(spare=0):
        dataset = options.tape2(options.root)
        name = f"tape2-{int(time.time())}"
        summary, wall = timed(partial(run_study, plan, dataset, options.place, name=name))
        repeats = summary.ranked[0].repeats
        for repeat in repeats:
            judge("the study's winner", Checkpoint.load(repeat.checkpoint), repeat.seed)
    with ray_session():
        for repeat in repeats:
            own = (
                f"training.threads={os.cpu_count()}",
                f"training.seconds={wall}",
                "selection.every=50",  # its steps take seconds; time is looked at when judging
                f"training.seed={repeat.seed}",
                *((*SMALL_GAN, *FEW_STEPS) if options.small else ()),
            )
            run = RunConfig.load("fatgan", (f"dataset={TAPE2}", *own))
            name = f"paper-{int(wall)}-{repeat.seed}"
            judge("the paper's", train(run, dataset, options.place, name=name), repeat.seed)
