"""`js`, `kl`, `separation`, `chi2_paper`: distances that share the histograms of an observable."""

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.metrics.base import Comparison, Metric, resampled
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.statistics.binning import INNER_BINS, percentile_bins
from mleg_ray.evaluation.statistics.distances import JointStatistic, Statistic
from mleg_ray.evaluation.statistics.estimate import Figure
from mleg_ray.evaluation.statistics.resampling import (
    PooledSample,
    Subjects,
    estimates,
    per_observable,
)

PSEUDO_COUNT = 0.5


def _probabilities(truth: Histogram, generated: Histogram) -> list[FloatArray]:
    """Return shares by bin with 0.5 added to every count, so that none is zero.

    Counts are those of the smaller sample, or what is added would be a difference: a half count is
    a larger share of fewer events. A bin whose negative weights prevail counts as empty.
    """
    n = min(truth.counts.sum(), generated.counts.sum())
    smoothed = [np.clip(h.density * n, 0, None) + PSEUDO_COUNT for h in (truth, generated)]
    return [counts / counts.sum() for counts in smoothed]


def js_distance(truth: Histogram, generated: Histogram) -> float:
    """Jensen-Shannon distance to base 2, in [0, 1]; R. Balanzá García, thesis (2023), eq. 6.2."""
    p, q = _probabilities(truth, generated)
    middle = (p + q) / 2
    divergence = (p @ np.log2(p / middle) + q @ np.log2(q / middle)) / 2
    return math.sqrt(max(float(divergence), 0.0))


def kl_divergence(truth: Histogram, generated: Histogram) -> float:
    """KL(truth‖generated) in nats; R. Balanzá García, thesis (2023), eq. 6.4."""
    p, q = _probabilities(truth, generated)
    return float(p @ np.log(p / q))


def separation_power(truth: Histogram, generated: Histogram) -> float:
    """½ Σ (h₁ - h₂)² / (h₁ + h₂) of unit-normalised histograms; CaloChallenge, arXiv:2410.21611.

    A bin whose negative weights prevail counts as empty, so that it lies between 0 and 1.
    """
    h1, h2 = (np.clip(h.density, 0, None) for h in (truth, generated))
    h1, h2 = h1 / h1.sum(), h2 / h2.sum()
    total = h1 + h2
    filled = total > 0
    difference = (h1 - h2)[filled]
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


def prepare_relative_chi2(values: FloatArray, truth: FloatArray) -> Statistic:
    """Prepare `chi2_paper` of one observable."""
    index = percentile_bins(values, truth)

    def statistic(a: FloatArray, b: FloatArray) -> float:
        t, g = (Histogram.fill(index, weights, INNER_BINS + 2) for weights in (a, b))
        return relative_chi2(t, g)

    return statistic


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


def _distances(comparison: Comparison) -> Mapping[str, Mapping[str, Figure]]:
    """Return the figures of all `HISTOGRAM_DISTANCES`: they share the resampled histograms."""

    def compute(rng: np.random.Generator) -> dict[str, dict[str, Figure]]:
        pooled = comparison.pooled(rng)
        subjects = per_observable(pooled, prepare_histogram_distances)
        n = len(HISTOGRAM_DISTANCES)
        figures = estimates(pooled, subjects, rng, figures=n, mean=pooled.object_shares)
        return dict(zip(HISTOGRAM_DISTANCES, figures, strict=True))

    return comparison.shared("histograms", compute)


def _planes(pooled: PooledSample) -> Subjects:
    def of_plane(plane: Plane) -> Statistic:
        index, bins, inside = pooled.cells(plane), plane.cells, plane.inside
        return lambda a, b: relative_chi2(
            Histogram.fill(index, a, bins), Histogram.fill(index, b, bins), inside
        )

    return {plane.name: partial(of_plane, plane) for plane in pooled.definitions.planes}


def _chi2_paper(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
    """Return `chi2_paper` of each plane and of each observable."""
    planes = resampled(_planes)(comparison, rng)
    return {**planes, **_distances(comparison)["chi2_paper"]}


def _metric(name: str, title: str, meaning: str, effort: float = 1.0) -> Metric:
    def compute(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
        return _distances(comparison)[name]

    return Metric(title=title, meaning=meaning, compute=compute, effort=effort)


JS = _metric("js", "JS", "Jensen-Shannon distance of the histograms, 0 to 1", effort=5)
KL = _metric("kl", "KL", "Kullback-Leibler divergence of the histograms, in nats")
SEPARATION = _metric("separation", "Separation", "separation power of the histograms, 0 to 1")
CHI2_PAPER = Metric(
    title="χ² (paper)",
    meaning="mean of (g − t)² / t over the bins, without errors",
    compute=_chi2_paper,
)
