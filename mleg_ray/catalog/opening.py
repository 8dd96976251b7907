"""A dataset as the arrays and frames of libraries by which people analyse events."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns, to_table
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.errors import DataError, library
from mleg_ray.events import COUNT, EventSchema

UNITS = "units"  # of all fields by name: a parameter of arrays, an attribute of frames
# What makes a record a momentum of vector, the one with most parts first.
MOMENTA = {
    "Momentum4D": (
        {"px", "py", "pz", "energy"},
        {"pt", "eta", "phi", "energy"},
        {"pt", "eta", "phi", "mass"},
    ),
    "Momentum3D": ({"px", "py", "pz"}, {"pt", "eta", "phi"}),
    "Momentum2D": ({"px", "py"}, {"pt", "phi"}),
}


def as_awkward(dataset: Dataset, split: str | None = None) -> Any:  # noqa: ANN401 - of awkward
    """Return events as an array of awkward: groups are records, momenta those of vector.

    `events.jet.pt` is a list of each event's jets; `events.electron.eta` follows from its px, py
    and pz. The array's parameter `units` has the unit of each field.

    Raises:
        DataError: a shard is gone or altered, or there is no such split.
        UserError: awkward or vector is not installed.
    """
    awkward = library("awkward", "open")
    library("vector", "open").register_awkward()
    schema = dataset.schema
    parts = [_records(awkward, dataset.columns(s), schema) for s in dataset.shards(split)]
    return awkward.with_parameter(awkward.concatenate(parts), UNITS, _units(schema))


def as_pandas(dataset: Dataset, split: str | None = None) -> Any:  # noqa: ANN401 - of pandas
    """Return events as a frame of pandas, a column for each field; `attrs` has their units.

    Raises:
        DataError: an event has lists of objects or images; or see `as_awkward`.
        UserError: pandas is not installed.
    """
    pandas = library("pandas", "open")
    schema = dataset.schema
    if shaped := [name for name, shape in schema.shapes.items() if shape]:
        raise DataError(
            f"{dataset.uri}: '{shaped[0]}' is more than one number an event, and a frame has no "
            "place for it; open it as awkward"
        )
    names = [field.name for field in schema.fields]
    parts = [pandas.DataFrame(dataset.columns(s), columns=names) for s in dataset.shards(split)]
    frame = pandas.concat(parts, ignore_index=True)
    frame.attrs[UNITS] = _units(schema)
    return frame


def as_polars(dataset: Dataset, split: str | None = None) -> Any:  # noqa: ANN401 - of polars
    """Return events as a lazy frame of polars, which reads one shard after the other.

    A group of objects is a column of lists of records, an image one of arrays. A frame has no place
    for units: they are in the dataset's manifest.

    Raises:
        UserError: polars is not installed. What is wrong with a shard is told when it is read.
    """
    polars = library("polars", "open", extra="polars")
    schema = dataset.schema

    def frames(
        columns: list[str] | None,
        predicate: Any,  # noqa: ANN401 - of polars
        events: int | None,
        batch: int | None,
    ) -> Iterator[Any]:
        for shard in dataset.shards(split):
            table = as_table(dataset.columns(shard), schema)
            frame = polars.from_arrow(table if columns is None else table.select(columns))
            if events is not None:
                frame = frame.head(events)
                events -= len(frame)
            yield frame if predicate is None else frame.filter(predicate)
            if events == 0:
                return

    nothing = polars.from_arrow(as_table(_no_events(schema), schema))
    return polars.io.plugins.register_io_source(frames, schema=nothing.schema)


KINDS = {"awkward": as_awkward, "pandas": as_pandas, "polars": as_polars}


def as_table(columns: Columns, schema: EventSchema) -> pa.Table:
    """Return the columns of a shard as a table of Arrow, whose fields have their units.

    A group of objects is a column of lists of records, an image (n, rows, columns) one of lists of
    so many lists.
    """
    images = [field for field in schema.fields if field.shape]
    table = to_table(columns, schema.without({field.name for field in images}), {})
    for field in images:
        named = pa.field(field.name, (nested := _nested(columns[field.name])).type)
        table = table.append_column(named.with_metadata({"unit": field.unit}), nested)
    return table


def _nested(images: NDArray[Any]) -> pa.Array:
    lists = pa.array(images.ravel())
    for length in reversed(images.shape[1:]):
        lists = pa.FixedSizeListArray.from_arrays(lists, length)
    return lists


def _no_events(schema: EventSchema) -> dict[str, NDArray[Any]]:
    counts = {f"{group}.{COUNT}": np.empty(0, np.int64) for group in schema.objects}
    return counts | {f.name: np.empty((0, *f.shape), f.dtype) for f in schema.fields}


def _records(awkward: Any, columns: Columns, schema: EventSchema) -> Any:  # noqa: ANN401
    """Return the columns of a shard as records of awkward."""
    made: dict[str, Any] = {}
    for field in schema.fields:
        if not field.group:
            made[field.name] = columns[field.name]
        elif field.group not in made:
            own = {
                f.name.partition(".")[2]: f.name for f in schema.fields if f.group == field.group
            }
            records = awkward.zip(
                {part: columns[name] for part, name in own.items()}, with_name=_momentum(set(own))
            )
            if field.group in schema.objects:
                records = awkward.unflatten(records, columns[f"{field.group}.{COUNT}"])
            made[field.group] = records
    return awkward.zip(made, depth_limit=1)


def _momentum(parts: set[str]) -> str | None:
    """Return what vector calls a record of these parts; None if it is no momentum."""
    named = (name for name, needed in MOMENTA.items() if any(some <= parts for some in needed))
    return next(named, None)


def _units(schema: EventSchema) -> dict[str, str]:
    return {field.name: field.unit for field in schema.fields}
