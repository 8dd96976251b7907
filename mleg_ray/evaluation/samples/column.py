"""Numbers of events, and of the objects that events own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from mleg_ray.events import Events, group_of

FloatArray = NDArray[np.float64]

S = TypeVar("S")


@dataclass(frozen=True)
class Column:
    """Numbers (m,): one of each of n events, or one of each of their objects, event by event.

    `count` (n,) is the number of each event's objects. Whatever is a function of events' weights is
    one of objects by `weights`: resampling events resamples all objects of each together.
    """

    values: FloatArray
    count: NDArray[np.int64] | None = None

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """The event (m,) that owns each number; they never fall."""
        if self.count is None:
            return np.arange(len(self.values))
        return np.repeat(np.arange(len(self.count)), self.count)

    @cached_property
    def rank(self) -> NDArray[np.intp]:
        """The place (m,) of each number among those of its event, from 0."""
        if self.count is None:
            return np.zeros(len(self.values), dtype=np.intp)
        return _ranks(self.count)

    def weights(self, events: FloatArray) -> FloatArray:
        """Return the weight (m,) of each number, of the weights (n,) of events."""
        return events if self.count is None else events[self.owner]

    def of_events(
        self, statistic: Callable[[FloatArray, FloatArray], S]
    ) -> Callable[[FloatArray, FloatArray], S]:
        """Return a function of the weights (m,) of the numbers as one of those (n,) of events."""
        if self.count is None:
            return statistic
        return lambda a, b: statistic(self.weights(a), self.weights(b))

    def first(self, events: int) -> FloatArray:
        """Return the numbers of the first so many events."""
        return self.values[: events if self.count is None else self.count[:events].sum()]

    def take(self, rows: NDArray[np.intp]) -> "Column":
        """Return the numbers of some of the events, in the order of the rows."""
        if self.count is None:
            return Column(self.values[rows])
        start, count = (np.cumsum(self.count) - self.count)[rows], self.count[rows]
        return Column(self.values[np.repeat(start, count) + _ranks(count)], count)

    def padded(self, most: int) -> FloatArray:
        """Return the number of each event (n, 1), or of its first objects (n, most).

        Absent objects are zero.
        """
        if self.count is None:
            return self.values[:, None]
        table = np.zeros((len(self.count), most))
        inside = self.rank < most
        table[self.owner[inside], self.rank[inside]] = self.values[inside]
        return table

    @property
    def key(self) -> FloatArray:
        """A number (n,) of each event that differs where its numbers do: events sort by it."""
        if self.count is None:
            return self.values
        # Sums of differently scaled numbers: plain ones of whole numbers would often be equal.
        most = int(self.count.max(initial=0))
        slope, offset = np.random.default_rng(0).random((2, most))[:, self.rank]
        sums = np.bincount(self.owner, slope * self.values + offset, len(self.count))
        return sums.astype(np.float64)

    @staticmethod
    def concatenate(parts: Sequence["Column"]) -> "Column":
        """Join the columns of several samples, in order."""
        values = np.concatenate([part.values for part in parts])
        counts = [part.count for part in parts if part.count is not None]
        return Column(values, np.concatenate(counts) if counts else None)


def _ranks(count: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return 0, 1 ... of each event's objects, one event after the other."""
    return np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)


def columns_of(events: Events, dtype: torch.dtype = torch.float64) -> dict[str, Column]:
    """Return the numbers of events and of their objects by name, as `dtype`; images have none."""
    counts = {group: there.sum(dim=1).numpy() for group, there in events.present.items()}
    columns = {}
    for name, values in events.columns.items():
        if values.ndim == 1:
            columns[name] = Column(values.to(dtype).numpy())
        elif (group := group_of(name)) in counts:
            there = values[events.present[group]]
            columns[name] = Column(there.to(dtype).numpy(), counts[group])
    return columns
