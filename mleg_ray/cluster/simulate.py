"""A rehearsal of sampling at the scale of a cluster: plan, pool and manifest, without the events.

The workers only sleep as long as a shard takes. What is seen is what the driver can bear.
"""

import asyncio
import dataclasses
import itertools
import resource
import sys
import time
from typing import Any

import ray

from mleg_ray.cluster.pool import IN_FLIGHT, ActorPool
from mleg_ray.cluster.sample import produce
from mleg_ray.cluster.session import environment, ray_session
from mleg_ray.config import Config
from mleg_ray.console import counted, say
from mleg_ray.errors import ConfigError
from mleg_ray.sampling.job import SampleJob, finish, making
from mleg_ray.sampling.plan import SampledShard, ShardPlan
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.storage import remove_folder

PROCESSES = 4  # among which the simulated workers are divided
MB = 1 << 20


class Simulation(Config):
    """What was seen of a driver's work; `busy` is the share of their time that the workers slept.

    `driver_cpu_seconds` and `driver_memory_mb`, the growth of its peak, are those of handing out
    the shards and collecting their records; `finish_seconds` is the manifest's time.
    """

    shards: int
    workers: int
    shard_seconds: float
    shard_bytes: int
    seconds: float
    shards_per_second: float
    busy: float
    driver_cpu_seconds_per_shard: float
    driver_memory_mb: float
    finish_seconds: float


def simulate(job: SampleJob, workers: int, *, shard_seconds: float | None = None) -> Simulation:
    """Go through the motions of a sample with `workers` workers that sleep `shard_seconds` a shard.

    Left out, it is the time that a shard takes on one thread here. A real shard is made in a folder
    beside the sample's, which is removed in the end.

    Raises:
        ConfigError: `workers` is not positive.
        UserError: see `Sampler` and `ray_session`.
    """
    if workers < 1:
        raise ConfigError(f"--simulate {workers}: at least one worker is needed")
    beside = dataclasses.replace(job.folder, uri=f"{job.folder.uri}-simulated")
    job = dataclasses.replace(job, folder=beside)
    try:
        with making(job) as heartbeat, ray_session(1):
            record, measured = _real_shard(job)
            asleep = measured if shard_seconds is None else shard_seconds
            # Worker i is simulated by process i mod PROCESSES. It has IN_FLIGHT shards, one after
            # the other: as many in so much more time.
            at_once = -(-workers * IN_FLIGHT // PROCESSES)
            actor = ray.remote(num_cpus=0)(_SimulatedWorkers).options(max_concurrency=at_once + 1)
            processes: list[Any] = [
                actor.remote(record, IN_FLIGHT * asleep) for _ in range(min(PROCESSES, workers))
            ]
            ray.get([process.ready.remote() for process in processes])
            cpu, memory = time.process_time(), _peak_memory()
            pool = ActorPool(list(itertools.islice(itertools.cycle(processes), workers)))
            records, production = produce(pool, job.shards, heartbeat)
            cpu = time.process_time() - cpu
            memory = _peak_memory() - memory
        started = time.monotonic()
        finish(job, records, production, environment())
        finishing = time.monotonic() - started
    finally:
        remove_folder(job.folder.uri)
    n, seconds = len(job.shards), production.seconds
    found = Simulation(
        shards=n,
        workers=workers,
        shard_seconds=asleep,
        shard_bytes=record.entry.bytes,
        seconds=seconds,
        shards_per_second=n / seconds,
        busy=n * asleep / (workers * seconds),
        driver_cpu_seconds_per_shard=cpu / n,
        driver_memory_mb=memory / MB,
        finish_seconds=finishing,
    )
    _tell(job, found)
    return found


def _real_shard(job: SampleJob) -> tuple[SampledShard, float]:
    """Return the record of a shard and the seconds that it takes, once all is loaded."""
    sampler = Sampler(job.checkpoint, job.spec, job.folder.uri)
    shard = job.shards[0]
    say(f"One real shard of {shard.events:,} events is made twice, for its time and size")
    sampler.write(shard, sampler.generate(shard))
    started = time.process_time()
    record = sampler.write(shard, sampler.generate(shard))
    return record, time.process_time() - started


def _tell(job: SampleJob, found: Simulation) -> None:
    total = found.shards * found.shard_bytes / 1e9
    say(
        f"{job.spec.events:.4g} events in {counted(found.shards, 'shard')} of "
        f"{found.shard_bytes / 1e6:.3g} MB, {total:.4g} GB; a shard takes one thread "
        f"{found.shard_seconds:.3g} s"
    )
    say(
        f"{counted(found.workers, 'worker')}: {found.seconds:.4g} s, "
        f"{found.shards_per_second:,.0f} shards/s, busy {found.busy:.1%} of their time; the "
        f"driver: {1e3 * found.driver_cpu_seconds_per_shard:.2f} ms of CPU a shard, "
        f"{found.driver_memory_mb:.0f} MB more memory, {found.finish_seconds:.1f} s for the "
        "manifest. Nothing was kept"
    )


def _peak_memory() -> int:
    """Return the largest memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


class _SimulatedWorkers:
    """Workers that sleep; what they say of a shard is what was true of the real one."""

    def __init__(self, record: SampledShard, seconds: float) -> None:
        self._record = record
        self._seconds = seconds

    async def ready(self) -> None:
        pass

    async def make(self, shard: ShardPlan) -> SampledShard:
        await asyncio.sleep(self._seconds)
        entry, tally = self._record.entry, self._record.entry.tally
        assert tally is not None
        made = {
            "file": shard.file,
            "rows": shard.events,
            "seed": shard.seed,
            "tally": tally.model_copy(update={"file": shard.tally_file}),
        }
        update = {"index": shard.index, "entry": entry.model_copy(update=made)}
        return self._record.model_copy(update=update)
