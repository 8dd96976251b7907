"""Import of the user's own files: formats, units, constants, and every kind of bad input."""

import contextlib
import gzip
import json
import sys

import awkward
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import uproot

from mleg_ray.catalog.convert import FORMATS as CONVERTED
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.sources.readers import FileFormat, read_table
from mleg_ray.catalog.sources.tables import ImportConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError, UserError
from mleg_ray.events import EventSchema, Field, Group
from tests.catalog.specs import SHAPED, shaped_columns, shaped_dataset, table_spec, write_tape

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
    np.save(tmp_path / "list.npy", np.zeros(2))
    np.savez(tmp_path / "number.npz", a=3.0, b=B)
    write_hdf5(tmp_path / "none.h5", a=h5py.Empty("f4"), b=B)
    for name, message in [
        ("null.parquet", r"row 1 \(from 0\), column 'b': nan"),
        ("words.parquet", "column 'b' holds object"),
        ("uneven.npz", "columns differ in length"),
        ("nan.h5", "row 2 .*column 'b'"),
        ("objects.npy", "not a whole NumPy file"),
        ("cube.npy", "no column 'a'; it has 1 columns: 0"),
        ("list.npy", r"shape \(2,\) is no table"),
        ("number.npz", r"column 'a' has not one entry for each event: it is np.float64\(3.0\)"),
        ("none.h5", "column 'a' has not one entry for each event"),
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


@pytest.mark.parametrize("name", ["t.npy", "t.npz", "packed.npz", "t.h5"])
def test_altered_bytes_are_told_in_one_line(tmp_path, name):
    """Whatever NumPy and h5py say of them: 200 files with one to eight other bytes each."""
    np.save(tmp_path / "t.npy", A)
    np.savez(tmp_path / "t.npz", a=A)
    np.savez_compressed(tmp_path / "packed.npz", a=np.arange(100.0))
    write_hdf5(tmp_path / "t.h5", a=A)
    content = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(200):
        altered = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 9)):
            altered[place] = rng.integers(0, 256)
        with contextlib.suppress(DataError):  # or read: not every byte means something
            read_table(write(tmp_path, f"altered-{name}", bytes(altered)), ("a",), FileFormat())


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
    with pytest.raises(DataError, match=r"a.csv: no events; remove the file, or name the others"):
        config(tmp_path).open(SCHEMA, {}, 2).shard_rows()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "source.columns.\"electron.px\".unit='rad'",
            r"columns.electron.px: rad \(angle\) cannot be converted to GeV",
        ),
        ("source.columns.pxx.column=4", "must name each of"),
        ("source.columns.\"electron.px\".unit='furlong'", "source.columns.electron.px.unit"),
        ('source.columns."electron.px".column=-1', "source.columns.electron.px.column"),
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
    with pytest.raises(DataError, match=r"tape2.txt: no such file, and no folder of Parquet"):
        spec.source.open(spec.schema_, spec.conditions, 20)


EVENTS = EventSchema(
    [
        Field(name="met", unit="GeV"),
        Field(name="jet.pt", unit="GeV"),
        Field(name="jet.flavour", dtype="int8"),
        Field(name="cells", unit="GeV", shape=(2, 3)),
        Field(name="weight", role="weight"),
    ],
    {"jet": Group(most=2, ordered_by="pt")},
)
JETS = {
    "pt": [[10.0, 30, 20], [], [5], [7, 8]],
    "flavour": [[1, 3, 2], [], [4], [-5, 6]],
}
MET = np.array([1.0, 2, 3, 4])
CELLS = np.arange(24, dtype=np.float32).reshape(4, 2, 3)


def records(**fields: list) -> list:
    """A list of records for each event."""
    return [
        [dict(zip(fields, row, strict=True)) for row in zip(*event, strict=True)]
        for event in zip(*fields.values(), strict=True)
    ]


def fixed(images, *sizes):
    """Nested Arrow lists of fixed sizes."""
    array = pa.array(images.ravel())
    for size in reversed(sizes):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


def shaped(root, **changes):
    values = {
        "files": [{"path": "*.*", "constants": {"weight": -0.5}}],
        "columns": {
            "met": {"column": "met", "unit": "MeV"},
            "jet.pt": {"column": "jet_pt", "unit": "MeV"},
            "jet.flavour": {"column": "jet_flavour"},
            "cells": {"column": "cells", "unit": "MeV"},
        },
        "seed": 1,
        "root": str(root),
    }
    return ImportConfig.model_validate(values | changes)


def in_record(name):
    """The same with the column `jet` of records."""
    columns = shaped("").model_dump()["columns"]
    columns |= {
        "jet.pt": {"column": f"{name}.pt", "unit": "MeV"},
        "jet.flavour": {"column": f"{name}.flavour"},
    }
    return {"columns": columns}


PADDING = {"pt": 0.0, "flavour": -9}


def in_slots(**changes):
    """The same with a column for each object, padded where there is none."""
    columns = shaped("").model_dump()["columns"]
    for part, padding in PADDING.items():
        names = [f"jet{rank}_{part}" for rank in (1, 2, 3)]
        columns[f"jet.{part}"]["column"] = {"slots": names, "padding": padding}
    for name, change in changes.items():
        columns[f"jet.{name}"]["column"] = change
    return {"columns": columns}


def slots():
    """The columns that `in_slots` names."""
    found = {"met": MET, "cells": fixed(CELLS, 2, 3)}
    for part, lists in JETS.items():
        padded = np.array([(values + 3 * [PADDING[part]])[:3] for values in lists])
        found |= {f"jet{rank}_{part}": column for rank, column in enumerate(padded.T, 1)}
    return found


def assert_same_events(source, expected_rows=(2, 2)):
    """All events are there, shuffled, each with its own objects and image."""
    assert [list(rows) for rows in source.shard_rows()] == [list(expected_rows)]
    seen = set()
    for index in range(len(expected_rows)):
        columns = source.shard(index)
        start = 0
        for row, met in enumerate(columns["met"]):
            event = round(float(met) * 1000) - 1
            seen.add(event)
            count = columns["jet.count"][row]
            mine = slice(start, start + count)
            np.testing.assert_allclose(1000 * columns["jet.pt"][mine], JETS["pt"][event])
            assert columns["jet.flavour"][mine].tolist() == JETS["flavour"][event]
            np.testing.assert_allclose(1000 * columns["cells"][row], CELLS[event], rtol=1e-6)
            start += count
        assert (columns["weight"] == -0.5).all()
    assert seen == {0, 1, 2, 3}


def parquet_tables():
    lists = {f"jet_{name}": pa.array(values) for name, values in JETS.items()}
    plain = {"met": MET, "cells": fixed(CELLS, 2, 3)}
    whole = pa.array(JETS["flavour"], pa.large_list(pa.int64()))
    return {
        "lists": ({**lists, **plain}, {}),
        "whole numbers and large lists": ({**lists, **plain, "jet_flavour": whole}, {}),
        "flat images": ({**lists, **plain, "cells": fixed(CELLS.reshape(4, 6), 6)}, {}),
        "images as lists": (
            {**lists, **plain, "cells": pa.array(CELLS.reshape(4, 6).tolist())},
            {},
        ),
        "images as lists of rows": ({**lists, **plain, "cells": pa.array(CELLS.tolist())}, {}),
        "lists of records": ({**plain, "jet": pa.array(records(**JETS))}, in_record("jet")),
        "records of lists": (
            {
                **plain,
                "jet": pa.StructArray.from_arrays(
                    [pa.array(values) for values in JETS.values()], list(JETS)
                ),
            },
            in_record("jet"),
        ),
        "names with a dot": (
            {**plain, **{f"jet.{name}": pa.array(values) for name, values in JETS.items()}},
            in_record("jet"),
        ),
        "a column for each object": (slots(), in_slots()),
    }


@pytest.mark.parametrize("name", parquet_tables())
def test_lists_and_arrays_of_parquet_are_objects_and_images(tmp_path, name):
    table, changes = parquet_tables()[name]
    pq.write_table(pa.table(table), tmp_path / "t.parquet", row_group_size=3)
    assert_same_events(shaped(tmp_path, **changes).open(EVENTS, {}, 2))


def test_awkward_arrays_are_objects(tmp_path):
    jets = awkward.zip({name: awkward.Array(values) for name, values in JETS.items()})
    events = awkward.zip({"met": MET, "jet": jets, "cells": CELLS}, depth_limit=1)
    awkward.to_parquet(events, tmp_path / "t.parquet")
    assert_same_events(shaped(tmp_path, **in_record("jet")).open(EVENTS, {}, 2))


def test_arrays_of_any_length_in_hdf5_are_objects(tmp_path):
    lists = h5py.vlen_dtype(np.float32), h5py.vlen_dtype(np.int8)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["met"], file["cells"] = MET, CELLS
        for (name, values), dtype in zip(JETS.items(), lists, strict=True):
            column = file.create_dataset(f"jet_{name}", (4,), dtype)
            for row, jets in enumerate(values):
                column[row] = jets
    assert_same_events(shaped(tmp_path).open(EVENTS, {}, 2))


def test_arrays_of_numpy_are_images(tmp_path):
    schema = EventSchema(EVENTS.fields[3:4])
    for name, key, save in (
        ("cube.npy", 0, np.save),
        ("named.npz", "cells", lambda place, images: np.savez(place, cells=images, other=MET)),
    ):
        save(tmp_path / name, CELLS)
        columns = {"cells": {"column": key, "unit": "GeV"}}
        source = shaped(tmp_path, files=[{"path": name}], columns=columns).open(schema, {}, 4)
        source.shard_rows()
        found = source.shard(0)["cells"]
        assert found.dtype == np.float32  # images keep their precision: they need the memory
        order = np.argsort(found[:, 0, 0])
        np.testing.assert_array_equal(found[order], CELLS)


def test_units_of_half_precision_are_converted_in_double(tmp_path):
    schema = EventSchema([Field(name="cells", unit="MeV", shape=(2, 3))])
    np.save(tmp_path / "t.npy", np.full((4, 2, 3), 100, dtype=np.float16))
    columns = {"cells": {"column": 0, "unit": "GeV"}}
    source = shaped(tmp_path, files=[{"path": "t.npy"}], columns=columns).open(schema, {}, 4)
    source.shard_rows()
    assert (source.shard(0)["cells"] == 1e5).all()


def test_no_event_needs_an_object(tmp_path):
    """A list without a single number has no type."""
    empty = {name: pa.array([[]] * 4) for name in ("jet_pt", "jet_flavour")}
    pq.write_table(pa.table(parquet_tables()["lists"][0] | empty), tmp_path / "t.parquet")
    source = shaped(tmp_path).open(EVENTS, {}, 4)
    source.shard_rows()
    assert source.shard(0)["jet.count"].tolist() == [0] * 4


def test_what_was_prepared_can_be_imported(tmp_path):
    """A shard of this package is a Parquet file like others."""
    pq.write_table(pa.table(parquet_tables()["lists"][0]), tmp_path / "t.parquet")
    source = shaped(tmp_path).open(EVENTS, {}, 4)
    source.shard_rows()
    folder = tmp_path / "shards"
    entry = write_shard(str(folder), "0.parquet", source.shard(0), EVENTS, {}, split="train")
    names = ("met", "jet.pt", "jet.flavour", "cells", "weight")
    units = {field.name: field.unit for field in EVENTS.fields}
    columns = {name: {"column": name, "unit": units[name]} for name in names}
    again = shaped(folder, files=[{"path": "*.parquet"}], columns=columns).open(EVENTS, {}, 4)
    again.shard_rows()
    assert entry.dropped == {"jet": 1}
    assert again.shard(0)["jet.count"].sum() == 5
    np.testing.assert_allclose(np.sort(again.shard(0)["met"]), MET / 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"jet_flavour": pa.array([[1, 3, 2], [], [4], [-5]])},
            r"row 3 \(from 0\): column 'jet_pt' has 2 objects of 'jet', column 'jet_flavour' 1",
        ),
        ({"jet_pt": pa.array(MET)}, "'jet_pt' holds one number for each event.* need a list"),
        (
            {"jet_pt": fixed(CELLS.reshape(4, 6), 6)},
            r"'jet_pt' holds an array of shape \(6,\) for each event.* need a list",
        ),
        (
            {"jet_pt": pa.array([[1.0, 2, 3], [], [None], [7, 8]])},
            r"row 2 \(from 0\), column 'jet_pt': nan is not a finite number \(1 such rows\)",
        ),
        (
            {"jet_pt": pa.array([[1.0, 2, np.inf], [], [np.nan], [7, np.nan]])},
            r"row 0 \(from 0\), column 'jet_pt': inf is not a finite number \(3 such rows\)",
        ),
        (
            {"jet_pt": pa.array([[1.0, 2, 3], None, [1], [7, 8]])},
            r"row 1 \(from 0\), column 'jet_pt': a list<.*> is missing \(1 such rows\)",
        ),
        (
            {"jet_pt": pa.array([[[1.0]], [[1.0], [2]], [], [[3.0, 4]]])},
            "'jet_pt' holds lists of lists of different lengths; a field of a group needs one list",
        ),
        ({"jet_pt": pa.array([["a"], [], [], []])}, "'jet_pt' holds object of shape .*not numbers"),
        (
            {"jet_pt": pa.array([[{"x": 1}], [], [], []])},
            "'jet_pt' leads to records of x; name one of these behind a dot, as 'jet_pt.x'",
        ),
        (
            {"jet_pt": pa.array([[[1.0, 2]]] * 4, pa.list_(pa.list_(pa.float64(), 2)))},
            r"'jet_pt' holds an array of shape \(1, 2\) for each event.* need a list",
        ),
        (
            {"met": pa.array(JETS["pt"])},
            (
                "'met' holds a list for each event, and 'met' is one number; declare it as a field "
                "of a group with `most` and `ordered_by`, or give it a `shape`"
            ),
        ),
        (
            {"met": fixed(CELLS, 2, 3)},
            r"'met' holds an array of shape \(2, 3\).*'met' is one number; .*shape = \[2, 3\]",
        ),
        (
            {"jet_flavour": pa.array([[1, 3, 2], [], [128], [-5, 6]])},
            "column 'jet_flavour': 128.0 in row 2 .from 0. would be -128 in int8",
        ),
        (
            {"met": pa.array([1.0, 2, 3, 1e43])},
            "column 'met': 1e.40 in row 3 .from 0. would be inf in float32",
        ),
        (
            {"cells": pa.array(MET)},
            r"'cells' holds one number.*'cells' is an array of shape \(2, 3\); .* no `shape`",
        ),
        (
            {"cells": pa.array([[[1.0, 2, 3]] * 2, [[1.0, 2], [3, 4, 5, 6]]] * 2)},
            "'cells' holds lists of lists of different lengths; .* an image lists of one size",
        ),
        (
            {"cells": pa.array([[[1.0, 2, 3]] * 2, [[1.0, 2, 3], None]] * 2)},
            r"row 1 \(from 0\), column 'cells': a list<.*> is missing \(2 such rows\)",
        ),
        (
            {"cells": fixed(CELLS, 3, 2)},
            r"'cells' holds an array of shape \(3, 2\).*shape = \[3, 2\]",
        ),
        (
            {"cells": pa.array([[1.0] * 6, [1.0] * 6, [1.0] * 5, [1.0] * 6])},
            r"'cells' has 5 numbers in row 2 \(from 0\), and images of 'cells' have 6",
        ),
        (
            {"cells": pa.FixedShapeTensorArray.from_numpy_ndarray(CELLS.reshape(4, 3, 2))},
            r"'cells' holds an array of shape \(3, 2\).*shape = \[3, 2\]",
        ),
        (
            {
                "cells": pa.ExtensionArray.from_storage(
                    pa.fixed_shape_tensor(pa.float32(), [3, 2], permutation=[1, 0]),
                    fixed(CELLS.reshape(4, 6), 6),
                )
            },
            "'cells' holds arrays whose axes are stored in another order",
        ),
        ({"jet_pt": pa.array([[None], [], [], []])}, r"row 0 \(from 0\), column 'jet_pt': nan is"),
        (
            {"cells": fixed(np.where(CELLS > 12, np.nan, CELLS), 2, 3)},
            r"row 2 \(from 0\), column 'cells': nan is not a finite number \(2 such rows\)",
        ),
    ],
)
def test_columns_of_another_form_are_refused_before_any_work(tmp_path, change, message):
    pq.write_table(pa.table(parquet_tables()["lists"][0] | change), tmp_path / "t.parquet")
    source = shaped(tmp_path).open(EVENTS, {}, 2)
    with pytest.raises(DataError, match=f"t.parquet: .*{message}"):
        source.shard_rows()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("jet", "column 'jet' leads to records of pt, flavour; name one of these.*'jet.pt'"),
        ("jet.eta", "column 'jet.eta' leads to records of pt, flavour; .* as 'jet.pt'"),
        ("jet.pt.x", "column 'jet.pt.x': double has no field 'x'"),
        ("muon.pt", "no column 'muon.pt'; it has 3 columns: met, cells, jet"),
    ],
)
def test_records_are_named_by_a_field(tmp_path, key, message):
    pq.write_table(pa.table(parquet_tables()["lists of records"][0]), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=f"t.parquet: {message}"):
        read_table(str(tmp_path / "t.parquet"), (key,), FileFormat())


def test_a_record_that_is_missing_is_refused(tmp_path):
    jets = records(**JETS)
    jets[2][0] = None
    pq.write_table(pa.table({"jet": pa.array(jets)}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"row 2 \(from 0\), column 'jet.pt': a struct<.* missing"):
        read_table(str(tmp_path / "t.parquet"), ("jet.pt",), FileFormat())


def test_an_object_is_there_if_one_of_its_numbers_is(tmp_path):
    """Flavour 0 is padded with 0, and gluons have it: their momentum tells that they are there."""
    flavours = {f"jet{rank}_flavour": np.zeros(4, int) for rank in (1, 2, 3)}
    pq.write_table(pa.table(slots() | flavours), tmp_path / "t.parquet")
    columns = in_slots()["columns"]
    columns["jet.flavour"]["column"]["padding"] = 0.0
    source = shaped(tmp_path, columns=columns).open(EVENTS, {}, 4)
    source.shard_rows()
    assert source.shard(0)["jet.count"].sum() == 6
    assert (source.shard(0)["jet.flavour"] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pt": {"slots": ["a", "b"]}}, "jet.pt has 2 slots and jet.flavour has 3; each object"),
        ({"pt": "jet_pt"}, "jet.pt has 0 slots and jet.flavour has 3; each object needs all"),
        (
            {"pt": {"slots": ["jet1_pt", "jet1_flavour", "jet3_pt"]}},
            "jet.pt and jet.flavour both read column 'jet1_flavour'",
        ),
    ],
)
def test_slots_must_fit_each_other(change, message):
    with pytest.raises(ConfigError, match=message):
        shaped("", **in_slots(**change)).check(EVENTS, {})


def test_slots_are_of_objects_and_numbers(tmp_path):
    columns = in_slots()["columns"]
    columns["met"]["column"] = {"slots": ["met"]}
    with pytest.raises(ConfigError, match="columns.met: slots are of objects; declare groups.met"):
        shaped("", columns=columns).check(EVENTS, {})
    lists = pa.array([[1.0], [], [2.0, 3.0], []])
    pq.write_table(pa.table(slots() | {"jet2_pt": lists}), tmp_path / "t.parquet")
    message = "column 'jet2_pt' holds a list for each event, and a slot of 'jet.pt' is one number"
    with pytest.raises(DataError, match=message):
        shaped(tmp_path, **in_slots()).open(EVENTS, {}, 4).shard_rows()


def test_objects_have_no_constants(tmp_path):
    columns = shaped(tmp_path).model_dump()["columns"]
    del columns["jet.flavour"]
    files = [{"path": "*.*", "constants": {"weight": 1.0, "jet.flavour": 1.0}}]
    with pytest.raises(ConfigError, match="'jet.flavour' is no single number of the event"):
        shaped(tmp_path, columns=columns, files=files).check(EVENTS, {})


@pytest.mark.parametrize("kind", ["hdf5", "root"])
def test_what_was_converted_can_be_imported(tmp_path, kind):
    """Objects, images, numbers and weights of `mleg convert`'s files, as they were stored."""
    dataset = shaped_dataset(tmp_path / "dataset")
    columns = shaped_columns(50)
    form = CONVERTED[kind]
    place = tmp_path / f"t{form.suffix}"
    form.write(place, columns | {"energy": np.full(50, 50.0)}, dataset.manifest)
    stored = SHAPED.without({"energy"})
    names = {f.name: f.name.replace(".", "_") if kind == "root" else f.name for f in stored.fields}
    values = {
        "files": [{"path": place.name}],
        "columns": {f.name: {"column": names[f.name], "unit": f.unit} for f in stored.fields},
        "format": {"table": "events"},
        "negative": "keep",
        "seed": 1,
        "root": str(tmp_path),
    }
    source = ImportConfig.model_validate(values).open(stored, {}, 50)
    assert source.shard_rows() == [[50]]
    again = source.shard(0)
    order = np.argsort(again["met.pt"])
    expected = np.argsort(columns["met.pt"])
    for name in ("met.pt", "muon.px", "cells", "hits", "weight", "jet.count"):
        np.testing.assert_array_equal(again[name][order], columns[name][expected])
    for name in ("jet.pt", "jet.tracks"):
        found, wanted = (
            np.split(part[name], np.cumsum(part["jet.count"])[:-1]) for part in (again, columns)
        )
        for i, j in zip(order, expected, strict=True):
            np.testing.assert_array_equal(found[i], wanted[j])


@pytest.mark.parametrize("count", [[1, 1], [4, -1]])
def test_counts_that_count_others_in_hdf5(tmp_path, count):
    write_hdf5(tmp_path / "t.h5", **{"jet.pt": A, "jet.count": np.array(count)})
    with pytest.raises(DataError, match="'jet.pt' has 3 numbers, and 'jet.count' does not count"):
        read_table(str(tmp_path / "t.h5"), ("jet.pt",), FileFormat())


def test_trees_of_root(tmp_path):
    """Numbers and lists of a TTree, and records of an RNTuple."""
    jets = awkward.zip({name: awkward.Array(values) for name, values in JETS.items()})
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("tree", {"met": "float64", "Jet": jets.type})
        file["tree"].extend({"met": MET, "Jet": jets})
    with uproot.recreate(tmp_path / "n.root") as file:
        file.mkrntuple("events", {"met": MET, "jet": jets})
    for name, keys in (
        ("t.root", ("met", "Jet_pt", "Jet_flavour", "nJet")),
        ("n.root", ("met", "jet.pt", "jet.flavour")),
    ):
        table = read_table(str(tmp_path / name), keys, FileFormat())
        np.testing.assert_array_equal(table["met"], MET)
        for key, values in zip(keys[1:3], JETS.values(), strict=True):
            assert table[key].count.tolist() == [3, 0, 1, 2]
            assert table[key].values.tolist() == [x for row in values for x in row]


@pytest.mark.parametrize(
    ("key", "table", "message"),
    [
        ("a", None, "has 2 trees: one, two; name one with source.format.table"),
        ("a", "three", "no table 'three'; it has one, two"),
        ("b", "one", "no column 'b'; it has 1 columns: a"),
    ],
)
def test_trees_and_branches_that_are_not_there(tmp_path, key, table, message):
    with uproot.recreate(tmp_path / "t.root") as file:
        for name in ("one", "two"):
            file.mktree(name, {"a": "float64"})
            file[name].extend({"a": A})
    with pytest.raises(DataError, match=f"t.root: {message}"):
        read_table(str(tmp_path / "t.root"), (key,), FileFormat(table=table))


def test_a_truncated_root_file(tmp_path):
    with uproot.recreate(tmp_path / "t.root") as file:
        file.mktree("tree", {"a": "float64"})
        file["tree"].extend({"a": np.arange(1000.0)})
    content = (tmp_path / "t.root").read_bytes()
    file = write(tmp_path, "t.root", content[: len(content) // 2])
    with pytest.raises(DataError, match=r"t.root: not a whole ROOT file: [^<\n]*; copy it again$"):
        read_table(file, ("a",), FileFormat())
    page = write(tmp_path, "page.root", b"<html>404 Not Found</html>")
    with pytest.raises(DataError, match="page.root: no ROOT file: it begins with b'<htm'"):
        read_table(page, ("a",), FileFormat())


def test_cycles_of_a_tree(tmp_path):
    """A name is that of the newest; an older one, which a program saved before, has its number."""
    with uproot.recreate(tmp_path / "t.root") as file:
        for values in (A[:2], A):
            file.mktree("Events", {"a": "float64"})
            file["Events"].extend({"a": values})
    for table, rows in ((None, 3), ("Events", 3), ("Events;2", 3), ("Events;1", 2)):
        read = read_table(str(tmp_path / "t.root"), ("a",), FileFormat(table=table))
        assert read["a"].tolist() == A[:rows].tolist()
    with pytest.raises(DataError, match="no table 'Events;9'; it has Events, Events;1, Events;2"):
        read_table(str(tmp_path / "t.root"), ("a",), FileFormat(table="Events;9"))


def test_real_nano_aod(reference_data):
    """200 events; all branches of a collection have as many entries as its counter says."""
    file = str(reference_data / "root" / "nanoAOD_2015_CMS_Open_Data_ttbar.root")
    table = read_table(file, ("nJet", "Jet_pt", "Jet_mass", "MET_pt"), FileFormat())
    assert len(table["MET_pt"]) == 200
    assert table["Jet_pt"].count.tolist() == table["nJet"].tolist()
    assert len(table["Jet_mass"].values) == table["nJet"].sum()
    with pytest.raises(DataError, match="no column 'Jet_ptt'; it has 947 columns; alike are Jet_"):
        read_table(file, ("Jet_ptt",), FileFormat())


def test_rows_of_one_event_are_refused_or_left_out_but_the_first(tmp_path):
    """Rows 0 to 4 are of events 7, 8, 7, 8 and 9: row 2 is the first copy, of row 0."""
    content = b"event,energy\n7,10\n8,20\n7,30\n8,40\n9,50\n"
    write(tmp_path, "t.csv", content)
    values = {
        "files": [{"path": "t.csv"}],
        "columns": {"energy": {"column": "energy", "unit": "GeV"}},
        "format": {"header": True},
        "unique": {"by": ["event"]},
        "seed": 1,
        "root": str(tmp_path),
    }
    schema = EventSchema(SCHEMA.fields[:1])
    message = "5 rows are 3 events by event: 2 are copies, the first of them row 2 .*, of row 0"
    with pytest.raises(DataError, match=message):
        ImportConfig.model_validate(values).open(schema, {}, 5).shard_rows()
    values["unique"] |= {"copies": "leave-out"}
    source = ImportConfig.model_validate(values).open(schema, {}, 5)
    assert source.shard_rows() == [[3]]
    assert sorted(source.shard(0)["energy"]) == [10, 20, 50]
    assert source.provenance()["files"][0]["copies"] == 2
    values["unique"]["by"] = ["other"]
    with pytest.raises(DataError, match="no column 'other'; it has 2 columns: event, energy"):
        ImportConfig.model_validate(values).open(schema, {}, 5).shard_rows()


def test_events_of_two_files_are_told_apart(tmp_path):
    """The second file has an event of the first, and one of its own."""
    write(tmp_path, "r1.csv", b"event,energy\n7,10\n8,20\n")
    write(tmp_path, "r2.csv", b"event,energy\n9,30\n8,40\n")
    values = {
        "files": [{"path": "r*.csv"}],
        "columns": {"energy": {"column": "energy", "unit": "GeV"}},
        "format": {"header": True},
        "unique": {"by": ["event"]},
    }
    schema = EventSchema(SCHEMA.fields[:1])
    message = r"r2.csv: 2 rows are 1 events by event: 1 are copies, .* row 1 .* event in .*r1.csv"
    with pytest.raises(DataError, match=message):
        config(tmp_path, **values).open(schema, {}, 5).shard_rows()
    values["unique"] |= {"copies": "leave-out"}
    source = config(tmp_path, **values).open(schema, {}, 5)
    assert source.shard_rows() == [[2], [1]]
    assert source.shard(1)["energy"].tolist() == [30]
    assert [file["copies"] for file in source.provenance()["files"]] == [0, 1]


def test_numbers_too_large_to_tell_events_apart(tmp_path):
    """In double precision 2⁵³ stands for 2⁵³ + 1 too."""
    pq.write_table(pa.table({"event": [2.0**53, 1.0], "energy": [1.0, 2.0]}), tmp_path / "t.pq")
    values = {
        "files": [{"path": "t.pq"}],
        "columns": {"energy": {"column": "energy", "unit": "GeV"}},
        "format": {"kind": "parquet"},
        "unique": {"by": ["event"], "copies": "leave-out"},
        "seed": 1,
        "root": str(tmp_path),
    }
    source = ImportConfig.model_validate(values).open(EventSchema(SCHEMA.fields[:1]), {}, 5)
    with pytest.raises(DataError, match="column 'event' .* has 9007199254740992, which double"):
        source.shard_rows()


def test_real_copies_are_named(reference_data):
    """Each of 500 collisions stands in several rows, with muons found in several ways."""
    values = {
        "files": [{"path": "root/uproot-Zmumu.root"}],
        "columns": {"mass": {"column": "M", "unit": "GeV"}},
        "unique": {"by": ["Run", "Event"]},
        "seed": 1,
        "root": str(reference_data),
    }
    schema = EventSchema([Field(name="mass", unit="GeV")])
    message = "2,304 rows are 500 events by Run, Event: 1,804 are copies"
    with pytest.raises(DataError, match=message):
        ImportConfig.model_validate(values).open(schema, {}, 100).shard_rows()


def test_real_dimuons(reference_data):
    """10,851 pairs of muons; each mass is that which the file tells, of six printed digits."""
    spec = DatasetSpec.load("cms-zmumu", (f"source.root={reference_data}",))
    source = spec.source.open(spec.schema_, spec.conditions, 20_000)
    assert source.shard_rows() == [[10_851]]
    columns = source.shard(0)
    p1, p2 = (
        np.stack([columns[f"mu{k}.{part}"] for part in ("px", "py", "pz", "energy")])
        for k in (1, 2)
    )
    px, py, pz, energy = p1 + p2
    mass = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
    file = np.genfromtxt(
        reference_data / "cms-open-data" / "Zmumu_Run2011A_masses.csv", delimiter=",", names=True
    )
    np.testing.assert_allclose(np.sort(mass), np.sort(file["M"]), rtol=1e-4)


def test_muons_of_a_dataset_that_was_prepared(tmp_path):
    """Each file becomes ten shards of its own, in which all of its muons are, and nothing else."""
    whole = DatasetSpec.load("zmumu-13tev")
    folder, rng = tmp_path / "datasets" / "zmumu-13tev", np.random.default_rng(1)
    columns = {f.name: rng.integers(1, 9, 2000).astype(f.dtype) for f in whole.fields}
    columns |= {"jet.count": np.ones(2000, dtype=np.int16)}
    stored = whole.schema_.without(whole.conditions)
    for k in range(2):
        name = f"shards/{k:05d}.parquet"
        own = columns | {"mu1.px": 2000 * k + np.arange(2000.0)}
        write_shard(str(folder), name, own, stored, {}, split="train")
    spec = DatasetSpec.load("dimuons-13tev", (f"source.root={tmp_path}",))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    assert source.shard_rows() == [[200] * 10] * 2
    assert sorted(spec.splits.assign(10)) == ["test"] * 2 + ["train"] * 7 + ["validation"]
    made = [source.shard(k) for k in range(20)]
    assert set(made[0]) == set(spec.schema_.event)
    px = np.concatenate([shard["mu1.px"] for shard in made])
    np.testing.assert_array_equal(np.sort(px), np.arange(4000))
    np.testing.assert_array_equal(np.sort(px[:2000]), np.arange(2000))


def test_text_has_no_objects(tmp_path):
    write(tmp_path, "t.csv", b"1,2\n3,4\n")
    schema = EventSchema(EVENTS.fields[:2], EVENTS.groups)
    columns = {"met": {"column": 0, "unit": "GeV"}, "jet.pt": {"column": 1, "unit": "GeV"}}
    source = shaped(tmp_path, columns=columns, files=[{"path": "t.csv"}]).open(schema, {}, 2)
    with pytest.raises(DataError, match=r"t.csv: column 1 holds one number .* 'jet' need a list"):
        source.shard_rows()


def test_tables_of_arrow_and_lines_of_json(tmp_path):
    """Numbers, lists and records, by name and number; whole numbers beyond 2⁵³ as they are."""
    table = pa.table(
        {
            "id": pa.array([2**53 + 1, 2, 3, 4]),
            "jet": pa.array(records(**JETS)),
            "met": MET,
            "class": pa.array([1.0, 2, 1, 2]).dictionary_encode(),
        }
    )
    pyarrow.feather.write_feather(table, tmp_path / "t.feather")
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as file:
        file.write_table(table)
    with pa.ipc.new_stream(tmp_path / "stream.arrow", table.schema) as file:
        file.write_table(table)
    pq.write_table(table, tmp_path / "t.pq")
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in table.to_pylist()))
    for name in ("t.feather", "t.arrow", "stream.arrow", "t.pq", "t.jsonl"):
        read = read_table(str(tmp_path / name), ("id", "jet.pt", 2, "class"), FileFormat())
        assert read["id"].tolist() == [2**53 + 1, 2, 3, 4]
        assert read["jet.pt"].count.tolist() == [3, 0, 1, 2]
        assert read["jet.pt"].values.tolist() == [10, 30, 20, 5, 7, 8]
        assert read[2].tolist() == MET.tolist()
        assert read["class"].tolist() == [1, 2, 1, 2]


def test_what_a_file_begins_with_tells_its_format(tmp_path):
    pq.write_table(pa.table({"a": A}), tmp_path / "parquet.dat")
    pyarrow.feather.write_feather(pa.table({"a": A}), tmp_path / "arrow.dat")
    with (tmp_path / "numpy.dat").open("wb") as file:
        np.save(file, A[:, None])
    write_hdf5(tmp_path / "hdf5.dat", a=A)
    with uproot.recreate(tmp_path / "root.dat") as file:
        file.mktree("tree", {"a": "float64"})
        file["tree"].extend({"a": A})
    for name in ("parquet", "arrow", "numpy", "hdf5", "root"):
        read = read_table(str(tmp_path / f"{name}.dat"), (0,), FileFormat())
        assert read[0].tolist() == A.tolist()


def test_packed_files_of_any_format(tmp_path):
    for name, write_file in (
        ("t.parquet", lambda place: pq.write_table(pa.table({"a": A}), place)),
        ("t.npz", lambda place: np.savez(place, a=A)),
        ("t.h5", lambda place: write_hdf5(place, a=A)),
    ):
        write_file(tmp_path / name)
        packed = gzip.compress((tmp_path / name).read_bytes())
        file = write(tmp_path, f"{name}.gz", packed)
        assert read_table(file, ("a",), FileFormat())["a"].tolist() == A.tolist()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.pkl", "would run whatever program it holds, and is not read; write Parquet"),
        ("t.pickle.gz", "would run whatever program it holds"),
        ("t.xlsx", "is a spreadsheet; save it as CSV UTF-8"),
        ("t.lhe", "has particles: source.kind = 'records' reads it"),
        ("t.json", "is one document of JSON; write a line for each event"),
        ("t.zip", "is an archive; unpack it; columns are read of text, Parquet, Arrow"),
    ],
)
def test_formats_that_are_not_read(tmp_path, name, message):
    with pytest.raises(DataError, match=f"{name}: {message}"):
        read_table(write(tmp_path, name, b"content"), (0,), FileFormat())


@pytest.mark.parametrize("name", ["t.feather", "t.jsonl"])
def test_arrow_and_json_that_are_damaged(tmp_path, name):
    pyarrow.feather.write_feather(pa.table({"a": A}), tmp_path / "t.feather")
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"a": 2')
    content = (tmp_path / name).read_bytes()
    with pytest.raises(DataError, match=f"{name}: not a"):
        read_table(write(tmp_path, name, content[: len(content) - 3]), ("a",), FileFormat())


def test_columns_of_one_name_go_by_number(tmp_path):
    table = pa.Table.from_arrays([pa.array(A), pa.array(B), pa.array(A)], ["x", "y", "x"])
    pq.write_table(table, tmp_path / "t.parquet")
    read = read_table(str(tmp_path / "t.parquet"), (0, 1, 2), FileFormat())
    assert [read[i].tolist() for i in range(3)] == [A.tolist(), B.tolist(), A.tolist()]
    with pytest.raises(DataError, match="2 columns are called 'x'; name its number"):
        read_table(str(tmp_path / "t.parquet"), ("x",), FileFormat())


@pytest.mark.parametrize("name", ["t.npz", "t.h5"])
def test_a_table_within_a_file_is_to_be_named(tmp_path, name):
    matrix = np.column_stack([A, B])
    if name == "t.npz":
        np.savez(tmp_path / name, events=matrix)
    else:
        write_hdf5(tmp_path / name, **{"events": matrix, "tree/a": A})
    for key, message in (
        ("a", "no column 'a'; .*name a table in it with source.format.table: events"),
        (1, "no column 1; .*name a table in it with source.format.table: events"),
        (0, "column 0 is all of the matrix 'events'; name a table .*source.format.table: events"),
    ):
        with pytest.raises(DataError, match=f"{name}: {message}"):
            read_table(str(tmp_path / name), (key,), FileFormat())
    np.testing.assert_array_equal(
        read_table(str(tmp_path / name), ("events",), FileFormat())["events"], matrix
    )


def test_a_frame_that_pandas_wrote_into_hdf5(tmp_path):
    """Its columns are a matrix within a group, which has the frame's name."""
    matrix = np.column_stack([A, B])
    write_hdf5(tmp_path / "t.h5", **{"df/block0_values": matrix, "df/axis1": np.arange(3)})
    with pytest.raises(DataError, match="no column 'px'; .*format.table: df"):
        read_table(str(tmp_path / "t.h5"), ("px",), FileFormat())
    with pytest.raises(DataError, match="no column 'px'; .*format.table: df/block0_values"):
        read_table(str(tmp_path / "t.h5"), ("px",), FileFormat(table="df"))
    read = read_table(str(tmp_path / "t.h5"), (1,), FileFormat(table="df/block0_values"))
    assert read[1].tolist() == B.tolist()


@pytest.mark.parametrize("kind", ["link", "copy", "patterns"])
def test_a_file_that_is_named_twice(tmp_path, kind):
    write(tmp_path, "r1.csv", b"1000,180,1\n")
    write(tmp_path, "r2.csv", b"3000,180,1\n")
    files = [{"path": "*.csv", "constants": {"beam": 10.0}}]
    if kind == "link":
        (tmp_path / "latest.csv").symlink_to(tmp_path / "r2.csv")
    elif kind == "copy":
        write(tmp_path, "latest.csv", b"3000,180,1\n")
    else:
        files.append({"path": "r2.csv", "constants": {"beam": 10.0}})
    with pytest.raises(DataError, match=r"r2.csv: is .*\.csv once more, by a second pattern"):
        config(tmp_path, files=files).open(SCHEMA, {}, 2)


def test_a_folder_of_parquet_stands_for_its_files(tmp_path):
    folder = tmp_path / "t.parquet"
    folder.mkdir()
    for k in range(2):
        table = pa.table({"energy": A + k, "theta": B, "weight": A})
        pq.write_table(table, folder / f"part-{k:05d}.snappy.parquet")
    write(folder, "_SUCCESS", b"")
    columns = {name: {"column": name, "unit": SCHEMA_UNITS[name]} for name in SCHEMA_UNITS}
    files = [{"path": "t.parquet", "constants": {"beam": 10.0}}]
    source = config(tmp_path, files=files, columns=columns).open(SCHEMA, {}, 3)
    assert source.shard_rows() == [[3], [3]]
    np.testing.assert_allclose(np.sort(source.shard(1)["energy"]), np.sort(A + 1))


def test_hive_partitions_are_told(tmp_path):
    part = tmp_path / "t" / "beam=10"
    part.mkdir(parents=True)
    pq.write_table(pa.table({"energy": A}), part / "part.parquet")
    with pytest.raises(DataError, match="t: is a folder of Hive partitions, such as beam=10"):
        config(tmp_path, files=[{"path": "t", "constants": {"beam": 10.0}}]).open(SCHEMA, {}, 2)


SCHEMA_UNITS = {"energy": "GeV", "theta": "rad", "weight": "1"}


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        (
            [360_000_000, 360_000_017],
            "float32",
            (
                "column 'v': 360000017.0 in row 1 .* would be 360000032.0 in float32 "
                ".1 such numbers.; declare dtype = 'float64' for the field 'v'"
            ),
        ),
        (1.6e12 + np.arange(300), "float32", "column 'v': .*declare dtype = 'float64'"),
        (
            1.6e9 + np.arange(300) / 8,
            "float32",
            "column 'v': 300 different numbers would be 1 in float32; declare dtype = 'float64'",
        ),
        (
            [1e-46, 2e-46],
            "float32",
            "column 'v': 1e-46 in row 0 .* would be 0.0 in float32 .2 such",
        ),
        ([1.0, 1e42], "float32", r"column 'v': 1e\+42 in row 1 .* would be inf .*'float64'"),
        ([0, 300], "int8", "column 'v': 300.* in row 1 .* would be 44 .*declare dtype = 'int16'"),
        ([0, 0.5], "int32", "column 'v': 0.5 in row 1 .*declare dtype = 'float32'"),
        ([2**53, 2**53 + 1], "float64", "column 'v': 9007199254740993 .*subtract what all of them"),
    ],
)
def test_numbers_that_a_type_does_not_hold(tmp_path, values, dtype, message):
    pq.write_table(pa.table({"v": np.array(values)}), tmp_path / "t.parquet")
    schema = EventSchema([Field(name="v", dtype=dtype)])
    columns = {"v": {"column": "v"}}
    source = shaped(tmp_path, files=[{"path": "t.parquet"}], columns=columns).open(schema, {}, 500)
    with pytest.raises(DataError, match=f"t.parquet: {message}"):
        source.shard_rows()


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.arange(300) + 360_000_000, "int32"),
        (1.6e12 + np.arange(300), "float64"),
        (np.random.default_rng(0).normal(size=200_000), "float32"),
        ([0.0, 1e30, 16_777_216, -1e-30], "float32"),
        ([7.3] * 5, "float32"),
    ],
)
def test_numbers_that_a_type_holds(tmp_path, values, dtype):
    pq.write_table(pa.table({"v": np.array(values)}), tmp_path / "t.parquet")
    schema = EventSchema([Field(name="v", dtype=dtype)])
    files = [{"path": "t.parquet"}]
    source = shaped(tmp_path, files=files, columns={"v": {"column": "v"}}).open(schema, {}, 10**6)
    assert source.shard_rows() == [[len(values)]]


def test_a_number_of_an_object_that_a_type_does_not_hold_names_the_event(tmp_path):
    flavours = pa.array([[1, 3, 2], [], [128], [-5, 6]])
    table = parquet_tables()["lists"][0] | {"jet_flavour": flavours}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    message = "column 'jet_flavour': 128.0 in row 2 .* would be -128 in int8 .*dtype = 'int16'"
    with pytest.raises(DataError, match=message):
        shaped(tmp_path).open(EVENTS, {}, 2).shard_rows()


def test_events_are_told_apart_by_numbers_beyond_double_precision(tmp_path):
    """2⁶² and 2⁶² + 1 are one number in double precision, and would be two copies."""
    event = np.array([2**62, 2**62 + 1], dtype=np.uint64)
    pq.write_table(pa.table({"event": event, "energy": B[:2]}), tmp_path / "t.parquet")
    values = {
        "files": [{"path": "t.parquet"}],
        "columns": {"energy": {"column": "energy", "unit": "GeV"}},
        "unique": {"by": ["event"]},
    }
    source = config(tmp_path, **values).open(EventSchema(SCHEMA.fields[:1]), {}, 5)
    assert source.shard_rows() == [[2]]
