"""Distances between binned distributions of two weighted samples.

The bins of one observable are 100 equal ones between the truth's 0.1 and 99.9 percentiles, with
underflow and overflow. Everything is a `Statistic`: a function of two vectors of weights over the
pooled events (see `distances`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mleg_ray.evaluation.distances import FloatArray, JointStatistic, Statistic
from mleg_ray.evaluation.estimate import NotComputableError

INNER_BINS = 100
PERCENTILES = (0.001, 0.999)
PSEUDO_COUNT = 0.5
MINIMUM_TRUTH_EVENTS = 10  # of a bin that enters chi2_ndf

BinIndex = NDArray[np.signedinteger]


@dataclass(frozen=True)
class Histogram:
    """Sums of weights and of squared weights by bin, both of shape (bins,)."""

    weight: FloatArray
    variance: FloatArray

    @staticmethod
    def fill(index: BinIndex, weights: FloatArray, bins: int) -> "Histogram":
        """Fill with events of bin `index` (N,) and `weights` (N,)."""
        return Histogram(
            np.bincount(index, weights, minlength=bins).astype(np.float64),
            np.bincount(index, np.square(weights), minlength=bins).astype(np.float64),
        )

    @staticmethod
    def count(index: BinIndex, bins: int) -> "Histogram":
        """Fill with events of bin `index` (N,) and weight 1."""
        return Histogram.of_counts(np.bincount(index, minlength=bins))

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

    def scaled(self, factor: float) -> "Histogram":
        """Return the histogram with all weights multiplied."""
        return Histogram(self.weight * factor, self.variance * factor**2)

    @property
    def density(self) -> FloatArray:
        """Share of the whole weight by bin."""
        result: FloatArray = self.weight / self.weight.sum()
        return result

    @property
    def populated(self) -> NDArray[np.bool_]:
        """Whether a bin holds at least 10 effective events, (Σw)² / Σw²: those of chi2_ndf."""
        enough: NDArray[np.bool_] = (
            np.square(self.weight) >= MINIMUM_TRUTH_EVENTS * self.variance
        ) & (self.weight > 0)
        return enough

    @property
    def counts(self) -> FloatArray:
        """Weights in units of one effective event, Σw² / Σw; the number of events if w = 1."""
        result: FloatArray = self.weight * (self.weight.sum() / self.variance.sum())
        return result


def _probabilities(truth: Histogram, generated: Histogram) -> list[FloatArray]:
    """Return shares by bin with 0.5 added to every count, so that none is zero.

    Counts are those of the smaller sample, or what is added would be a difference: a half count is
    a larger share of fewer events. A bin whose negative weights prevail counts as empty.
    """
    n = min(truth.counts.sum(), generated.counts.sum())
    smoothed = [np.clip(h.density * n, 0, None) + PSEUDO_COUNT for h in (truth, generated)]
    return [counts / counts.sum() for counts in smoothed]


def js_distance(truth: Histogram, generated: Histogram) -> float:
    """Jensen-Shannon distance to base 2, in [0, 1]; C. Balanza, thesis (2023), eq. 6.2."""
    p, q = _probabilities(truth, generated)
    middle = (p + q) / 2
    divergence = (p @ np.log2(p / middle) + q @ np.log2(q / middle)) / 2
    return math.sqrt(max(float(divergence), 0.0))


def kl_divergence(truth: Histogram, generated: Histogram) -> float:
    """KL(truth‖generated) in nats; C. Balanza, thesis (2023), eq. 6.4."""
    p, q = _probabilities(truth, generated)
    return float(p @ np.log(p / q))


def separation_power(truth: Histogram, generated: Histogram) -> float:
    """½ Σ (h₁ - h₂)² / (h₁ + h₂) of unit-normalised histograms; CaloChallenge, arXiv:2410.21611."""
    total = truth.density + generated.density
    filled = total > 0
    difference = (truth.density - generated.density)[filled]
    return float(0.5 * np.sum(np.square(difference) / total[filled]))


def relative_chi2(
    truth: Histogram, generated: Histogram, inside: NDArray[np.bool_] | bool = True
) -> float:
    """(1/n) Σ (g - t)² / t over the n bins with t > 0; Y. Alanazi, thesis, sec. 5.5.2.

    Bins that are not `inside` count in the totals only.
    """
    t = truth.counts
    g = generated.density * t.sum()
    filled = (t > 0) & inside
    return float(np.mean(np.square(g - t)[filled] / t[filled]))


def pearson_chi2(truth: Histogram, generated: Histogram, bins: NDArray[np.bool_]) -> float:
    """Σ (g - t)² / (σ_g² + σ_t²) / ndf over the chosen `bins`: 1 at the floor.

    Both statistical errors enter. The generated histogram is scaled to the truth's total, which
    takes one degree of freedom.
    """
    scale = truth.weight.sum() / generated.weight.sum()
    variance = truth.variance + scale**2 * generated.variance
    filled = bins & (variance > 0)
    difference = (truth.weight - scale * generated.weight)[filled]
    return float(np.sum(np.square(difference) / variance[filled]) / (bins.sum() - 1))


def percentile_bins(values: FloatArray, truth: FloatArray) -> BinIndex:
    """Return each value's bin, 0 ... 101, where `truth` holds the truth's weights (zero elsewhere).

    Raises:
        NotComputableError: see `percentile_range`.
    """
    low, high = percentile_range(values, truth)
    position = np.floor((values - low) / (high - low) * INNER_BINS) + 1
    index: BinIndex = np.clip(position, 0, INNER_BINS + 1).astype(np.intp)
    return index


def percentile_range(values: FloatArray, truth: FloatArray) -> tuple[float, float]:
    """Return the truth's 0.1 and 99.9 percentiles; arguments as in `percentile_bins`.

    Raises:
        NotComputableError: they coincide.
    """
    low, high = weighted_quantiles(values, truth, PERCENTILES)
    if low == high:
        raise NotComputableError(f"99.8% of the truth's values are {low:g}")
    return float(low), float(high)


def are_whole(values: FloatArray) -> bool:
    """Tell whether all values (n,) are whole numbers, so that each may have a bin of its own."""
    return np.array_equal(values, np.round(values))


def weighted_quantiles(
    values: FloatArray, weights: FloatArray, probabilities: tuple[float, ...]
) -> FloatArray:
    """Return the smallest values below which a share |w| of at least each probability lies.

    The absolute weight stands for "where the events are", also if negative weights cancel there.
    """
    present = weights != 0
    order = np.argsort(values[present])
    share = np.cumsum(np.abs(weights[present][order]))
    targets = np.asarray(probabilities) * share[-1]
    quantiles: FloatArray = values[present][order][np.searchsorted(share, targets)]
    return quantiles


# The distances that share one set of histograms, by the names of their metrics.
HISTOGRAM_DISTANCES: dict[str, Callable[[Histogram, Histogram], float]] = {
    "js": js_distance,
    "kl": kl_divergence,
    "separation": separation_power,
    "chi2_paper": relative_chi2,
}


def prepare_histogram_distances(values: FloatArray, truth: FloatArray) -> JointStatistic:
    """Prepare all `HISTOGRAM_DISTANCES` of one observable, in their order."""
    index = percentile_bins(values, truth)

    def statistic(a: FloatArray, b: FloatArray) -> FloatArray:
        t, g = (Histogram.fill(index, weights, INNER_BINS + 2) for weights in (a, b))
        return np.array([distance(t, g) for distance in HISTOGRAM_DISTANCES.values()])

    return statistic


def prepare_chi2(values: FloatArray, truth: FloatArray) -> Statistic:
    """Prepare `chi2_ndf` of one observable."""
    return _chi2_statistic(percentile_bins(values, truth), INNER_BINS + 2, truth)


def prepare_plane_chi2(index: BinIndex, bins: int, truth: FloatArray) -> Statistic:
    """Prepare `chi2_ndf` of a plane from the pooled events' bins, of which the last is "outside".

    Events outside count in the totals only.
    """
    return _chi2_statistic(index, bins - 1, truth)


def prepare_plane_relative_chi2(index: BinIndex, bins: int) -> Statistic:
    """Prepare `chi2_paper` of a plane; arguments as in `prepare_plane_chi2`."""
    inside = np.arange(bins) < bins - 1

    def statistic(a: FloatArray, b: FloatArray) -> float:
        t, g = (Histogram.fill(index, weights, bins) for weights in (a, b))
        return relative_chi2(t, g, inside)

    return statistic


def _chi2_statistic(index: BinIndex, bins: int, truth: FloatArray) -> Statistic:
    """Prepare `chi2_ndf` over those of the first `bins` in which the truth has 10 events.

    Bins chosen by the very sample that is compared would favour its upward fluctuations and lift
    the floor above 1; the whole truth favours none of its parts.

    Raises:
        NotComputableError: fewer than two bins hold 10 truth events.
    """
    populated = Histogram.fill(index, truth, bins + 1).populated
    populated[bins:] = False
    if populated.sum() < 2:
        raise NotComputableError("fewer than two bins hold 10 truth events")

    def statistic(a: FloatArray, b: FloatArray) -> float:
        t, g = (Histogram.fill(index, weights, bins + 1) for weights in (a, b))
        return pearson_chi2(t, g, populated)

    return statistic
