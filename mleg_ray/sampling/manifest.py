"""A sample on disk: checks first, then plan.json, shards with their records, manifest.json last.

Nothing here knows who generates the shards: `mleg_ray.cluster.sample` does so in parallel.
"""

import datetime
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mleg_ray.catalog.dataset import SAMPLED, Dataset, DatasetManifest, read_json, write_json
from mleg_ray.catalog.shards import FileEntry
from mleg_ray.checkpoint import Checkpoint, environment
from mleg_ray.config import Config, parse
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.models.base import NoiseMap
from mleg_ray.sampling.conditions import extrapolations, resolve_conditions
from mleg_ray.sampling.pipeline import has_compiler
from mleg_ray.sampling.plan import BINS, SampleSpec, ShardPlan, ShardRecord
from mleg_ray.sampling.sampler import Sampler
from mleg_ray.sampling.spectra import Spectrum
from mleg_ray.storage import (
    exists,
    filesystem,
    is_remote,
    is_vacant,
    join,
    read_bytes,
    remove,
    remove_partials,
    require_space,
    require_writable,
    sha256,
    write_bytes,
)

PLAN, HEARTBEAT = "plan.json", "heartbeat.json"
HEARTBEAT_SECONDS = 10.0
COMPILED_FROM = 20_000_000  # events: below, compiling takes longer than it saves

# Before compression. A worker holds about four times as much while it writes a shard.
MAX_SHARD_BYTES = 256_000_000


class PlanFile(Config):
    """The content of plan.json; `bins_sha256` is that of the tallies' bins."""

    format_version: Literal[1] = 1
    checkpoint_uri: str
    spec: SampleSpec
    bins_sha256: str


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
    """The share of `generated` events that passed the sample's `where`; binomial uncertainty."""

    value: float
    uncertainty: float
    generated: int


class Heartbeat:
    """Tells in the dataset's folder that work goes on, for whatever watches over a job."""

    def __init__(self, folder: str, of: int) -> None:
        self.of = of
        self._place = join(folder, HEARTBEAT)
        self._last = -math.inf

    def beat(self, events: int, rate: float, workers: int, retries: int) -> None:
        """Write where the work stands, unless that was written a moment ago."""
        now = time.monotonic()
        if now - self._last < HEARTBEAT_SECONDS:
            return
        self._last = now
        told = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "events": events,
            "of": self.of,
            "events_per_second": rate,
            "workers": workers,
            "retries": retries,
        }
        write_json(self._place, told)


@dataclass(frozen=True)
class SampleJob:
    """One sample to make: what, where, and in which shards."""

    checkpoint: Checkpoint
    spec: SampleSpec
    folder: str
    shards: tuple[ShardPlan, ...]
    sampler: Sampler
    bins: bytes


def plan_sample(
    checkpoint: Checkpoint,
    events: int,
    folder: str,
    *,
    seed: int,
    shard_events: int,
    conditions: Mapping[str, float | Spectrum],
    compiled: bool | None = None,
    where: Sequence[str] = (),
) -> SampleJob:
    """Say what is to be generated, and make sure that `folder` holds nothing else.

    `compiled` left out, a sample that was begun goes on as it was; a new one of `COMPILED_FROM`
    events or more by a `NoiseMap` is compiled, if there is a compiler.

    Raises:
        ConfigError: a number out of its range, a condition that does not fit the checkpoint, a
            comparison that cannot be computed or that hardly an event passes, or a folder that
            holds another sample or other files.
        CheckpointError: the model generates NaN or infinity.
        DataError: the bins of a sample's tallies are damaged and cannot be made again.
    """
    there = _plan_there(folder)
    if compiled is None:
        compiled = there.spec.compiled if there else _is_compiled(checkpoint, events)
    values, spectra = resolve_conditions(checkpoint.card, conditions)
    spec = parse(
        SampleSpec,
        {
            "checkpoint": checkpoint.digest,
            "events": events,
            "shard_events": shard_events,
            "seed": seed,
            "conditions": values,
            "spectra": spectra,
            "compiled": compiled,
            "where": tuple(where),
        },
        "sample",
    )
    sampler = Sampler(checkpoint, spec, folder)
    if shard_events * sampler.event_bytes > MAX_SHARD_BYTES:
        most = MAX_SHARD_BYTES // sampler.event_bytes
        raise ConfigError(
            f"sample: a shard of {shard_events:,} events does not fit a worker's memory; "
            f"set --shard-events to {most:,} or fewer"
        )
    if there:
        _require_same(folder, there.spec, spec)
    bins = _bins(folder, sampler, there)
    return SampleJob(checkpoint, spec, folder, tuple(spec.plan()), sampler, bins)


def _is_compiled(checkpoint: Checkpoint, events: int) -> bool:
    many = events >= COMPILED_FROM
    return many and isinstance(checkpoint.model, NoiseMap) and has_compiler()


def whole_shards(job: SampleJob) -> dict[int, ShardRecord]:
    """Return the records of the shards that are there and whole, by index.

    A shard is whole if its record is that of this sample, and it and its tally have the right
    sizes; on a local disk also the right SHA-256. The others count as missing and are generated
    again.
    """
    fs, root = filesystem(job.folder)
    fs.invalidate_cache()
    files = fs.find(root, detail=True).items()
    sizes = {path.removeprefix(f"{root}/"): info["size"] for path, info in files}
    bins = sha256(job.bins)
    found = {}
    for shard in job.shards:
        record = _record(job.folder, shard) if shard.record_file in sizes else None
        if record is None or not record.proves(job.spec, bins, shard):
            continue
        if all(
            entry is not None and _is_whole(job.folder, entry, sizes.get(entry.file))
            for entry in (record.entry, record.entry.tally)
        ):
            found[shard.index] = record
    return found


def rehearse(job: SampleJob, missing: Sequence[ShardPlan]) -> None:
    """Fail now where the work would fail later.

    Raises:
        ResourceError: no permission, or not enough space for the missing shards.
    """
    require_writable(job.folder)
    require_space(job.folder, job.sampler.event_bytes * sum(shard.events for shard in missing))


def begin(job: SampleJob) -> None:
    """Write plan.json, the first file, and the bins; remove what killed workers left."""
    plan = PlanFile(checkpoint_uri=job.checkpoint.uri, spec=job.spec, bins_sha256=sha256(job.bins))
    write_json(join(job.folder, PLAN), plan.model_dump(mode="json"))
    _write_bins(job)
    remove_partials(job.folder)


def finish(
    job: SampleJob, records: Mapping[int, ShardRecord], production: Production | None
) -> Dataset:
    """Write the manifest, the last file of a sample; keep one that already says the same.

    `production` is None if no shard was missing.
    """
    remove_partials(job.folder)
    remove(join(job.folder, HEARTBEAT))
    _write_bins(job)
    place = join(job.folder, SAMPLED)
    card = job.checkpoint.card
    manifest = DatasetManifest(
        conditions=job.spec.conditions,
        provenance=_provenance(job, records, production),
        shards=tuple(records[shard.index].entry for shard in job.shards),
        bins=FileEntry.of(BINS, job.bins),
        where=job.spec.where,
        name=card.dataset.name,
        fields=card.dataset.fields,
        **dict(card.dataset.definitions),
    )
    if not exists(place) or not _says(Dataset.open(job.folder).manifest, manifest):
        write_json(place, manifest.model_dump(mode="json"))
    return Dataset.open(job.folder)


def _says(there: DatasetManifest, manifest: DatasetManifest) -> bool:
    """Tell whether a manifest says the same of the events; the run that made them may differ."""
    return there.model_copy(update={"provenance": manifest.provenance}) == manifest


def _provenance(
    job: SampleJob, records: Mapping[int, ShardRecord], production: Production | None
) -> dict[str, Any]:
    card, spec = job.checkpoint.card, job.spec
    outside = extrapolations(card, spec.conditions, spec.spectra)
    return {
        "checkpoint": {
            "uri": job.checkpoint.uri,
            "digest": spec.checkpoint,
            "card": card.model_dump(mode="json", exclude={"history"}),
        },
        "spec": spec.model_dump(mode="json"),
        "extrapolations": {name: found.model_dump(mode="json") for name, found in outside.items()},
        "efficiency": _efficiency(job, records).model_dump(mode="json"),
        "production": production.model_dump(mode="json") if production else None,
        "environment": environment(),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _efficiency(job: SampleJob, records: Mapping[int, ShardRecord]) -> Efficiency:
    tried = sum(record.tried for record in records.values())
    value = job.spec.events / tried
    return Efficiency(
        value=value, uncertainty=math.sqrt(value * (1 - value) / tried), generated=tried
    )


def _plan_there(folder: str) -> PlanFile | None:
    """Return the plan of a sample in a folder; `ConfigError` if it holds anything but a sample."""
    place = join(folder, PLAN)
    if exists(place):
        return parse(PlanFile, read_json(place, "choose another --out"), place)
    if not is_vacant(folder):
        raise ConfigError(f"{folder}: holds other files and no {PLAN}; choose another --out")
    return None


def _require_same(folder: str, there: SampleSpec, spec: SampleSpec) -> None:
    differences = [
        f"{key} is {getattr(there, key)} there, {getattr(spec, key)} is asked for"
        for key in SampleSpec.model_fields
        if getattr(there, key) != getattr(spec, key)
    ]
    if differences:
        raise ConfigError(
            f"{folder}: holds another sample ({'; '.join(differences)}); "
            "choose another --out, or ask for the same to complete it"
        )


def _bins(folder: str, sampler: Sampler, plan: PlanFile | None) -> bytes:
    """Return the bins of the sample's tallies: those that are there, or new ones."""
    place = join(folder, BINS)
    if plan and exists(place):
        bins = read_bytes(place)
        if sha256(bins) == plan.bins_sha256:
            return bins
    bins = sampler.pilot().to_bytes()
    if plan and sha256(bins) != plan.bins_sha256:
        raise DataError(
            f"{place}: gone or damaged, and this machine does not make the same bins again; put "
            "the file back, or choose another --out"
        )
    return bins


def _record(folder: str, shard: ShardPlan) -> ShardRecord | None:
    """Return a shard's record; None if it is damaged, which means that the shard is made again."""
    place = join(folder, shard.record_file)
    try:
        return parse(ShardRecord, read_json(place), place)
    except (ConfigError, DataError):
        return None


def _write_bins(job: SampleJob) -> None:
    """Write the bins unless they are there: a complete sample is not touched."""
    place = join(job.folder, BINS)
    if not exists(place) or read_bytes(place) != job.bins:
        write_bytes(place, job.bins)


def _is_whole(folder: str, entry: FileEntry, size: int | None) -> bool:
    """Tell whether a file of the given size, None if it is absent, is the one of the record."""
    if size != entry.bytes:
        return False
    return is_remote(folder) or sha256(read_bytes(join(folder, entry.file))) == entry.sha256
