"""A dataset of Ray Data holds what the shards hold: numbers, units, weights and order."""

from pathlib import Path

import numpy as np
import pytest

import mleg_ray as mleg
from tests.catalog.specs import SHAPED, shaped_columns, shaped_dataset
from tests.prepared import prepared_dataset

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_all_events_in_order_with_units(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20, weighted=True)
    events = mleg.open(dataset, "ray-data")
    blocks = list(events.iter_batches(batch_size=None, batch_format="numpy"))
    assert [len(block["weight"]) for block in blocks] == [20] * 10
    expected = mleg.open(dataset, "pandas")
    assert list(blocks[0]) == list(expected)
    for name in expected:
        values = np.concatenate([block[name] for block in blocks])
        np.testing.assert_array_equal(values, expected[name])
    schema = events.schema().base_schema
    assert {name: schema.field(name).metadata[b"unit"].decode() for name in schema.names} == {
        field.name: field.unit for field in dataset.schema.fields
    }


def test_a_split_of_objects_and_images(tmp_path: Path) -> None:
    dataset, columns = shaped_dataset(tmp_path), shaped_columns(50)
    events = mleg.open(f"{dataset.uri}:test", "ray-data")
    [block] = events.iter_batches(batch_size=None, batch_format="numpy")
    assert [len(jets) for jets in block["jet"]] == columns["jet.count"].tolist()
    pt = [jet["pt"] for jets in block["jet"] for jet in jets]
    assert pt == columns["jet.pt"].tolist()
    for image in ("cells", "hits"):
        np.testing.assert_array_equal(block[image], columns[image])
        assert block[image].dtype == columns[image].dtype
    schema = events.schema().base_schema
    assert schema.field("cells").metadata == {b"unit": b"MeV"}
    jet = schema.field("jet").type.value_type
    units = {f"jet.{field.name}": field.metadata[b"unit"].decode() for field in jet}
    assert units == {f.name: f.unit for f in SHAPED.fields if f.group == "jet"}


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20)
    shard = dataset.shards("test")[0]
    (Path(dataset.uri) / shard.file).write_bytes(b"")
    events = mleg.open(f"{dataset.uri}:test", "ray-data")
    with pytest.raises(Exception, match=r"00009\.parquet"):
        events.take(1)
