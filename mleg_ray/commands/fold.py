"""Fold a dataset with a detector's generator."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import Place, PoolSize, Storage, Target, target_of, uri_of
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.catalog.dataset import Dataset


def fold(
    checkpoint: Annotated[
        Place, typer.Argument(help="A detector's generator: a checkpoint's directory or URI.")
    ],
    events: Annotated[
        str,
        typer.Argument(
            metavar="DATASET[:SPLIT]", help="What is measured: a prepared dataset, or a folder."
        ),
    ],
    *,
    out: Target = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of all shards.")] = 1,
    workers: PoolSize = None,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Also outside the region of the training.")
    ] = False,
) -> "Dataset":
    """Carry each event of a dataset to what a detector measures of it, one for one."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.checkpoint import Checkpoint
    from mleg_ray.cluster.sample import complete, given_target
    from mleg_ray.sampling.job import plan_fold
    from mleg_ray.storage import storage_root

    root, place = storage_root(storage), uri_of(checkpoint)
    dataset, split = Dataset.find(root, events)
    target = target_of(out, given_target(root, place, "of", dataset, split, seed))
    detector = Checkpoint.load(place)
    job = plan_fold(detector, dataset, split, target, seed=seed, extrapolate=extrapolate)
    folded = complete(job, workers=workers)
    refresh(root)
    tell_place(folded.uri)
    return folded
