"""Numbers of events, and of the objects that events own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mleg_ray.evaluation.distances import FloatArray
from mleg_ray.events import Events

S = TypeVar("S")


@dataclass(frozen=True)
class Column:
    """Numbers (m,): of each event, or of each object, which the event `owner` (m,) owns.

    Owners are rows of events, and never fall. Whatever is a function of events' weights is one of
    objects by `weights[owner]`: resampling events resamples their objects together.
    """

    values: FloatArray
    owner: NDArray[np.intp] | None = None

    def weights(self, events: FloatArray) -> FloatArray:
        """Return the weight (m,) of each number, of the weights (n,) of events."""
        return events if self.owner is None else events[self.owner]

    def of_events(
        self, statistic: Callable[[FloatArray, FloatArray], S]
    ) -> Callable[[FloatArray, FloatArray], S]:
        """Return a function of the numbers' weights, of both samples, as one of the events'."""
        if self.owner is None:
            return statistic
        return lambda a, b: statistic(self.weights(a), self.weights(b))

    def take(self, rows: NDArray[np.intp], events: int) -> "Column":
        """Return the numbers of some of so many `events`, in the order of the rows."""
        if self.owner is None:
            return Column(self.values[rows])
        count = np.bincount(self.owner, minlength=events)
        start = np.cumsum(count) - count
        chosen = count[rows]
        owner = np.repeat(np.arange(len(rows)), chosen)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(chosen) - chosen, chosen)
        return Column(self.values[np.repeat(start[rows], chosen) + within], owner)

    def padded(self, events: int, most: int) -> FloatArray:
        """Return the numbers of so many `events` (n, most), zero where there is no object."""
        assert self.owner is not None
        count = np.bincount(self.owner, minlength=events)
        within = np.arange(len(self.owner)) - np.repeat(np.cumsum(count) - count, count)
        table = np.zeros((events, most))
        inside = within < most
        table[self.owner[inside], within[inside]] = self.values[inside]
        return table

    @staticmethod
    def concatenate(parts: Sequence["Column"], events: Sequence[int]) -> "Column":
        """Join the columns of samples with so many `events` each."""
        values = np.concatenate([part.values for part in parts])
        if parts[0].owner is None:
            return Column(values)
        offsets = np.cumsum([0, *events[:-1]])
        owners = [part.owner + offset for part, offset in zip(parts, offsets, strict=True)]
        return Column(values, np.concatenate(owners))


def columns_of(events: Events) -> dict[str, Column]:
    """Return the numbers of events and of their objects by name, float64; images have none."""
    columns = {}
    for name, values in events.columns.items():
        if values.ndim == 1:
            columns[name] = Column(values.double().numpy())
        elif (present := events.present.get(name.partition(".")[0])) is not None:
            owner = present.nonzero()[:, 0].numpy()
            columns[name] = Column(values[present].double().numpy(), owner)
    return columns


def numbers(columns: Mapping[str, Column]) -> dict[str, FloatArray]:
    """Return the values (n,) of those columns that have one number an event."""
    return {name: column.values for name, column in columns.items() if column.owner is None}
