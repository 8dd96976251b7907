"""Pixels as shares of a scale, by default the largest that there is."""

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.errors import DataError
from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    per_event,
    prefixed,
    require_columns,
)


class Scaled(Step):
    """x / scale of pixels x >= 0; what comes out below zero is empty.

    An empty pixel is 0 and stays so. By the scale `maximum`, the largest number that any event of
    the train split has in the column, pixels are within [0, 1], as a sigmoid makes them.
    """

    learns = True
    scale: Tensor

    def __init__(self, config: "ScaledConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._made = {prefixed(name, "scaled"): name for name in self.reads}
        self.writes = {
            new: Quantity(layout.columns[name].shape) for new, name in self._made.items()
        }
        self._learned = config.scale == "maximum"
        scale = 1.0 if config.scale == "maximum" else config.scale
        self.register_buffer("scale", torch.full((len(self.reads),), scale, dtype=torch.float64))

    def learn(self, chunks: Iterable[Events]) -> None:
        """Learn the maxima, if they are the scale; `DataError` if one is zero."""
        if not self._learned:
            return
        largest = torch.zeros_like(self.scale)
        for events in chunks:
            found = torch.stack([events.columns[name].amax().double() for name in self.reads])
            largest = torch.maximum(largest, found)
        for name, value in zip(self.reads, largest, strict=True):
            if not value > 0:
                raise DataError(
                    f"scaled: '{name}' is empty in all train events: there is nothing to learn of "
                    "it; prepare the dataset again"
                )
        self.scale.copy_(largest)

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return x / scale."""
        return {
            new: columns[name].clamp(min=0) / scale
            for (new, name), scale in zip(self._made.items(), self.scale, strict=True)
        }

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return x, 0 if it is below zero."""
        return {
            name: columns[new].clamp(min=0) * scale.to(columns[new].dtype)
            for (new, name), scale in zip(self._made.items(), self.scale, strict=True)
        }

    def log_abs_det(self, before: Events) -> Tensor:
        """Return -log scale of each number, summed over all."""
        total = before.weight.new_zeros(len(before))
        for name, scale in zip(self.reads, self.scale, strict=True):
            slopes = torch.ones_like(before.columns[name], dtype=torch.float64) * -scale.log()
            total = total + per_event(slopes, name, before)
        return total

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number below zero."""
        below = [per_event(before.columns[name] < 0, name, before) > 0 for name in self.reads]
        return torch.stack(below).any(dim=0)


@STEPS.register
class ScaledConfig(StepConfig):
    """Configuration of `Scaled`: `fields`, and the scale in their unit, or `maximum`."""

    step: ClassVar = Scaled
    kind: Literal["scaled"] = "scaled"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    scale: PositiveFloat | Literal["maximum"] = "maximum"
