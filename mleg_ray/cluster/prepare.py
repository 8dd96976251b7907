"""Prepare a dataset on Ray: one task a shard."""

import ray

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.prepare import (
    PlannedShard,
    PreparePlan,
    ShardRecord,
    constraint_lines,
    finish,
    make_shard,
    plan_dataset,
    whole_shards,
)
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.session import bounded, cluster_cpus, ray_session
from mleg_ray.console import progress_bar, say
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
        records |= _make_in_parallel(plan, missing)
    dataset = finish(plan, records)
    say(f"Dataset {spec.name}: {dataset.rows():,} events in {plan.folder}")
    for line in constraint_lines(dataset):
        say(f"  {line}")
    return dataset


def _make_in_parallel(plan: PreparePlan, missing: list[PlannedShard]) -> dict[int, ShardRecord]:
    made: dict[int, ShardRecord] = {}
    total = sum(shard.rows for shard in missing)
    with ray_session(), progress_bar(f"Preparing {plan.spec.name}", total) as bar:
        shared = ray.put(plan)
        # Two tasks a CPU: one runs while the next is on its way.
        in_flight = 2 * max(1, cluster_cpus())
        for record in bounded(lambda shard: _make.remote(shared, shard), missing, in_flight):
            made[record.index] = record
            bar.update(sum(record.entry.rows for record in made.values()))
    return made


@ray.remote(num_cpus=1, max_retries=3)
def _make(plan: PreparePlan, shard: PlannedShard) -> ShardRecord:
    return make_shard(plan, shard)
