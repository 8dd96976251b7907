"""Write a dataset in another format."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.options import DatasetPlace, target_of, uri_of
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.catalog.convert import Converted


def convert(
    dataset: DatasetPlace,
    to: Annotated[
        str,
        typer.Option(
            help="parquet, root, hdf5, csv, dark-machines, lhe, hepmc or calochallenge; csv.gz and "
            "so on pack the files."
        ),
    ],
    *,
    out: Annotated[str | None, typer.Option(help="Where the files go; also s3://.")] = None,
) -> "Converted":
    """Write a dataset in another format, a file a shard; the same command again completes it."""
    from mleg_ray.cluster.convert import convert

    source = uri_of(dataset)
    target = target_of(out, f"{source}-{to}")
    made = convert(source, to, target)
    tell_place(target)
    return made
