"""What a decay leaves to its products, in the place of the mass of one of them."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
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
from mleg_ray.physics.decays import breakup_momentum


class Breakup(Step):
    """p* in the place of a product's mass m: the momentum of both products, the parent at rest.

    Of a decay M → m, m', spectra follow p*, and masses only by it: near the threshold M = m + m'
    they change much where masses hardly do. A parent that is too light for the decay counts as
    outside, and has p* = 0; the mass that comes back is then that of the threshold, or none.
    """

    def __init__(self, config: "BreakupConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = (config.product,)
        self.uses = (config.parent,)
        require_columns((*self.reads, *self.uses), layout)
        self._product, self._parent, self._other = config.product, config.parent, config.other
        self._made = prefixed(config.product, "breakup")
        varies = any(layout.columns[name].varies for name in (*self.reads, *self.uses))
        self.writes = {self._made: Quantity(layout.columns[config.product].shape, varies=varies)}

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return p*, GeV."""
        parent, product = columns[self._parent].double(), columns[self._product].double()
        return {self._made: breakup_momentum(parent, product, self._other)}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return m = √[(M - √(p*² + m'²))² - p*²]."""
        p = columns[self._made]
        other = torch.hypot(p, torch.full_like(p, self._other))
        energy = (columns[self._parent].double() - other).clamp(min=0)
        return {self._product: ((energy - p) * (energy + p)).clamp(min=0).sqrt()}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return log |dp*/dm| = log [m E' / M p*], E' the energy of the other product at rest."""
        parent, product = before.columns[self._parent], before.columns[self._product].double()
        p = self.encode(before.columns)[self._made]
        energy = torch.hypot(p, torch.full_like(p, self._other))
        return (product * energy / (parent * p)).log()

    def outside(self, before: Events) -> Tensor:
        """Return where the parent is too light, or the product's mass is below zero."""
        parent, product = before.columns[self._parent], before.columns[self._product]
        return (parent < product + self._other) | (product < 0)


@STEPS.register
class BreakupConfig(StepConfig):
    """Configuration of `Breakup`: columns of the `parent`'s and a `product`'s mass, both in GeV.

    `other` is the mass of the other product, GeV, that of a top quark, say.
    """

    step: ClassVar = Breakup
    kind: Literal["breakup"] = "breakup"
    parent: str
    product: str
    other: Annotated[float, Option(ge=0, allow_inf_nan=False)]
