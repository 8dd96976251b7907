"""Numbers that often have one of a few values, and are continuous elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field as Option
from pydantic import FiniteFloat, model_validator
from torch import Tensor

from mleg_ray.errors import DataError
from mleg_ray.events import Events
from mleg_ray.features.quantiles import Quantiles
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

INTERVALS = 1000  # between the quantiles from which noise is drawn


class Atoms(Step):
    """A number x that has some values `at` which it often is, and a density elsewhere.

    An isolation of 0, a score that saturates at 1, a -999 where nothing was measured. It becomes a
    class, `atom_x`, logit((k + u)/n) as of `dequantise`, with k the place in `at` and k = n - 1
    elsewhere, and a number, `free_x`: x itself elsewhere. At an atom there is no number, but noise
    with the distribution that x has elsewhere, learned from the train split, between its smallest
    and largest number; so steps after this one, such as `logarithm` and `quantile`, find nothing
    that x could not be. The values come back exactly, wherever they lie; `spike` is for one below
    all others.

    The likelihood bounds that of the events from below, per unit of x elsewhere, and the
    probability of a value itself.
    """

    learns = True
    knots: Tensor

    def __init__(self, config: "AtomsConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = config.fields
        require_columns(self.reads, layout)
        self._at = config.at
        self._class = Dequantise(fields=config.fields, levels=len(config.at) + 1)
        self._made = {name: (prefixed(name, "atom"), prefixed(name, "free")) for name in self.reads}
        writes: dict[str, Quantity] = {}
        for name, (atom, free) in self._made.items():
            plain = Quantity(layout.columns[name].shape, varies=layout.columns[name].varies)
            writes[atom] = replace(plain, levels=self._class.levels)
            writes[free] = replace(plain, given=atom)
        self.writes = writes
        shares = torch.linspace(0.0, 1.0, INTERVALS + 1, dtype=torch.float64)
        self.register_buffer("knots", shares.repeat(len(self.reads), 1))

    def learn(self, chunks: Iterable[Events]) -> None:
        """Learn the distribution elsewhere of each field; `DataError` if there are no two numbers.

        Weights count by their size, as wherever scales alone are learned.
        """
        found = [Quantiles() for _ in self.reads]
        for events in chunks:
            for own, name in zip(found, self.reads, strict=True):
                x, weight = numbers_of(name, events)
                elsewhere = self._place(x) == len(self._at)
                own.add(x[elsewhere], weight[elsewhere].abs())
        shares = torch.linspace(0.0, 1.0, INTERVALS + 1, dtype=torch.float64)
        for i, (own, name) in enumerate(zip(found, self.reads, strict=True)):
            if own.count < 2:
                raise DataError(
                    f"atoms: {own.count} train numbers of '{name}' are other than "
                    f"{', '.join(f'{value:g}' for value in self._at)}: there is nothing to learn "
                    "of them"
                )
            self.knots[i] = own.at(shares)

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with class and number."""
        made: dict[str, Tensor] = {}
        for i, name in enumerate(self.reads):
            column = events.columns[name].double()
            width = column[0].numel() if len(column) else 1
            u, v = (noise.uniform(len(column), width).to(column).view(column.shape) for _ in "uv")
            made |= self._apart(i, column, u, v)
        return events.replacing(self.reads, made)

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the same with the middle of each class, and the median where is no number."""
        made: dict[str, Tensor] = {}
        for i, name in enumerate(self.reads):
            column = columns[name].double()
            middle = torch.full_like(column, 0.5)
            made |= self._apart(i, column, middle, middle)
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the value, or the number elsewhere."""
        made = {}
        for name, (atom, free) in self._made.items():
            place = self._class.restore(columns[atom], {})
            x = columns[free]
            for k, value in enumerate(self._at):
                x = torch.where(place == k, value, x)
            made[name] = x
        return made

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of the class, with the entropy of the noise at an atom."""
        total = before.weight.new_zeros(len(before))
        for i, name in enumerate(self.reads):
            place = self._place(before.columns[name].double())
            lengths = INTERVALS * self.knots[i].diff().clamp(min=LEAST)
            of_number = torch.where(place == len(self._at), 0.0, lengths.log().mean())
            total = total + per_event(self._class.log_slope(place, {}) + of_number, name, before)
        return total

    def _place(self, x: Tensor) -> Tensor:
        """Return k, float64; numbers are compared as single precision stores them."""
        place = torch.full_like(x, len(self._at), dtype=torch.float64)
        for k, value in enumerate(self._at):
            place = torch.where(x.float() == np.float32(value).item(), k, place)
        return place

    def _apart(self, i: int, x: Tensor, u: Tensor, v: Tensor) -> dict[str, Tensor]:
        """Return class and number of the column i, with uniform numbers u and v."""
        place = self._place(x)
        knots = self.knots[i].to(x)
        low = (INTERVALS * v).long().clamp(max=INTERVALS - 1)
        drawn = torch.lerp(knots[low], knots[low + 1], INTERVALS * v - low)
        number = torch.where(place == len(self._at), x, drawn)
        made = (self._class.spread(place, u), number)
        return dict(zip(self._made[self.reads[i]], made, strict=True))


@STEPS.register
class AtomsConfig(StepConfig):
    """Configuration of `Atoms`: `fields`, and the values `at` which each often is, ascending.

    They are in the fields' unit.
    """

    step: ClassVar = Atoms
    kind: Literal["atoms"] = "atoms"
    fields: Annotated[tuple[str, ...], Option(min_length=1)]
    at: Annotated[tuple[FiniteFloat, ...], Option(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if sorted(set(self.at)) != list(self.at):
            raise ValueError("at: name each value once, the smallest first")
        return self
