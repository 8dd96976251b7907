"""Import events that are lists of particles: Dark Machines' lines, Les Houches events and HepMC."""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option

from mleg_ray.catalog.codec import Columns, checked, require_held
from mleg_ray.catalog.formats.dark_machines import DarkMachines
from mleg_ray.catalog.formats.hepmc import HepMC
from mleg_ray.catalog.formats.les_houches import LesHouches
from mleg_ray.catalog.formats.particles import PARTS, Block, RecordFormat, Records, blocks
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig
from mleg_ray.catalog.sources.files import PACKED, Input, InputFiles, inputs, unpacked
from mleg_ray.config import Config
from mleg_ray.console import progress_bar, say
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import COUNT, EventSchema, conversion
from mleg_ray.storage import size

FORMATS: dict[str, RecordFormat] = {
    "dark-machines": DarkMachines(),
    "lhe": LesHouches(),
    "hepmc": HepMC(),
}
# GeV between which the median pT of objects that a detector selects lies at any collider.
PLAUSIBLE_PT = (3.0, 5000.0)
WEIGHT = "weight"
GZIP = b"\x1f\x8b"  # what packed files begin with


@SOURCES.register
class RecordsConfig(SourceConfig):
    """Particles of event records become the objects of groups, by their PDG number.

    A group takes the particles of its `pdg_id`, or of the numbers that `particles` has for it, with
    any of the fields px, py, pz, pt, eta, phi, energy, mass and pdg_id; its fields without a group,
    or in others, are the numbers that the format has of each event (`met.pt`, `scale`), and the
    weight is the event's own, or that called `weight` where events have several.

    A shard holds the events of one stretch of a file, in its order, so that of a file of any size
    one shard at a time is in memory; splits take turns along the file. Events at fault are counted
    by kind and refused, or left out; so are objects beyond a group's `most`, the softest. Copies of
    events are counted. `unit` is that of energies in a file of Dark Machines' form that is not in
    MeV.
    """

    kind: Literal["records"] = "records"
    files: tuple[InputFiles, ...] = Option(min_length=1)
    format: Literal["dark-machines", "lhe", "hepmc"] | None = None
    particles: dict[str, tuple[int, ...]] = {}
    weight: str | None = None
    unit: Literal["MeV", "GeV"] | None = None
    faults: Literal["refuse", "leave-out"] = "refuse"
    beyond_most: Literal["drop", "refuse"] = "drop"
    root: str | None = Option(default=None, exclude=True)

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless each stored field has exactly one origin of a fitting unit."""
        for files in self.files:
            form = self.format_of(files)
            if self.unit is not None and form.one_unit:
                raise ConfigError(
                    f"unit: the energies of {files.path} are in a unit that its format fixes; "
                    "leave it out"
                )
            if self.weight is not None and not form.named_weights:
                raise ConfigError(f"weight: events of {files.path} have one weight, without a name")
            self._check_fields(schema, conditions, form, files)
        for group in self.particles:
            if group not in schema.groups:
                raise ConfigError(f"particles.{group}: there is no such group")

    def _check_fields(
        self,
        schema: EventSchema,
        conditions: Mapping[str, float],
        form: RecordFormat,
        files: InputFiles,
    ) -> None:
        stored = [f for f in schema.fields if f.name not in conditions]
        names = {f.name for f in stored}
        if unknown := [name for name in files.constants if name not in names]:
            raise ConfigError(f"files: constants of {files.path}: no field '{unknown[0]}'")
        for f in stored:
            if f.name in files.constants:
                if f.group in schema.objects:
                    raise ConfigError(
                        f"files: constants of {files.path}: '{f.name}' is no single number of the "
                        "event"
                    )
                continue
            if f.shape:
                raise ConfigError(f"fields: records have no image, and '{f.name}' is one")
            part = f.name.partition(".")[2]
            if f.role == "weight":
                continue
            if f.name in form.numbers:
                conversion(form.numbers[f.name], f.unit, f"fields: {f.name}")
            elif self.taken(schema, f.group) and part in PARTS:
                conversion(PARTS[part], f.unit, f"fields: {f.name}")
            else:
                raise ConfigError(
                    f"fields: '{f.name}' is nothing that {files.path} has: these are "
                    f"{', '.join(form.numbers)}, and {', '.join(PARTS)} of groups with a pdg_id, "
                    "or with `particles` here"
                )

    def format_of(self, files: InputFiles) -> RecordFormat:
        """Return the format, by `format` or the files' names; `ConfigError` if neither tells."""
        if self.format:
            return FORMATS[self.format]
        name = files.path.lower()
        for packed in PACKED:
            name = name.removesuffix(packed)
        for form in FORMATS.values():
            if name.endswith(form.endings):
                return form
        endings = ", ".join(ending for form in FORMATS.values() for ending in form.endings)
        raise ConfigError(
            f"format: {files.path} ends with none of {endings}; it is one of {', '.join(FORMATS)}"
        )

    def taken(self, schema: EventSchema, group: str) -> tuple[int, ...]:
        """Return the PDG numbers of the particles that a group takes."""
        if group in self.particles:
            return self.particles[group]
        declared = schema.groups[group].pdg_id if group else None
        return () if declared is None else (declared,)

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "EventRecords":
        """Find the files; `DataError` if some are absent."""
        found = inputs(self.files, self.root)
        return EventRecords(self, found, schema.without(conditions), shard_events)


class Told(Config):
    """What reading a file through has found, as the record of the dataset keeps it.

    `faults` are the events left out by kind, `copies` those equal to another in all but its number,
    `not_taken` the particles that no group takes, by PDG number.
    """

    faults: dict[str, int]
    copies: int
    not_taken: dict[str, int]


@dataclass(frozen=True)
class Index:
    """Where the shards of a file begin and end, its events without faults, and what comes first."""

    head: bytes
    bounds: tuple[int, ...]
    rows: tuple[int, ...]
    told: Told


class EventRecords(Source):
    """One stratum a file; nothing of a file is kept but where its shards begin."""

    def __init__(
        self,
        config: RecordsConfig,
        files: Sequence[Input],
        schema: EventSchema,
        shard_events: int,
    ) -> None:
        self._config = config
        self._inputs = files
        self._schema = schema
        self._shard_events = shard_events
        self._indices: list[Index] = []
        self._files: list[dict[str, Any]] = []

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a file; every file is read and checked.

        Raises:
            DataError: a file has no events or events at fault, energies in another unit, weights
                that nothing stores, or numbers that cannot be stored as declared.
        """
        if not self._indices:
            self._indices = [self._index(file) for file in self._inputs]
        return [index.rows for index in self._indices]

    def shard(self, index: int) -> Columns:
        """Return the events of one stretch of a file."""
        stratum, number = self.locate(index)
        file, found = self._inputs[stratum], self._indices[stratum]
        start, stop = found.bounds[number : number + 2]
        with unpacked(file.uri) as (stream, _):
            stream.seek(start)
            content = stream.read(stop - start)
        form = self._config.format_of(file.entry)
        starts = [match.start() for match in form.begins.finditer(content)]
        texts = [content[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
        return self._columns(file, self._read(file, found.head, texts).whole())

    def seed(self, index: int) -> int:
        """Return 0: nothing is drawn."""
        return 0

    def provenance(self) -> dict[str, Any]:
        """Return each file's path as the catalog names it, its size, SHA-256 and what it has."""
        self.shard_rows()
        if not self._files:
            self._files = [
                file.provenance() | index.told.model_dump()
                for file, index in zip(self._inputs, self._indices, strict=True)
            ]
        return {"files": self._files}

    def _read(self, file: Input, head: bytes, texts: Sequence[bytes]) -> Records:
        """Return events with all their faults, energies in GeV."""
        form = self._config.format_of(file.entry)
        scale = conversion(self._config.unit or form.unit, "GeV", "unit")
        used = {f.name for f in self._schema.fields} | {WEIGHT}
        return form.read(head, texts, scale, self._config.weight).checked(used)

    def _index(self, file: Input) -> Index:
        through = _Through(file, self._schema, self._config)
        head, bounds, rows, line = b"", list[int](), 0, 1
        with (
            unpacked(file.uri) as (stream, place),
            progress_bar(f"Reading {file.uri.rsplit('/', 1)[-1]}", size(file.uri)) as bar,
        ):
            for block in blocks(stream, self._config.format_of(file.entry).begins):
                if not through.events:
                    head = block.head
                    line += head.count(b"\n")
                records = self._read(file, head, block.texts)
                through.see(block, records, line)
                good = [o for i, o in enumerate(block.offsets) if i not in records.faults]
                bounds += good[-rows % self._shard_events :: self._shard_events]
                rows += len(good)
                if good:
                    place_of = f"{file.uri}: events from line {line}"
                    columns = self._columns(file, records.whole())
                    for f in self._schema.fields:
                        if f.group not in self._schema.objects:
                            require_held(columns[f.name], f, f"{place_of}: '{f.name}'")
                    _, dropped = checked(columns, self._schema, place_of)
                    through.dropped.update(dropped)
                line += sum(text.count(b"\n") for text in block.texts)
                bar.update(place())
            end = stream.tell()
        told = through.conclude(rows)
        full, rest = divmod(rows, self._shard_events)
        counts = (self._shard_events,) * full + ((rest,) if rest else ())
        return Index(head, (*bounds, end), counts, told)

    def _columns(self, file: Input, records: Records) -> dict[str, NDArray[Any]]:
        """Return events in the units of the schema."""
        form = self._config.format_of(file.entry)
        n = len(records.count)
        columns: dict[str, NDArray[Any]] = {
            name: np.full(n, value) for name, value in file.entry.constants.items()
        }
        known = np.unique(records.pdg_id)
        alike = [form.alike(int(number)) for number in known]
        for f in self._schema.fields:
            if f.name in columns:
                continue
            if f.role == "weight":
                columns[f.name] = records.numbers[WEIGHT]
            elif f.name in records.numbers:
                scale = conversion(form.numbers[f.name], f.unit, f.name)
                columns[f.name] = records.numbers[f.name] * scale
            else:
                wanted = [
                    form.alike(number) for number in self._config.taken(self._schema, f.group)
                ]
                taken = np.isin(records.pdg_id, known[np.isin(alike, wanted)])
                count = np.bincount(records.owner[taken], minlength=n)
                if f.group in self._schema.objects:
                    columns[f"{f.group}.{COUNT}"] = count
                elif (other := count != 1).any():
                    raise DataError(
                        f"{file.uri}: '{f.group}' is there once in each event, and {other.sum():,} "
                        f"of {n:,} have another number, the first {count[other][0]}; give the "
                        "group `most` and `ordered_by`"
                    )
                part = f.name.partition(".")[2]
                values = records.part(part)[taken]
                columns[f.name] = values * conversion(PARTS[part], f.unit, f.name)
        return columns


@dataclass
class _Through:
    """What is counted while a file is read through."""

    file: Input
    schema: EventSchema
    config: RecordsConfig
    events: int = 0
    objects: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)
    not_taken: Counter[int] = field(default_factory=Counter)
    hashes: "array[int]" = field(default_factory=lambda: array("q"))  # 8 bytes an event
    weights: set[float] = field(default_factory=set)

    def see(self, block: Block, records: Records, line: int) -> None:
        """Count the events of a block, of which the first begins at a line."""
        form = self.config.format_of(self.file.entry)
        lines = line + np.cumsum([0, *(text.count(b"\n") for text in block.texts)])
        for i, fault in sorted(records.faults.items()):
            self.faults[fault.kind] += 1
            self.first.setdefault(fault.kind, f"line {lines[i]}: {fault.told}")
        whole = records.whole()
        if not self.objects and not form.one_unit:
            self._require_unit(form, whole.part("pt"))
        self.events += len(block.texts)
        self.objects += len(whole.pdg_id)
        good = (text for i, text in enumerate(block.texts) if i not in records.faults)
        self.hashes.extend(hash(form.identity(text)) for text in good)
        if len(self.weights) < 2:
            self.weights |= set(whole.numbers[WEIGHT].tolist())
        taken = [
            form.alike(number)
            for group in self.schema.groups
            for number in self.config.taken(self.schema, group)
        ]
        for number, times in zip(*np.unique(whole.pdg_id, return_counts=True), strict=True):
            if form.alike(int(number)) not in taken:
                self.not_taken[int(number)] += int(times)

    def conclude(self, rows: int) -> Told:
        """Say what was found; `DataError` of what is refused."""
        uri = self.file.uri
        if not self.events:
            raise DataError(f"{uri}: no events; remove the file, or name the others alone")
        told = "; ".join(
            f"{times:,} with {kind} (the first: {self.first[kind]})"
            for kind, times in self.faults.most_common()
        )
        if told:
            told = f"{uri}: {self.faults.total():,} of {self.events:,} events are at fault: {told}"
            if self.config.faults == "refuse" or not rows:
                raise DataError(f"{told}; mend them, or say source.faults = 'leave-out'")
            say(f"{told}; they are left out")
        for group, times in self.dropped.items():
            if times and self.config.beyond_most == "refuse":
                raise DataError(
                    f"{uri}: {times:,} objects of '{group}' are beyond the "
                    f"{self.schema.objects[group]} that an event may have; raise "
                    f"groups.{group}.most, or say source.beyond_most = 'drop'"
                )
        self._require_weights()
        hashes = np.frombuffer(self.hashes, dtype=np.int64)
        hashes.sort()  # in place: of 10 GB of text they are some hundred MB
        copies = int((hashes[1:] == hashes[:-1]).sum())
        if copies:
            say(f"{uri}: {copies:,} of {self.events:,} events are copies of others in the file")
        not_taken = {str(number): times for number, times in sorted(self.not_taken.items())}
        return Told(faults=dict(self.faults), copies=copies, not_taken=not_taken)

    def _require_unit(self, form: RecordFormat, pt: NDArray[np.float64]) -> None:
        """Refuse energies of which the median pT (GeV) tells that they are in another unit."""
        unit = self.config.unit or form.unit
        low, high = PLAUSIBLE_PT
        if len(pt) and not low < np.median(pt) < high:
            number = np.median(pt) / conversion(unit, "GeV", "unit")
            other = "GeV" if unit == "MeV" else "MeV"
            raise DataError(
                f"{self.file.uri}: the median pT of the first {len(pt):,} objects is {number:g}: "
                f"{number / 1000:g} GeV if it is in MeV, {number:g} GeV if in GeV, and it is read "
                f"in {unit}; say source.unit = '{other}', or mend the file"
            )

    def _require_weights(self) -> None:
        if self.schema.weight is None and len(self.weights) > 1:
            raise DataError(
                f"{self.file.uri}: events have different weights, and no field has role 'weight'; "
                "declare one"
            )
        if self.schema.weight is not None and self.weights == {0.0}:
            raise DataError(
                f"{self.file.uri}: all {self.events:,} events have the weight 0, as files without "
                "weights do; leave out the field with role 'weight'"
            )
