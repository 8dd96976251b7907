"""The number of a group's objects."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.nn.functional import pad

from mleg_ray.events import COUNT, Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Regrouping,
    StepConfig,
    objects_of,
)
from mleg_ray.randomness import Noise


class Count(Regrouping):
    """The number of objects as a column of its own, `jet.count`, which tells which are there.

    Of K places the first `jet.count` are filled; what others hold is set to zero.

    With `most` there are so many places: events with more objects count as outside, and lose the
    last ones.
    """

    def __init__(self, config: "CountConfig", layout: Layout) -> None:
        super().__init__()
        self.group = group = config.group
        self._objects = objects_of(group, layout)
        objects = {name: layout.columns[name] for name in self._objects}
        [self._places] = objects[self._objects[0]].shape
        self._most = min(self._places, config.most or self._places)
        fewer = {name: replace(q, shape=(self._most,)) for name, q in objects.items()}
        self.reads, kept = (self._objects, fewer) if self._most < self._places else ((), {})
        self.writes = {**kept, f"{group}.{COUNT}": Quantity()}

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Add the column, and leave out what has no place."""
        present = events.present[self.group][:, : self._most]
        columns = {name: events.columns[name][:, : self._most] for name in self.reads}
        columns |= {f"{self.group}.{COUNT}": present.sum(dim=1).double()}
        made = events.replacing((), columns)
        return Events(made.columns, {**made.present, self.group: present}, made.weight)

    def inverse(self, events: Events) -> Events:
        """Take the column away, and tell by it which objects there are."""
        present = self.mask(events.columns)
        beyond = (0, self._places - self._most)
        columns = {
            name: pad(torch.where(present, column, 0), beyond) if name in self._objects else column
            for name, column in events.columns.items()
            if name != f"{self.group}.{COUNT}"
        }
        present = pad(present, beyond)
        return Events(columns, {**events.present, self.group: present}, events.weight)

    def mask(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return which objects there are (B, K), by the column of their number."""
        count = columns[f"{self.group}.{COUNT}"].round()
        return torch.arange(self._most, device=count.device) < count[:, None]

    def outside(self, before: Events) -> Tensor:
        """Return which events have more objects than there are places."""
        return before.present[self.group][:, self._most :].any(dim=1)


@STEPS.register
class CountConfig(StepConfig):
    """Configuration of `Count`: the group, and how many of its objects are kept at `most`."""

    step: ClassVar = Count
    kind: Literal["count"] = "count"
    group: str
    most: PositiveInt | None = None
