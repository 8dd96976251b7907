"""TPE with pruning beside random search for the same time.

Both search the space of a recipe on tape2.txt, in turn, with each seed of a study.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from benchmarks.common.options import FEW_STEPS, TAPE2, Assigned, Seeds, Tapes
from benchmarks.common.results import Results, timed
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.tune import run_study
from mleg_ray.study.plan import Plan, RandomSearch


@dataclass(frozen=True, kw_only=True)
class Asked(Assigned):
    """What is searched, for how long."""

    root: Tapes
    recipe: str = "fatgan-quick"
    seconds: Annotated[float, typer.Option(help="Of a study.")] = 1800
    seeds: Seeds


def measure(options: Asked, results: Results) -> None:
    """Search in turn."""
    small = (*FEW_STEPS, "study.pruning.first=2") if options.small else ()
    with ray_session(spare=0):
        dataset = options.tape2(options.root)
        for seed in options.seeds:
            plan = Plan.load(options.recipe, (f"dataset={TAPE2}", *small, *options.assigned))
            seconds = 0.1 if options.small else options.seconds
            asked = {"trials": 100_000, "seconds": seconds, "seed": seed, "repeats": None}
            alone = {"points": ()}  # a good start would tell both the answer
            tpe = plan.study.model_copy(update=asked | alone)
            random = tpe.model_copy(update={"search": RandomSearch(), "pruning": None})
            for search, study in (("TPE, pruned", tpe), ("random", random)):
                plan = plan.model_copy(update={"study": study})
                name = f"bench-{study.search.kind}-{seed}-{int(time.time())}"
                summary, wall = timed(partial(run_study, plan, dataset, options.place, name=name))
                states = [trial.state for trial in summary.trials]
                figures = {
                    "best ks_sum": summary.ranked[0].figures["ks_sum"],
                    "complete": states.count("complete"),
                    "pruned": states.count("pruned"),
                    "wall s": wall,
                }
                results.add({"search": search}, figures, seed=seed)
