"""Whole numbers as real ones."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.events import Events
from mleg_ray.features.steps.base import STEPS, no_levels
from mleg_ray.features.steps.elementwise import Elementwise, OfFields
from mleg_ray.randomness import Noise

RESOLUTION = 1e-6  # how near to the ends, of all levels together


class Dequantising(Elementwise):
    """The step of a `Spread`, with noise."""

    f: "Spread"

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with dequantised columns."""
        made = {}
        for new, name in self.made.items():
            column = events.columns[name].double()
            width = column[0].numel() if len(column) else 1
            drawn = self.f.draw(noise, len(column), width).to(column).view(column.shape)
            made[new] = self.f.spread(column, drawn)
        return events.replacing(self.reads, made)


class Spread(OfFields):
    """A function that spreads whole numbers by noise."""

    step: ClassVar = Dequantising

    @abstractmethod
    def draw(self, noise: Noise, n: int, width: int) -> Tensor:
        """Return the noise of n x `width` numbers."""

    @abstractmethod
    def spread(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Return what becomes of the numbers with this noise."""

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is no whole number."""
        return x != x.round()


@STEPS.register
class Dequantise(Spread):
    """logit((k + u) / n) of a whole number k of 0 ... n - 1, with a u uniform in [0, 1).

    There are n `levels`. Back, the number of the interval in which a real number lies is k, so any
    real number is one. The likelihood of what is made bounds that of the whole numbers from below
    (Theis et al., arXiv:1511.01844, sec. 3.1), in the mean over u, as which `log_slope` enters it.
    Other numbers count as outside, and are moved to the nearest.
    """

    kind: Literal["dequantise"] = "dequantise"
    prefix: ClassVar[str] = "level"
    levels: int = Option(ge=2, le=100_000)

    @property
    def spreads(self) -> int:
        """The levels."""
        return self.levels

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the middle of the level: that of u = 1/2."""
        return self.spread(x.double(), torch.full_like(x, 0.5, dtype=torch.float64))

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return k."""
        return (self.levels * y.sigmoid()).floor().clamp(max=self.levels - 1)

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the mean over u of -log s (1 - s) - log n, s = (k + u) / n.

        That is 2 - log n + n [D((k + 1) / n) - D(k / n)], D(s) = (1 - s) log (1 - s) - s log s.
        """
        level = self._level(x.double())
        low, high = level / self.levels, (level + 1) / self.levels
        mean = 2 + self.levels * (_entropies(high) - _entropies(low))
        return mean - math.log(self.levels)

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is none of the levels."""
        return no_levels(x, self.levels - 1)

    def draw(self, noise: Noise, n: int, width: int) -> Tensor:
        """Return u, uniform in [0, 1)."""
        return noise.uniform(n, width)

    def spread(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Return logit((k + u) / n)."""
        return ((self._level(x) + drawn) / self.levels).logit(eps=RESOLUTION)

    def _level(self, x: Tensor) -> Tensor:
        return x.round().clamp(0, self.levels - 1)


class Rounding(Spread):
    """What is rounded down on the way back, whatever the size of the whole numbers."""

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the next whole number below."""
        return y.floor()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return 0."""
        return torch.zeros_like(x, dtype=torch.float64)


@STEPS.register
class UniformDequantise(Rounding):
    """k + u of a whole number k of any size, with a u uniform in [0, 1); back, it is rounded down.

    For numbers with too many values to be levels: what comes back is a whole number all the same.
    The likelihood bounds that of the whole numbers from below, as that of `dequantise` does.
    """

    kind: Literal["uniform-dequantise"] = "uniform-dequantise"
    prefix: ClassVar[str] = "spread"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return k + 1/2."""
        return x.double().round() + 0.5

    def draw(self, noise: Noise, n: int, width: int) -> Tensor:
        """Return u, uniform in [0, 1)."""
        return noise.uniform(n, width)

    def spread(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Return k + u."""
        return x.double().round() + drawn


@STEPS.register
class GaussianDequantise(Rounding):
    """k + σ ε of a whole number k, with a standard normal ε; back, it is rounded down.

    So do Hashemi et al., arXiv:1901.05282, with σ = 1/2, and it is no inverse: k comes back as k or
    k - 1 with 47.7% each, and half too small in the mean. `dequantise` is exact. As k does not
    follow from what is made, there is no density of whole numbers: `log_slope` is 0.
    """

    kind: Literal["gaussian-dequantise"] = "gaussian-dequantise"
    prefix: ClassVar[str] = "blurred"
    sigma: PositiveFloat = 0.5

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return k: that of ε = 0."""
        return x.double()

    def draw(self, noise: Noise, n: int, width: int) -> Tensor:
        """Return ε."""
        return noise.normal(n, width)

    def spread(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Return k + σ ε."""
        return x.double() + self.sigma * drawn


def _entropies(share: Tensor) -> Tensor:
    """Return (1 - s) log (1 - s) - s log s, zero at both ends."""
    return torch.xlogy(1 - share, 1 - share) - torch.xlogy(share, share)
