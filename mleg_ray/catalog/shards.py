"""One shard: a Parquet file of events with its units and provenance in the footer."""

import io
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns, checked, rows_of, to_columns, to_events, to_table
from mleg_ray.errors import DataError
from mleg_ray.events import Events, EventSchema
from mleg_ray.folder import FileEntry, Record
from mleg_ray.storage import read_bytes, write_bytes

FOOTER_BYTES = 1 << 16


class ShardEntry(FileEntry):
    """What a manifest knows of a shard; `tally` counts its events (see `evaluation.samples.tally`).

    `conditions` are those of its stored conditions that have one value throughout, `dropped` are
    the objects of each group that were too many for an event.
    """

    rows: int
    split: str
    seed: int | None = None
    conditions: dict[str, float] = {}
    dropped: dict[str, int] = {}
    tally: FileEntry | None = None

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The shard, and its tally if it has one."""
        return (self, self.tally) if self.tally else (self,)


class ShardRecord(Record):
    """The record of a shard."""

    entry: ShardEntry


def write_shard(
    folder: str,
    file: str,
    columns: Columns,
    schema: EventSchema,
    metadata: Mapping[str, str],
    *,
    split: str,
    seed: int | None = None,
    conditions: Mapping[str, float] | None = None,
) -> ShardEntry:
    """Write the columns of a schema as one shard under its final name, whole or not at all.

    `conditions` hold throughout it, and are no columns of it. See `codec.checked` for the columns.

    Raises:
        DataError: a column is missing or is not what the schema says, see `codec.checked`.
        ResourceError: no permission or no space.
    """
    stored, dropped = checked(columns, schema, f"{folder}/{file}")
    content = parquet(to_table(stored, schema, metadata))
    write_bytes(f"{folder}/{file}", content)
    given = {field.name: stored[field.name] for field in schema.fields if field.role == "condition"}
    constant = {
        name: float(str(values[0]))  # 7.3 is not what single precision makes of it
        for name, values in given.items()
        if len(values) and (values == values[0]).all()
    }
    return ShardEntry(
        **dict(FileEntry.of(file, content)),
        rows=rows_of(stored, schema),
        split=split,
        seed=seed,
        conditions={**(conditions or {}), **constant},
        dropped={group: n for group, n in dropped.items() if n},
    )


def parquet(table: pa.Table) -> bytes:
    """Return the bytes of a shard with a table of events, see `codec.to_table`.

    Columns are stored without dictionaries, which no floats repay, and with split byte streams, the
    exponents together: LZ4 then makes them as small as zstd makes whole floats, twice as fast.
    """
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        use_dictionary=False,
        use_byte_stream_split=True,
        compression="lz4",
    )
    return sink.getvalue()


def read_shard(
    folder: str,
    entry: ShardEntry,
    stored: EventSchema,
    schema: EventSchema,
    conditions: Mapping[str, float],
) -> Events:
    """Read a shard's events and prove that it is the one the manifest lists.

    It holds what is `stored` of the schema; `conditions` are those that have one value throughout.

    Raises:
        DataError: the file is gone, truncated or altered, or lacks a field.
    """
    return to_events(read_columns(folder, entry, stored), schema, conditions)


def read_columns(folder: str, entry: ShardEntry, schema: EventSchema) -> dict[str, NDArray[Any]]:
    """Read a shard as the columns of a schema (see `codec`); raises as `read_shard` does."""
    place = f"{folder}/{entry.file}"
    table = pq.read_table(io.BytesIO(entry.read(folder)))
    if table.num_rows != entry.rows:
        raise DataError(
            f"{place}: has {table.num_rows} events, the manifest says {entry.rows}; "
            "make the dataset again"
        )
    return to_columns(table, schema, place)


def footer(place: str) -> dict[str, str]:
    """Return a shard's own metadata; of the file only the end is read.

    Raises:
        DataError: it is no Parquet file, or not the end of one.
        ResourceError: there is no such file.
    """
    try:
        metadata = pq.read_schema(io.BytesIO(read_bytes(place, start=-FOOTER_BYTES))).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{place}: no Parquet file ({error}); make it again") from None
    return {key.decode(): value.decode() for key, value in metadata.items()}


def footer_metadata(**values: object) -> dict[str, str]:
    """Encode provenance for a shard's footer: every value as JSON under an `mleg.` key."""
    return {f"mleg.{key}": json.dumps(value) for key, value in values.items()}
