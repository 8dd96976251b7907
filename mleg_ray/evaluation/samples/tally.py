"""Histograms so fine that distances follow from them: they add up over shards of any number.

An axis has two kinds of edges, both learned from a pilot sample: 1024 quantiles bound the
probability of a bin, and so what a Kolmogorov-Smirnov distance can miss, to about 1/1024; 1024
equal steps between the outer quantiles bound its width, and so what W1 and the histograms of the
other metrics can miss, to a tenth of their own bins. A few more lie in the tails. Whole numbers
have edges between them, so that a picture has a bin for each. Truth and generated events are
counted in the same bins, so a difference can be blurred but none can arise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mleg_ray.definitions import Plane
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.column import Column, FloatArray
from mleg_ray.evaluation.samples.histogram import BinIndex, Histogram, are_whole
from mleg_ray.evaluation.samples.unphysical import Share, UnphysicalTally

QUANTILES = STEPS = 1024
MOST_IN_A_BIN = 8 / QUANTILES  # of the truth, if its values are not equal
OUTER = (0.0001, 0.9999)  # the quantiles between which the equal steps lie
FAR = (0.00001, 0.00003, 0.99997, 0.99999)  # beyond these: see `binning.TAILS`

# Edges are numbers that end in so many zero bits in single precision: a table then finds the bin of
# a value some ten times faster than a search, which would take longer than to generate the event.
_SHIFT = 12
_SIGN = np.uint32(0x8000_0000)

T = TypeVar("T")


@dataclass(frozen=True)
class FineBins:
    """The bins of each axis: `edges` (k,) increasing; value v is in bin #{edges <= v}, of k + 1."""

    edges: Mapping[str, FloatArray]

    @staticmethod
    def of(pilot: Mapping[str, FloatArray]) -> "FineBins":
        """Learn the bins from pilot values (m,) by axis; those that are not finite do not count.

        Of a generator that makes no object of a kind there is no value: all are in one of two bins.

        Raises:
            DataError: no value of an axis is finite.
        """
        return FineBins({name: _edges(name, values) for name, values in pilot.items()})

    def index(self, name: str, values: FloatArray) -> NDArray[np.int16]:
        """Return the bins of values (n,), which are taken to single precision first."""
        return np.take(self._tables[name], _cells(values))

    def quantise(self, name: str, values: FloatArray) -> FloatArray:
        """Move values (n,) to the middle of their bins; those beyond all edges to the last one."""
        return self.positions[name][self.index(name, values)]

    def resolve(self, name: str, values: FloatArray) -> bool:
        """Tell whether few of values (n,) share a bin, unless they are equal.

        Bins of a generator that is far from the truth would blur the truth.
        """
        index = self.index(name, values)
        counts = np.bincount(index)
        crowded = np.flatnonzero(counts > MOST_IN_A_BIN * max(len(values), QUANTILES))
        return all(np.ptp(values[index == k]) == 0 for k in crowded)

    def cover(self, name: str, edges: FloatArray) -> bool:
        """Tell whether an axis's own edges can stand for others: `snap` keeps half of them or more.

        All but the outermost must lie within the axis's own.
        """
        own, inner = self.edges[name], edges[1:-1]
        within = np.all((own[0] <= inner) & (inner <= own[-1]))
        return bool(within and len(self.snap(name, edges)) >= len(edges) / 2)

    def snap(self, name: str, edges: FloatArray) -> FloatArray:
        """Move edges to the axis's own nearest ones; two that meet become one."""
        own = self.edges[name]
        above = np.clip(np.searchsorted(own, edges), 1, len(own) - 1)
        nearer_below = edges - own[above - 1] < own[above] - edges
        snapped: FloatArray = np.unique(own[above - nearer_below])
        return snapped

    @cached_property
    def positions(self) -> dict[str, FloatArray]:
        """Where the bins of each axis are, increasing, shape (k + 1,)."""
        return {
            name: np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
            for name, edges in self.edges.items()
        }

    @cached_property
    def _tables(self) -> dict[str, NDArray[np.int16]]:
        cells = 1 << (32 - _SHIFT)
        tables = {}
        for name, edges in self.edges.items():
            passed = np.zeros(cells, dtype=np.int16)
            passed[_cells(edges)] = 1
            tables[name] = np.cumsum(passed, dtype=np.int16)
        return tables

    def to_bytes(self) -> bytes:
        """Return a safetensors file of the edges."""
        return save({name: np.ascontiguousarray(edges) for name, edges in self.edges.items()})

    @staticmethod
    def from_bytes(content: bytes) -> "FineBins":
        """Read what `to_bytes` wrote; its SHA-256 is the caller's to check."""
        return FineBins(load(content))


@dataclass(frozen=True)
class Tally:
    """Events or objects by bin of each axis (k + 1,), and events by cell of each plane (cells,).

    Beside these are the unphysical events. Events of a generated sample have equal weights: there
    the histograms are of counts.
    """

    bins: FineBins
    axes: Mapping[str, Histogram]
    planes: Mapping[str, Histogram]
    unphysical: UnphysicalTally

    @staticmethod
    def of(
        columns: Mapping[str, Column],
        bins: FineBins,
        planes: Iterable[Plane],
        unphysical: UnphysicalTally,
        weights: FloatArray | None = None,
    ) -> "Tally":
        """Count events by columns that hold every axis; absent `weights` (n,) are 1."""

        def filled(index: BinIndex, column: Column, size: int) -> Histogram:
            of_each = None if weights is None else column.weights(weights)
            return Histogram.fill(index, of_each, size)

        axes, cells = {}, {}
        for name, edges in bins.edges.items():
            column = columns[name]
            axes[name] = filled(bins.index(name, column.values), column, len(edges) + 1)
        for plane in planes:
            x, y = columns[plane.x], columns[plane.y]
            cells[plane.name] = filled(plane.index(x.values, y.values), x, plane.cells)
        return Tally(bins, axes, cells, unphysical)

    @property
    def events(self) -> int:
        """How many events were counted."""
        return self.unphysical.total.events

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.bins,
            {name: events + other.axes[name] for name, events in self.axes.items()},
            {name: events + other.planes[name] for name, events in self.planes.items()},
            self.unphysical + other.unphysical,
        )

    def histogram(self, name: str, edges: FloatArray) -> Histogram:
        """Return the events, or objects, below, between and above `edges`, some of the axis's own.

        The shape is (len(edges) + 1,).
        """
        return self.axes[name].merged(
            np.append(0, np.searchsorted(self.bins.edges[name], edges) + 1)
        )

    def draw(self, name: str, n: int, rng: np.random.Generator) -> FloatArray:
        """Return the quantised values (n,) of random events, none twice."""
        return self.bins.positions[name][self.axes[name].draw(n, rng)]

    def to_bytes(self) -> bytes:
        """Return a safetensors file of counts by axis and plane and of the unphysical shares.

        Weights are left out: it is meant for generated events.
        """
        counts = {f"axis.{name}": events.weight for name, events in self.axes.items()}
        counts |= {f"plane.{name}": events.weight for name, events in self.planes.items()}
        shares = {"total": self.unphysical.total}
        shares |= {f"violating.{name}": share for name, share in self.unphysical.violating.items()}
        return save(
            {name: values.astype(np.int32) for name, values in counts.items()}
            | {name: np.array(astuple(share)) for name, share in shares.items()}
        )

    @staticmethod
    def from_bytes(content: bytes, bins: FineBins) -> "Tally":
        """Read what `to_bytes` wrote of those bins; its SHA-256 is the caller's to check.

        Raises:
            SafetensorError, ValueError, KeyError: it is something else.
        """
        arrays = load(content)
        shares = {key: _share(array) for key, array in arrays.items() if array.dtype == np.float64}
        counts = {key: Histogram.of_counts(a) for key, a in arrays.items() if key not in shares}
        unphysical = UnphysicalTally(shares.pop("total"), _part(shares, "violating."))
        return Tally(bins, _part(counts, "axis."), _part(counts, "plane."), unphysical)


def merge(files: Iterable[tuple[str, bytes]], bins: FineBins) -> Tally:
    """Add up the tallies of shards, given as (name, content of the file), at least one.

    Raises:
        DataError: a file is no tally, or not one of the same bins as the first.
    """
    total: Tally | None = None
    for name, content in files:
        try:
            tally = Tally.from_bytes(content, bins)
            total = tally if total is None else total + tally
        except (SafetensorError, ValueError, KeyError) as error:
            raise DataError(
                f"{name}: no tally, or one of other bins ({error}); "
                "`mleg sample` makes it again once it is deleted"
            ) from None
    assert total is not None
    return total


def _edges(name: str, values: FloatArray) -> FloatArray:
    finite = values[np.isfinite(values)] if len(values) else np.zeros(1)
    if len(finite) == 0:
        raise DataError(f"no generated value of '{name}' is finite: nothing can be counted")
    quantiles = np.quantile(finite, [*np.linspace(0, 1, QUANTILES + 1), *FAR])
    low, high = np.quantile(finite, OUTER)
    steps = np.linspace(low, high, STEPS + 1)
    between = np.array([])
    if are_whole(finite) and 0 < np.ptp(finite) < STEPS:
        between = np.arange(finite.min() - 0.5, finite.max() + 1)
    cells = _cells(np.concatenate([quantiles, steps, between]))
    edges: FloatArray = _cell_starts(np.unique(cells)).astype(np.float64)
    return edges


def _cells(values: FloatArray) -> NDArray[np.uint32]:
    """Return the cell of each value: its leading bits in single precision, in numerical order."""
    with np.errstate(over="ignore"):
        single = np.asarray(values, dtype=np.float32)
    bits = (single + np.float32(0)).view(np.uint32)  # -0 becomes 0
    ordered = bits ^ ((bits.view(np.int32) >> 31).view(np.uint32) | _SIGN)
    return ordered >> np.uint32(_SHIFT)


def _cell_starts(cells: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return the smallest value of each cell; the inverse of `_cells`."""
    ordered = cells << np.uint32(_SHIFT)
    negative = ordered < _SIGN
    return np.where(negative, ~ordered, ordered ^ _SIGN).astype(np.uint32).view(np.float32)


def _share(array: NDArray[Any]) -> Share:
    events, weight, squares = array.tolist()
    return Share(int(events), weight, squares)


def _part(arrays: Mapping[str, T], prefix: str) -> dict[str, T]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
