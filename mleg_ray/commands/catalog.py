"""See what datasets there are."""

from typing import Annotated

import typer
from rich.console import Console

from mleg_ray.commands.options import dataset_names


def list_datasets() -> None:
    """List the datasets of the catalog."""
    from mleg_ray.catalog.listing import entries_table

    Console().print(entries_table())


def show(name: Annotated[str, typer.Argument(autocompletion=dataset_names)]) -> None:
    """Show one dataset: fields, source, splits, observables, rules, planes, objects, citation."""
    from mleg_ray.catalog.listing import describe
    from mleg_ray.catalog.spec import DatasetSpec

    Console().print(describe(DatasetSpec.load(name)))
