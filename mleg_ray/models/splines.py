"""Monotone maps between the noise and the feature of one number, by what a network says of it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field as Option
from torch import Tensor
from torch.nn.functional import logsigmoid, pad, softplus

from mleg_ray.space import wrapped

BOUND = 5.0  # of splines on the line, in standard deviations
LOG_NORMAL = -math.log(2 * math.pi) / 2  # of the standard normal density at zero
LEAST = 1e-3  # width and height of a bin, as a share of the spline's, and slope at a knot
MOST_BINS = 500  # so that half of a spline is free: the least lengths of bins take the rest
SMALLEST = 1e-6  # share of an end or of a level that numbers in single precision can tell

Bins = Annotated[int, Option(ge=2, le=MOST_BINS)]


class Spline:
    """Rational-quadratic functions from [-bound, bound] to itself, one of each number.

    Parameters (..., 3 bins - 1) are widths and heights of bins, by a softmax, and slopes at the
    knots between them, by a softplus; at the ends, and beyond where the function is the number
    itself, the slope is 1. Source: Durkan et al., arXiv:1906.04032, eq. 4 to 8.
    """

    def __init__(self, raw: Tensor, bins: int, bound: float) -> None:
        # Bins first: along the last axis of few numbers no processor is quick.
        widths, heights, slopes = raw.movedim(-1, 0).split_with_sizes([bins, bins, bins - 1])
        self._bound = bound
        self._widths, self._heights = (_lengths(part, bound) for part in (widths, heights))
        # At zero parameters the slope is 1.
        inner = LEAST + softplus(slopes + math.log(math.expm1(1 - LEAST)))
        slopes = pad(inner.flatten(1), (0, 0, 1, 1), value=1.0)
        self._slopes = slopes.reshape(bins + 1, *raw.shape[:-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the function (...) at x (...), and the logarithm of its slope (...)."""
        x0, y0, width, height, d0, d1, inside = self._bin(x, self._widths, self._heights)
        s = height / width
        share = ((x - x0) / width).clamp(0, 1)
        rest = share * (1 - share)
        below = s + (d0 + d1 - 2 * s) * rest
        y = y0 + height * (s * share.square() + d0 * rest) / below
        slope = d1 * share.square() + 2 * s * rest + d0 * (1 - share).square()
        log_slope = 2 * (s / below).log() + slope.log()
        return torch.where(inside, y, x), torch.where(inside, log_slope, 0.0)

    def inverse(self, y: Tensor) -> Tensor:
        """Return where the function is y (...)."""
        y0, x0, height, width, d0, d1, inside = self._bin(y, self._heights, self._widths)
        s = height / width
        up = (y - y0).clamp(min=0)
        bend = up * (d0 + d1 - 2 * s)
        a, b, c = height * (s - d0) + bend, height * d0 - bend, -s * up
        share = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
        return torch.where(inside, x0 + share.clamp(0, 1) * width, y)

    def _bin(
        self, at: Tensor, lengths: Tensor, others: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the bin in which numbers lie that are divided by `lengths`.

        That is its lower ends, here and among the `others`, its lengths, and the slopes at its
        knots; and whether the numbers lie in any.
        """
        inside = at.abs() < self._bound
        ends = _sums(lengths)
        bin_ = (at >= ends[:-1] - self._bound).sum(dim=0, keepdim=True)

        def own(numbers: Tensor, bin_: Tensor = bin_) -> Tensor:
            return numbers.gather(0, bin_).squeeze(0)

        length, other = own(lengths), own(others)
        low, other_low = own(ends) - length, own(_sums(others)) - other
        slopes = own(self._slopes), own(self._slopes, bin_ + 1)
        return low - self._bound, other_low - self._bound, length, other, *slopes, inside


class Monotone(ABC):
    """A distribution of one number as a monotone map of noise, with `width` free parameters.

    Parameters (..., width) are any real numbers, so the raw output of a network; of numbers (...)
    each has its own. What the network says of a number at zero parameters is the same everywhere.
    """

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of parameters of one number."""

    @abstractmethod
    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log density (...) of numbers x (...) by parameters raw (..., width)."""

    @abstractmethod
    def decode(self, raw: Tensor, noise: Tensor) -> Tensor:
        """Return the numbers (...) that noise (...) becomes; it grows with the noise."""


@dataclass(frozen=True)
class Line(Monotone):
    """A number on the line of standard normal noise: a rational-quadratic spline with `bins`.

    Between ±`BOUND` knots, slopes included, are free; beyond, the number is the noise. At zero
    parameters it is so everywhere. Source: Durkan et al., arXiv:1906.04032, eq. 4 to 9.
    """

    bins: int

    @property
    def width(self) -> int:
        """Widths and heights of bins, and slopes at the knots between them."""
        return 3 * self.bins - 1

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log density; see `Monotone`."""
        z, log_slope = Spline(raw, self.bins, BOUND).forward(x)
        return log_slope - z.square() / 2 + LOG_NORMAL

    def decode(self, raw: Tensor, noise: Tensor) -> Tensor:
        """Return the numbers; see `Monotone`."""
        return Spline(raw, self.bins, BOUND).inverse(noise)


@dataclass(frozen=True)
class Circle(Monotone):
    """An angle in half turns of uniform noise in [-1, 1): a rational-quadratic spline and a turn.

    The spline meets itself where the angle turns over, with the slope of the noise; the turn, the
    last parameter in half turns, tells where that is. At zero parameters the angle is the noise.
    Source: Rezende et al., arXiv:2002.02428, sec. 2.2 and eq. 11.
    """

    bins: int

    @property
    def width(self) -> int:
        """Widths and heights of bins, slopes at the knots between them, and the turn."""
        return 3 * self.bins

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log density per half turn; see `Monotone`."""
        _, log_slope = Spline(raw[..., :-1], self.bins, 1.0).forward(wrapped(x - raw[..., -1]))
        return log_slope - math.log(2)

    def decode(self, raw: Tensor, noise: Tensor) -> Tensor:
        """Return the angles in [-1, 1); up to the turn they grow with the noise."""
        return wrapped(Spline(raw[..., :-1], self.bins, 1.0).inverse(noise) + raw[..., -1])


@dataclass(frozen=True)
class Levels(Monotone):
    """A whole number k of 0 ... n - 1 that `dequantise` has spread: the n probabilities p_k.

    The feature is x = (logit s - mean) / std with s = (k + u) / n and u uniform, so s has the
    density n p_k in [k/n, (k+1)/n). Its distribution function is linear between the sums of p, and
    takes Φ(z) of standard normal noise z to s. The parameters are the logarithms of p, up to a
    constant: a softmax, where a spline would need an edge for each k.

    `mean` and `std`, of any shape that broadcasts with the numbers, are those by which logits were
    standardised.
    """

    number: int
    mean: float | Tensor = 0.0
    std: float | Tensor = 1.0

    @property
    def width(self) -> int:
        """One for each level."""
        return self.number

    def level(self, x: Tensor) -> Tensor:
        """Return k (...), int64, of features x (...)."""
        return (self.number * self._share(x)).long().clamp(max=self.number - 1)

    def middle(self, x: Tensor) -> Tensor:
        """Return the features (...) of u = 1/2: what tells k of x (...), and nothing else."""
        return self._feature((self.level(x).to(x) + 0.5) / self.number)

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return log p_k + log n + log |ds/dx|; see `Monotone`."""
        log_p = raw.log_softmax(dim=-1).gather(-1, self.level(x)[..., None]).squeeze(-1)
        logit = self.mean + self.std * x
        log_slope = logsigmoid(logit) + logsigmoid(-logit)
        return log_p + log_slope + torch.as_tensor(self.number * self.std).log()

    def decode(self, raw: Tensor, noise: Tensor) -> Tensor:
        """Return the features; see `Monotone`."""
        p = raw.softmax(dim=-1)
        upper = p.cumsum(dim=-1)
        # Less than the sum, as rounding leaves it: so no noise leads to a level of no probability.
        share = torch.special.ndtr(noise).clamp(max=1 - torch.finfo(noise.dtype).eps / 2)
        below = share[..., None] * upper[..., -1:]
        level = (upper[..., :-1] <= below).sum(dim=-1, keepdim=True)
        own, end = p.gather(-1, level), upper.gather(-1, level)
        part = (1 - (end - below) / own).clamp(SMALLEST, 1 - SMALLEST)
        return self._feature(((level + part) / self.number).squeeze(-1))

    def _share(self, x: Tensor) -> Tensor:
        return (self.mean + self.std * x).sigmoid()

    def _feature(self, share: Tensor) -> Tensor:
        return (share.logit(eps=SMALLEST) - self.mean) / self.std


def _lengths(raw: Tensor, bound: float) -> Tensor:
    """Return positive lengths (bins, ...) that sum to 2 bound."""
    return 2 * bound * (LEAST + (1 - len(raw) * LEAST) * raw.softmax(dim=0))


def _sums(lengths: Tensor) -> Tensor:
    """Return the sums (bins, ...) up to each: a product of matrices is quicker than `cumsum`."""
    ones = torch.ones(len(lengths), len(lengths), dtype=lengths.dtype, device=lengths.device)
    return (ones.tril() @ lengths.flatten(1)).reshape(lengths.shape)
