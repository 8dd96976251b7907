"""How far the sources' own recipes come in a given time.

Each recipe `*-paper` has its source's networks, batches and steps, which is work for a GPU. Here
every one is trained for as long as is asked for, or to its end if that comes first; the table tells
how many of its steps that were, and the sum of KS distances of its best snapshot beside what other
true events have. Time is looked at where a snapshot is judged, so that a little more is taken.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from benchmarks.common.options import Training
from benchmarks.common.results import Results, budget
from mleg_ray.config import known_names
from mleg_ray.run import RunConfig
from mleg_ray.training.selection import SnapshotSelector

PAPER = "-paper"


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """Which recipes, and for how long."""

    recipes: Annotated[
        list[str] | None,
        typer.Option("--recipe", help="With its source's values. Repeatable; else all."),
    ] = None
    seconds: Annotated[float, typer.Option(min=1, help="Of each training, judging included.")] = 600


def measure(options: Asked, results: Results) -> None:
    """Train one after the other."""
    recipes = options.recipes or [name for name in known_names("tuning") if name.endswith(PAPER)]
    options.require(*recipes)
    for recipe in options.some(recipes):
        run = RunConfig.load(recipe, options.assigned)
        events = options.prepared(run.dataset)
        floor = SnapshotSelector(run, events.selecting(run.where)).floor
        for seed in options.seeds:
            limit = f"training.seconds={options.seconds:g}"
            checkpoint = options.trained(recipe, seed, limit, dataset=events)
            card = checkpoint.card
            figures = budget(checkpoint) | {
                "steps": int(card.history[-1]["step"]),
                "of": run.training.steps,
                "best step": card.step,
                "KS, summed": card.metrics["ks_sum"],
                "its floor": floor,
            }
            results.add({"recipe": recipe, "s": options.seconds}, figures, seed=seed)
