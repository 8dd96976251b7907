"""Import the user's own tables of events: text, Parquet, NumPy, HDF5 or ROOT, also remote."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import FiniteFloat, NonNegativeInt

from mleg_ray.catalog.codec import Columns, require_held
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig, cut
from mleg_ray.catalog.sources.files import Input, InputFiles, inputs
from mleg_ray.catalog.sources.images import Found, Scan, constant, require_incident
from mleg_ray.catalog.sources.readers import Content, FileFormat, Key, Lists, read_table
from mleg_ray.catalog.sources.text import EXACT
from mleg_ray.config import Config
from mleg_ray.console import say
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import COUNT, EventSchema, Field, Unit, conversion, group_of
from mleg_ray.randomness import derive_seed
from mleg_ray.storage import version


class Slots(Config):
    """Columns of which each has a number of one object: the first one's, the second one's, ...

    An object is absent where each field of its group has its own `padding`.
    """

    slots: tuple[NonNegativeInt | str, ...] = Option(min_length=1)
    padding: FiniteFloat = 0.0


class Column(Config):
    """Where a field's numbers stand, by the column's name or its number from 0, and their unit.

    A field of objects needs a column of lists, one of records in a list is named as `jet.pt`; or
    a column for each object, as `Slots`. An image needs a column of arrays or of lists with all
    its pixels, row by row.
    """

    column: NonNegativeInt | str | Slots
    unit: Unit = "1"

    @property
    def keys(self) -> tuple[Key, ...]:
        """The columns that are read."""
        return self.column.slots if isinstance(self.column, Slots) else (self.column,)

    def __str__(self) -> str:
        """Return the columns as messages tell them."""
        return f"column{'s' if len(self.keys) > 1 else ''} {', '.join(map(repr, self.keys))}"


class Unique(Config):
    """The columns by which events are told apart, a run's and an event's number, say.

    Rows that agree in all of them, in one file or in two, are copies of one event, which are
    refused, or left out but the first.
    """

    by: tuple[NonNegativeInt | str, ...] = Option(min_length=1)
    copies: Literal["refuse", "leave-out"] = "refuse"


@SOURCES.register
class ImportConfig(SourceConfig):
    """Columns of files become fields of events.

    Relative paths start at `root`, else at the environment's `MLEG_IMPORT_ROOT`, else at the
    working directory; each may be a URI. Where the files lie is not part of what a dataset is, so
    `root` enters no digest and no record. Each file's events are shuffled by `seed`, so that
    neither shards nor splits inherit the file's order, unless `shuffled` says that they shall; a
    file must fit into memory.

    Of images of energies `incident` names the condition with the energy of the incident particle,
    beside which their units are checked; energies below zero are refused unless `negative` says to
    keep them, as noise has them.
    """

    kind: Literal["import"] = "import"
    files: tuple[InputFiles, ...] = Option(min_length=1)
    columns: dict[str, Column]
    unique: Unique | None = None
    format: FileFormat = FileFormat()
    incident: str | None = None
    negative: Literal["keep"] | None = None
    seed: int
    shuffled: bool = True
    root: str | None = Option(default=None, exclude=True)

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless each stored field has exactly one origin of a fitting unit."""
        fields = {field.name: field for field in schema.fields}
        stored = {name for name in fields if name not in conditions}
        for files in self.files:
            origins = [*self.columns, *files.constants]
            missing, unknown = stored - set(origins), set(origins) - stored
            if missing or unknown or len(set(origins)) < len(origins):
                raise ConfigError(
                    f"columns: with the constants of {files.path} they must name each of "
                    f"{', '.join(sorted(stored))} once; they name {', '.join(sorted(origins))}"
                )
            for name in files.constants:
                if fields[name].shape or fields[name].group in schema.objects:
                    raise ConfigError(
                        f"files: constants of {files.path}: '{name}' is no single number of the "
                        "event; name its column"
                    )
        require_incident(schema, self.incident)
        taken: dict[Key, str] = {}
        slots: dict[str, tuple[str, int]] = {}
        for name, column in self.columns.items():
            conversion(column.unit, fields[name].unit, f"columns.{name}")
            for key in column.keys:
                if key in taken:
                    raise ConfigError(f"columns: {taken[key]} and {name} both read column {key!r}")
                taken[key] = name
            group, number = fields[name].group, _number_of_slots(column)
            if number and group not in schema.objects:
                raise ConfigError(
                    f"columns.{name}: slots are of objects; declare groups.{group or name} with "
                    "`most` and `ordered_by`"
                )
            if group in schema.objects:
                other, others = slots.setdefault(group, (name, number))
                if number != others:
                    raise ConfigError(
                        f"columns: {other} has {others} slots and {name} has {number}; each "
                        "object needs all fields"
                    )

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "Tables":
        """Find the files; `DataError` if some are absent."""
        return Tables(self, inputs(self.files, self.root), schema, conditions, shard_events)


class Tables(Source):
    """One stratum a file; each process keeps the last file it read."""

    def __init__(
        self,
        config: ImportConfig,
        inputs: Sequence[Input],
        schema: EventSchema,
        conditions: Mapping[str, float],
        shard_events: int,
    ) -> None:
        self._config = config
        self._inputs = inputs
        self._schema = schema
        self._conditions = conditions
        self._fields = {field.name: field for field in schema.fields}
        self._shard_events = shard_events
        self._files: list[dict[str, Any]] = []
        self._found: list[Found] = []
        self._rows: list[list[int]] = []
        self._events: list[NDArray[np.intp]] = []  # rows of each file, if they are told apart
        self._copies: list[int] = []
        self._known: NDArray[np.float64] = np.empty((0, 0))  # the events of all files so far
        self._ends: list[int] = []  # of each file's among them

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a file; every file is read and checked.

        Raises:
            DataError: a file has no events, a number that cannot be stored as declared, or images
                of energies that cannot be, see `Scan`.
        """
        if not self._rows:
            self._found = [self._examine(file) for file in self._inputs]
            self._known = np.empty((0, 0))
            self._rows = [cut(found.events, self._shard_events) for found in self._found]
        return self._rows

    def constants(self) -> dict[str, tuple[float, float]]:
        """Return the conditions that are the same in all events of all files."""
        return constant(self._found)

    def shard(self, index: int) -> Columns:
        """Return one slice of a file's shuffled events."""
        stratum, number = self.locate(index)
        file = self._inputs[stratum]
        rows = self._rows[stratum]
        told = self._config.unique is not None
        events = self._events[stratum].copy() if told else np.arange(self._length(file))
        if self._config.shuffled:
            np.random.default_rng(self.seed(index)).shuffle(events)
        start = sum(rows[:number])
        return self._columns(file, events[start : start + rows[number]])

    def _columns(self, file: Input, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """Return some rows of a file in the units of the schema."""
        columns = {name: np.full(len(rows), value) for name, value in file.entry.constants.items()}
        for name, content in self._read(file).items():
            scale = conversion(self._config.columns[name].unit, self._fields[name].unit, name)
            part = content[rows]
            if isinstance(part, Lists):
                columns[f"{group_of(name)}.{COUNT}"] = part.count
                part = part.values
            # In double precision: half has neither 10⁵ nor 10⁻⁸.
            columns[name] = part if scale == 1 else part * np.float64(scale)
        return columns

    def seed(self, index: int) -> int:
        """Return the seed that shuffles the file which shard `index` is a slice of."""
        return derive_seed(self._config.seed, "import", self.locate(index)[0])

    def provenance(self) -> dict[str, Any]:
        """Return each file's path as the catalog names it, its size, its SHA-256 and copies."""
        if not self._files:
            self.shard_rows()
            self._files = [file.provenance() for file in self._inputs]
            for told, copies in zip(self._files, self._copies, strict=False):
                told["copies"] = copies
        return {"files": self._files, "seed": self._config.seed}

    def _examine(self, file: Input) -> Found:
        rows = self._different(file)
        copies = self._length(file) - len(rows)
        if self._config.unique is not None:
            self._events.append(rows)
            self._copies.append(copies)
        if copies:
            say(f"{file.uri}: {copies:,} rows are copies of others, and left out")
        scan = Scan(
            file.uri,
            self._schema.without(self._conditions),
            self._conditions,
            require_incident(self._schema, self._config.incident),
            negative=self._config.negative == "keep",
        )
        columns = self._columns(file, np.arange(self._length(file)))
        self._require_held(file, columns)
        scan.see(self._columns(file, rows) if copies else columns)
        return scan.conclude()

    def _require_held(self, file: Input, columns: Columns) -> None:
        """Raise `DataError` if a field's type does not hold all of a file's numbers."""
        for name, values in columns.items():
            field = self._fields.get(name)
            if field is None or field.shape:
                continue
            origin = self._config.columns.get(name)
            place = origin or "its constant"
            count = columns.get(f"{field.group}.{COUNT}")
            require_held(values, field, f"{file.uri}: {place}", count)

    def _different(self, file: Input) -> NDArray[np.intp]:
        """Return the rows of a file that are events: all, or the first of each in all files so far.

        Raises:
            DataError: there are copies, and the catalog does not say to leave them out.
        """
        unique = self._config.unique
        if unique is None:
            return np.arange(self._length(file))
        named = self._named(file, unique.by)
        known = len(self._known)
        every = np.concatenate([self._known, named]) if known else named
        index, which = np.unique(every, axis=0, return_index=True, return_inverse=True)[1:]
        first = index[which][known:] - known  # below zero of events that other files have
        rows = np.arange(len(named))
        kept: NDArray[np.intp] = rows[first == rows]
        if len(kept) < len(rows) and unique.copies == "refuse":
            row = int((first != rows).argmax())
            owner = self._inputs[int(np.searchsorted(self._ends, known + first[row], "right"))]
            origin = f"of row {first[row]}" if first[row] >= 0 else f"of an event in {owner.uri}"
            raise DataError(
                f"{file.uri}: {len(rows):,} rows are {len(kept):,} events by "
                f"{', '.join(map(str, unique.by))}: {len(rows) - len(kept):,} are copies, the "
                f"first of them row {row} (from 0), {origin}; say source.unique.copies = "
                "'leave-out' to keep the first of each"
            )
        self._known = np.concatenate([every[:known], named[kept]])
        self._ends.append(len(self._known))
        return kept

    def _named(self, file: Input, by: Sequence[Key]) -> NDArray[np.float64]:
        """Return what tells events apart, two numbers (n, 2 k) for each of k columns.

        The second is what double precision, in which the first is, leaves of whole numbers.
        """
        parts: list[NDArray[np.float64]] = []
        for key in by:
            content = self._table(file)[key]
            if isinstance(content, Lists) or content.ndim > 1:
                raise DataError(
                    f"{file.uri}: column {key!r} of source.unique has several numbers an event"
                )
            if content.dtype.kind == "f" and (large := np.abs(content) >= EXACT).any():
                raise DataError(
                    f"{file.uri}: column {key!r} of source.unique has {content[large][0]:.17g}, "
                    "which double precision does not tell from its neighbours; split such numbers "
                    "into two columns"
                )
            double = content.astype(np.float64)
            rest = (content - double.astype(content.dtype)).astype(np.int64)
            parts += [double, rest.astype(np.float64)]
        return np.stack(parts, axis=1)

    def _length(self, file: Input) -> int:
        return len(next(iter(self._table(file).values())))

    def _table(self, file: Input) -> Mapping[Key, Content]:
        keys = [key for column in self._config.columns.values() for key in column.keys]
        keys += self._config.unique.by if self._config.unique else ()
        return _read_cached(file.uri, version(file.uri), tuple(keys), self._config.format)

    def _read(self, file: Input) -> Mapping[str, Content]:
        """Return the columns by field, each of the form that the field has.

        Raises:
            DataError: a column holds something else, or lists of one group differ in length.
        """
        table = self._table(file)
        content: dict[str, Content] = {}
        counted: dict[str, tuple[Column, NDArray[np.int64]]] = {}
        slots: dict[str, NDArray[Any]] = {}
        there: dict[str, NDArray[np.bool_]] = {}
        for name, column in self._config.columns.items():
            field = self._fields[name]
            parts = [(table[key], field, f"{file.uri}: column {key!r}") for key in column.keys]
            if isinstance(column.column, Slots):
                slots[name] = np.stack([_slot(*part) for part in parts], axis=1)
                filled = slots[name] != column.column.padding
                there[field.group] = filled | there.get(field.group, False)
            elif field.group in self._schema.objects:
                lists = _lists(*parts[0])
                first, count = counted.setdefault(field.group, (column, lists.count))
                if (differ := count != lists.count).any():
                    row = differ.argmax()
                    where = f"{file.uri}: row {row} (from 0)"
                    raise DataError(
                        f"{where}: {first} has {count[row]} objects of '{field.group}', "
                        f"{column} {lists.count[row]}; each object needs all fields"
                    )
                content[name] = lists
            else:
                content[name] = _arrays(*parts[0])
        for name, values in slots.items():
            filled = there[self._fields[name].group]
            content[name] = Lists(filled.sum(axis=1), values[filled])
        return content


@functools.lru_cache(maxsize=1)
def _read_cached(
    uri: str, _version: str, keys: tuple[Key, ...], file_format: FileFormat
) -> Mapping[Key, Content]:
    return read_table(uri, keys, file_format)


def _number_of_slots(column: Column) -> int:
    return len(column.keys) if isinstance(column.column, Slots) else 0


def _lists(content: Content, field: Field, place: str) -> Lists:
    if not isinstance(content, Lists):
        raise DataError(
            f"{place} holds {_told(content.shape[1:])} for each event, and the objects of "
            f"'{field.group}' need a list, or a column each, as {{ slots = [...] }}; a group "
            "without `most` is there once in each event"
        )
    return content


def _slot(content: Content, field: Field, place: str) -> NDArray[Any]:
    if isinstance(content, Lists) or content.ndim > 1:
        held = "a list" if isinstance(content, Lists) else _told(content.shape[1:])
        raise DataError(
            f"{place} holds {held} for each event, and a slot of '{field.name}' is one number"
        )
    return content


def _arrays(content: Content, field: Field, place: str) -> NDArray[Any]:
    """Return numbers (n,) or images (n, *shape), of arrays or lists with as many pixels."""
    if isinstance(content, Lists):
        pixels = math.prod(field.shape)
        if not field.shape:
            raise DataError(
                f"{place} holds a list for each event, and '{field.name}' is one number; declare "
                "it as a field of a group with `most` and `ordered_by`, or give it a `shape`"
            )
        if (other := content.count != pixels).any():
            row = other.argmax()
            raise DataError(
                f"{place} has {content.count[row]} numbers in row {row} (from 0), and images of "
                f"'{field.name}' have {pixels}; change its `shape`, or mend these events"
            )
        return content.values.reshape(-1, *field.shape)
    given = content.shape[1:]
    if given not in (field.shape, (math.prod(field.shape),)):
        mend = f"shape = {list(given)}" if given else "no `shape`"
        raise DataError(
            f"{place} holds {_told(given)} for each event, and '{field.name}' is "
            f"{_told(field.shape)}; declare it with {mend}"
        )
    return content.reshape(-1, *field.shape)


def _told(shape: tuple[int, ...]) -> str:
    return f"an array of shape {shape}" if shape else "one number"
