"""From a specification to a dataset on disk: a plan of shards, one shard, the manifest.

Nothing here knows who runs the shards: `mleg_ray.cluster.prepare` does so in parallel.
"""

import collections
import datetime
import hashlib
import json
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import mleg_ray
from mleg_ray.catalog.codec import bytes_of
from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest, dataset_uri, seal
from mleg_ray.catalog.description import Description
from mleg_ray.catalog.shards import (
    ShardRecord,
    footer_metadata,
    read_shard,
    write_shard,
)
from mleg_ray.catalog.sources.base import Source
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import Config
from mleg_ray.definitions import Constraint, violates
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Events
from mleg_ray.folder import FolderPlan, SealedFolder, write_record
from mleg_ray.heartbeat import Heartbeat
from mleg_ray.storage import remove_folder, require_space, require_writable

SHARDS = "shards"
MUCH = 0.03  # of all events, by which a split differs from what was declared


class ConstraintCount(Config):
    """Events outside a constraint, and those of them that its tolerance does not cover."""

    outside: int
    beyond_tolerance: int


class Range(Config):
    """From where to where a field's numbers reach, and whether all of them are whole."""

    low: float
    high: float
    whole: bool

    def joined(self, other: "Range") -> "Range":
        """Return the range of both."""
        return Range(
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            whole=self.whole and other.whole,
        )


class PreparedShard(ShardRecord):
    """The record of a prepared shard: its events that break each constraint, its empty images.

    `ranges` are those of the fields that are generated as real numbers.
    """

    constraints: dict[str, ConstraintCount]
    empty: dict[str, int] = {}
    ranges: dict[str, Range] = {}


class DatasetPlan(FolderPlan):
    """What the folder of a prepared dataset is for.

    `origin` is the digest of the specification and the source's provenance, which `made_of` has in
    full: shards of equal origin and index are equal.
    """

    MEND = "choose another --storage, or replace it by `mleg prepare` with --overwrite"

    kind: Literal["dataset"] = "dataset"
    format_version: Literal[1] = 1
    name: str
    origin: str
    made_of: dict[str, Any] | None = None

    @property
    def identity(self) -> Config:
        """The digest says it all."""
        return self.model_copy(update={"made_of": None})

    @property
    def in_words(self) -> Mapping[str, object] | None:
        """What the digest is of."""
        return self.made_of


@dataclass(frozen=True)
class PlannedShard:
    """One shard to make."""

    index: int
    split: str
    rows: int

    @property
    def file(self) -> str:
        """The shard's file, relative to the dataset's folder; other names are another format."""
        return f"{SHARDS}/{self.index:05d}.parquet"


@dataclass(frozen=True)
class PreparePlan:
    """All that a worker needs to make any shard of a dataset.

    `constants` are the conditions that hardly differ, with their lowest and highest value.
    """

    spec: DatasetSpec
    source: Source
    constants: Mapping[str, tuple[float, float]]
    folder: SealedFolder[DatasetPlan]
    shards: tuple[PlannedShard, ...]

    @property
    def description(self) -> Description:
        """What the specification says of the events, and the conditions found to be constant."""
        found = {name: (low + high) / 2 for name, (low, high) in self.constants.items()}
        described = self.spec.described
        return described.model_copy(update={"conditions": described.conditions | found})


def plan_dataset(spec: DatasetSpec, storage: str, *, overwrite: bool = False) -> PreparePlan:
    """Check everything that can fail before the work starts, and plan the shards.

    Raises:
        UserError: a missing optional package.
        ConfigError: a split would get no events, a plane is of a condition that is constant, or the
            folder of that name holds another dataset, unless `overwrite` says to replace it.
        DataError: missing or unreadable input files.
        ResourceError: no permission or not enough space below `storage`.
    """
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    require_writable(storage)
    strata = source.shard_rows()
    splits = [split for rows in strata for split in spec.splits.assign(len(rows))]
    rows = [n for stratum in strata for n in stratum]
    _require_all_splits(spec, splits, sum(rows))
    uri = dataset_uri(storage, spec.name)
    if overwrite:
        with Heartbeat(uri):  # nobody else is at work there
            remove_folder(uri)
    plan_of_folder = DatasetPlan(
        name=spec.name, origin=_origin(spec, source), made_of=_made_of(spec, source)
    )
    folder = SealedFolder(uri, plan_of_folder)
    folder.require_own()
    shards = tuple(
        PlannedShard(index, split, n)
        for index, (split, n) in enumerate(zip(splits, rows, strict=True))
    )
    plan = PreparePlan(spec, source, source.constants(), folder, shards)
    plan.description.require_consistent()  # a plane may be of a condition found to be constant
    event_bytes = bytes_of(plan.description.stored)
    require_space(storage, sum(rows) * event_bytes)  # before compression
    return plan


def make_shard(plan: PreparePlan, index: int) -> PreparedShard:
    """Make one shard and its record; the same bytes in any process, order or retry.

    Raises:
        DataError: the source gives NaN or infinity, or not the rows it promised.
        ResourceError: no permission or no space; nothing is left under the final name.
    """
    description, shard = plan.description, plan.shards[index]
    columns = plan.source.shard(shard.index)
    seed = plan.source.seed(shard.index)
    entry = write_shard(
        plan.folder.uri,
        shard.file,
        columns,
        description.stored,
        footer_metadata(
            dataset=description.name,
            origin=plan.folder.plan.origin,
            index=shard.index,
            seed=seed,
            code=mleg_ray.__version__,
        ),
        split=shard.split,
        seed=seed,
    )
    if entry.rows != shard.rows and not plan.source.loses_events:
        raise DataError(
            f"{plan.folder.uri}/{shard.file}: the source gave {entry.rows} events, not "
            f"{shard.rows}; its input changed while it was read: run the same command again"
        )
    # As they are stored, which is what every reader will see.
    stored, conditions = description.stored, description.conditions
    events = read_shard(plan.folder.uri, entry, stored, description.schema_, conditions)
    record = PreparedShard(
        plan=plan.folder.digest,
        index=shard.index,
        entry=entry,
        constraints=_count_violations(description, events),
        empty=_count_empty(description, events),
        ranges=_ranges(description, events),
    )
    write_record(plan.folder.uri, record)
    return record


def finish(plan: PreparePlan, records: Mapping[int, PreparedShard]) -> Dataset:
    """Seal a dataset whose shards are all there.

    The manifest is the same, but for its date, in whatever order the shards were made.
    """
    ordered = [records[shard.index] for shard in plan.shards]
    manifest = DatasetManifest(
        **dict(plan.description),
        provenance=_provenance(plan, ordered),
        shards=tuple(record.entry for record in ordered),
    )
    return seal(plan.folder.uri, PREPARED, manifest)


def split_line(spec: DatasetSpec, dataset: Dataset) -> str:
    """Say in words how the events are split, and if that is not nearly as declared, why."""
    declared = {name: share for name, share in spec.splits.model_dump().items() if share}
    rows = {name: dataset.rows(name) for name in declared}
    line = ", ".join(f"{name} {n:,}" for name, n in rows.items()) + " events"
    if any(abs(n / dataset.rows() - declared[name]) > MUCH for name, n in rows.items()):
        shares = ", ".join(f"{share:.0%}" for share in declared.values())
        line += (
            f"; {shares} were declared, but splits are made of whole shards, and there are "
            f"{len(dataset.shards())}: lower shard_events"
        )
    return line


def constraint_lines(dataset: Dataset) -> list[str]:
    """Say in words which constraints are broken by more than their tolerance, and how many hold."""
    total, declared = dataset.rows(), dataset.manifest.constraints
    counts = dataset.manifest.provenance["constraints"]
    broken = {name: count for name, count in counts.items() if count["beyond_tolerance"]}
    lines = [
        f"{name} ({declared[name].expression}): broken by {count['outside']:,} of {total:,} "
        f"events, by {count['beyond_tolerance']:,} beyond the tolerance"
        for name, count in broken.items()
    ]
    if held := len(counts) - len(broken):
        near = sum(count["outside"] > 0 for count in counts.values()) - len(broken)
        line = f"constraints: {held} of {len(counts)} hold in all {total:,} events"
        lines.append(line + (f", {near} of them thanks to a tolerance" if near else ""))
    return lines


def lost_lines(dataset: Dataset) -> list[str]:
    """Say in words how many events were not seen, and objects too many for their events."""
    unseen = dataset.manifest.provenance["unseen"]
    dropped = dataset.manifest.provenance["dropped"]
    lines = [f"{unseen:,} of {dataset.rows() + unseen:,} events are not seen by the detector"]
    return lines * bool(unseen) + [
        f"{group}: {dropped[group]:,} objects dropped, beyond {most} an event"
        for group, most in dataset.schema.objects.items()
        if dropped.get(group)
    ]


def image_lines(dataset: Dataset) -> list[str]:
    """Say in words how many images are empty."""
    total, empty = dataset.rows(), dataset.manifest.provenance.get("empty", {})
    return [f"{name}: {n:,} of {total:,} images are empty" for name, n in empty.items() if n]


def range_lines(dataset: Dataset) -> list[str]:
    """Say in words which fields no model generates as they are: constants, and whole numbers."""
    lines = []
    for name, values in dataset.manifest.provenance.get("ranges", {}).items():
        low, high = values["low"], values["high"]
        if low == high:
            lines.append(
                f"field {name} is {low:g} in all events, and models generate numbers around that; "
                "leave it out of fields"
            )
        elif values["whole"]:
            lines.append(
                f"field {name} has whole numbers only, {low:g} to {high:g}, and models generate "
                f"numbers between them; declare a dtype of whole numbers, with which "
                "recipes must name a step for it, dequantise or another"
            )
    return lines


def constant_lines(dataset: Dataset) -> list[str]:
    """Say in words which conditions are constant, though they may differ from event to event."""
    constants = dataset.manifest.provenance.get("constants", {})
    return [
        f"condition {name} is constant, {low:g}{f' to {high:g}' if high > low else ''} in all "
        "events: models learn nothing of it, and it is stored once for all"
        for name, (low, high) in constants.items()
    ]


def _origin(spec: DatasetSpec, source: Source) -> str:
    content = json.dumps([spec.digest(), source.provenance()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _made_of(spec: DatasetSpec, source: Source) -> dict[str, Any]:
    """Return what an origin is the digest of, each value once."""
    values = spec.model_dump(mode="json")
    settings = values["source"]
    own = {k: v for k, v in source.provenance().items() if k not in settings or settings[k] != v}
    return {**values, "provenance": own}


def _require_all_splits(spec: DatasetSpec, assigned: Sequence[str], events: int) -> None:
    wanted = {split for split, fraction in spec.splits.model_dump().items() if fraction > 0}
    empty = wanted - set(assigned)
    if empty:
        # Ten shards of the smallest split, for nearly the declared shares.
        shards = 10 / min(share for share in spec.splits.model_dump().values() if share > 0)
        size = max(1, int(events / shards))
        lower = f"lower shard_events (now {spec.shard_events}), --set shard_events={size} say"
        raise ConfigError(
            f"{spec.name}: too few shards ({len(assigned)}) for a split by whole shard: "
            f"{', '.join(sorted(empty))} would be empty; "
            f"{lower if size < spec.shard_events else 'take more events'}"
        )


def _count_violations(description: Description, events: Events) -> dict[str, ConstraintCount]:
    events = description.joined(events)

    def count(constraint: Constraint) -> int:
        return int(violates(constraint, events).sum())

    return {
        name: ConstraintCount(
            outside=count(constraint.model_copy(update={"tolerance": 0.0})),
            beyond_tolerance=count(constraint),
        )
        for name, constraint in description.constraints.items()
    }


def _count_empty(description: Description, events: Events) -> dict[str, int]:
    images = {field.name: events.columns[field.name] for field in description.fields if field.shape}
    return {name: int((pixels == 0).flatten(1).all(dim=1).sum()) for name, pixels in images.items()}


def _ranges(description: Description, events: Events) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    for field in description.fields:
        if field.role != "event" or field.shape or not field.dtype.startswith("float"):
            continue
        values = events.columns[field.name]
        if field.group in events.present:
            values = values[events.present[field.group]]
        if len(values):
            low, high = values.min().item(), values.max().item()
            whole = bool((values == values.round()).all())
            ranges[field.name] = Range(low=low, high=high, whole=whole)
    return ranges


def _provenance(plan: PreparePlan, records: Collection[PreparedShard]) -> dict[str, Any]:
    outside = {name: collections.Counter[str]() for name in plan.spec.constraints}
    dropped, empty = collections.Counter[str](), collections.Counter[str]()
    ranges: dict[str, Range] = {}
    for record in records:
        for name, own in record.ranges.items():
            ranges[name] = own.joined(ranges.get(name, own))
        dropped.update(record.entry.dropped)
        empty.update(record.empty)
        for name, count in record.constraints.items():
            outside[name].update(dict(count))
    return {
        "description": plan.spec.description,
        "citation": plan.spec.citation,
        "licence": plan.spec.licence,
        "version": plan.spec.version,
        "spec_digest": plan.spec.digest(),
        "origin": plan.folder.plan.origin,
        "source": {"kind": plan.spec.source.kind, **plan.source.provenance()},
        "constraints": {name: dict(count) for name, count in outside.items()},
        "constants": dict(plan.constants),
        "dropped": dict(dropped),
        "empty": dict(empty),
        "ranges": {name: values.model_dump() for name, values in ranges.items()},
        "unseen": sum(shard.rows for shard in plan.shards) - sum(r.entry.rows for r in records),
        "code": {
            "mleg_ray": mleg_ray.__version__,
            "python": platform.python_version(),
            "numpy": version("numpy"),
            "pyarrow": version("pyarrow"),
        },
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
