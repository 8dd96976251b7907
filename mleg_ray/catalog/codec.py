"""The two forms of events: columns as they are made and stored, and tensors in memory.

In memory the objects of a group are padded to its `most`, with a mask; as sources make them and
files store them they are flat, event after event, beside the number of each event's objects,
`jet.count`. In Parquet a group of objects is a list of records, a sparse image a list of cells and
their values, a dense one a list of all its pixels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from mleg_ray.errors import DataError
from mleg_ray.events import COUNT, Events, EventSchema, Field

# Numbers (n,), images (n, *shape); of a group of objects `jet.count` (n,), and its fields flat.
Columns = Mapping[str, NDArray[Any]]

CELL, VALUE = "cell", "value"  # of a sparse image
DTYPES = (
    "int8",
    "int16",
    "int32",
    "float32",
    "float64",
)  # of fields, each holding more than the last
ROUNDED = 1e-3  # of a number: more is lost only of those too small for normal ones of a type
DISTINGUISHED = 100_000  # numbers of which it is looked whether a type still tells them apart
AGAIN = "make the dataset again"


def checked(
    columns: Columns, schema: EventSchema, place: str
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Return the columns of a schema in stored precision, and how many objects were too many.

    Objects are ordered in each event by their group's field `ordered_by`, the largest first; those
    beyond the group's `most` are dropped.

    Raises:
        DataError: a column is absent, of another length or shape than the others, or holds what is
            not finite or not a number of its type; the message begins with `place`.
    """
    dropped: dict[str, int] = {}
    stored: dict[str, NDArray[Any]] = {}
    needed = [f.name for f in schema.fields] + [f"{g}.{COUNT}" for g in schema.objects]
    if missing := [name for name in needed if name not in columns]:
        raise DataError(f"{place}: no column '{missing[0]}'; there are {', '.join(columns)}")
    n = rows_of(columns, schema)
    for group, most in schema.objects.items():
        count = _counts(columns, group, n, place)
        stored[f"{group}.{COUNT}"] = np.minimum(count, most)
        dropped[group] = int((count - stored[f"{group}.{COUNT}"]).sum())
        total = (int(count.sum()),)
        own = (field for field in schema.fields if field.group == group)
        flat = {field.name: _stored(columns, field, total, place, count) for field in own}
        kept = _kept(flat[f"{group}.{schema.groups[group].ordered_by}"], count, most)
        stored |= {name: values[kept] for name, values in flat.items()}
    for field in schema.fields:
        if field.group not in schema.objects:
            stored[field.name] = _stored(columns, field, (n, *field.shape), place)
    return stored, dropped


def to_table(stored: Columns, schema: EventSchema, metadata: Mapping[str, str]) -> pa.Table:
    """Return an Arrow table of what `checked` returned.

    Units and roles go into the metadata of Arrow fields, `metadata` into the table's.
    """
    arrays: list[pa.Array] = []
    described: list[pa.Field] = []
    done: set[str] = set()
    for field in schema.fields:
        if field.group not in schema.objects:
            array = (
                _image(stored[field.name], field) if field.shape else pa.array(stored[field.name])
            )
            arrays.append(array)
            described.append(_described(field, array.type))
        elif field.group not in done:
            done.add(field.group)
            own = [f for f in schema.fields if f.group == field.group]
            arrays.append(_records(stored, field.group, own))
            described.append(pa.field(field.group, arrays[-1].type, nullable=False))
    return pa.table(arrays, schema=pa.schema(described, metadata=dict(metadata)))


def schema_of(schema: EventSchema) -> pa.Schema:
    """Return the Arrow schema of shards with these fields."""
    empty = {f.name: np.empty((0, *f.shape), dtype=f.dtype) for f in schema.fields}
    counts = {f"{group}.{COUNT}": np.empty(0, dtype=np.int64) for group in schema.objects}
    return to_table({**empty, **counts}, schema, {}).schema


def to_columns(table: pa.Table, schema: EventSchema, place: str) -> dict[str, NDArray[Any]]:
    """Return the columns of a schema in an Arrow table, as `checked` returned them.

    Raises:
        DataError: a column is missing or of another type, an event has more objects than its group
            may have, or an image a cell that it has not; the message begins with `place`.
    """
    columns: dict[str, NDArray[Any]] = {}
    shapes = {field.name: field.shape for field in schema.fields if field.shape}
    for declared in schema_of(schema):
        name = declared.name
        if name not in table.column_names:
            raise DataError(f"{place}: no column {name}; it has {', '.join(table.column_names)}")
        column = table[name].combine_chunks()
        if column.type != declared.type:
            raise DataError(
                f"{place}: column '{name}' is {column.type}, and should be {declared.type}; {AGAIN}"
            )
        if name in schema.objects:
            columns[f"{name}.{COUNT}"] = _lengths(column, name, schema.objects[name], place)
            records = column.flatten()
            for part in records.type:
                columns[f"{name}.{part.name}"] = _array(records.field(part.name))
        elif name in shapes:
            columns[name] = _pixels(column, shapes[name], name, place)
        else:
            columns[name] = _array(column)
    return columns


def to_events(columns: Columns, schema: EventSchema, conditions: Mapping[str, float]) -> Events:
    """Return what `checked` or `to_columns` returned as events in memory.

    `conditions` fills those that have one value and are no columns.
    """
    tensors: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for group, most in schema.objects.items():
        if f"{group}.{COUNT}" in columns:
            count = np.asarray(columns[f"{group}.{COUNT}"])
            present[group] = torch.from_numpy(np.arange(most) < count[:, None])
    for field in schema.fields:
        if field.name not in columns:
            continue
        values = columns[field.name]
        if field.dtype.startswith("float") and not field.shape:
            values = values.astype(np.float64)
        tensor = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        if field.group in present:
            there = present[field.group]
            padded = torch.zeros(there.shape, dtype=tensor.dtype)
            padded[there] = tensor
            tensor = padded
        tensors[field.name] = tensor
    return schema.events(tensors, conditions, present)


def of_events(events: Events, schema: EventSchema) -> dict[str, NDArray[Any]]:
    """Return events as `checked` takes them: objects flat, absent ones left out.

    Raises:
        DataError: an absent object has a number that is not zero.
    """
    columns: dict[str, NDArray[Any]] = {}
    for group, there in events.present.items():
        columns[f"{group}.{COUNT}"] = there.sum(dim=1).numpy()
    for field in schema.fields:
        if field.name not in events.columns:
            continue
        values = events.columns[field.name]
        if field.group in events.present:
            there = events.present[field.group]
            ghosts = (values.ne(0) & ~there).any(dim=1)
            if ghosts.any():
                raise DataError(
                    f"'{field.name}' is not zero in event {ghosts.nonzero()[0].item()} where there "
                    f"is no {field.group}; what is absent must be zero"
                )
            values = values[there]
        columns[field.name] = values.numpy()
    if schema.weight:
        columns[schema.weight] = events.weight.numpy()
    return columns


def bytes_of(schema: EventSchema) -> int:
    """Return the bytes of one stored event before compression, with as many objects as can be."""
    numbers = {name: math.prod(shape) for name, shape in schema.shapes.items()}
    return sum(numbers[f.name] * np.dtype(f.dtype).itemsize for f in schema.fields)


def rows_of(columns: Columns, schema: EventSchema) -> int:
    """Return the number of events, by the first column that has one entry for each."""
    [first, *_] = schema.fields
    return len(columns[f"{first.group}.{COUNT}" if first.group in schema.objects else first.name])


def _counts(columns: Columns, group: str, n: int, place: str) -> NDArray[np.int64]:
    name = f"{group}.{COUNT}"
    count = np.asarray(columns[name])
    if count.shape != (n,):
        raise DataError(f"{place}: column '{name}' has shape {count.shape}, not {(n,)}")
    if count.dtype.kind not in "iu" or (count < 0).any():
        raise DataError(f"{place}: '{name}' must hold whole numbers, none below zero")
    return count.astype(np.int64)


def _kept(values: NDArray[Any], count: NDArray[np.int64], most: int) -> slice | NDArray[np.intp]:
    """Return which objects are kept, in order: the `most` largest of each event.

    They mostly stand in order, and are few enough; then all are kept as they stand, uncopied.
    """
    owner = np.repeat(np.arange(len(count)), count)
    in_order = (values[1:] <= values[:-1]) | (owner[1:] != owner[:-1])
    if in_order.all() and count.max(initial=0) <= most:
        return slice(None)
    order = np.lexsort((-values.astype(np.float64), owner))
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    kept: NDArray[np.intp] = order[rank < most]
    return kept


def _stored(
    columns: Columns,
    field: Field,
    shape: tuple[int, ...],
    place: str,
    count: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Return a column in its stored precision: of events, or of objects by `count`."""
    given = np.asarray(columns[field.name])
    if given.shape != shape:
        owner = f"'{field.group}.{COUNT}' counts {shape[0]} objects in all"
        counted = f": {owner}" if count is not None else ""
        raise DataError(
            f"{place}: column '{field.name}' has the shape {given.shape}, not {shape}{counted}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what a type cannot hold is found below
        values = given.astype(field.dtype, copy=False)
    real = values.dtype.kind == "f"
    good = np.isfinite(values) if real else values == given
    if not good.all():
        bad = np.nonzero(~good)[0]
        rows = np.unique(bad if count is None else np.cumsum(count).searchsorted(bad, "right"))
        finite = np.isfinite(given).all()
        wanted = "finite" if real else f"a whole number of type {field.dtype}"
        mend = "remove or mend these events at their source"
        if finite:
            wanted = f"a number that {field.dtype} holds" if real else wanted
            mend = f"{_declare(given, field)}, or mend these events at their source"
        raise DataError(
            f"{place}: column '{field.name}' is not {wanted} in {len(rows)} rows, first row "
            f"{rows[0]}: {given[~good][0]}; {mend}"
        )
    return values


def require_held(
    values: NDArray[Any], field: Field, place: str, count: NDArray[np.int64] | None = None
) -> None:
    """Raise `DataError`, with the type to declare, if a field's type does not hold finite numbers.

    Whole numbers must be held as they are, others within what precision is expected to lose, and
    unless that is what distinguishes them. `values` (m,) are of events, or of objects by `count`
    (n,); the message begins with `place`.
    """
    lost = _lost(values, field.dtype)
    if lost.any():
        first = int(lost.argmax())
        row = first if count is None else int(np.cumsum(count).searchsorted(first, "right"))
        with np.errstate(over="ignore", invalid="ignore"):
            stored = values[first].astype(field.dtype)
        told = f"{place}: {values[first]} in row {row} (from 0) would be {stored} in {field.dtype}"
        told += f" ({lost.sum():,} such numbers)"
    else:
        some = values[:: max(1, len(values) // DISTINGUISHED)]
        different, kept = (len(np.unique(v)) for v in (some, some.astype(field.dtype)))
        if different <= 2 * kept:
            return
        told = f"{place}: {different:,} different numbers would be {kept:,} in {field.dtype}"
    raise DataError(f"{told}; {_declare(values, field)}")


def _declare(values: NDArray[Any], field: Field) -> str:
    """Return what to do about finite numbers (n,) that a field's type does not hold."""
    for dtype in DTYPES[DTYPES.index(field.dtype) + 1 :]:
        if not _lost(values, dtype).any():
            return f"declare dtype = '{dtype}' for the field '{field.name}'"
    return "subtract what all of them have in common"


def _lost(values: NDArray[Any], dtype: str) -> NDArray[np.bool_]:
    """Return which finite numbers (n,) a type does not hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        again = values.astype(dtype).astype(values.dtype)
        whole = values.dtype.kind in "iu" or not (values % 1).any()
        if whole or not dtype.startswith("float"):
            return np.asarray(again != values)
        return np.asarray(np.abs(again - values) > ROUNDED * np.abs(values))


def _described(field: Field, kind: pa.DataType) -> pa.Field:
    return pa.field(
        field.name,
        kind,
        nullable=False,
        metadata={
            "unit": field.unit,
            "role": field.role,
            "description": field.description,
            **({"shape": " ".join(map(str, field.shape))} if field.shape else {}),
        },
    )


def _records(stored: Columns, group: str, own: Sequence[Field]) -> pa.Array:
    parts = [pa.array(stored[field.name]) for field in own]
    fields = [
        _described(field, part.type).with_name(field.name.partition(".")[2])
        for field, part in zip(own, parts, strict=True)
    ]
    records = pa.StructArray.from_arrays(parts, fields=fields)
    return _lists(stored[f"{group}.{COUNT}"], records, group)


def _image(images: NDArray[Any], field: Field) -> pa.Array:
    flat = images.reshape(len(images), math.prod(field.shape))
    if field.storage == "dense":
        return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
    event, cell = np.nonzero(flat)
    cells = [pa.array(cell.astype(np.int32)), pa.array(flat[event, cell])]
    count = np.bincount(event, minlength=len(flat))
    return _lists(count, pa.StructArray.from_arrays(cells, names=[CELL, VALUE]), field.name)


def _lists(count: NDArray[np.int64], values: pa.Array, name: str) -> pa.Array:
    if len(values) > np.iinfo(np.int32).max:
        raise DataError(
            f"'{name}': {len(values):,} objects or cells are too many for a shard; lower its events"
        )
    offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
    # Parquet calls what a list holds its element; other names would not survive a file.
    kind = pa.list_(pa.field("element", values.type, nullable=False))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)


def _array(column: pa.Array) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _lengths(column: pa.Array, name: str, most: int, place: str) -> NDArray[np.int64]:
    """Return the number of each event's objects or cells, of which there may be `most`."""
    lengths = _array(column.value_lengths()).astype(np.int64)
    if lengths.max(initial=0) > most:
        row = int((lengths > most).argmax())
        raise DataError(
            f"{place}: row {row} has {lengths[row]} entries of '{name}', more than the {most} that "
            f"it may have; {AGAIN}"
        )
    return lengths


def _pixels(column: pa.Array, shape: tuple[int, ...], name: str, place: str) -> NDArray[Any]:
    """Return images (n, *shape) of lists of pixels, or of cells and their values."""
    size = math.prod(shape)
    if pa.types.is_fixed_size_list(column.type):
        return _array(column.flatten()).reshape(len(column), *shape)
    event = np.repeat(np.arange(len(column)), _lengths(column, name, size, place))
    cell, value = (_array(column.flatten().field(part)) for part in (CELL, VALUE))
    if not ((cell >= 0) & (cell < size)).all():
        wrong = cell[(cell < 0) | (cell >= size)][0]
        raise DataError(
            f"{place}: image '{name}' of shape {shape} has cells 0 to {size - 1}, not {wrong}; "
            f"{AGAIN}"
        )
    place_of = event * size + cell
    if (again := place_of[1:] <= place_of[:-1]).any():
        row = event[1:][again][0]
        raise DataError(
            f"{place}: image '{name}' of row {row} has a cell twice, or cells not in order; {AGAIN}"
        )
    images = np.zeros((len(column), size), dtype=value.dtype)
    images[event, cell] = value
    return images.reshape(len(column), *shape)
