"""Reweight a generated sample."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import Place, Storage, uri_of
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.catalog.dataset import Dataset


def reweight(
    generated: Annotated[Place, typer.Argument(metavar="SAMPLE", help="A generated dataset.")],
    truth: Annotated[str, typer.Option(help="Dataset whose train split teaches the weights.")],
    out: Annotated[str, typer.Option(help="Where the result goes; also s3://.")],
    *,
    accept: Annotated[
        bool, typer.Option("--accept", help="Accept or reject events instead of weighting them.")
    ] = False,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of the classifier.")] = 1,
) -> "Dataset":
    """Carry a sample closer to the truth by weights of a calibrated classifier."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.cluster.reweight import reweight
    from mleg_ray.storage import storage_root

    root = storage_root(storage)
    judge = Dataset.prepared(root, truth)
    made = reweight(
        uri_of(generated),
        judge,
        uri_of(out),
        mode="accept" if accept else "weights",
        seed=seed,
    )
    refresh(root)
    tell_place(made.uri)
    return made
