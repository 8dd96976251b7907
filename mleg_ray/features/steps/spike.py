"""Numbers that often have one and the same value, and are continuous above it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import FiniteFloat, model_validator
from torch import Tensor

from mleg_ray.errors import DataError
from mleg_ray.events import Events
from mleg_ray.features.moments import Moments
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    numbers_of,
    per_event,
    prefixed,
    require_columns,
)
from mleg_ray.features.steps.dequantise import Dequantise
from mleg_ray.features.steps.elementwise import LEAST
from mleg_ray.randomness import Noise

ENTROPY = (1 + math.log(2 * math.pi)) / 2  # of a standard normal number


class Spike(Step):
    """A number that is `at` one value, or `above` an edge: whether it is above, and log(x - above).

    An isolation is 0 or some number above; the p_T of a missing fifth jet is 0, others lie above a
    threshold. A hurdle model (Cragg, Econometrica 39 (1971) 829): a class, `has_x`, and a number,
    `log_x`, each as networks take them. The class is logit((k + u)/2) with k = 1 above and u
    uniform, as `dequantise` has whole numbers; so the value comes back exactly. Where there is no
    number its logarithm is normal noise with the mean and the deviation of those that there are,
    learned from the train split: after standardisation a standard normal number.

    The likelihood bounds that of the events from below, per unit of x above the edge, and the
    probability of the value itself. Numbers in between count as outside, and are moved to it.
    """

    learns = True
    mean: Tensor
    std: Tensor

    def __init__(self, config: "SpikeConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._at = config.at
        self._above = config.at if config.above is None else config.above
        self._class = Dequantise(fields=config.fields, levels=2)
        self._made = {name: (prefixed(name, "has"), prefixed(name, "log")) for name in self.reads}
        writes: dict[str, Quantity] = {}
        for name, (has, log) in self._made.items():
            plain = Quantity(layout.columns[name].shape, varies=layout.columns[name].varies)
            writes[has] = replace(plain, levels=self._class.levels)
            writes[log] = replace(plain, given=has)
        self.writes = writes
        self.register_buffer("mean", torch.zeros(len(self.reads), dtype=torch.float64))
        self.register_buffer("std", torch.ones(len(self.reads), dtype=torch.float64))

    def learn(self, chunks: Iterable[Events]) -> None:
        """Learn the mean and the deviation of each logarithm; `DataError` if all are at the value.

        Weights count by their size, as wherever scales alone are learned.
        """
        moments = [Moments() for _ in self.reads]
        for events in chunks:
            for own, name in zip(moments, self.reads, strict=True):
                x, weight = numbers_of(name, events)
                above = self._is_above(x)
                own.add(self._log(x[above])[:, None], weight[above].abs())
        for i, (own, name) in enumerate(zip(moments, self.reads, strict=True)):
            if own.empty:
                raise DataError(
                    f"spike: no train event has a '{name}' above {self._above:g}: there is nothing "
                    "to learn of it"
                )
            self.mean[i], self.std[i] = (value.squeeze() for value in own.result())

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with class and number."""
        made: dict[str, Tensor] = {}
        for i, name in enumerate(self.reads):
            column = events.columns[name].double()
            width = column[0].numel() if len(column) else 1
            u, e = (
                draw(len(column), width).to(column).view(column.shape)
                for draw in (noise.uniform, noise.normal)
            )
            made |= self._apart(i, column, u, e)
        return events.replacing(self.reads, made)

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same with the middle of each class, and the mean where there is no number."""
        made: dict[str, Tensor] = {}
        for i, name in enumerate(self.reads):
            column = columns[name].double()
            zero = torch.zeros_like(column)
            made |= self._apart(i, column, zero + 0.5, zero)
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the value, or what lies above the edge."""
        return {
            name: torch.where(
                self._class.restore(columns[has], {}) > 0,
                self._above + columns[log].exp(),
                self._at,
            )
            for name, (has, log) in self._made.items()
        }

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of the class, with -log(x - above) or the entropy of the noise."""
        total = before.weight.new_zeros(len(before))
        for i, name in enumerate(self.reads):
            x = before.columns[name].double()
            above = self._is_above(x)
            of_number = torch.where(above, -self._log(x), ENTROPY + self.std[i].log())
            of_class = self._class.log_slope(above.double(), {})
            total = total + per_event(of_class + of_number, name, before)
        return total

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number that is neither at the value nor above the edge."""
        beyond = [
            per_event((x != self._at) & ~self._is_above(x), name, before) > 0
            for name, x in ((name, before.columns[name].double()) for name in self.reads)
        ]
        return torch.stack(beyond).any(dim=0)

    def _is_above(self, x: Tensor) -> Tensor:
        return x - self._above > LEAST

    def _log(self, x: Tensor) -> Tensor:
        return (x - self._above).clamp(min=LEAST).log()

    def _apart(self, i: int, x: Tensor, u: Tensor, e: Tensor) -> dict[str, Tensor]:
        """Return class and number of the column i, with uniform numbers u and normal ones e."""
        above = self._is_above(x)
        number = torch.where(above, self._log(x), self.mean[i] + self.std[i] * e)
        made = (self._class.spread(above.to(x), u), number)
        return dict(zip(self._made[self.reads[i]], made, strict=True))


@STEPS.register
class SpikeConfig(StepConfig):
    """Configuration of `Spike`: `fields`, the value, and the edge of all others, if it is another.

    Both are in the fields' unit.
    """

    step: ClassVar = Spike
    kind: Literal["spike"] = "spike"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    at: FiniteFloat = 0.0
    above: FiniteFloat | None = None

    @model_validator(mode="after")
    def _has_an_edge(self) -> Self:
        if self.above is not None and self.above < self.at:
            raise ValueError(f"above, {self.above:g}, must not be below at, {self.at:g}")
        return self
