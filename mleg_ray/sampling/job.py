"""A sample on disk: checks first, then plan.json, shards with their records, manifest.json last.

Nothing here knows who generates the shards: `mleg_ray.cluster.sample` does so in parallel.
"""

import contextlib
import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mleg_ray.catalog.codec import bytes_of
from mleg_ray.catalog.dataset import SAMPLED, Dataset, DatasetManifest, seal
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.config import Config, parse
from mleg_ray.errors import ConfigError, DataError, ResourceError
from mleg_ray.folder import FileEntry, SealedFolder, plan_of
from mleg_ray.heartbeat import Heartbeat
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.sampling.folding import Folding
from mleg_ray.sampling.pipeline import has_compiler
from mleg_ray.sampling.plan import (
    BATCH,
    BINS_FILE,
    FoldedEvents,
    SampledShard,
    SamplePlan,
    SampleSpec,
    ShardPlan,
    extrapolations,
    resolve_conditions,
)
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.sampling.spectra import Spectrum
from mleg_ray.storage import (
    exists,
    join,
    read_bytes,
    require_space,
    require_writable,
    sha256,
    sizes,
    write_bytes,
)

SHARD = AtOnce(64 * MIB, events=250_000)  # a million events keep several workers busy
COMPILED_FROM = 20_000_000  # events: below, compiling takes longer than it saves

# Before compression. A worker holds about four times as much while it writes a shard.
MAX_SHARD_BYTES = 256_000_000


class Production(Config):
    """The run that completed a sample: how many events it generated, and how fast.

    `events_per_second` counts the start-up of the pool; the steady rate is that after the first
    shard, absent if there was no other.
    """

    events: int
    seconds: float
    first_shard_seconds: float
    events_per_second: float
    steady_events_per_second: float | None
    workers: int


class Efficiency(Config):
    """The share of `generated` events that passed the sample's `where`.

    Its uncertainty is binomial, of an event at least; without `where` all events count, exactly.
    """

    value: float
    uncertainty: float
    generated: int


@dataclass(frozen=True)
class SampleJob:
    """One sample to make: where and what, and in which shards; `bins` are those of its tallies."""

    checkpoint: Checkpoint
    folder: SealedFolder[SamplePlan]
    shards: tuple[ShardPlan, ...]
    sampler: Sampler
    bins: bytes | None

    @property
    def spec(self) -> SampleSpec:
        """All that determines the sample's events."""
        return self.folder.plan.spec

    def whole(self) -> dict[int, SampledShard]:
        """Return the records of the shards that are there and whole, by index."""
        return self.folder.whole({shard.index: shard.file for shard in self.shards}, SampledShard)


def plan_sample(
    checkpoint: Checkpoint,
    events: int,
    folder: str,
    *,
    seed: int,
    shard_events: int | None = None,
    shard_bytes: int | None = None,
    conditions: Mapping[str, Spectrum],
    compiled: bool | None = None,
    where: Sequence[str] = (),
    partition: str | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    folds: FoldedEvents | None = None,
) -> SampleJob:
    """Say what is to be generated, and make sure that `folder` holds nothing else.

    Events fulfil `where`, and what the checkpoint's train events did.
    A shard has `shard_events` events, or so many that its file has about `shard_bytes`, left out
    those of `SHARD`; one value of the condition `partition` each.
    `compiled` left out, a sample that was begun goes on as it was; a new one of `COMPILED_FROM`
    events or more is compiled, if there is a compiler.

    Raises:
        ConfigError: a number out of its range, a condition that does not fit the checkpoint, a
            comparison that cannot be computed or that hardly an event passes, or a folder that
            holds another sample or other files.
        CheckpointError: the model generates NaN or infinity.
        DataError: the bins of a sample's tallies are damaged and cannot be made again.
    """
    there = plan_of(folder, SamplePlan)
    if compiled is None:
        large = events >= COMPILED_FROM and has_compiler()
        compiled = there.spec.compiled if there else large
    folded = folds.ranges if folds else ()
    resolved = resolve_conditions(checkpoint.card, conditions, folded)
    one = [name for name, spectrum in resolved.items() if spectrum.only is not None]
    usual = SHARD.of(bytes_of(checkpoint.schema.without(one)))
    asked = {
        "checkpoint": checkpoint.digest,
        "events": events,
        "shard_events": usual if shard_events is None else shard_events,
        "seed": seed,
        "conditions": resolved,
        "compiled": compiled,
        "where": tuple(dict.fromkeys((*checkpoint.run.where, *where))),
        "partition": partition,
        "device": device,
        "folds": folds,
        "batch_events": BATCH[device].of(checkpoint.feature_map.space.nbytes),
    }
    if there and shard_bytes is not None:
        asked["shard_events"] = there.spec.shard_events
    elif shard_bytes is not None:
        # Whether there are shards enough for all partitions is only known with their size.
        whole = Sampler(
            checkpoint, parse(SampleSpec, asked | {"partition": None}, "sample"), folder
        )
        asked["shard_events"] = max(1, round(shard_bytes / whole.file_bytes()))
    spec = parse(SampleSpec, asked, "sample")
    sampler = Sampler(checkpoint, spec, folder)
    if spec.shard_events * sampler.event_bytes > MAX_SHARD_BYTES:
        most = MAX_SHARD_BYTES // sampler.event_bytes
        mend = f"prepare {folds.uri} with shard_events =" if folds else "set --shard-events to"
        raise ConfigError(
            f"sample: a shard of {spec.shard_events:,} events does not fit a worker's memory; "
            f"{mend} {most:,} or fewer"
        )
    plan = SamplePlan(checkpoint_uri=checkpoint.uri, spec=spec, bins_sha256=None)
    SealedFolder(folder, plan).require_own()
    bins = _bins(folder, sampler, there) if spec.tallied else None
    plan = plan.model_copy(update={"bins_sha256": sha256(bins) if bins else None})
    return SampleJob(checkpoint, SealedFolder(folder, plan), tuple(spec.plan()), sampler, bins)


def plan_fold(
    checkpoint: Checkpoint,
    dataset: Dataset,
    split: str | None,
    folder: str,
    *,
    seed: int,
    extrapolate: bool = False,
) -> SampleJob:
    """Say what is to be measured: event i becomes event i of the sample, shard by shard.

    Raises:
        ConfigError: the model is no detector's; see `plan_given`.
        DataError: see `plan_given`.
    """
    described = checkpoint.card.dataset
    if not set(described.schema_.truth) - set(described.conditions):
        raise ConfigError(
            "the checkpoint measures nothing: no condition of it is a true value that differs "
            "from event to event; name a detector's generator, or take `mleg sample`"
        )
    return plan_given(checkpoint, dataset, split, folder, seed=seed, extrapolate=extrapolate)


def plan_given(
    checkpoint: Checkpoint,
    dataset: Dataset,
    split: str | None,
    folder: str,
    *,
    seed: int,
    extrapolate: bool = True,
    compiled: bool | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
) -> SampleJob:
    """Say what is generated: event i has the conditions of the dataset's event i.

    Raises:
        ConfigError: the model has no conditions that vary, the events lack one of them, or lie
            outside the region that it was trained in, unless `extrapolate`; see `plan_sample`.
        DataError: the events are damaged, or a number of them is not finite.
    """
    folds = Folding(dataset, split, checkpoint.card).survey(
        checkpoint.feature_map, extrapolate=extrapolate
    )
    return plan_sample(
        checkpoint,
        sum(folds.shards),
        folder,
        seed=seed,
        shard_events=max(folds.shards),
        conditions={},
        compiled=compiled,
        device=device,
        folds=folds,
    )


def rehearse(job: SampleJob, missing: Sequence[ShardPlan]) -> None:
    """Raise `ResourceError` if there is no permission, or no space for the missing shards."""
    require_writable(job.folder.uri)
    require_space(job.folder.uri, job.sampler.event_bytes * sum(s.events for s in missing))


@contextlib.contextmanager
def making(job: SampleJob) -> Iterator[Heartbeat]:
    """Claim the sample's folder as `SealedFolder.work` does, and lay the tallies' bins there."""
    with job.folder.work() as heartbeat:
        _write_bins(job)
        yield heartbeat


def require_all_there(job: SampleJob) -> None:
    """Raise `ResourceError` if shards have vanished since they were made."""
    there = sizes(job.folder.uri)
    gone = sum(shard.file not in there for shard in job.shards)
    if gone:
        raise ResourceError(
            f"{job.folder.uri}: {gone:,} of {len(job.shards):,} shards were deleted while others "
            "were made; remove what is left in the folder, and run the same command again"
        )


def finish(
    job: SampleJob,
    records: Mapping[int, SampledShard],
    production: Production | None,
    environment: Mapping[str, str],
) -> Dataset:
    """Seal the sample when all shards are there.

    `production` is None if no shard was missing, `environment` are the versions that made it.
    """
    _write_bins(job)
    card, spec = job.checkpoint.card, job.spec
    outside = extrapolations(card, spec.ranges)
    provenance = {
        "checkpoint": {
            "uri": job.checkpoint.uri,
            "digest": spec.checkpoint,
            "card": card.model_dump(mode="json", exclude={"history"}),
        },
        "spec": spec.model_dump(mode="json"),
        "extrapolations": {name: found.model_dump(mode="json") for name, found in outside.items()},
        "efficiency": _efficiency(spec, records).model_dump(mode="json"),
        "production": production.model_dump(mode="json") if production else None,
        "environment": dict(environment),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    manifest = DatasetManifest(
        conditions=spec.fixed,
        groups=job.sampler.schema.groups,
        provenance=provenance,
        shards=tuple(records[shard.index].entry for shard in job.shards),
        bins=None if job.bins is None else FileEntry.of(BINS_FILE, job.bins),
        where=spec.where,
        partition=spec.partition,
        name=card.dataset.name,
        fields=job.sampler.fields,
        **dict(card.dataset.definitions),
    )
    return seal(job.folder.uri, SAMPLED, manifest)


def _efficiency(spec: SampleSpec, records: Mapping[int, SampledShard]) -> Efficiency:
    tried = sum(record.tried for record in records.values())
    value = spec.events / tried
    uncertainty = max(math.sqrt(value * (1 - value) / tried), 1 / tried) if spec.where else 0.0
    return Efficiency(value=value, uncertainty=uncertainty, generated=tried)


def _bins(folder: str, sampler: Sampler, plan: SamplePlan | None) -> bytes:
    """Return the bins of the sample's tallies: those that are there, or new ones."""
    place = join(folder, BINS_FILE)
    if plan and exists(place):
        bins = read_bytes(place)
        if sha256(bins) == plan.bins_sha256:
            return bins
    bins = sampler.learn_bins().to_bytes()
    if plan and sha256(bins) != plan.bins_sha256:
        raise DataError(
            f"{place}: gone or damaged, and this machine does not make the same bins again; put "
            "the file back, or choose another --out"
        )
    return bins


def _write_bins(job: SampleJob) -> None:
    """Write the bins unless they are there: a complete sample is not touched."""
    if job.bins is None:
        return
    place = join(job.folder.uri, BINS_FILE)
    if not exists(place) or read_bytes(place) != job.bins:
        write_bytes(place, job.bins)
