"""Conversion on a real Ray: whole, completed when it was interrupted, and nobody else's folder."""

import json
from pathlib import Path

import pytest

from mleg_ray.catalog.convert import Conversion
from mleg_ray.cluster.convert import CONVERTED, convert
from mleg_ray.errors import ConfigError
from mleg_ray.folder import PLAN, RECORDS, SealedFolder
from tests.prepared import prepared_dataset


def test_all_shards_are_converted_once(ray_cluster: None, tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    out = tmp_path / "out"
    made = convert(dataset.uri, "hdf5", str(out))
    assert [entry.file for entry in made.files] == [f"{i:05d}.h5" for i in range(10)]
    files = {entry.file for entry in made.files}
    assert {path.name for path in out.iterdir()} == {PLAN, CONVERTED, RECORDS, *files}
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert json.loads(before[PLAN])["dataset"] == dataset.digest
    (out / "00003.h5").unlink()
    (out / "00004.h5.12.partial").write_bytes(b"half")
    (out / "00005.h5").write_bytes(b"altered")
    convert(dataset.uri, "hdf5", str(out))
    assert {path.name for path in out.iterdir() if path.is_file()} == set(before)
    again = {"00003.h5", "00005.h5"}
    assert all((out / name).read_bytes() == before[name] for name in files - again)
    assert all((out / name).stat().st_size == len(before[name]) for name in again)


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds other files and no plan.json"):
        convert(dataset.uri, "csv", str(out))
    (out / "thesis.tex").unlink()
    SealedFolder(str(out), Conversion(source="elsewhere", dataset="0" * 64, to="csv")).write_plan()
    with pytest.raises(ConfigError, match=r"holds another conversion \(dataset is 0000"):
        convert(dataset.uri, "csv", str(out))
    assert [path.name for path in out.iterdir()] == [PLAN]
