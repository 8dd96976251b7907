"""Whole numbers that are names, one number for each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Step,
    StepConfig,
    no_levels,
    per_event,
    prefixed,
    require_columns,
)


class Category(Step):
    """k of 0 ... n - 1 as n numbers, `is_0_` to `is_{n-1}_`: 1 of k itself, 0 of all others.

    Back, k is that of the largest. For conditions, such as a process, and for models without a
    density, such as GANs; a flow would put an endless density on ones and zeros, and takes
    `dequantise`. Other numbers count as outside, and are moved to the nearest.
    """

    def __init__(self, config: "CategoryConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._levels = config.levels
        self._made = {
            name: [prefixed(name, f"is_{k}") for k in range(config.levels)] for name in self.reads
        }
        self.writes = {
            new: replace(layout.columns[name], category=name)
            for name, made in self._made.items()
            for new in made
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ones and zeros."""
        made: dict[str, Tensor] = {}
        for name, new in self._made.items():
            column = columns[name].double()
            nearest = column.round().clamp(0, self._levels - 1)
            made |= {each: (nearest == k).to(column) for k, each in enumerate(new)}
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the number of the largest."""
        return {
            name: torch.stack([columns[each] for each in new]).argmax(dim=0).to(columns[new[0]])
            for name, new in self._made.items()
        }

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: nothing continuous is changed."""
        return before.weight.new_zeros(len(before))

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number that is none of the levels."""
        marked = []
        for name in self.reads:
            k = before.columns[name].double()
            marked.append(per_event(no_levels(k, self._levels - 1), name, before) > 0)
        return torch.stack(marked).any(dim=0)


@STEPS.register
class CategoryConfig(StepConfig):
    """Configuration of `Category`: `fields` of whole numbers, and how many `levels` they have."""

    step: ClassVar = Category
    kind: Literal["category"] = "category"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    levels: Annotated[int, Option(ge=2, le=1000)]
