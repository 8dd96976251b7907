"""Objects in Parquet: lists of records, or lists of fields.

Events of 0 to 8 jets of four fields, as `mleg` writes them and in parallel lists: bytes an event,
the processor's time to write and read it, and what other programs make of the file.
"""

import importlib
import io
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, Row, timed
from mleg_ray.catalog.codec import Columns, checked, to_columns, to_table
from mleg_ray.catalog.shards import parquet
from mleg_ray.commands.options import Events
from mleg_ray.events import EventSchema, Field, Group

FIELDS = (
    Field(name="met", unit="GeV"),
    Field(name="jet.pt", unit="GeV"),
    Field(name="jet.eta"),
    Field(name="jet.phi", unit="rad"),
    Field(name="jet.flavour", dtype="int8"),
)
SCHEMA = EventSchema(FIELDS, {"jet": Group(most=8, ordered_by="pt")})
JETS = tuple(field.name for field in FIELDS if field.group)


def drawn(events: int) -> Columns:
    """Return events of 0 to 8 jets, all numbers equally likely."""
    rng = np.random.default_rng(1)
    count = rng.integers(0, 9, events)
    jets = int(count.sum())
    return {
        "met": rng.exponential(40.0, events),
        "jet.count": count,
        "jet.pt": 25 + rng.exponential(60.0, jets),
        "jet.eta": rng.uniform(-2.5, 2.5, jets),
        "jet.phi": rng.uniform(-np.pi, np.pi, jets),
        "jet.flavour": rng.integers(0, 2, jets),
    }


def as_records(stored: Columns) -> pa.Table:
    """Return `jet: list<struct<pt, eta, ...>>`, as shards have it."""
    return to_table(stored, SCHEMA, {})


def from_records(table: pa.Table) -> Columns:
    """Return the columns of that table."""
    return to_columns(table, SCHEMA, "benchmark")


def as_lists(stored: Columns) -> pa.Table:
    """Return `jet.pt: list`, `jet.eta: list`, ... of equal offsets."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(stored["jet.count"])]).astype(np.int32))
    arrays = [pa.array(stored["met"])]
    for name in JETS:
        values = pa.array(stored[name])
        kind = pa.list_(pa.field("element", values.type, nullable=False))
        arrays.append(pa.ListArray.from_arrays(offsets, values, type=kind))
    named = zip(("met", *JETS), arrays, strict=True)
    return pa.table(arrays, pa.schema([pa.field(n, a.type, nullable=False) for n, a in named]))


def from_lists(table: pa.Table) -> Columns:
    """Return the columns of that table, after the proof that all lists are of equal lengths."""
    columns = {"met": table["met"].to_numpy()}
    for name in JETS:
        lists = table[name].combine_chunks()
        count = lists.value_lengths().to_numpy()
        if (columns.setdefault("jet.count", count) != count).any():
            raise ValueError(f"{name} has other lengths than {JETS[0]}")
        columns[name] = lists.flatten().to_numpy()
    return columns


READERS: dict[str, Callable[[Any, Path], object]] = {
    "awkward": lambda library, file: library.from_parquet(file).type,
    "pandas": lambda library, file: library.read_parquet(file).iloc[0].to_dict(),
    "polars": lambda library, file: library.read_parquet(file).schema,
}
LAYOUTS: dict[str, tuple[Callable[[Columns], pa.Table], Callable[[pa.Table], Columns]]] = {
    "records": (as_records, from_records),
    "lists": (as_lists, from_lists),
}


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """What is written and read."""

    events: Events = 1_000_000


def read_by(name: str, file: Path) -> Row:
    """Return how long another program reads a file, and what it sees; nothing if it is not here."""
    try:
        library = importlib.import_module(name)
    except ImportError:
        return {}
    seen, seconds = timed(lambda: READERS[name](library, file), time.process_time)
    return {"seconds": seconds, "seen": str(seen)}


def measure(options: Asked, results: Results) -> None:
    """Write and read both in turn, and let others read them."""
    events = options.few(options.events, 200)
    pa.set_cpu_count(1)
    stored, _ = checked(drawn(events), SCHEMA, "benchmark")
    written: dict[str, bytes] = {}
    for number in options.turns:
        for layout, (make, take) in LAYOUTS.items():
            content, writing = timed(partial(_write, stored, make), time.process_time)
            read, reading = timed(partial(_read, content, take), time.process_time)
            assert all(np.array_equal(read[name], stored[name]) for name in stored)
            figures = {
                "bytes an event": len(content) / events,
                "ns to write it": 1e9 * writing / events,
                "ns to read it": 1e9 * reading / events,
            }
            results.add({"layout": layout, "events": events}, figures, round=number)
            written[layout] = content
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "events.parquet")
        for layout, content in written.items():
            file.write_bytes(content)
            for name in READERS:
                if figures := read_by(name, file):
                    results.add({"layout": layout, "reader": name}, figures)


def _write(stored: Columns, make: Callable[[Columns], pa.Table]) -> bytes:
    return parquet(make(stored))


def _read(content: bytes, take: Callable[[pa.Table], Columns]) -> Columns:
    return take(pq.read_table(io.BytesIO(content)))
