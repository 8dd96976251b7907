"""The events that are compared, and what their numbers mean."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mleg_ray.config import Config, parse
from mleg_ray.definitions import Definitions, Plane
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.column import Column, FloatArray, columns_of
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.samples.images import Images, images_of
from mleg_ray.evaluation.samples.tally import Tally
from mleg_ray.evaluation.samples.unphysical import UnphysicalTally, broken
from mleg_ray.events import COUNT, Events, group_of

NO_DEFINITIONS = Definitions()
MOST_OBJECTS = 8  # of a group, that classifiers see


class Frame(Protocol):
    """What columns need to be: a mapping, a data frame (pandas, polars) or a table of Arrow."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the names."""

    def __getitem__(self, name: Any, /) -> Any:  # noqa: ANN401 - a column of any kind
        """Return a column."""


# Named columns, also of a structured array, or a matrix (n, d) of columns x0, x1 ...
Arrays = Frame | NDArray[Any]


class Axis(Config):
    """How an observable is read and drawn: unit ("1" if none), LaTeX label, logarithmic or not.

    `derived` says that it is a function of the other columns, `condition` that it is given to the
    generator.
    """

    unit: str = "1"
    label: str = ""
    log: bool = False
    description: str = ""
    derived: bool = False
    condition: bool = False

    def edges(self, low: float, high: float, bins: int) -> FloatArray:
        """Return the edges (bins + 1,) of bins that are equal on the axis's own scale."""
        space = np.geomspace if self.log and low > 0 else np.linspace
        edges: FloatArray = space(low, high, bins + 1)
        return edges


class Origin(Config):
    """Where a sample comes from; `events` exist there, `compared` of them were drawn at random.

    These have so many `objects`, by group.
    """

    name: str
    events: int
    compared: int
    objects: dict[str, int] = {}
    uri: str | None = None
    dataset_digest: str | None = None
    split: str | None = None
    conditions: dict[str, float] = {}
    provenance: dict[str, Any] = {}


@dataclass(frozen=True)
class EventSample:
    """Events as named columns, of events or of their objects, with `weight` (n,), all float64.

    Their `images` go by name, too.

    The events are in a canonical order, so that every figure, its seeded choices included, depends
    on which events there are and not on how they were stored. `unphysical` has counted all events
    of the origin, not only those drawn; so has `tally`, if the sample, or the one it
    judges, was written with one.
    """

    columns: Mapping[str, Column]
    weight: FloatArray
    axes: Mapping[str, Axis]
    unphysical: UnphysicalTally
    origin: Origin
    definitions: Definitions = NO_DEFINITIONS
    tally: Tally | None = None
    images: Mapping[str, Images] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def counted(self) -> int:
        """The number of events that a tally has counted, else of those drawn."""
        return self.tally.events if self.tally else len(self)

    @property
    def numbers(self) -> dict[str, FloatArray]:
        """The columns (n,) of which each event has one number."""
        return {
            name: column.values for name, column in self.columns.items() if column.count is None
        }

    @property
    def features(self) -> dict[str, FloatArray]:
        """What a classifier sees of each column (n, k): its number, or those of the first objects.

        Absent objects are zero.
        """
        return {name: column.padded(MOST_OBJECTS) for name, column in self.columns.items()}

    def take(self, rows: NDArray[np.intp]) -> "EventSample":
        """Return some of the drawn events, in the order of the rows."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        images = {name: some.take(rows) for name, some in self.images.items()}
        return replace(self, columns=columns, weight=self.weight[rows], images=images)

    def histogram(self, name: str, edges: FloatArray) -> Histogram:
        """Return the drawn events, or objects, below, between and above `edges`.

        The shape is (len(edges) + 1,). What is not a number counts as above.
        """
        column = self.columns[name]
        index = np.searchsorted(edges, column.values, side="right")
        return Histogram.fill(index, column.weights(self.weight), len(edges) + 1)

    def cells(self, plane: Plane) -> Histogram:
        """Return all counted events by the bins of a plane, shape (cells,)."""
        if self.tally is not None:
            return self.tally.planes[plane.name]
        index = plane.index(self.columns[plane.x].values, self.columns[plane.y].values)
        return Histogram.fill(index, self.weight, plane.cells)


class Binned(NamedTuple):
    """Both samples in the same bins: below, between and above `edges`, each (len(edges) + 1,).

    `events` generated ones were counted.
    """

    edges: FloatArray
    truth: Histogram
    generated: Histogram
    events: int


def from_arrays(
    columns: Arrays,
    weights: ArrayLike | None = None,
    *,
    axes: Mapping[str, Axis] | None = None,
    definitions: Definitions | Mapping[str, Any] = NO_DEFINITIONS,
    name: str = "arrays",
) -> EventSample:
    """Make a sample of plain columns, or of a data frame, of any generator.

    Columns have shape (n,), weights too (1 if absent); a matrix (n, d) has columns x0, x1 ...
    Images have the shape (n, rows, columns), or with the layers before rows.
    Objects are a group: with a column `jet.count` (n,), their number, the columns `jet.pt`,
    `jet.eta` ... hold the numbers of all jets of the first event, then of the second ... `axes`
    chooses what is compared, by default every column and the `definitions`' observables that
    have a label; constraints may use every column, planes and objects what is compared. Definitions
    may be given as a catalog entry's tables, a mapping.

    Raises:
        ConfigError: the definitions are not valid.
        DataError: lengths differ, a column of `axes` is absent, or a weight is not finite.
    """
    if not isinstance(definitions, Definitions):
        definitions = parse(Definitions, definitions, f"{name}: definitions")
    if axes is not None and not axes:
        raise DataError(f"{name}: axes names nothing to compare")
    events = _events(columns, weights, name)
    example = Events.example(
        {key: tuple(values.shape[1:]) for key, values in events.columns.items()},
        {group: there.shape[1] for group, there in events.present.items()},
    )
    definitions.check(example, axes if axes is not None else events.columns)
    if axes is None:
        numbers = (key for key in events.columns if key not in images_of(events))
        axes = {key: Axis() for key in numbers} | derived_axes(definitions)
    known = (*events.columns, *definitions.observables)
    missing = [key for key in axes if key not in known]
    if missing:
        raise DataError(f"{name}: no column '{missing[0]}'; there are {', '.join(known)}")
    return ordered(sample_of(events, axes, list(events.columns), definitions, name))


def sample_of(
    events: Events,
    axes: Mapping[str, Axis],
    fields: Sequence[str],
    definitions: Definitions,
    name: str,
) -> EventSample:
    """Make a sample of events, in their own order; all are compared.

    `fields` are those that were generated, which must be finite.
    """
    joined = definitions.joined(events)
    everything = columns_of(joined)
    columns = {axis: everything[axis] for axis in axes}
    n = len(events)
    origin = Origin(name=name, events=n, compared=n, objects=objects_of(columns))
    unphysical = UnphysicalTally.of(broken(joined, fields, definitions), events.weight)
    return EventSample(
        columns,
        events.weight.numpy(),
        axes,
        unphysical,
        origin,
        definitions,
        images=images_of(events),
    )


def objects_of(columns: Mapping[str, Column]) -> dict[str, int]:
    """Return the number of objects of each group that has a number of them."""
    return {
        group_of(name): len(column.values)
        for name, column in columns.items()
        if column.count is not None
    }


def binned(
    truth: EventSample,
    generated: EventSample,
    name: str,
    edges: FloatArray,
    tails: Sequence[float] | FloatArray = (),
) -> Binned:
    """Count all events of both samples of an observable, between `edges` and the further `tails`.

    Where the generated sample has a tally, edges are moved to the nearest of the tally's own; if
    these leave less than half of the bins between `edges`, the events drawn are counted.
    """
    tally = generated.tally
    covered = tally is not None and tally.bins.cover(name, edges)
    edges = np.union1d(edges, tails) if len(tails) else edges
    if tally is None or not covered:
        t, g = (sample.histogram(name, edges) for sample in (truth, generated))
        return Binned(edges, t, g, len(generated))
    edges = tally.bins.snap(name, edges)
    t = truth.tally.histogram(name, edges) if truth.tally else truth.histogram(name, edges)
    return Binned(edges, t, tally.histogram(name, edges), tally.events)


def derived_axes(definitions: Definitions) -> dict[str, Axis]:
    """Return the observables that have a label; several of one label are told by their names."""
    labelled = {name: o for name, o in definitions.observables.items() if o.label}
    times = Counter(o.label for o in labelled.values())
    return {
        name: Axis(
            unit=o.unit, label=o.label if times[o.label] == 1 else "", log=o.log, derived=True
        )
        for name, o in labelled.items()
    }


def comparable(truth: EventSample, sample: EventSample) -> EventSample:
    """Return a sample with its columns in the order of the truth's, its events ordered by them.

    Raises:
        DataError: columns, units or constraints differ; the message names the first difference.
    """
    for name in dict.fromkeys((*truth.axes, *sample.axes)):
        for here, there in ((truth, sample), (sample, truth)):
            if name not in here.axes:
                raise DataError(f"'{name}' is a column of {there.origin.name} only")
        a, b = truth.axes[name].unit, sample.axes[name].unit
        if a != b:
            raise DataError(f"'{name}' is in {a} in the truth but in {b} in the generated sample")
    for rules in ("constraints", "selection"):
        ours, theirs = (getattr(s.definitions, rules) for s in (truth, sample))
        for name in set(ours) & set(theirs):
            if ours[name] != theirs[name]:
                raise DataError(f"{rules}: '{name}' is not the same rule in both samples")
    for name in set(truth.images) & set(sample.images):
        shapes = [some.images[name].shape for some in (truth, sample)]
        if shapes[0] != shapes[1]:
            raise DataError(
                f"'{name}' has the shape {shapes[0]} in the truth but {shapes[1]} in the generated "
                "sample"
            )
    judged = set(truth.unphysical.violating) ^ set(sample.unphysical.violating)
    if judged:
        raise DataError(f"constraint '{min(judged)}' was counted in one of the two samples only")
    if list(sample.axes) == list(truth.axes):
        return sample
    return ordered(replace(sample, axes={name: sample.axes[name] for name in truth.axes}))


def ordered(sample: EventSample) -> EventSample:
    """Return the sample with the columns of its axes alone, its events in their canonical order."""
    compared = {name: sample.columns[name] for name in sample.axes}
    order = np.lexsort((sample.weight, *(column.key for column in reversed(compared.values()))))
    return replace(sample, columns=compared).take(order)


def _events(columns: Arrays, weights: ArrayLike | None, name: str) -> Events:
    """Return plain columns as events; see `from_arrays`."""
    arrays = {str(key): _numeric(name, key, column) for key, column in _named(columns, name)}
    groups = [group_of(key) for key in arrays if key == f"{group_of(key)}.{COUNT}"]
    flat = {key for key in arrays if group_of(key) in groups and not key.endswith(f".{COUNT}")}
    n = next((len(array) for key, array in arrays.items() if key not in flat), 0)
    weight = np.ones(n) if weights is None else _numeric(name, "weights", weights)
    for key, array in (arrays | {"weights": weight}).items():
        images = array.ndim > 2 and len(array) == n
        if key not in flat and array.shape != (n,) and not images:
            raise DataError(f"{name}: column '{key}' has shape {array.shape}, not ({n},) as others")
    if not np.isfinite(weight).all():
        raise DataError(f"{name}: weight not finite, first in row {np.argmin(np.isfinite(weight))}")
    largest = np.abs(weight).max(initial=0.0)
    if not 1e-100 < largest < 1e100 and largest != 0:
        raise DataError(f"{name}: weights as large as {largest:g}; multiply all by a common factor")
    present = {group: _present(name, group, arrays[f"{group}.{COUNT}"]) for group in groups}
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    for key in flat:
        there = present[group_of(key)]
        if arrays[key].shape != (int(there.sum()),):
            raise DataError(
                f"{name}: column '{key}' has shape {arrays[key].shape}; "
                f"'{group_of(key)}.{COUNT}' counts {int(there.sum())} objects in all"
            )
        padded = torch.zeros(there.shape, dtype=torch.float64)
        padded[there] = tensors[key]
        tensors[key] = padded
    return Events(tensors, present, torch.from_numpy(weight))


def _named(columns: Arrays, name: str) -> Iterable[tuple[Any, Any]]:
    """Return each column with its name."""
    if isinstance(columns, np.ndarray):
        if columns.dtype.names:
            return [(key, columns[key]) for key in columns.dtype.names]
        if columns.ndim != 2:
            raise DataError(f"{name}: a matrix (n, d) or columns are needed, not {columns.shape}")
        return [(f"x{i}", column) for i, column in enumerate(columns.T)]
    # The names of Arrow, of awkward, of pandas and polars (which yields columns), of mappings.
    told = [getattr(columns, attribute, None) for attribute in ("column_names", "fields")]
    keys = list(
        next((n for n in told if isinstance(n, list)), getattr(columns, "columns", columns))
    )
    if len(set(keys)) < len(keys):
        raise DataError(f"{name}: columns need different names, not {', '.join(map(str, keys))}")
    return [(key, columns[key]) for key in keys]


def _present(name: str, group: str, count: FloatArray) -> Tensor:
    """Return which objects of a group there are (n, most), by their number (n,)."""
    if not (np.isfinite(count) & (count >= 0) & (count == np.floor(count))).all():
        raise DataError(f"{name}: '{group}.{COUNT}' must hold whole numbers, none below zero")
    return torch.arange(int(count.max(initial=0))) < torch.from_numpy(count)[:, None]


def _numeric(name: str, key: object, column: Any) -> FloatArray:  # noqa: ANN401 - of any kind
    if np.ma.isMaskedArray(column):
        raise DataError(f"{name}: column '{key}' is masked; fill or drop what is masked")
    try:
        array = np.asarray(column)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: column '{key}' is no column of numbers: {error}") from None
    if array.dtype.kind not in "fiub" and array.size > 0:
        raise DataError(f"{name}: column '{key}' holds {array.dtype}; real numbers are needed")
    return array.astype(np.float64)
