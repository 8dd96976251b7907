"""`chi2_ndf`: Pearson's test of two histograms, with the errors of both."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.metrics.base import Metric, resampled
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import BinIndex, Histogram
from mleg_ray.evaluation.statistics.binning import INNER_BINS, percentile_bins
from mleg_ray.evaluation.statistics.distances import Statistic
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.evaluation.statistics.resampling import PooledSample, Subjects, per_observable


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


def prepare_chi2(values: FloatArray, truth: FloatArray) -> Statistic:
    """Prepare `chi2_ndf` of one observable."""
    return prepare_binned_chi2(percentile_bins(values, truth), INNER_BINS + 2, truth)


def prepare_binned_chi2(index: BinIndex, bins: int, truth: FloatArray) -> Statistic:
    """Prepare `chi2_ndf` over those of the first `bins` in which the truth has 10 events.

    Pooled events are in the bins `index` (N,); those in the bin beyond count in the totals only.

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


def _subjects(pooled: PooledSample) -> Subjects:
    """Make a subject of each plane that the dataset declares, and of each observable."""

    def of_plane(plane: Plane) -> Statistic:
        return prepare_binned_chi2(pooled.cells(plane), plane.cells - 1, pooled.whole_truth)

    planes = {plane.name: partial(of_plane, plane) for plane in pooled.definitions.planes}
    return {**planes, **per_observable(pooled, prepare_chi2)}


CHI2_NDF = Metric(
    title="χ² / ndf",
    meaning="binned difference in units of both statistical errors; 1 at best",
    headline="In {subject}, of {events} events each.",
    compute=resampled(_subjects),
)
