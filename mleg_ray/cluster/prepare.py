"""Prepare a dataset on Ray: one task a shard."""

import ray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.prepare import (
    PlannedShard,
    PreparePlan,
    ShardRecord,
    constraint_lines,
    dropped_lines,
    finish,
    make_shard,
    plan_dataset,
    split_line,
    whole_shards,
)
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.session import in_parallel
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
    records = whole_shards(plan)
    missing = [shard for shard in plan.shards if shard.index not in records]
    if missing:
        made = in_parallel(f"Preparing {spec.name}", _make, plan, missing)
        records |= {record.index: record for record in made}
    dataset = finish(plan, records)
    say(f"Dataset {spec.name}: {dataset.rows():,} events in {plan.folder}")
    say(f"  {split_line(spec, dataset)}")
    for line in (*dropped_lines(dataset), *constraint_lines(dataset)):
        say(f"  {line}")
    return dataset


@ray.remote(num_cpus=1, max_retries=3)
def _make(plan: PreparePlan, shard: PlannedShard) -> ShardRecord:
    return make_shard(plan, shard)
