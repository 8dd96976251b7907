"""The number of a group's objects."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import COUNT, Events, group_of
from mleg_ray.features.steps.base import STEPS, Layout, Quantity, Step, StepConfig
from mleg_ray.randomness import Noise


class Count(Step):
    """The number of objects as a column of its own, `jet.count`, which tells which are there.

    Of K places the first `jet.count` are filled; what others hold is set to zero.
    """

    def __init__(self, config: "CountConfig", layout: Layout) -> None:
        super().__init__()
        self.group = group = config.group
        self.reads = ()
        self.writes = {f"{group}.{COUNT}": Quantity()}
        self._objects = tuple(
            name for name, q in layout.columns.items() if group_of(name) == group and q.shape
        )
        if not self._objects:
            known = sorted({group_of(name) for name, q in layout.columns.items() if q.shape} - {""})
            raise ConfigError(
                f"no group '{group}' of a varying number of objects; there are "
                f"{', '.join(known) or 'none'}"
            )
        [self._most] = layout.columns[self._objects[0]].shape

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Add the column."""
        count = events.present[self.group].sum(dim=1).double()
        return events.replacing((), {f"{self.group}.{COUNT}": count})

    def inverse(self, events: Events) -> Events:
        """Take the column away, and tell by it which objects there are."""
        present = self.mask(events.columns)
        kept = events.replacing(self.writes, {})
        columns = {
            name: torch.where(present, column, 0) if name in self._objects else column
            for name, column in kept.columns.items()
        }
        return Events(columns, {**kept.present, self.group: present}, kept.weight)

    def mask(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return which objects there are (B, K), by the column of their number."""
        count = columns[f"{self.group}.{COUNT}"].round()
        return torch.arange(self._most, device=count.device) < count[:, None]

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return nothing: `forward` counts."""
        return {}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return nothing: `inverse` tells which objects there are."""
        return {}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: nothing continuous is changed."""
        return before.weight.new_zeros(len(before))


@STEPS.register
class CountConfig(StepConfig):
    """Configuration of `Count`: the group."""

    step: ClassVar = Count
    kind: Literal["count"] = "count"
    group: str
