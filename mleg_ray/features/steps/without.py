"""Groups of which no event has an object."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.events import Events, group_of
from mleg_ray.features.steps.base import STEPS, Layout, Regrouping, StepConfig, objects_of
from mleg_ray.randomness import Noise


class Without(Regrouping):
    """No objects of some groups: their fields are no features, and no event is made with any.

    For what `where` selects. Events that have some count as outside, and lose them.
    """

    def __init__(self, config: "WithoutConfig", layout: Layout) -> None:
        super().__init__()
        self.writes = {}
        self._places: dict[str, tuple[int, ...]] = {}
        for group in config.groups:
            self._places |= {name: layout.columns[name].shape for name in objects_of(group, layout)}
        self.reads = tuple(self._places)
        self._groups = config.groups

    def inverse(self, events: Events) -> Events:
        """Return events without such objects."""
        n = len(events)
        columns = {
            name: events.weight.new_zeros(n, *shape, dtype=torch.float64)
            for name, shape in self._places.items()
        }
        present = {
            group_of(name): torch.zeros(n, *shape, dtype=torch.bool, device=events.weight.device)
            for name, shape in self._places.items()
        }
        return Events({**events.columns, **columns}, {**events.present, **present}, events.weight)

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Leave their fields out."""
        return events.replacing(self.reads, {})

    def outside(self, before: Events) -> Tensor:
        """Return which events have such objects."""
        there = [before.present[group].any(dim=1) for group in self._groups]
        return torch.stack(there).any(dim=0)


@STEPS.register
class WithoutConfig(StepConfig):
    """Configuration of `Without`: the `groups`."""

    step: ClassVar = Without
    kind: Literal["without"] = "without"
    groups: Annotated[tuple[str, ...], Option(min_length=1)]
