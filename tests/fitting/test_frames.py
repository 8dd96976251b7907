"""Tables in memory and files of all formats give the same columns."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest

from mleg_ray.errors import DataError
from mleg_ray.fitting.frames import write_frame
from mleg_ray.fitting.tables import read_all

COLUMNS = {"x": np.array([1.5, 2.5, 3.5]), "n": np.array([1, 2, 3])}
PAIRS = [(1.5, 1), (2.5, 2), (3.5, 3)]


def assert_read(place: str) -> None:
    read = read_all(place).columns
    assert {name: np.asarray(x).tolist() for name, x in read.items()} == {
        name: x.tolist() for name, x in COLUMNS.items()
    }


@pytest.mark.parametrize("kind", ["dictionary", "structured", "arrow", "pandas", "awkward"])
def test_frames(tmp_path: Path, kind: str) -> None:
    frame: object = COLUMNS
    if kind == "structured":
        frame = np.array(PAIRS, dtype=[("x", float), ("n", int)])
    elif kind == "arrow":
        frame = pa.table(COLUMNS)
    elif kind == "pandas":
        frame = pytest.importorskip("pandas").DataFrame(COLUMNS, index=[7, 8, 9])
    elif kind == "awkward":
        frame = pytest.importorskip("awkward").zip(COLUMNS)
    assert_read(write_frame(frame, str(tmp_path), "mine"))


def test_equal_frames_are_one_file(tmp_path: Path) -> None:
    assert write_frame(COLUMNS, str(tmp_path), "a") == write_frame(COLUMNS, str(tmp_path), "a")
    with pytest.raises(DataError, match="a int is no table"):
        write_frame(3, str(tmp_path), "a")


def test_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **COLUMNS)
    np.save(tmp_path / "b.npy", np.array(PAIRS, dtype=[("x", float), ("n", int)]))
    pyarrow.feather.write_feather(pa.table(COLUMNS), tmp_path / "c.feather")
    (tmp_path / "d.jsonl").write_text("".join(f'{{"x": {x}, "n": {n}}}\n' for x, n in PAIRS))
    text = "x,n\n" + "".join(f"{x},{n}\n" for x, n in PAIRS)
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress(text.encode()))
    for file in ("a.npz", "b.npy", "c.feather", "d.jsonl", "e.csv.gz"):
        assert_read(str(tmp_path / file))


def test_hdf5_groups_and_matrices(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="HDF5 needs the extra 'hep'")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, x in COLUMNS.items():
            file[f"events/{name}"] = x
    assert_read(str(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["table"] = np.stack(list(COLUMNS.values()), axis=1)
    assert list(read_all(str(tmp_path / "b.h5")).columns) == ["0", "1"]
