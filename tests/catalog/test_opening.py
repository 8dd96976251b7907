"""What other libraries hold of a dataset is what its shards hold."""

from pathlib import Path

import awkward
import numpy as np
import pandas
import pytest

import mleg_ray as mleg
from mleg_ray.errors import ConfigError, DataError
from tests.catalog.specs import SHAPED, shaped_columns, shaped_dataset
from tests.dis_events import ELECTRON
from tests.prepared import prepared_dataset


def test_a_frame_has_all_events_in_order(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20, weighted=True)
    frame = mleg.open(dataset, "pandas")
    events = dataset.load()
    assert list(frame) == [field.name for field in dataset.schema.fields]
    assert list(frame.index) == list(range(200))
    for name in ELECTRON:
        np.testing.assert_array_equal(frame[name], events.columns[name])
    np.testing.assert_array_equal(frame["weight"], events.weight)
    assert frame["weight"].min() == -0.5
    assert set(frame["beam_energy"]) == {50.0}  # which no column of the shards has
    assert frame.attrs["units"]["electron.px"] == "GeV"


def test_one_split_of_what_a_path_names(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20)
    frame = mleg.open(f"{dataset.uri}:test", "pandas")
    [shard] = dataset.shards("test")
    np.testing.assert_array_equal(frame["electron.pz"], dataset.columns(shard)["electron.pz"])
    assert len(mleg.open(Path(dataset.uri), "pandas")) == 200


def test_particles_are_momenta(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20)
    events = mleg.open(dataset)
    expected = dataset.load().columns
    px, py, pz, energy = (expected[name].numpy() for name in ELECTRON)
    np.testing.assert_allclose(events.electron.pt, np.hypot(px, py), rtol=1e-6)
    np.testing.assert_allclose(events.electron.eta, np.arcsinh(pz / np.hypot(px, py)), rtol=1e-5)
    assert events.electron.px.tolist() == px.tolist()
    assert events.electron.energy.tolist() == energy.tolist()
    assert awkward.parameters(events)["units"]["electron.energy"] == "GeV"


def test_objects_are_lists_of_momenta_beside_images(tmp_path: Path) -> None:
    dataset, columns = shaped_dataset(tmp_path), shaped_columns(50)
    events = mleg.open(dataset)
    assert awkward.num(events.jet).tolist() == columns["jet.count"].tolist()
    assert awkward.flatten(events.jet.pt).tolist() == columns["jet.pt"].tolist()
    jets = awkward.flatten(events.jet)
    pz = columns["jet.pt"] * np.sinh(columns["jet.eta"].astype(np.float64))
    np.testing.assert_allclose(jets.pz, pz, rtol=1e-5)
    assert jets.tracks.tolist() == columns["jet.tracks"].tolist()
    assert events.muon.px.tolist() == columns["muon.px"].tolist()
    np.testing.assert_allclose(events.met.px, columns["met.pt"] * np.cos(columns["met.phi"]), 1e-5)
    assert events.cells.tolist() == columns["cells"].tolist()
    assert events.weight.tolist() == columns["weight"].tolist()
    assert set(events.energy.tolist()) == {50.0}
    assert awkward.parameters(events)["units"] == {f.name: f.unit for f in SHAPED.fields}


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    dataset = shaped_dataset(tmp_path / "shaped")
    with pytest.raises(DataError, match=r"'jet.pt' is more than one number .* open it as awkward"):
        mleg.open(dataset, "pandas")
    with pytest.raises(ConfigError, match="to='root': there are awkward, .* and ray-data"):
        mleg.open(dataset, "root")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no shards in split 'train'; it has test"):
        mleg.open(f"{dataset.uri}:train")
    (tmp_path / "shaped" / "shards" / "0.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.parquet"):
        mleg.open(dataset)


def test_pandas_reads_what_is_converted(tmp_path: Path) -> None:
    """CSV and Parquet: numbers, weights, order and names."""
    from tests.catalog.test_convert import converted

    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20, weighted=True)
    expected = mleg.open(f"{dataset.uri}:train", "pandas").head(20)
    csv = pandas.read_csv(converted(dataset, "csv", tmp_path / "csv"), dtype=np.float32)
    parquet = pandas.read_parquet(converted(dataset, "parquet", tmp_path / "parquet"))
    for found in (csv, parquet):
        assert list(found) == list(expected)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name].astype(np.float32))


def test_polars_reads_all_events_in_order(tmp_path: Path) -> None:
    pytest.importorskip("polars", reason="polars is of the extra `polars`")
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20, weighted=True)
    frame = mleg.open(dataset, "polars").collect()
    expected = mleg.open(dataset, "pandas")
    assert frame.columns == list(expected)
    for name in expected:
        np.testing.assert_array_equal(frame[name].to_numpy(), expected[name])
        assert frame[name].dtype.is_float()


def test_polars_selects_and_filters_shard_by_shard(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is of the extra `polars`")
    dataset = prepared_dataset(tmp_path / "dis", shard_rows=20)
    expected = mleg.open(dataset, "pandas")
    backward = mleg.open(dataset, "polars").filter(polars.col("electron.pz") < 0)
    pz = expected["electron.pz"].to_numpy()
    assert backward.select("electron.pz").collect().to_series().to_list() == pz[pz < 0].tolist()
    first = mleg.open(dataset, "polars").head(30).select(polars.col("electron.px").sum()).collect()
    assert first.item() == pytest.approx(expected["electron.px"][:30].sum(), rel=1e-6)
    # A shard is read only if its events are needed.
    (Path(dataset.uri) / dataset.shards()[-1].file).write_bytes(b"")
    assert mleg.open(dataset, "polars").head(180).collect().height == 180
    with pytest.raises(DataError, match=r"00009\.parquet"):
        mleg.open(dataset, "polars").collect()


def test_polars_has_objects_and_images(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is of the extra `polars`")
    dataset, columns = shaped_dataset(tmp_path), shaped_columns(50)
    frame = mleg.open(f"{dataset.uri}:test", "polars").collect()
    assert frame["jet"].list.len().to_list() == columns["jet.count"].tolist()
    jets = frame["jet"].explode(empty_as_null=False).struct
    assert jets.field("pt").to_list() == columns["jet.pt"].tolist()
    assert jets.field("tracks").dtype == polars.Int8
    assert frame["cells"].dtype == polars.Array(polars.Int16, (2, 3))
    np.testing.assert_array_equal(frame["cells"].to_numpy(), columns["cells"])
    np.testing.assert_array_equal(frame["hits"].to_numpy(), columns["hits"])
    assert set(frame["energy"]) == {50.0}
