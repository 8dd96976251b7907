"""Whether a dataset on disk is whole and unaltered: shard by shard, then as one.

Shards can be checked anywhere and in any order (`ShardCheck`); `conclude` compares them.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError

from mleg_ray.catalog.codec import schema_of, to_columns, to_events
from mleg_ray.catalog.dataset import PREPARED, SAMPLED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.config import Config, read_config
from mleg_ray.errors import DataError, UserError
from mleg_ray.evaluation.samples.column import columns_of
from mleg_ray.evaluation.samples.tally import FineBins, Tally
from mleg_ray.evaluation.samples.unphysical import UnphysicalTally, broken
from mleg_ray.events import Events
from mleg_ray.folder import PLAN, record_file
from mleg_ray.sampling.plan import SampledShard, SamplePlan, SampleSpec, ShardPlan
from mleg_ray.storage import PARTIAL, join, sizes

# Events among which copies are sought, the first ones of every shard; eight bytes of each are kept.
COMPARED = 4_000_000
MOVED = 1e-4  # of a shard's events: other arithmetic may count one in the next bin
TOLD = 20  # faults
NO_DIGESTS = np.empty(0, dtype=np.uint64)
Declared = tuple[str, str]
# What is promised of a shard: by the manifest, and by the plan if the dataset is a sample.
Promise = tuple[ShardEntry, ShardPlan | None]
MIXER = np.uint64(0x9E37_79B9_7F4A_7C15)  # the golden ratio in 64 bits


@dataclass(frozen=True)
class ShardReport:
    """What was found in a shard: its faults in words, and digests (m,) of its first events."""

    faults: tuple[str, ...]
    digests: NDArray[np.uint64]


class Verification(Config):
    """What was found in a dataset; `copies` of events in truth may be the source's own.

    `shared` are the copies in another split than the first of them.
    """

    events: int
    shards: int
    compared: int
    copies: int
    shared: int
    faults: tuple[str, ...]


@dataclass(frozen=True)
class ShardCheck:
    """Checks the shards of a dataset one by one; `compared` events of each are digested.

    `manifest` lists no shards, so that a check is small; `plan` is None unless it is a sample's.
    """

    uri: str
    manifest: DatasetManifest
    plan: SamplePlan | None
    bins: FineBins | None
    compared: int

    @staticmethod
    def of(dataset: Dataset) -> "tuple[ShardCheck, list[Promise]]":
        """Return the check of a dataset, and what it is to be called with.

        Raises:
            UserError: the sample's plan, or the bins of its tallies, are gone or damaged.
        """
        manifest = dataset.manifest
        plan: SamplePlan | None = None  # of a prepared or reweighted dataset there is none
        if "spec" in manifest.provenance and "reweighting" not in manifest.provenance:
            plan = read_config(SamplePlan, join(dataset.uri, PLAN))
        check = ShardCheck(
            uri=dataset.uri,
            manifest=manifest.model_copy(update={"shards": ()}),
            plan=plan,
            bins=FineBins.from_bytes(manifest.bins.read(dataset.uri)) if manifest.bins else None,
            compared=max(1, COMPARED // len(dataset.shards())),
        )
        planned = {shard.file: shard for shard in plan.spec.plan()} if plan else {}
        return check, [(entry, planned.get(entry.file)) for entry in manifest.shards]

    def __call__(self, promise: Promise) -> ShardReport:
        """Read a shard, its record and its tally, and compare them with what is promised."""
        (entry, planned), manifest = promise, self.manifest
        try:
            table = pq.read_table(io.BytesIO(entry.read(self.uri)))
            faults = list(self._table_faults(entry, table))
            columns = {} if faults else to_columns(table, manifest.stored, entry.file)
        except DataError as error:
            faults = [str(error)]
        except pa.ArrowException as error:
            faults = [f"{entry.file}: no Parquet file ({error})"]
        if not faults:
            faults = [
                f"{entry.file}: column '{name}' has values that are not finite"
                for name, values in columns.items()
                if not np.isfinite(values).all()
            ]
        if faults:
            return ShardReport(tuple(faults), NO_DIGESTS)
        events = to_events(columns, manifest.schema_, manifest.conditions_of(entry))
        faults = [*self._record_faults(entry, planned), *self._tally_faults(entry, events)]
        return ShardReport(tuple(faults), self._digests(events))

    def _table_faults(self, entry: ShardEntry, table: pa.Table) -> Iterator[str]:
        if table.num_rows != entry.rows:
            yield f"{entry.file}: {table.num_rows:,} events, the manifest says {entry.rows:,}"
        own, promised = (
            dict(_declared(schema)) for schema in (table.schema, schema_of(self.manifest.stored))
        )
        for name in dict.fromkeys((*promised, *own)):
            if own.get(name) != promised.get(name):
                yield (
                    f"{entry.file}: column '{name}' is {_told(own.get(name))}, the manifest says "
                    f"{_told(promised.get(name))}"
                )
        seed = (table.schema.metadata or {}).get(b"mleg.seed")
        if seed is not None and entry.seed is not None and int(seed) != entry.seed:
            yield f"{entry.file}: made from seed {int(seed)}, the manifest says {entry.seed}"

    def _record_faults(self, entry: ShardEntry, shard: ShardPlan | None) -> Iterator[str]:
        """Compare a sample's shard with its record and its place in the plan."""
        if self.plan is None or shard is None:
            return
        file = record_file(entry.file)
        try:
            record = read_config(SampledShard, join(self.uri, file))
        except UserError as error:
            yield str(error)
            return
        named = (record.plan, record.index) == (self.plan.spec.digest(), shard.index)
        if not named or record.entry != entry:
            yield f"{file}: is not the record of this shard of this sample"
        elif shard.seed != entry.seed:
            yield f"{entry.file}: has seed {entry.seed}, the plan's is {shard.seed}"

    def _tally_faults(self, entry: ShardEntry, events: Events) -> Iterator[str]:
        """Count a shard's events again."""
        if entry.tally is None or self.bins is None:
            return
        try:
            told = Tally.from_bytes(entry.tally.read(self.uri), self.bins)
        except DataError as error:
            yield str(error)
            return
        except (SafetensorError, ValueError, KeyError) as error:
            yield f"{entry.tally.file}: no tally ({error})"
            return
        manifest = self.manifest
        events = manifest.joined(events)
        masks = broken(events, manifest.schema_.event, manifest)
        unphysical = UnphysicalTally.of(masks, events.weight)
        found = Tally.of(columns_of(events), self.bins, manifest.planes, unphysical)
        if told.events != found.events:
            yield f"{entry.tally.file}: counts {told.events:,} events of {found.events:,}"
            return
        counts = {
            **{f"of {name}": (h.weight, found.axes[name].weight) for name, h in told.axes.items()},
            **{f"in {n}": (h.weight, found.planes[n].weight) for n, h in told.planes.items()},
        }
        allowed = max(2.0, MOVED * found.events)  # events in other bins
        for name, (there, here) in counts.items():
            if len(there) != len(here) or np.abs(there - here).sum() / 2 > allowed:
                yield f"{entry.tally.file}: the histogram {name} is not that of the events"
        for name, share in found.unphysical.violating.items():
            counted = told.unphysical.violating.get(name)
            if counted is None or abs(counted.events - share.events) > MOVED * found.events:
                yield f"{entry.tally.file}: the events that break '{name}' are miscounted"

    def _digests(self, events: Events) -> NDArray[np.uint64]:
        """Return a number of each of the first events, of all that is stored of it."""
        first = events[: self.compared]
        digest = np.zeros(len(first), dtype=np.uint64)
        for field in self.manifest.stored.fields:
            if field.role == "weight":
                continue
            for column in first.columns[field.name].reshape(len(first), -1).T:
                bits = column.double().contiguous().numpy().view(np.uint64)
                digest = (digest ^ bits) * MIXER
                digest ^= digest >> np.uint64(29)
        return digest


def conclude(dataset: Dataset, check: ShardCheck, reports: Sequence[ShardReport]) -> Verification:
    """Compare the shards with each other, with the plan, and with what lies in the folder."""
    shards = dataset.manifest.shards
    faults = [fault for report in reports for fault in report.faults]
    digests = np.concatenate([report.digests for report in reports])
    split = np.repeat([shard.split for shard in shards], [len(r.digests) for r in reports])
    different = len(np.unique(digests))
    copies = len(digests) - different
    shared = sum(len(np.unique(digests[split == name])) for name in np.unique(split)) - different
    if check.plan:
        faults += _plan_faults(dataset, check.plan.spec)
        if copies:
            faults.append(f"{copies:,} of {len(digests):,} events compared are copies of others")
    known = {PLAN, PREPARED, SAMPLED}
    known |= {dataset.manifest.bins.file} if dataset.manifest.bins else set()
    for shard in shards:
        known |= {record_file(shard.file), *(entry.file for entry in shard.files)}
    strangers = [f for f in sorted(sizes(dataset.uri)) if f not in known and not PARTIAL.search(f)]
    faults += [f"{file}: not a file of this dataset" for file in strangers]
    return Verification(
        events=dataset.rows(),
        shards=len(shards),
        compared=len(digests),
        copies=copies,
        shared=shared,
        faults=tuple(faults),
    )


def _plan_faults(dataset: Dataset, spec: SampleSpec) -> Iterator[str]:
    manifest = dataset.manifest
    seeds = Counter(shard.seed for shard in manifest.shards)
    yield from (f"seed {seed} made {n} shards" for seed, n in seeds.items() if n > 1)
    if manifest.provenance["spec"] != spec.model_dump(mode="json"):
        yield f"{PLAN}: is the plan of another sample than {SAMPLED}"
    planned = {shard.file for shard in spec.plan()}
    listed = [shard.file for shard in manifest.shards]
    for name, files in (
        ("is planned but not listed", planned - set(listed)),
        ("is listed but not planned", set(listed) - planned),
        ("is listed twice", {file for file, n in Counter(listed).items() if n > 1}),
    ):
        yield from (f"{file}: {name}" for file in sorted(files))
    if (rows := dataset.rows()) != spec.events:
        yield f"{SAMPLED}: {rows:,} events in all, {spec.events:,} were planned"


def _declared(fields: Iterable[pa.Field], group: str = "") -> Iterator[tuple[str, Declared]]:
    """Yield the name of each column, also of each field of objects, with its type and unit."""
    for field in fields:
        values = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_struct(values):
            yield from _declared(values, f"{field.name}.")
        else:
            unit: bytes = (field.metadata or {}).get(b"unit", b"")
            yield f"{group}{field.name}", (str(field.type), unit.decode())


def _told(column: Declared | None) -> str:
    return f"{column[0]} in {column[1] or 'no unit'}" if column else "absent"


def faults_in_words(verification: Verification) -> str:
    """List the first faults, one a line, and how many more there are."""
    shown = verification.faults[:TOLD]
    more = len(verification.faults) - len(shown)
    return "\n".join([*shown, *([f"and {more:,} more"] if more > 0 else [])])
