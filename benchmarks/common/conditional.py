"""Distributions of one number in classes of another, with errors, in which samples may differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST = 25  # events of a class, or of a share's two sides together, whose errors mean something


@dataclass(frozen=True)
class Bins:
    """Numbers (m,) with their errors (m,); NaN where there are too few events."""

    value: Array
    error: Array

    def pulls(self, other: "Bins") -> Array:
        """Return the differences of independent numbers over their errors, where both are known."""
        pulls = (self.value - other.value) / np.hypot(self.error, other.error)
        return pulls[np.isfinite(pulls)]


def shares(chosen: NDArray[np.bool_], by: Array, edges: Array) -> Bins:
    """Return which share of the events (n,) in each bin of another number `by` (n,) is chosen.

    The error is that of a binomial of (k + 1)/(n + 2), which is none of zero at k = 0.
    """
    n = np.histogram(by, edges)[0].astype(float)
    k = np.histogram(by[chosen], edges)[0].astype(float)
    p = (k + 1) / (n + 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, error = k / n, np.sqrt(p * (1 - p) / n)
    return Bins(np.where(n < FEWEST, np.nan, value), error)


def histogram(values: Array, edges: Array) -> Bins:
    """Return the share of the values (n,) in each bin, with the error of `shares`."""
    k = np.histogram(values, edges)[0].astype(float)
    n = max(len(values), 1)
    p = (k + 1) / (n + 2)
    return Bins(np.where(k.sum() < FEWEST, np.nan, k / n), np.sqrt(p * (1 - p) / n))


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


def agreement(
    found: Mapping[str, Bins], truth: Mapping[str, Bins]
) -> dict[str, tuple[int, float, int]]:
    """Return of each distribution its bins, the largest pull, and how many are beyond 3."""
    result = {}
    for name, bins in truth.items():
        pulls = np.abs(found[name].pulls(bins))
        result[name] = (len(pulls), float(pulls.max(initial=0)), int((pulls > 3).sum()))
    return result
