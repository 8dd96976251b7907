"""Events of any shape: what is written comes back, in the stored precision and the right order."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import awkward
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mleg_ray.catalog.codec import (
    Columns,
    bytes_of,
    checked,
    of_events,
    to_columns,
    to_events,
    to_table,
)
from mleg_ray.catalog.shards import ShardEntry, parquet, read_shard, write_shard
from mleg_ray.errors import DataError
from mleg_ray.events import Events, EventSchema, Field, Group

MOST = 3
DTYPES = ("float32", "float64", "int8", "int16", "int32")


class Made(NamedTuple):
    """Fields of every kind, and columns of a number of events."""

    schema: EventSchema
    columns: dict[str, NDArray[Any]]


def values(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Draw numbers of a type, its largest and smallest among them, and a third of them zero."""
    if dtype.startswith("float"):
        drawn = rng.normal(0, 100, shape)
        ends = np.finfo(dtype)
    else:
        ends = np.iinfo(dtype)
        drawn = rng.integers(ends.min, ends.max, shape, endpoint=True)
    choice = rng.integers(0, 9, shape)
    return np.select([choice < 3, choice == 3, choice == 4], [0, ends.min, ends.max], drawn).astype(
        dtype
    )


@st.composite
def made(draw: st.DrawFn) -> Made:
    dtype = st.sampled_from(DTYPES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 6))
    fields = [
        Field(name="met", dtype=draw(dtype)),
        Field(name="electron.charge", dtype=draw(dtype)),
        Field(name="jet.pt", dtype=draw(dtype)),
        Field(name="jet.flavour", dtype=draw(dtype)),
        Field(name="track.d0", dtype=draw(dtype)),
        Field(
            name="cells",
            dtype=draw(dtype),
            shape=tuple(draw(st.lists(SIDE, min_size=1, max_size=3))),
        ),
        Field(name="hits", dtype=draw(dtype), shape=(2, 3), storage="sparse"),
        Field(name="beam", role="condition", dtype="float64"),
        Field(name="weight", role="weight", dtype=draw(st.sampled_from(DTYPES[:2]))),
        Field(name="process", role="label", dtype=draw(dtype)),
    ]
    fields = draw(st.permutations(fields))
    groups = {
        "electron": Group(),
        "jet": Group(most=MOST, ordered_by="pt"),
        "track": Group(most=1, ordered_by="d0"),
    }
    counts = {
        name: np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=np.int64)
        for name in ("jet", "track")
    }
    columns: dict[str, NDArray[Any]] = {f"{name}.count": c for name, c in counts.items()}
    for field in fields:
        rows = counts[field.group].sum() if field.group in counts else n
        columns[field.name] = values(rng, field.dtype, (rows, *field.shape))
    return Made(EventSchema(fields, groups), columns)


SIDE = st.integers(1, 3)


def write(folder: Path, made: Made) -> ShardEntry:
    return write_shard(str(folder), "0.parquet", made.columns, made.schema, {}, split="train")


def read(folder: Path, entry: ShardEntry, schema: EventSchema) -> Events:
    return read_shard(str(folder), entry, schema, schema, {})


def expected_objects(columns: Mapping[str, NDArray[Any]], group: str, order: str) -> list[Any]:
    """Return the objects of each event as tuples of all fields, the largest first."""
    names = [name for name in columns if name.startswith(f"{group}.") and name[-5:] != "count"]
    rows = list(zip(*(columns[name].tolist() for name in names), strict=True))
    events, start = [], 0
    for count in columns[f"{group}.count"].tolist():
        mine = rows[start : start + count]
        position = names.index(f"{group}.{order}")
        events.append(sorted(mine, key=lambda row: -row[position]))
        start += count
    return events


@settings(max_examples=50)
@given(made())
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, made: Made) -> None:
    folder = tmp_path_factory.mktemp("shard")
    entry = write(folder, made)
    events = read(folder, entry, made.schema)
    assert entry.rows == len(events) == len(made.columns["met"])
    for field in made.schema.fields:
        if field.group not in made.schema.objects:
            found = events.weight if field.role == "weight" else events.columns[field.name]
            np.testing.assert_array_equal(found.numpy(), made.columns[field.name])
            single = field.dtype.startswith("float") and not field.shape
            assert str(found.dtype) == ("torch.float64" if single else f"torch.{field.dtype}")
    for group, order, most in (("jet", "pt", MOST), ("track", "d0", 1)):
        names = [f.name for f in made.schema.fields if f.group == group]
        wanted = expected_objects(
            {name: made.columns[name] for name in (*names, f"{group}.count")}, group, order
        )
        too_many = sum(max(len(objects) - most, 0) for objects in wanted)
        assert entry.dropped.get(group, 0) == too_many
        there = events.present[group]
        assert there.shape == (len(events), most)
        for row, objects in enumerate(wanted):
            found = list(zip(*(events.columns[n][row].tolist() for n in names), strict=True))
            assert there[row].tolist() == [k < len(objects) for k in range(most)]
            assert found == (objects + [(0,) * len(names)] * most)[:most]


@settings(max_examples=50)
@given(made())
def test_events_in_memory_are_written_as_they_were_read(
    tmp_path_factory: pytest.TempPathFactory, made: Made
) -> None:
    folder = tmp_path_factory.mktemp("shard")
    first = write(folder, made)
    columns = of_events(read(folder, first, made.schema), made.schema)
    again = write(folder, Made(made.schema, columns))
    assert again == first.model_copy(update={"dropped": {}})


JETS = EventSchema(
    [Field(name="met"), Field(name="jet.pt"), Field(name="jet.flavour", dtype="int8")],
    {"jet": Group(most=2, ordered_by="pt")},
)
COLUMNS: Columns = {
    "met": np.array([1.0, 2, 3, 4]),
    "jet.count": np.array([3, 0, 1, 2]),
    "jet.pt": np.array([10.0, 30, 20, 5, 7, 7]),
    "jet.flavour": np.array([1, 3, 2, 4, 5, 6]),
}


def test_objects_are_ordered_and_the_softest_dropped(tmp_path: Path) -> None:
    entry = write(tmp_path, Made(JETS, dict(COLUMNS)))
    events = read(tmp_path, entry, JETS)
    assert entry.dropped == {"jet": 1}
    assert events.columns["jet.pt"].tolist() == [[30, 20], [0, 0], [5, 0], [7, 7]]
    # Of equal ones the first stays first.
    assert events.columns["jet.flavour"].tolist() == [[3, 2], [0, 0], [4, 0], [5, 6]]
    assert events.present["jet"].sum(dim=1).tolist() == [2, 0, 1, 2]


def test_numbers_that_differ_only_beyond_the_stored_precision_are_in_order(tmp_path: Path) -> None:
    columns = {"jet.pt": np.array([1.0, 1 + 1e-12]), "jet.flavour": np.array([1, 2])}
    columns |= {"met": np.zeros(1), "jet.count": np.array([2])}
    events = read(tmp_path, write(tmp_path, Made(JETS, columns)), JETS)
    assert events.columns["jet.flavour"].tolist() == [[1, 2]]


def test_objects_are_records_in_parquet(tmp_path: Path) -> None:
    """Others read `jet.pt` of all events as one jagged array, without this package."""
    write(tmp_path, Made(JETS, dict(COLUMNS)))
    schema = pq.read_schema(tmp_path / "0.parquet")
    jet = pa.struct(
        [pa.field("pt", pa.float32(), nullable=False), pa.field("flavour", pa.int8(), False)]
    )
    assert schema.field("jet").type == pa.list_(pa.field("element", jet, nullable=False))
    events = awkward.from_parquet(tmp_path / "0.parquet")
    assert events.jet.pt.tolist() == [[30, 20], [], [5], [7, 7]]
    assert events.jet[events.jet.pt > 6].flavour.tolist() == [[3, 2], [], [], [5, 6]]
    assert str(events.type) == "4 * {met: float32, jet: var * {pt: float32, flavour: int8}}"


def test_units_and_shapes_are_in_the_file(tmp_path: Path) -> None:
    schema = EventSchema(
        [
            Field(name="jet.pt", unit="GeV", description="transverse momentum"),
            Field(name="cells", unit="MeV", shape=(2, 3)),
        ],
        {"jet": Group(most=2, ordered_by="pt")},
    )
    columns = {"jet.count": np.array([1]), "jet.pt": np.ones(1), "cells": np.ones((1, 2, 3))}
    write(tmp_path, Made(schema, columns))
    arrow = pq.read_schema(tmp_path / "0.parquet")
    metadata = arrow.field("jet").type.value_type.field("pt").metadata
    assert metadata[b"unit"] == b"GeV"
    assert metadata[b"description"] == b"transverse momentum"
    assert arrow.field("cells").metadata[b"shape"] == b"2 3"


def test_a_sparse_image_holds_what_is_not_zero_alone() -> None:
    schema = EventSchema([Field(name="hits", shape=(20, 20), storage="sparse")])
    hits = np.zeros((3, 20, 20))
    hits[0, 1, 2], hits[2, 19, 19] = 5, 7
    stored, _ = checked({"hits": hits}, schema, "here")
    table = to_table(stored, schema, {})
    assert table["hits"].to_pylist() == [
        [{"cell": 22, "value": 5.0}],
        [],
        [{"cell": 399, "value": 7.0}],
    ]


def test_bytes_are_those_of_as_many_objects_as_can_be() -> None:
    schema = EventSchema(
        [
            Field(name="met"),
            Field(name="jet.pt", dtype="float64"),
            Field(name="jet.flavour", dtype="int8"),
            Field(name="cells", shape=(4, 5), dtype="int16"),
        ],
        {"jet": Group(most=3, ordered_by="pt")},
    )
    assert bytes_of(schema) == 4 + 3 * (8 + 1) + 20 * 2


def test_what_was_read_may_be_changed(tmp_path: Path) -> None:
    """Tensors have memory of their own, not that of a file's read-only buffer."""
    schema = EventSchema([Field(name="n", dtype="int32"), Field(name="cells", shape=(2,))])
    columns = {"n": np.array([1, 2]), "cells": np.ones((2, 2))}
    events = read(tmp_path, write(tmp_path, Made(schema, columns)), schema)
    for column in events.columns.values():
        column += 1
    assert events.columns["cells"].tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"jet.flavour": np.ones(5)},
            r"'jet.flavour' has the shape \(5,\), not \(6,\): 'jet.count' counts 6 objects in all",
        ),
        ({"jet.pt": np.ones((6, 2))}, r"'jet.pt' has the shape \(6, 2\)"),
        ({"jet.count": np.array([3, 0, 1])}, r"'jet.count' has shape \(3,\), not \(4,\)"),
        ({"jet.count": np.array([3, -1, 2, 2])}, "'jet.count' must hold whole numbers, none below"),
        ({"jet.count": np.array([3.0, 0, 1, 2])}, "'jet.count' must hold whole numbers"),
        ({"met": np.ones(3)}, r"'jet.count' has shape \(4,\), not \(3,\)"),
        ({"met": np.ones((4, 1))}, r"'met' has the shape \(4, 1\), not \(4,\)"),
        (
            {"jet.pt": np.array([10.0, 30, np.nan, 5, 7, np.inf])},
            "'jet.pt' is not finite in 2 rows, first row 0: nan; remove or mend",
        ),
        (
            {"jet.flavour": np.array([1, 2, 3, 128, 4, 5])},
            "'jet.flavour' is not a whole number of type int8 in 1 rows, first row 2",
        ),
        (
            {"jet.flavour": np.array([1, 2, 3, 0.5, 4, np.nan])},
            "'jet.flavour' is not a whole number of type int8 in 2 rows, first row 2",
        ),
    ],
)
def test_what_is_not_as_declared_is_refused(
    tmp_path: Path, change: dict[str, NDArray[Any]], message: str
) -> None:
    with pytest.raises(DataError, match=f"{tmp_path}/0.parquet: .*{message}"):
        write(tmp_path, Made(JETS, {**COLUMNS, **change}))
    assert not list(tmp_path.iterdir())


def test_missing_columns_are_named(tmp_path: Path) -> None:
    for name in COLUMNS:
        columns = {k: v for k, v in COLUMNS.items() if k != name}
        with pytest.raises(DataError, match=f"no column '{name}'; there are "):
            write(tmp_path, Made(JETS, columns))


def test_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    for storage in ("dense", "sparse"):
        schema = EventSchema(
            [Field.model_validate({"name": "cells", "shape": (2, 3), "storage": storage})]
        )
        with pytest.raises(DataError, match=r"'cells' has the shape \(4, 3, 2\), not \(4, 2, 3\)"):
            write(tmp_path, Made(schema, {"cells": np.ones((4, 3, 2))}))
        with pytest.raises(DataError, match="'cells' is not finite in 1 rows, first row 3"):
            spoilt = np.ones((4, 2, 3))
            spoilt[3, 0, 1:] = np.nan
            write(tmp_path, Made(schema, {"cells": spoilt}))


def through_parquet(schema: EventSchema, columns: Columns) -> pa.Table:
    stored, _ = checked(columns, schema, "here")
    table = to_table(stored, schema, {})
    return pq.read_table(io.BytesIO(parquet(table)))


def test_a_shard_of_more_objects_than_promised_is_refused() -> None:
    table = through_parquet(JETS, COLUMNS)
    fewer = EventSchema(JETS.fields, {"jet": Group(most=1, ordered_by="pt")})
    with pytest.raises(
        DataError, match="shard: row 0 has 2 entries of 'jet', more than the 1 that it may have"
    ):
        to_columns(table, fewer, "shard")


def test_a_shard_of_other_columns_is_refused() -> None:
    table = through_parquet(JETS, COLUMNS)
    other = EventSchema(
        [*JETS.fields[:2], Field(name="jet.flavour", dtype="int16")], {"jet": JETS.groups["jet"]}
    )
    with pytest.raises(DataError, match="shard: column 'jet' is list<.*int8.*should be .*int16"):
        to_columns(table, other, "shard")
    single = EventSchema([Field(name="jet.pt")], {"jet": Group()})
    with pytest.raises(DataError, match="shard: no column jet.pt; it has met, jet"):
        to_columns(table, single, "shard")
    number = EventSchema([Field(name="jet")])
    with pytest.raises(DataError, match="column 'jet' is list<.*, and should be float"):
        to_columns(table, number, "shard")


def test_a_shard_of_other_images_is_refused() -> None:
    schema = EventSchema([Field(name="cells", shape=(2, 3))])
    table = through_parquet(schema, {"cells": np.ones((2, 2, 3))})
    larger = EventSchema([Field(name="cells", shape=(2, 4))])
    with pytest.raises(DataError, match=r"'cells' is .*\[6\], and should be .*\[8\]"):
        to_columns(table, larger, "shard")


@pytest.mark.parametrize("cell", [1, 0])
def test_a_cell_stands_once_and_in_order(cell: int) -> None:
    schema = EventSchema([Field(name="hits", shape=(2, 3), storage="sparse")])
    table = through_parquet(schema, {"hits": np.ones((2, 2, 3))})
    lists = table["hits"].to_pylist()
    lists[1][2]["cell"] = cell
    table = table.set_column(0, table.schema.field(0), pa.array(lists, table.schema.field(0).type))
    with pytest.raises(DataError, match="image 'hits' of row 1 has a cell twice, or cells not in"):
        to_columns(table, schema, "shard")


@pytest.mark.parametrize("cell", [-1, 6])
def test_a_cell_that_the_image_has_not_is_refused(cell: int) -> None:
    schema = EventSchema([Field(name="hits", shape=(2, 3), storage="sparse")])
    table = through_parquet(schema, {"hits": np.ones((2, 2, 3))})
    lists = table["hits"].to_pylist()
    lists[1][2]["cell"] = cell
    table = table.set_column(0, table.schema.field(0), pa.array(lists, table.schema.field(0).type))
    with pytest.raises(DataError, match=rf"'hits' of shape \(2, 3\) has cells 0 to 5, not {cell}"):
        to_columns(table, schema, "shard")


def test_several_row_groups_are_one_table() -> None:
    schema = EventSchema(
        [*JETS.fields, Field(name="cells", shape=(2,)), Field(name="hits", shape=(3,))], JETS.groups
    )
    columns = {**COLUMNS, "cells": np.arange(8.0).reshape(4, 2), "hits": np.eye(4, 3)}
    stored, _ = checked(columns, schema, "here")
    file = io.BytesIO()
    pq.write_table(to_table(stored, schema, {}), file, row_group_size=1)
    found = to_columns(pq.read_table(file), schema, "shard")
    assert set(found) == set(stored)
    for name, wanted in stored.items():
        np.testing.assert_array_equal(found[name], wanted)


@pytest.mark.parametrize("ghost", [3.0, float("nan")])
def test_what_is_absent_must_be_zero(ghost: float) -> None:
    stored, _ = checked(COLUMNS, JETS, "here")
    events = to_events(stored, JETS, {})
    events.columns["jet.pt"][2, 1] = ghost
    with pytest.raises(DataError, match="'jet.pt' is not zero in event 2 where there is no jet"):
        of_events(events, JETS)


def test_conditions_of_one_value_are_no_columns(tmp_path: Path) -> None:
    schema = EventSchema([Field(name="met"), Field(name="beam", role="condition")])
    stored = schema.without({"beam"})
    entry = write_shard(str(tmp_path), "0.parquet", {"met": np.ones(2)}, stored, {}, split="train")
    events = read_shard(str(tmp_path), entry, stored, schema, {"beam": 0.1})
    assert events.columns["beam"].tolist() == [0.1, 0.1]
    assert torch.equal(events.weight, torch.ones(2).double())
