"""Search a recipe's space."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import Assignments, Storage, recipe_names
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.study.summary import Summary


def tune(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe with the tables space and study.", autocompletion=recipe_names
        ),
    ],
    *,
    storage: Storage = None,
    assignments: Assignments = None,
    name: Annotated[str | None, typer.Option(help="Name of the study.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted one.")
    ] = False,
) -> "Summary":
    """Search a recipe's space: trials side by side, the best checkpoints, a report."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster.tune import run_study, study_name
    from mleg_ray.storage import storage_root
    from mleg_ray.study.plan import Plan

    plan = Plan.load(recipe, tuple(assignments or ()))
    root = storage_root(storage)
    dataset = Dataset.prepared(root, plan.run.dataset)
    name = name or study_name(recipe, plan, dataset)
    summary = run_study(plan, dataset, root, name=name, resume=resume)
    refresh(root)
    tell_place(summary.ranked[0].best_checkpoint)
    return summary
