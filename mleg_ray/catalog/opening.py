"""A dataset as the arrays and frames of libraries by which people analyse events."""

from typing import Any

from mleg_ray.catalog.codec import Columns
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


KINDS = {"awkward": as_awkward, "pandas": as_pandas}


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
