"""One shard: precision, units and every way it can be wrong."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.shards import footer_metadata, read_shard, write_shard
from mleg_ray.errors import DataError
from mleg_ray.events import EventSchema, Field

FIELDS = (
    Field(name="energy", unit="GeV", description="E"),
    Field(name="theta", unit="rad", dtype="float64"),
    Field(name="w", role="weight"),
)
SCHEMA = EventSchema(FIELDS)
COLUMNS = {
    "energy": np.array([1.1, 2.2, 3.3]),
    "theta": np.array([0.1, 0.2, 0.3]),
    "w": np.array([1.0, -1.0, 0.5]),
}


def write(folder, columns=COLUMNS):
    metadata = footer_metadata(index=0)
    return write_shard(str(folder), "0.parquet", columns, SCHEMA, metadata, split="train")


def test_round_trip_in_the_stored_precision(tmp_path):
    entry = write(tmp_path)
    assert (entry.rows, entry.split) == (3, "train")
    events = read_shard(str(tmp_path), entry, SCHEMA, SCHEMA, {})
    np.testing.assert_array_equal(events.columns["theta"], COLUMNS["theta"])
    np.testing.assert_array_equal(events.columns["energy"], COLUMNS["energy"].astype(np.float32))
    np.testing.assert_array_equal(events.weight, COLUMNS["w"])


def test_units_and_roles_are_in_the_file(tmp_path):
    write(tmp_path)
    schema = pq.read_schema(tmp_path / "0.parquet")
    assert schema.field("energy").metadata[b"unit"] == b"GeV"
    assert schema.field("w").metadata[b"role"] == b"weight"
    assert schema.metadata[b"mleg.index"] == b"0"


def test_same_events_same_bytes(tmp_path):
    assert write(tmp_path) == write(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_what_is_not_finite_as_stored_is_refused(tmp_path, value):
    columns = COLUMNS | {"energy": np.array([1.0, value, 2.0])}
    with pytest.raises(DataError, match=r"'energy'.*first row 1"):
        write(tmp_path, columns)
    assert not list(tmp_path.iterdir())


def test_missing_columns(tmp_path):
    with pytest.raises(DataError, match="no column 'w'; there are energy, theta"):
        write(tmp_path, {name: COLUMNS[name] for name in ("energy", "theta")})
    entry = write(tmp_path)
    with pytest.raises(DataError, match="no column phi"):
        read_shard(str(tmp_path), entry, EventSchema([Field(name="phi")]), SCHEMA, {})
