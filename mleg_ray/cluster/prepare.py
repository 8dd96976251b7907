"""Prepare a dataset on Ray: one task a shard."""

import functools

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.prepare import (
    PreparedShard,
    constant_lines,
    constraint_lines,
    finish,
    image_lines,
    lost_lines,
    make_shard,
    plan_dataset,
    range_lines,
    split_line,
)
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.folder import fill
from mleg_ray.console import say
from mleg_ray.storage import absolute


def prepare(spec: DatasetSpec, storage: str, *, overwrite: bool = False) -> Dataset:
    """Make the dataset below a storage root, or complete what is there of it.

    Shards that are there and whole are kept, so an interrupted run goes on where it stopped, and
    without missing shards Ray is not started at all.

    Raises:
        UserError: see `plan_dataset` and `make_shard`.
    """
    plan = plan_dataset(spec, absolute(storage), overwrite=overwrite)
    files = {shard.index: shard.file for shard in plan.shards}
    make = functools.partial(make_shard, plan)
    shards = fill(plan.folder, files, PreparedShard, f"Preparing {spec.name}", make)
    dataset = finish(plan, shards)
    say(f"Dataset {spec.name}: {dataset.rows():,} events in {dataset.uri}")
    say(f"  {split_line(spec, dataset)}")
    told = (constant_lines, range_lines, lost_lines, image_lines, constraint_lines)
    for line in (line for lines in told for line in lines(dataset)):
        say(f"  {line}")
    return dataset
