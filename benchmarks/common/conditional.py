"""Distributions of one number in classes of another, with errors, in which samples may differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST = 25  # events of a class, of which a number means something


@dataclass(frozen=True)
class Bins:
    """Numbers (m,) with their errors (m,); NaN where there are too few events.

    Those that are shares are `of` so many events (m,).
    """

    value: Array
    error: Array
    of: Array | None = None

    def pulls(self, other: "Bins") -> Array:
        """Return the differences of independent numbers over their errors, where both are known.

        The error of two shares is that of a common one p, √(p (1 - p) (1/n + 1/m)): one that was
        seen of neither sample alone is no zero with a certain error.
        """
        error = np.hypot(self.error, other.error)
        if self.of is not None and other.of is not None:
            n, m = self.of, other.of
            with np.errstate(invalid="ignore", divide="ignore"):
                p = (n * self.value + m * other.value) / (n + m)
                error = np.sqrt(p * (1 - p) * (1 / n + 1 / m))
        known = np.isfinite(self.value) & np.isfinite(other.value) & (error > 0)
        pulls: Array = (self.value - other.value)[known] / error[known]
        return pulls


def shares(chosen: NDArray[np.bool_], by: Array, edges: Array) -> Bins:
    """Return which share of the events (n,) in each bin of another number `by` (n,) is chosen.

    The error is that of a binomial of (k + 1)/(n + 2), which is none of zero at k = 0.
    """
    return _shares(np.histogram(by[chosen], edges)[0], np.histogram(by, edges)[0])


def histogram(values: Array, edges: Array) -> Bins:
    """Return the share of the values (n,) in each bin, with the error of `shares`."""
    return _shares(np.histogram(values, edges)[0], np.full(len(edges) - 1, len(values)))


def _shares(k: NDArray[np.int64], n: NDArray[np.int64]) -> Bins:
    p, some = (k + 1) / (n + 2), np.maximum(n, 1)
    return Bins(np.where(n < FEWEST, np.nan, k / some), np.sqrt(p * (1 - p) / some), some)


def medians(values: Array, by: Array, edges: Array) -> Bins:
    """Return the median of the values (n,) in each bin of another number `by` (n,).

    Its error is half the distance of the quantiles 1/2 ± 1/(2 √n), one deviation of the number of
    values below.
    """
    value, error = (np.full(len(edges) - 1, np.nan) for _ in range(2))
    index = np.digitize(by, edges) - 1
    for i in range(len(value)):
        own = values[index == i]
        if len(own) >= FEWEST:
            off = 0.5 / np.sqrt(len(own))
            low, value[i], high = np.quantile(own, [0.5 - off, 0.5, 0.5 + off])
            error[i] = (high - low) / 2
    return Bins(value, error)


def means(values: Array, by: Array, weights: Array, edges: Array) -> Array:
    """Return the weighted mean of the values (n,) in each bin of `by` (n,), NaN without weight."""
    total, _ = np.histogram(by, edges, weights=weights)
    summed, _ = np.histogram(by, edges, weights=weights * values)
    mean = np.full(len(total), np.nan)
    np.divide(summed, total, out=mean, where=total != 0)
    return mean


def agreement(
    found: Mapping[str, Bins], truth: Mapping[str, Bins]
) -> dict[str, tuple[float, int, int]]:
    """Return of each distribution the largest pull, how many are beyond 3, and of how many."""
    result = {}
    for name, bins in truth.items():
        pulls = np.abs(found[name].pulls(bins))
        result[name] = (float(pulls.max(initial=0)), int((pulls > 3).sum()), len(pulls))
    return result
