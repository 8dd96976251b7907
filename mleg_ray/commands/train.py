"""Train a recipe."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import Assignments, Storage, recipe_names
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.checkpoint import Checkpoint


def train(
    recipe: Annotated[
        str,
        typer.Argument(help="A recipe of tuning/, or a TOML file.", autocompletion=recipe_names),
    ],
    *,
    storage: Storage = None,
    assignments: Assignments = None,
    workers: Annotated[int, typer.Option(min=1, help="Parallel workers.")] = 1,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
) -> "Checkpoint":
    """Train a recipe; the same command again continues an interrupted run."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster.train import run_name, train
    from mleg_ray.run import RunConfig
    from mleg_ray.storage import storage_root

    run = RunConfig.load(recipe, tuple(assignments or ()))
    root = storage_root(storage)
    dataset = Dataset.prepared(root, run.dataset)
    name = name or run_name(recipe, run, dataset)
    checkpoint = train(run, dataset, root, name=name, workers=workers)
    refresh(root)
    tell_place(checkpoint.uri)
    return checkpoint
