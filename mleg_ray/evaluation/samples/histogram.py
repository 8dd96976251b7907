"""Sums of weights by bin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mleg_ray.evaluation.samples.column import FloatArray

MINIMUM_TRUTH_EVENTS = 10  # of a bin that is compared

BinIndex = NDArray[np.signedinteger]


@dataclass(frozen=True)
class Histogram:
    """Sums of weights and of squared weights by bin, both of shape (bins,)."""

    weight: FloatArray
    variance: FloatArray

    @staticmethod
    def fill(index: BinIndex, weights: FloatArray | None, bins: int) -> "Histogram":
        """Fill with events of bin `index` (N,) and `weights` (N,), 1 if there are none."""
        if weights is None:
            return Histogram.of_counts(np.bincount(index, minlength=bins))
        return Histogram(
            np.bincount(index, weights, minlength=bins).astype(np.float64),
            np.bincount(index, np.square(weights), minlength=bins).astype(np.float64),
        )

    @staticmethod
    def of_counts(counts: NDArray[np.integer]) -> "Histogram":
        """Take numbers of events by bin (bins,)."""
        weight = counts.astype(np.float64)
        return Histogram(weight, weight)

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(self.weight + other.weight, self.variance + other.variance)

    def merged(self, first: BinIndex) -> "Histogram":
        """Return coarser bins; `first`, increasing from 0, is where each begins."""
        return Histogram(np.add.reduceat(self.weight, first), np.add.reduceat(self.variance, first))

    def joined(self, number: BinIndex) -> "Histogram":
        """Return the sums of bins that have the same `number` (bins,), in the order of numbers."""
        return Histogram(
            np.bincount(number, self.weight).astype(np.float64),
            np.bincount(number, self.variance).astype(np.float64),
        )

    def scaled(self, factor: float) -> "Histogram":
        """Return the histogram with all weights multiplied."""
        return Histogram(self.weight * factor, self.variance * factor**2)

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the bins (n,) of random events, none twice; weights are numbers of events."""
        passed = np.cumsum(self.weight.astype(np.int64))
        events = rng.choice(passed[-1], n, replace=False, shuffle=False)
        return np.searchsorted(passed, events, side="right")

    @property
    def density(self) -> FloatArray:
        """Share of the whole weight by bin."""
        result: FloatArray = self.weight / self.weight.sum()
        return result

    @property
    def effective(self) -> FloatArray:
        """Effective events by bin, (Σw)² / Σw²; none where weights cancel."""
        squares = np.where(self.variance > 0, self.variance, 1.0)
        result: FloatArray = np.square(np.maximum(self.weight, 0.0)) / squares
        return result

    @property
    def populated(self) -> NDArray[np.bool_]:
        """Whether a bin holds at least 10 effective events."""
        return self.effective >= MINIMUM_TRUTH_EVENTS

    @property
    def counts(self) -> FloatArray:
        """Weights in units of one effective event, Σw² / Σw; the number of events if w = 1."""
        result: FloatArray = self.weight * (self.weight.sum() / self.variance.sum())
        return result


@dataclass(frozen=True)
class Shares:
    """A sample's shares of the weights and of the squared weights by bin, both (bins,).

    `variance` is that of `share`, and `one_event` 1 over the effective number of events.
    """

    share: FloatArray
    squares: FloatArray
    variance: FloatArray
    one_event: float

    @staticmethod
    def of(sample: Histogram) -> "Shares":
        """Divide by the sums over all bins."""
        share, one_event = sample.density, sample.variance.sum() / sample.weight.sum() ** 2
        squares = sample.variance / sample.variance.sum()
        variance = one_event * ((1 - 2 * share) * squares + np.square(share))
        return Shares(share, squares, variance, float(one_event))

    @property
    def covariance(self) -> FloatArray:
        """The covariances of the shares (bins, bins), `variance` on the diagonal."""
        both = np.outer(self.share, self.squares)
        own = np.diag(self.squares) + np.outer(self.share, self.share)
        result: FloatArray = self.one_event * (own - both - both.T)
        return result

    def first_order(self, change: FloatArray) -> float:
        """Return the variance of a sum to which a share in each bin adds its `change`."""
        mean = self.share @ change
        return self.one_event * float(self.squares @ np.square(change) - mean**2)


def are_whole(values: FloatArray) -> bool:
    """Tell whether all values (n,) are whole numbers, so that each may have a bin of its own."""
    return np.array_equal(values, np.round(values))
