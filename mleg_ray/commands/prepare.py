"""Make a dataset of the catalog."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import Assignments, Storage, dataset_names
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.catalog.dataset import Dataset


def prepare(
    name: Annotated[
        str,
        typer.Argument(
            help="A dataset of the catalog, or a TOML file.", autocompletion=dataset_names
        ),
    ],
    *,
    storage: Storage = None,
    assignments: Assignments = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a dataset made otherwise.")] = False,
) -> "Dataset":
    """Make all events of a dataset, in Parquet shards; the same command again completes them."""
    from mleg_ray.catalog.spec import DatasetSpec
    from mleg_ray.cluster.prepare import prepare
    from mleg_ray.storage import storage_root

    spec = DatasetSpec.load(name, tuple(assignments or ()))
    root = storage_root(storage)
    dataset = prepare(spec, root, overwrite=overwrite)
    refresh(root)
    tell_place(dataset.uri)
    return dataset
