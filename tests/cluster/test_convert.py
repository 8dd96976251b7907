"""Conversion on a real Ray: whole, completed when it was interrupted, and nobody else's folder."""

import json
from pathlib import Path

import pytest

from mleg_ray.cluster.convert import CONVERSION, convert
from mleg_ray.errors import ConfigError
from tests.prepared import prepared_dataset


def test_all_shards_are_converted_once(ray_cluster: None, tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    out = tmp_path / "out"
    made = convert(dataset.uri, "hdf5", str(out))
    assert [entry.file for entry in made.files] == [f"{i:05d}.h5" for i in range(10)]
    assert {path.name for path in out.iterdir()} == {CONVERSION, *(e.file for e in made.files)}
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    told = json.loads(before[CONVERSION])
    assert told["dataset"] == dataset.digest
    (out / "00003.h5").unlink()
    (out / "00004.h5.12.partial").write_bytes(b"half")
    convert(dataset.uri, "hdf5", str(out))
    assert {path.name for path in out.iterdir()} == set(before)
    kept = set(before) - {"00003.h5", CONVERSION}
    assert all((out / name).read_bytes() == before[name] for name in kept)


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds other files and no conversion.json"):
        convert(dataset.uri, "csv", str(out))
    (out / "thesis.tex").unlink()
    told = {"source": "elsewhere", "dataset": "0" * 64, "to": "csv"}
    (out / CONVERSION).write_text(json.dumps(told))
    with pytest.raises(ConfigError, match="holds another conversion"):
        convert(dataset.uri, "csv", str(out))
    assert [path.name for path in out.iterdir()] == [CONVERSION]
