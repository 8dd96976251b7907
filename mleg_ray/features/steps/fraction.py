"""Positions as the cell in which they are, and where in it."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field as Option
from torch import Tensor

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


class Fraction(Step):
    """The whole part ⌊x⌋ of a position that is counted in cells, and the fraction x - ⌊x⌋.

    What a detector's cells see of a track depends on where between them it is.
    """

    def __init__(self, config: "FractionConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._made = {n: (prefixed(n, "whole"), prefixed(n, "fraction")) for n in self.reads}
        self.writes = {
            new: Quantity(layout.columns[name].shape, varies=layout.columns[name].varies)
            for name, made in self._made.items()
            for new in made
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return both parts."""
        made: dict[str, Tensor] = {}
        for name, (whole, fraction) in self._made.items():
            cell = columns[name].floor()
            made |= {whole: cell, fraction: columns[name] - cell}
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return their sum."""
        return {
            name: columns[whole] + columns[fraction]
            for name, (whole, fraction) in self._made.items()
        }

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: within a cell the fraction grows as the position does."""
        return before.weight.new_zeros(len(before))


@STEPS.register
class FractionConfig(StepConfig):
    """Configuration of `Fraction`: the `fields`, counted in cells."""

    step: ClassVar = Fraction
    kind: Literal["fraction"] = "fraction"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
