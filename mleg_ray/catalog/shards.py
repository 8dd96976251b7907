"""One shard: a Parquet file of events with its units and provenance in the footer."""

import builtins
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import field_validator
from torch import Tensor

from mleg_ray.catalog.sources.base import Columns
from mleg_ray.config import Config
from mleg_ray.errors import DataError
from mleg_ray.events import Field
from mleg_ray.storage import exists, read_bytes, read_end, sha256, write_bytes

FOOTER_BYTES = 1 << 16
RECORDS = "records"  # apart from the shards: other programs want a folder of Parquet files alone


class FileEntry(Config):
    """What a manifest knows of a file, which is named relative to the dataset's folder."""

    file: str
    bytes: int
    sha256: str

    @field_validator("file")
    @classmethod
    def _stays_inside(cls, file: str) -> str:
        if file.startswith("/") or ".." in file.split("/"):
            raise ValueError("a dataset's files lie inside its folder")
        return file

    @staticmethod
    def of(file: str, content: builtins.bytes) -> "FileEntry":
        """Describe a file of that content."""
        return FileEntry(file=file, bytes=len(content), sha256=sha256(content))

    def read(self, folder: str) -> builtins.bytes:
        """Return the file's content, proven to be what the manifest lists.

        Raises:
            DataError: the file is gone, truncated or altered.
        """
        place = f"{folder}/{self.file}"
        if not exists(place):
            raise DataError(
                f"{place}: gone; `mleg prepare` or `mleg sample`, whichever made it, makes it again"
            )
        content = read_bytes(place, self.bytes + 1)
        if sha256(content) != self.sha256:
            there = "more" if len(content) > self.bytes else len(content)
            raise DataError(
                f"{place}: truncated or altered ({there} bytes, {self.bytes} expected; "
                "its SHA-256 differs from the manifest's). `mleg prepare` or `mleg sample`, "
                "whichever made it, makes it again."
            )
        return content


class ShardEntry(FileEntry):
    """What a manifest knows of a shard; `tally` counts its events (see `evaluation.tally`).

    `conditions` are those of its stored conditions that have one value throughout.
    """

    rows: int
    split: str
    seed: int | None = None
    conditions: dict[str, float] = {}
    tally: FileEntry | None = None


def record_file(shard_file: str) -> str:
    """Return where the record of a shard lies, relative to the dataset's folder."""
    return f"{RECORDS}/{PurePosixPath(shard_file).stem}.json"


def write_shard(
    folder: str,
    file: str,
    columns: Columns,
    fields: Sequence[Field],
    metadata: Mapping[str, str],
    *,
    split: str,
    seed: int | None = None,
    conditions: Mapping[str, float] | None = None,
) -> ShardEntry:
    """Write one shard under its final name, whole or not at all.

    `conditions` hold throughout it, and are no columns of it.

    Raises:
        DataError: a value is NaN or infinite, or a column is missing or shorter than the others.
        ResourceError: no permission or no space.
    """
    arrays = [checked(columns, field, f"{folder}/{file}") for field in fields]
    content = parquet(arrays, fields, metadata)
    write_bytes(f"{folder}/{file}", content)
    return ShardEntry(
        **dict(FileEntry.of(file, content)),
        rows=len(arrays[0]),
        split=split,
        seed=seed,
        conditions={
            **(conditions or {}),
            **{
                field.name: float(str(values[0]))  # 7.3 is not what single precision makes of it
                for field, values in zip(fields, arrays, strict=True)
                if field.role == "condition" and len(values) and (values == values[0]).all()
            },
        },
    )


def parquet(
    arrays: Sequence[np.ndarray], fields: Sequence[Field], metadata: Mapping[str, str]
) -> bytes:
    """Return a shard's bytes from the fields' columns, each in its stored precision.

    Columns are stored without dictionaries, which no floats repay, and with split byte streams, the
    exponents together: LZ4 then makes them as small as zstd makes whole floats, twice as fast.
    Units and roles go into the Arrow field metadata, `metadata` into the file's.
    """
    schema = pa.schema(
        [
            pa.field(
                field.name,
                field.dtype,
                nullable=False,
                metadata={"unit": field.unit, "role": field.role, "description": field.description},
            )
            for field in fields
        ],
        metadata=dict(metadata),
    )
    sink = io.BytesIO()
    pq.write_table(
        pa.table([pa.array(values) for values in arrays], schema=schema),
        sink,
        use_dictionary=False,
        use_byte_stream_split=True,
        compression="lz4",
    )
    return sink.getvalue()


def read_shard(folder: str, entry: ShardEntry, fields: Sequence[Field]) -> dict[str, Tensor]:
    """Read a shard and prove that it is the one the manifest lists.

    Returns float64 tensors of shape (rows,), by field name.

    Raises:
        DataError: the file is gone, truncated or altered, or lacks a field.
    """
    place = f"{folder}/{entry.file}"
    table = pq.read_table(io.BytesIO(entry.read(folder)))
    if table.num_rows != entry.rows:
        raise DataError(
            f"{place}: has {table.num_rows} events, the manifest says {entry.rows}; "
            "make the dataset again"
        )
    missing = [field.name for field in fields if field.name not in table.column_names]
    if missing:
        raise DataError(f"{place}: no column {', '.join(missing)}; it has {table.column_names}")
    return {
        field.name: torch.from_numpy(table[field.name].to_numpy().astype(np.float64))
        for field in fields
    }


def footer(place: str) -> dict[str, str]:
    """Return a shard's own metadata; of the file only the end is read.

    Raises:
        DataError: it is no Parquet file, or not the end of one.
        ResourceError: there is no such file.
    """
    try:
        metadata = pq.read_schema(io.BytesIO(read_end(place, FOOTER_BYTES))).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{place}: no Parquet file ({error}); make it again") from None
    return {key.decode(): value.decode() for key, value in metadata.items()}


def checked(columns: Columns, field: Field, place: str) -> np.ndarray:
    """Return a field's column in its stored precision; NaN, infinity and absence are errors."""
    if field.name not in columns:
        raise DataError(f"{place}: no column '{field.name}'; there are {', '.join(columns)}")
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite
        values = np.asarray(columns[field.name]).astype(field.dtype)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise DataError(
            f"{place}: column '{field.name}' is not finite in {len(bad)} rows, first row {bad[0]}; "
            "remove or mend these events at their source"
        )
    return values


def footer_metadata(**values: object) -> dict[str, str]:
    """Encode provenance for a shard's footer: every value as JSON under an `mleg.` key."""
    return {f"mleg.{key}": json.dumps(value) for key, value in values.items()}
