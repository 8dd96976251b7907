"""Sample a checkpoint on Ray: a pool of actors, each with its own sampler."""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property

import ray
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint, run_label
from mleg_ray.cluster.pool import IN_FLIGHT, ActorPool
from mleg_ray.cluster.session import (
    environment,
    possible_cpus,
    possible_gpus,
    ray_session,
    require_node,
)
from mleg_ray.config import parse
from mleg_ray.console import counted, progress_bar, say
from mleg_ray.errors import ConfigError
from mleg_ray.heartbeat import Heartbeat
from mleg_ray.sampling.job import (
    Efficiency,
    Production,
    SampleJob,
    finish,
    making,
    plan_sample,
    rehearse,
    require_all_there,
)
from mleg_ray.sampling.plan import SampledShard, SampleSpec, ShardPlan, extrapolations
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.sampling.spectra import Spectrum
from mleg_ray.storage import absolute, join, sha256


def default_target(
    storage: str,
    checkpoint_uri: str,
    events: int,
    seed: int,
    conditions: Mapping[str, Spectrum] | None = None,
    where: Sequence[str] = (),
) -> str:
    """Return where a sample goes by default: named after the run, size, seed, conditions, cuts."""
    run = run_label(checkpoint_uri)
    given = "".join(f"-{name}{spectrum.suffix}" for name, spectrum in (conditions or {}).items())
    if where:
        given += f"-where-{sha256(' and '.join(where).encode())[:8]}"
    return join(storage, "samples", f"{run}-{events}-seed{seed}{given}")


def given_target(
    storage: str, checkpoint_uri: str, joint: str, dataset: Dataset, split: str | None, seed: int
) -> str:
    """Return where one event for each of a dataset's goes by default; `joint` is "of" or "for"."""
    run = run_label(checkpoint_uri)
    name = f"{run}-{joint}-{dataset.manifest.name}-{split or 'all'}-seed{seed}"
    return join(storage, "samples", name)


def sample(
    checkpoint_uri: str,
    events: int,
    out: str,
    *,
    seed: int = 1,
    workers: int | None = None,
    shard_events: int | None = None,
    conditions: Mapping[str, Spectrum] | None = None,
    compiled: bool | None = None,
    where: Sequence[str] = (),
) -> Dataset:
    """Generate `events` events into the folder `out`, or complete what is there of them.

    All fulfil the comparisons of `where`, such as "q2 > 10". The events depend on the checkpoint,
    `seed`, `shard_events`, `conditions`, `where` and `compiled` alone (see `plan_sample`).

    Raises:
        UserError: see `Checkpoint.load`, `plan_sample` and `complete`.
    """
    job = plan_sample(
        Checkpoint.load(absolute(checkpoint_uri)),
        events,
        absolute(out),
        seed=seed,
        shard_events=shard_events,
        conditions=conditions or {},
        compiled=compiled,
        where=where,
    )
    return complete(job, workers=workers)


def complete(job: SampleJob, *, workers: int | None = None, gpus: float = 0) -> Dataset:
    """Generate what is missing of a sample.

    Its events depend neither on the number of workers (None: all CPUs or GPUs that the cluster has
    or may start) nor on what was killed and run again meanwhile. Each worker has a CPU, and `gpus`
    of a GPU for a job on CUDA devices.

    Raises:
        UserError: see `rehearse`, `ray_session`, `making`, `Sampler` and `require_all_there`.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: at least one worker is needed")
    _warn_of_extrapolation(job)
    records = job.whole()
    missing = [shard for shard in job.shards if shard.index not in records]
    production = None
    if missing:
        rehearse(job, missing)
        with ray_session(workers):
            require_node(1, gpus, by="a worker", lower="--gpus")
            with making(job) as heartbeat:
                made, production = produce(_pool(job, workers, gpus, missing), missing, heartbeat)
        records |= made
        require_all_there(job)
    dataset = finish(job, records, production, environment())
    folded = job.spec.folds
    title = f"One for each of {folded.uri}" if folded else f"Sample of {dataset.manifest.name}"
    say(f"{title}: {dataset.rows():,} events in {job.folder.uri}")
    if job.spec.where:
        passed = parse(Efficiency, dataset.manifest.provenance["efficiency"], job.folder.uri)
        say(
            f"{passed.value:.4g} ± {passed.uncertainty:.2g} of {passed.generated:,} generated "
            f"events fulfil {' and '.join(job.spec.where)}"
        )
    return dataset


def _warn_of_extrapolation(job: SampleJob) -> None:
    for name, found in extrapolations(job.checkpoint.card, job.spec.ranges).items():
        low, high = found.trained
        say(
            f"warning: {name} = {found.value:g} is outside the range that the checkpoint was "
            f"trained on, {low:g} to {high:g}, by {found.distance:g}",
            style="yellow",
        )


def _pool(
    job: SampleJob, workers: int | None, gpus: float, missing: Sequence[ShardPlan]
) -> ActorPool:
    # One CPU stays free: on a single machine it is the one that `ray_session` adds.
    most = possible_cpus() - 1
    if gpus:
        most = min(most, int(possible_gpus() / gpus))
    size = min(workers or max(1, most), len(missing))
    actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=-1)(_Worker)
    actor = actor.options(max_concurrency=IN_FLIGHT)
    asked = job.checkpoint.uri, job.spec, job.folder.uri
    return ActorPool([actor.remote(*asked) for _ in range(size)])


def produce(
    pool: ActorPool, shards: Sequence[ShardPlan], heartbeat: Heartbeat
) -> tuple[dict[int, SampledShard], Production]:
    """Let a pool make the shards, and show how it goes.

    Raises:
        UserError: a worker's own; another driver has claimed the folder.
    """
    made: dict[int, SampledShard] = {}
    started = time.monotonic()
    events, first, most, of = 0, 0.0, 0, sum(shard.events for shard in shards)
    with progress_bar("Sampling", of) as bar:
        for record in pool.make(shards):
            elapsed = time.monotonic() - started
            if record is not None:
                made[record.index] = record
                events += record.entry.rows
                first = first or elapsed
            rate = events / elapsed
            most = max(most, pool.workers)
            heartbeat.beat(
                events=events,
                of=of,
                events_per_second=rate,
                workers=pool.workers,
                retries=pool.retries,
            )
            bar.update(events, _note(rate, pool))
    seconds = time.monotonic() - started
    later = events - next(iter(made.values())).entry.rows
    return made, Production(
        events=events,
        seconds=seconds,
        first_shard_seconds=first,
        events_per_second=events / seconds,
        steady_events_per_second=later / (seconds - first) if later else None,
        workers=most,
    )


def _note(rate: float, pool: ActorPool) -> str:
    retries = f", {counted(pool.retries, 'shard')} tried again" if pool.retries else ""
    return f"{rate:,.0f} events/s, {counted(pool.workers, 'worker')}{retries}"


class _Worker:
    def __init__(self, checkpoint_uri: str, spec: SampleSpec, folder: str) -> None:
        self._turn = threading.Lock()
        self._checkpoint_uri = checkpoint_uri
        self._spec = spec
        self._folder = folder

    @cached_property
    def _sampler(self) -> Sampler:
        # Not in the constructor, whose errors Ray reports as a dead actor without their own class.
        return Sampler(
            Checkpoint.load(self._checkpoint_uri, self._spec.device), self._spec, self._folder
        )

    def ready(self) -> None:
        """Answer: this worker has a node."""

    def make(self, shard: ShardPlan) -> SampledShard:
        torch.set_num_threads(1)  # the pool is the parallelism; it counts in each of its threads
        with self._turn:
            sampler = self._sampler
            events = sampler.generate(shard)
        return sampler.write(shard, events)
