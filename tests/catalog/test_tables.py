"""Import of the user's own files: formats, units, constants, and every kind of bad input."""

import sys

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.sources.readers import FileFormat, read_table
from mleg_ray.catalog.sources.tables import ImportConfig
from mleg_ray.errors import ConfigError, DataError, ResourceError, UserError
from mleg_ray.events import EventSchema, Field
from tests.catalog.specs import table_spec, write_tape

A = np.array([1.5, -2.25, 3e-4])
B = np.array([10.0, 20.0, 30.0])


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content)
    return str(file)


def write_hdf5(file, **datasets):
    with h5py.File(file, "w") as handle:
        for name, values in datasets.items():
            handle[name] = values
    return str(file)


FORMATS = {
    "comma.csv": (b"1.5,10\n-2.25,20\n3e-4,30\n", FileFormat(), (0, 1)),
    "windows.csv": (b"1.5,10\r\n-2.25,20\r\n3e-4,30\r\n", FileFormat(), (0, 1)),
    "named.csv": (
        b"# made by hand\na, name, b\n1.5,x,10\n\n-2.25,y,20\n3e-4,z,30",
        FileFormat(header=True),
        ("a", "b"),
    ),
    "blanks.txt": (
        b" 1.5 10 ( 1)\n -2.25\t20 ( 1)\n  3e-4  30 ( 1) \n",
        FileFormat(delimiter=" ", blank="()"),
        (0, 1),
    ),
    "semicolon.txt": (b"1.5;10\n-2.25;20\n3e-4;30\n", FileFormat(delimiter=";"), (0, 1)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_text(tmp_path, name):
    content, file_format, keys = FORMATS[name]
    table = read_table(write(tmp_path, name, content), keys, file_format)
    np.testing.assert_array_equal(table[keys[0]], A)
    np.testing.assert_array_equal(table[keys[1]], B)


def test_binary_formats(tmp_path):
    pq.write_table(pa.table({"a": A, "b": B}), tmp_path / "t.parquet")
    np.save(tmp_path / "matrix.npy", np.column_stack([A, B]))
    np.save(tmp_path / "named.npy", np.rec.fromarrays([A, B], names="a,b"))
    np.savez(tmp_path / "t.npz", a=A, b=B, events=np.column_stack([A, B]))
    write_hdf5(tmp_path / "t.h5", **{"tree/a": A, "tree/b": B, "events": np.column_stack([A, B])})
    for name, keys, table in [
        ("t.parquet", ("a", "b"), None),
        ("t.parquet", (0, 1), None),
        ("matrix.npy", (0, 1), None),
        ("named.npy", ("a", "b"), None),
        ("t.npz", ("a", "b"), None),
        ("t.npz", (0, 1), "events"),
        ("t.h5", ("a", "b"), "tree"),
        ("t.h5", (0, 1), "events"),
    ]:
        columns = read_table(str(tmp_path / name), keys, FileFormat(table=table))
        np.testing.assert_array_equal(columns[keys[0]], A)
        np.testing.assert_array_equal(columns[keys[1]], B)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1,2\n3,nan\n", "line 2, column 1: 'nan' is not a finite number"),
        (b"# c\n1,2\n\n3,inf\n", "line 4, column 1: 'inf'"),
        (b"1,2\n3,abc\n", "line 2, column 1: 'abc'"),
        (b"1,2\n3,\n", "line 2, column 1: ''"),
        (b"1,2\n3,4,5\n", "line 2 has 3 columns, not 2"),
        (b"1,2\n3,4\n5", "line 3 has 1 columns, not 2; it is truncated"),
        (b"1\n2\n", "no column 1; it has 1 columns: 0"),
    ],
)
def test_bad_text_names_line_and_column(tmp_path, content, message):
    file = write(tmp_path, "bad.csv", content)
    with pytest.raises(DataError, match=f"bad.csv.*{message}"):
        read_table(file, (0, 1), FileFormat())


def test_bad_binary_names_row_and_column(tmp_path):
    pq.write_table(pa.table({"a": A, "b": pa.array([1.0, None, 2.0])}), tmp_path / "null.parquet")
    pq.write_table(pa.table({"a": A, "b": ["x", "y", "z"]}), tmp_path / "words.parquet")
    np.savez(tmp_path / "uneven.npz", a=A, b=B[:2])
    write_hdf5(tmp_path / "nan.h5", a=A, b=np.array([1.0, 2.0, np.nan]))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "cube.npy", np.zeros((2, 2, 2)))
    for name, message in [
        ("null.parquet", r"row 1 \(from 0\), column 'b': nan"),
        ("words.parquet", "column 'b' holds object"),
        ("uneven.npz", "columns differ in length"),
        ("nan.h5", "row 2 .*column 'b'"),
        ("objects.npy", "not a whole NumPy file"),
        ("cube.npy", r"shape \(2, 2, 2\) is no table"),
    ]:
        with pytest.raises(DataError, match=f"{name}.*{message}"):
            read_table(str(tmp_path / name), ("a", "b"), FileFormat())


@pytest.mark.parametrize("name", ["t.parquet", "t.npy", "t.npz", "t.h5"])
def test_truncated_files(tmp_path, name):
    pq.write_table(pa.table({"a": A}), tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", A)
    np.savez(tmp_path / "t.npz", a=A)
    write_hdf5(tmp_path / "t.h5", a=np.zeros(10_000))
    content = (tmp_path / name).read_bytes()
    file = write(tmp_path, name, content[: len(content) // 2])
    with pytest.raises(DataError, match=f"{name}: not a whole"):
        read_table(file, ("a",), FileFormat())


def test_missing_h5py_names_the_mend(tmp_path, monkeypatch):
    file = write_hdf5(tmp_path / "t.h5", a=A)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install 'mleg-ray\[hep\]'"):
        read_table(file, ("a",), FileFormat())


def test_missing_table_lists_what_is_there(tmp_path):
    file = write_hdf5(tmp_path / "t.h5", a=A)
    with pytest.raises(DataError, match="no table 'events'; it has a"):
        read_table(file, ("a",), FileFormat(table="events"))


SCHEMA = EventSchema(
    [
        Field(name="energy", unit="GeV"),
        Field(name="theta", unit="rad"),
        Field(name="beam", unit="GeV", role="condition"),
        Field(name="weight", role="weight"),
    ]
)


def config(root, **changes):
    values = {
        "files": [{"path": "*.csv", "constants": {"beam": 10.0}}],
        "columns": {
            "energy": {"column": 0, "unit": "MeV"},
            "theta": {"column": 1, "unit": "deg"},
            "weight": {"column": 2},
        },
        "seed": 1,
        "root": str(root),
    }
    return ImportConfig.model_validate(values | changes)


def test_units_constants_weights_and_one_stratum_a_file(tmp_path):
    write(tmp_path, "a.csv", b"1000,180,-0.5\n2000,90,1\n3000,0,1\n")
    write(tmp_path, "b.csv", b"4000,180,2\n")
    source = config(tmp_path).open(SCHEMA, {}, 2)
    assert source.shard_rows() == [[2, 1], [1]]
    shards = [source.shard(i) for i in range(3)]
    events = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    order = np.argsort(events["energy"])
    np.testing.assert_allclose(events["energy"][order], [1, 2, 3, 4])
    np.testing.assert_allclose(events["theta"][order], [np.pi, np.pi / 2, 0, np.pi])
    np.testing.assert_array_equal(events["weight"][order], [-0.5, 1, 1, 2])
    np.testing.assert_array_equal(events["beam"], [10.0] * 4)


def test_events_are_shuffled_within_a_file_and_none_is_lost(tmp_path):
    energies = np.loadtxt(write_tape(tmp_path), delimiter=",")[:, 0]
    spec = table_spec(tmp_path)
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    shards = [source.shard(i)["electron.energy"] for i in range(20)]
    np.testing.assert_array_equal(np.sort(np.concatenate(shards)), energies)
    means = [shard.mean() for shard in shards]
    assert np.ptp(means) < 4  # in the file's own order the means would span 8.6 GeV


def test_root_from_the_environment(tmp_path, monkeypatch):
    write_tape(tmp_path)
    monkeypatch.setenv("MLEG_IMPORT_ROOT", str(tmp_path))
    spec = table_spec("unused").model_copy()
    source = spec.source.model_copy(update={"root": None})
    assert source.open(spec.schema_, spec.conditions, 20).shard_rows() == [[20] * 20]


def test_files_at_a_uri(tmp_path):
    import fsspec

    fsspec.filesystem("memory").pipe("/tapes/fat-gan/tape2.txt", write_tape(tmp_path).read_bytes())
    spec = table_spec("memory://tapes")
    assert spec.source.open(spec.schema_, spec.conditions, 20).shard_rows() == [[20] * 20]


def test_where_files_lie_enters_neither_digest_nor_record(tmp_path):
    here, there = table_spec(tmp_path), table_spec(tmp_path / "elsewhere")
    assert here.digest() == there.digest()
    assert str(tmp_path) not in here.to_toml()


def test_a_file_that_changed_is_read_again(tmp_path):
    write(tmp_path, "a.csv", b"1000,180,1\n")
    assert config(tmp_path).open(SCHEMA, {}, 2).shard(0)["energy"].tolist() == [1]
    write(tmp_path, "a.csv", b"2000,180,1\n3000,180,1\n")
    assert config(tmp_path).open(SCHEMA, {}, 2).shard_rows() == [[2]]


def test_absent_files_name_the_mend(tmp_path):
    spec = table_spec(tmp_path)
    with pytest.raises(DataError, match=r"tape2.txt: no such file.*source.root.*MLEG_IMPORT_ROOT"):
        spec.source.open(spec.schema_, spec.conditions, 20)


def test_a_file_without_events(tmp_path):
    write(tmp_path, "a.csv", b"# energy, theta, weight\n")
    with pytest.raises(DataError, match=r"a.csv: no events"):
        config(tmp_path).open(SCHEMA, {}, 2).shard_rows()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "source.columns={ 'electron.px' = { column = 1, unit = 'rad' } }",
            r"columns.electron.px: rad \(angle\) cannot be converted to GeV",
        ),
        ("source.columns.pxx.column=4", "must name each of"),
        ("source.columns.px.unit='furlong'", "source.columns.px.unit"),
        ("source.columns.px.column=-1", "source.columns.px.column"),
        ("source.files=[]", "source.files"),
        ("source.format.delimeter=' '", "unknown key 'source.format.delimeter'"),
    ],
)
def test_bad_configuration(tmp_path, assignment, message):
    with pytest.raises(ConfigError, match=message):
        table_spec(tmp_path, assignment)


def test_a_folder_is_no_table(tmp_path):
    (tmp_path / "fat-gan" / "tape2.txt").mkdir(parents=True)
    spec = table_spec(tmp_path)
    with pytest.raises(ResourceError, match="directory"):
        spec.source.open(spec.schema_, spec.conditions, 20).shard_rows()
