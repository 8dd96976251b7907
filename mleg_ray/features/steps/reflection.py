"""Events and their mirror images as one."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    prefixed,
    require_columns,
)
from mleg_ray.randomness import Noise


class Reflection(Step):
    """Events of which `by` is below zero are mirrored: it and all `fields` change their signs.

    They leave `folded_` numbers, that of `by` never below zero. On which side an event was is left
    as `side_` of `by`, on the circle: uniform in the half turn [0, 1) for events as they were, in
    [-1, 0) for mirrored ones. Where mirror images are equally likely it is uniform and
    independent of everything else: a model that draws it so has the symmetry exactly. What
    does not change its sign, such as a charge or p_T, is no field of the mirror; all that does
    must be one.

    The likelihood bounds that of the events from below, as that of `dequantise` does.
    """

    def __init__(self, config: "ReflectionConfig", layout: Layout) -> None:
        super().__init__()
        if config.by in config.fields:
            raise ConfigError(f"'{config.by}' decides; leave it out of fields")
        self.reads = (config.by, *config.fields)
        require_columns(self.reads, layout)
        self._by = config.by
        plain = layout.columns[config.by]
        if plain.shape:
            raise ConfigError(f"'{config.by}' is not one number an event, by which to decide")
        self._side = prefixed(config.by, "side")
        self.writes = {
            prefixed(config.by, "folded"): Quantity(varies=plain.varies),
            self._side: Quantity(circle=True, varies=plain.varies),
        } | {prefixed(name, "folded"): layout.columns[name] for name in config.fields}

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events on one side, and where they were."""
        u = noise.uniform(len(events), 1)[:, 0].to(events.columns[self._by])
        return events.replacing(self.reads, self._folded(events.columns, u))

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same with the middle of each side."""
        return self._folded(columns, torch.full_like(columns[self._by], 0.5))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the events on their own sides; a number of `by` below zero is none."""
        below = torch.remainder(columns[self._side], 2) >= 1
        made = {name: columns[prefixed(name, "folded")] for name in self.reads}
        made[self._by] = made[self._by].abs()
        return {name: _mirrored(column, below) for name, column in made.items()}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: signs change no volume, and each side is a half turn long."""
        return before.weight.new_zeros(len(before))

    def _folded(self, columns: Mapping[str, Tensor], u: Tensor) -> dict[str, Tensor]:
        below = columns[self._by] < 0
        made = {prefixed(name, "folded"): _mirrored(columns[name], below) for name in self.reads}
        return {**made, self._side: torch.where(below, u - 1, u)}


def _mirrored(column: Tensor, below: Tensor) -> Tensor:
    """Return numbers (B, ...) with other signs of the events (B,) that are `below` zero."""
    return torch.where(below.view(-1, *[1] * (column.ndim - 1)), -column, column)


@STEPS.register
class ReflectionConfig(StepConfig):
    """Configuration of `Reflection`: the number that decides, and what changes sign with it."""

    step: ClassVar = Reflection
    kind: Literal["reflection"] = "reflection"
    by: str
    fields: tuple[str, ...] = ()
