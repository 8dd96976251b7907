"""The events that are compared, and what their numbers mean."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mleg_ray.config import Config, parse
from mleg_ray.errors import DataError
from mleg_ray.evaluation.column import Column, columns_of, numbers
from mleg_ray.evaluation.distances import FloatArray
from mleg_ray.evaluation.histograms import Histogram
from mleg_ray.evaluation.tally import Tally
from mleg_ray.evaluation.unphysical import UnphysicalTally
from mleg_ray.events import Events
from mleg_ray.physics.observables import Definitions, Plane

NO_DEFINITIONS = Definitions()
MOST_OBJECTS = 8  # of a group, that classifiers see


class Frame(Protocol):
    """What columns need to be: a mapping or a data frame."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the names."""
        ...

    def __getitem__(self, name: Any, /) -> Any:  # noqa: ANN401 - a column of any kind
        """Return a column."""
        ...


# Named columns (n,), or a matrix (n, d) whose columns are then called x0, x1 ...
Columns = Frame | NDArray[Any]


class Axis(Config):
    """How an observable is read and drawn: unit ("1" if none), LaTeX label, logarithmic or not.

    `derived` says that it is a function of the other columns.
    """

    unit: str = "1"
    label: str = ""
    log: bool = False
    description: str = ""
    derived: bool = False

    def edges(self, low: float, high: float, bins: int) -> FloatArray:
        """Return the edges (bins + 1,) of bins that are equal on the axis's own scale."""
        space = np.geomspace if self.log and low > 0 else np.linspace
        edges: FloatArray = space(low, high, bins + 1)
        return edges


class Origin(Config):
    """Where a sample comes from; `events` exist there, `compared` of them were drawn at random."""

    name: str
    events: int
    compared: int
    uri: str | None = None
    dataset_digest: str | None = None
    split: str | None = None
    conditions: dict[str, float] = {}
    provenance: dict[str, Any] = {}


@dataclass(frozen=True)
class Sample:
    """Events as named columns, of events or of their objects, with `weight` (n,), all float64.

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

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def counted(self) -> int:
        """The number of events that a tally has counted, else of those drawn."""
        return self.tally.events if self.tally else len(self)

    @property
    def numbers(self) -> dict[str, FloatArray]:
        """The columns (n,) of which each event has one number."""
        return numbers(self.columns)

    @property
    def features(self) -> dict[str, FloatArray]:
        """What a classifier sees (n,): the numbers, and the first objects, absent ones as zero."""
        features = self.numbers
        for name, column in self.columns.items():
            if column.owner is not None:
                table = column.padded(len(self), MOST_OBJECTS)
                features |= {f"{name} {i + 1}": values for i, values in enumerate(table.T)}
        return features

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
    columns: Columns,
    weights: ArrayLike | None = None,
    *,
    axes: Mapping[str, Axis] | None = None,
    definitions: Definitions | Mapping[str, Any] = NO_DEFINITIONS,
    name: str = "arrays",
) -> Sample:
    """Make a sample of plain columns, or of a data frame, of any generator.

    Columns have shape (n,), weights too (1 if absent); a matrix (n, d) has columns x0, x1 ...
    `axes` chooses what is compared, by default every column and the `definitions`' observables that
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
    if isinstance(columns, np.ndarray):
        if columns.ndim != 2:
            raise DataError(f"{name}: a matrix (n, d) or columns are needed, not {columns.shape}")
        columns = {f"x{i}": column for i, column in enumerate(columns.T)}
    arrays = {str(key): _numeric(name, key, columns[key]) for key in columns}
    shapes = {key: array.shape for key, array in arrays.items()}
    n = len(next(iter(arrays.values()), ()))
    weight = np.ones(n) if weights is None else _numeric(name, "weights", weights)
    for key, shape in (shapes | {"weights": weight.shape}).items():
        if shape != (n,):
            raise DataError(f"{name}: column '{key}' has shape {shape}, not ({n},) as the first")
    if not np.isfinite(weight).all():
        raise DataError(f"{name}: weight not finite, first in row {np.argmin(np.isfinite(weight))}")
    largest = np.abs(weight).max(initial=0.0)
    if not 1e-100 < largest < 1e100 and largest != 0:
        raise DataError(f"{name}: weights as large as {largest:g}; multiply all by a common factor")
    one = Events({key: torch.ones(1).double() for key in arrays}, {}, torch.ones(1).double())
    definitions.check(one, axes if axes is not None else arrays)
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    events = definitions.joined(Events(tensors, {}, torch.from_numpy(weight)))
    if axes is None:
        axes = {key: Axis() for key in arrays} | derived_axes(definitions)
    missing = [key for key in axes if key not in events.columns]
    if missing:
        raise DataError(f"{name}: no column '{missing[0]}'; there are {', '.join(events.columns)}")
    tally = UnphysicalTally.of(events, list(arrays), definitions)
    everything = columns_of(events)
    origin = Origin(name=name, events=n, compared=n)
    return ordered(Sample(everything, weight, axes, tally, origin, definitions))


def binned(truth: Sample, generated: Sample, name: str, edges: FloatArray) -> Binned:
    """Count all events of both samples of an observable.

    Where the generated sample has a tally, edges are moved to the nearest of the tally's own; if
    these leave less than half of the bins, the events drawn are counted.
    """
    tally = generated.tally
    if tally is None or not tally.bins.cover(name, edges):
        t, g = (sample.histogram(name, edges) for sample in (truth, generated))
        return Binned(edges, t, g, len(generated))
    edges = tally.bins.snap(name, edges)
    t = truth.tally.histogram(name, edges) if truth.tally else truth.histogram(name, edges)
    return Binned(edges, t, tally.histogram(name, edges), tally.events)


def derived_axes(definitions: Definitions) -> dict[str, Axis]:
    """Return the observables that have a label."""
    return {
        name: Axis(unit=o.unit, label=o.label, log=o.log, derived=True)
        for name, o in definitions.observables.items()
        if o.label
    }


def aligned(sample: Sample, axes: Iterable[str]) -> Sample:
    """Return the sample with its columns in the order of `axes`, its events ordered by them."""
    names = list(axes)
    if list(sample.axes) == names:
        return sample
    return ordered(replace(sample, axes={name: sample.axes[name] for name in names}))


def require_comparable(truth: Sample, generated: Sample) -> None:
    """Check that both samples have the same columns, units and constraints.

    Raises:
        DataError: they differ; the message names the first difference.
    """
    for name in dict.fromkeys((*truth.axes, *generated.axes)):
        for here, there in ((truth, generated), (generated, truth)):
            if name not in here.axes:
                raise DataError(f"'{name}' is a column of {there.origin.name} only")
        a, b = truth.axes[name].unit, generated.axes[name].unit
        if a != b:
            raise DataError(f"'{name}' is in {a} in the truth but in {b} in the generated sample")
    for rules in ("constraints", "selection"):
        ours, theirs = (getattr(s.definitions, rules) for s in (truth, generated))
        for name in set(ours) & set(theirs):
            if ours[name] != theirs[name]:
                raise DataError(f"{rules}: '{name}' is not the same rule in both samples")
    judged = set(truth.unphysical.violating) ^ set(generated.unphysical.violating)
    if judged:
        raise DataError(f"constraint '{min(judged)}' was counted in one of the two samples only")


def _numeric(name: str, key: object, column: Any) -> FloatArray:  # noqa: ANN401 - of any kind
    if np.ma.isMaskedArray(column):
        raise DataError(f"{name}: column '{key}' is masked; fill or drop what is masked")
    array = np.asarray(column)
    if array.dtype.kind not in "fiub" and array.size > 0:
        raise DataError(f"{name}: column '{key}' holds {array.dtype}; real numbers are needed")
    return array.astype(np.float64)


def ordered(sample: Sample) -> Sample:
    """Return the sample with the columns of its axes alone, its events in their canonical order."""
    compared = {name: sample.columns[name] for name in sample.axes}
    n = len(sample)
    keys = [
        column.values if column.owner is None else np.bincount(column.owner, column.values, n)
        for column in compared.values()
    ]
    order = np.lexsort((sample.weight, *reversed(keys)))
    ordered = {name: column.take(order, n) for name, column in compared.items()}
    return replace(sample, columns=ordered, weight=sample.weight[order])
