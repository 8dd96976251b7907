"""Steps that change each of some numbers by itself, each by a function of its kind."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import FiniteFloat, PositiveFloat, model_validator
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Resolution,
    Step,
    StepConfig,
    per_event,
    prefixed,
    require_columns,
)
from mleg_ray.space import wrapped

LEAST = 1e-30  # what a logarithm is taken of at least
ROUNDING = 1e-6  # radians, by which single precision may miss π


class Elementwise(Step):
    """f(x) of each number, object's number or pixel of some columns; others may enter f."""

    def __init__(self, f: "Function", layout: Layout) -> None:
        super().__init__()
        self.f = f
        self.reads, self.uses = f.names
        require_columns((*self.reads, *self.uses), layout)
        self.made: dict[str, str] = {}
        writes: dict[str, Quantity] = {}
        for name in self.reads:
            plain = layout.columns[name]
            for other in self.uses:
                if layout.columns[other].shape != plain.shape:
                    raise ConfigError(f"{name} and {other} differ in shape")
            new = prefixed(name, f.prefix)
            self.made[new] = name
            writes[new] = Quantity(plain.shape, f.circle, plain.varies, f.spreads, plain.given)
        self.writes = writes

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return f(x)."""
        return {new: self.f.change(columns[name], columns) for new, name in self.made.items()}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return x."""
        return {name: self.f.restore(columns[new], columns) for new, name in self.made.items()}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return Σ log |f'(x)|, over present objects."""
        slopes = {n: self.f.log_slope(before.columns[n], before.columns) for n in self.reads}
        zero = before.weight.new_zeros(len(before))
        return sum((per_event(slope, n, before) for n, slope in slopes.items()), start=zero)

    def outside(self, before: Events) -> Tensor:
        """Return which events have a number outside the domain of f."""
        beyond = {n: self.f.beyond(before.columns[n], before.columns) for n in self.reads}
        marked = [per_event(marks, n, before) > 0 for n, marks in beyond.items()]
        return torch.stack(marked).any(dim=0)


class Function(StepConfig):
    """The f of an `Elementwise` step, with its inverse, its slope and its domain.

    It is computed of a column x and what it needs of all others, and has the shape of x. What it
    makes of `jet.pt` is called `jet.PREFIX_pt`.
    """

    step: ClassVar = Elementwise
    prefix: ClassVar[str]
    circle: ClassVar[bool] = False

    @property
    def spreads(self) -> int | None:
        """How many whole numbers it spreads evenly over all real ones: none."""
        return None

    @property
    @abstractmethod
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns that are changed, and those that f needs beside them."""

    @abstractmethod
    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return f(x); of what lies outside the domain, that of the nearest inside."""

    @abstractmethod
    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x of y = f(x)."""

    @abstractmethod
    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log |f'(x)|."""

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x lies outside the domain: nowhere."""
        return x != x


class OfFields(Function):
    """A function of each of the `fields` by itself."""

    fields: Annotated[tuple[str, ...], Option(min_length=1)]

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The fields alone."""
        return self.fields, ()


@STEPS.register
class Angle(OfFields):
    """φ/π of an angle in radians: where it turns over, at π, there is no seam.

    Angles lie between `low` and `low` + 2π; others, such as degrees, count as outside.
    """

    kind: Literal["angle"] = "angle"
    prefix: ClassVar[str] = "turn"
    circle: ClassVar[bool] = True
    low: FiniteFloat = -math.pi

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the angle in half turns."""
        return wrapped(x / math.pi)

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the angle in [low, low + 2π)."""
        middle = self.low / math.pi + 1
        return math.pi * (wrapped(y - middle) + middle)

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log π."""
        return x.new_full(x.shape, -math.log(math.pi))

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is no angle of the turn that begins at `low`."""
        return (x < self.low - ROUNDING) | (x > self.low + 2 * math.pi + ROUNDING)


@STEPS.register
class Logarithm(OfFields):
    """log(x - `above`), of what lies above an edge and spans orders of magnitude."""

    kind: Literal["logarithm"] = "logarithm"
    prefix: ClassVar[str] = "log"
    above: FiniteFloat = 0.0

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log(x - above)."""
        return (x - self.above).clamp(min=LEAST).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return above + e^y."""
        return self.above + y.exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log(x - above)."""
        return -(x - self.above).log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is not above the edge."""
        return x - self.above <= LEAST


class Between(OfFields):
    """A function of where a number lies between `low` and `high`."""

    low: FiniteFloat = 0.0
    high: FiniteFloat

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low, {self.low:g}, must be below high, {self.high:g}")
        return self

    def _share(self, x: Tensor) -> Tensor:
        return (x - self.low) / (self.high - self.low)

    def _at(self, share: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * share


@STEPS.register
class Interval(Between):
    """logit((x - `low`) / (`high` - `low`)): both ends lie at infinity.

    What lies within `resolution` of an end, a share of the interval, is moved to that distance.
    """

    kind: Literal["interval"] = "interval"
    prefix: ClassVar[str] = "logit"
    resolution: Resolution = 1e-12

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the logit."""
        return self._share(x).logit(eps=self.resolution)

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x."""
        return self._at(y.sigmoid())

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log share (1 - share), less the logarithm of the interval's length."""
        share = self._share(x)
        return -(share * (1 - share)).log() - math.log(self.high - self.low)

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is closer to an end than the resolution."""
        share = self._share(x)
        return (share < self.resolution) | (share > 1 - self.resolution)


@STEPS.register
class MinMax(Between):
    """2 (x - `low`)/(`high` - `low`) - 1: -1 at one end, 1 at the other, and so on beyond."""

    kind: Literal["min-max"] = "min-max"
    prefix: ClassVar[str] = "minmax"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return twice the share, less one."""
        return 2 * self._share(x) - 1

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x."""
        return self._at((y + 1) / 2)

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log 2/(high - low)."""
        return x.new_full(x.shape, math.log(2 / (self.high - self.low)))


@STEPS.register
class Pixels(OfFields):
    """log(1 + x/`scale`) of pixels x >= 0; what comes out below `threshold` is empty.

    An empty pixel is 0 and stays so. Both numbers are in the field's unit.
    """

    kind: Literal["pixels"] = "pixels"
    prefix: ClassVar[str] = "log1p"
    scale: PositiveFloat
    threshold: PositiveFloat

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log(1 + x/scale)."""
        return torch.log1p(x.clamp(min=0) / self.scale)

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x, 0 if it is below the threshold."""
        x = self.scale * torch.expm1(y)
        return torch.where(x < self.threshold, 0.0, x)

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log(1 + x/scale) - log scale."""
        return -torch.log1p(x / self.scale) - math.log(self.scale)

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is below zero."""
        return x < 0


@STEPS.register
class Gap(Function):
    """log(c - x) with a condition c, `below` which x stays: the edge lies at minus infinity.

    FAT-GAN's T(pz) = log(E_b - pz) is one (Alanazi et al., arXiv:2001.11103, sec. 3). What lies
    within `resolution` of c, in the field's unit, or beyond it by the rounding of printed numbers,
    is moved to that distance below it.
    """

    kind: Literal["gap"] = "gap"
    prefix: ClassVar[str] = "log_gap"
    field: str
    below: str
    resolution: PositiveFloat = 1e-6

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The field, and the condition."""
        return (self.field,), (self.below,)

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log(c - x)."""
        return (columns[self.below] - x).clamp(min=self.resolution).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return c - e^y."""
        return columns[self.below] - y.exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log(c - x)."""
        return -(columns[self.below] - x).log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is no less than c by the resolution."""
        return columns[self.below] - x < self.resolution


class Relative(Function):
    """A function of a field and the condition `to` which it is relative."""

    field: str
    to: str

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The field, and the condition."""
        return (self.field,), (self.to,)


@STEPS.register
class Difference(Relative):
    """x - c with a condition c: what a detector adds to a true value, say."""

    kind: Literal["difference"] = "difference"
    prefix: ClassVar[str] = "shift"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x - c."""
        return x - columns[self.to]

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return y + c."""
        return y + columns[self.to]

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return 0."""
        return x.new_zeros(x.shape)


@STEPS.register
class Ratio(Relative):
    """log x/c with a condition c; both are positive."""

    kind: Literal["ratio"] = "ratio"
    prefix: ClassVar[str] = "log_ratio"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log x/c."""
        return x.clamp(min=LEAST).log() - columns[self.to].clamp(min=LEAST).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return c e^y."""
        return (y + columns[self.to].clamp(min=LEAST).log()).exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log x."""
        return -x.log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x or c is not positive."""
        return (x <= LEAST) | (columns[self.to] <= LEAST)
