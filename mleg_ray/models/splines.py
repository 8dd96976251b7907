"""Monotone maps between the noise and the feature of one number, by what a network says of it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from zuko.transforms import MonotonicRQSTransform

from mleg_ray.space import wrapped

BOUND = 5.0  # of splines on the line, in standard deviations
LOG_NORMAL = -math.log(2 * math.pi) / 2  # of the standard normal density at zero
SMALLEST = 1e-6  # share of an end or of a level that numbers in single precision can tell


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
        z, log_slope = _done(_spline(raw, self.bins, BOUND), x)
        return log_slope - z.square() / 2 + LOG_NORMAL

    def decode(self, raw: Tensor, noise: Tensor) -> Tensor:
        """Return the numbers; see `Monotone`."""
        return _undone(_spline(raw, self.bins, BOUND), noise)


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
        spline = _spline(raw[..., :-1], self.bins, 1.0)
        _, log_slope = _done(spline, wrapped(x - raw[..., -1]))
        return log_slope - math.log(2)

    def decode(self, raw: Tensor, noise: Tensor) -> Tensor:
        """Return the angles in [-1, 1); up to the turn they grow with the noise."""
        return wrapped(_undone(_spline(raw[..., :-1], self.bins, 1.0), noise) + raw[..., -1])


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
        below = torch.special.ndtr(noise)[..., None]
        p = raw.softmax(dim=-1)
        upper = p.cumsum(dim=-1)
        level = (upper[..., :-1] <= below).sum(dim=-1, keepdim=True)
        own, end = p.gather(-1, level), upper.gather(-1, level)
        part = (1 - (end - below) / own).clamp(SMALLEST, 1 - SMALLEST)
        return self._feature(((level + part) / self.number).squeeze(-1))

    def _share(self, x: Tensor) -> Tensor:
        return (self.mean + self.std * x).sigmoid()

    def _feature(self, share: Tensor) -> Tensor:
        return (share.logit(eps=SMALLEST) - self.mean) / self.std


def _spline(raw: Tensor, bins: int, bound: float) -> MonotonicRQSTransform:
    """Return the spline of features within ±bound to noise, of raw (..., 3 bins - 1)."""
    widths, heights, slopes = torch.split(raw, [bins, bins, bins - 1], dim=-1)
    return MonotonicRQSTransform(widths, heights, slopes, bound=bound)


def _done(spline: MonotonicRQSTransform, x: Tensor) -> tuple[Tensor, Tensor]:
    z, log_slope = spline.call_and_ladj(x)
    return z, log_slope


def _undone(spline: MonotonicRQSTransform, noise: Tensor) -> Tensor:
    # `spline.inv` would tie both to each other, and keep memory until Python looks for such rings.
    x: Tensor = spline._inverse(noise)
    return x
