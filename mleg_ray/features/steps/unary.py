"""Whole numbers as bits: one for each number that they reach."""

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


class Unary(Step):
    """k of 0 ... n as n bits, `at_least_1_` to `at_least_{n}_`: 2 of 4 is 1100.

    Back, k is the number of bits above the threshold. Numbers above n count as outside, and are
    moved to it.
    """

    def __init__(self, config: "UnaryConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._threshold = config.threshold
        self._most = config.most
        self._made = {
            name: [prefixed(name, f"at_least_{k}") for k in range(1, config.most + 1)]
            for name in self.reads
        }
        self.writes = {
            bit: replace(layout.columns[name], category=bit)
            for name, bits in self._made.items()
            for bit in bits
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the bits."""
        return {
            bit: (columns[name] > k - 0.5).double()
            for name, bits in self._made.items()
            for k, bit in enumerate(bits, start=1)
        }

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the number of bits above the threshold."""
        return {
            name: torch.stack([columns[bit] > self._threshold for bit in bits])
            .sum(dim=0)
            .to(columns[bits[0]])
            for name, bits in self._made.items()
        }

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: nothing continuous is changed."""
        return before.weight.new_zeros(len(before))

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number that is none of 0 ... n."""
        marked = []
        for name in self.reads:
            k = before.columns[name].double()
            marked.append(per_event(no_levels(k, self._most), name, before) > 0)
        return torch.stack(marked).any(dim=0)


@STEPS.register
class UnaryConfig(StepConfig):
    """Configuration of `Unary`: `fields` of whole numbers up to `most`, and the `threshold`."""

    step: ClassVar = Unary
    kind: Literal["unary"] = "unary"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    most: Annotated[int, Option(ge=1, le=1000)]
    threshold: Annotated[float, Option(gt=0, lt=1)] = 0.5
