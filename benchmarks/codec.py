"""Objects in Parquet: one list of records, or a list for each of their fields.

Events of 0 to 8 jets of four fields, as `mleg` writes them and in parallel lists: the file's size,
the processor's time to write and read it, and what other programs read.

    python benchmarks/codec.py --events 1_000_000
"""

import argparse
import importlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.results import keep, rounded

from mleg_ray.catalog.codec import Columns, checked, to_columns, to_table
from mleg_ray.catalog.shards import parquet
from mleg_ray.events import EventSchema, Field, Group

T = TypeVar("T")
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
    return to_table(stored, SCHEMA, FIELDS, {})


def from_records(table: pa.Table) -> Columns:
    """Return the columns of that table."""
    return to_columns(table, SCHEMA, FIELDS, "benchmark")


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


def timed(work: Callable[[], T], tries: int = 5) -> tuple[T, float]:
    """Return what the work returns, and the median of its seconds of a processor."""
    seconds = []
    for _ in range(tries):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return result, statistics.median(seconds)


READERS: dict[str, Callable[[Any, Path], object]] = {
    "awkward": lambda library, file: library.from_parquet(file).type,
    "pandas": lambda library, file: library.read_parquet(file).iloc[0].to_dict(),
    "polars": lambda library, file: library.read_parquet(file).schema,
}


def read_by(name: str, file: Path) -> dict[str, object]:
    """Return how long another program reads a file, and what it sees; nothing if it is not here."""
    try:
        library = importlib.import_module(name)
    except ImportError:
        return {}
    seen, seconds = timed(lambda: READERS[name](library, file), 1)
    return {f"{name}_seconds": seconds, name: str(seen)}


def main() -> None:
    """Write and read both; print nanoseconds and bytes an event, and what others read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    pa.set_cpu_count(1)
    stored, _ = checked(drawn(events), SCHEMA, FIELDS, "benchmark")
    rows = {}
    for layout, make, take in (
        ("records", as_records, from_records),
        ("lists", as_lists, from_lists),
    ):
        content, writing = timed(partial(lambda make: parquet(make(stored)), make))
        read, reading = timed(
            partial(lambda take, file: take(pq.read_table(io.BytesIO(file))), take, content)
        )
        assert all(np.array_equal(read[name], stored[name]) for name in stored)
        rows[layout] = {
            "bytes": len(content) / events,
            "write_ns": 1e9 * writing / events,
            "read_ns": 1e9 * reading / events,
        }
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "events.parquet")
            file.write_bytes(content)
            for name in READERS:
                rows[layout] |= read_by(name, file)
        print(layout)
        for key, value in rounded(rows[layout]).items():
            print(f"  {key}: {value}")
    keep("codec", {"events": events, **rows})


if __name__ == "__main__":
    main()
