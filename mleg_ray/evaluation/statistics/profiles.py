"""Profiles: mean and width of an observable in bins of another, with their errors."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import MINIMUM_TRUTH_EVENTS
from mleg_ray.evaluation.statistics.binning import weighted_quantiles

BINS = 10  # of equal numbers of true events


class Profile(NamedTuple):
    """Mean and width (bins,) of an observable, their errors, and the effective events of a bin."""

    mean: FloatArray
    mean_error: FloatArray
    width: FloatArray
    width_error: FloatArray
    events: FloatArray

    @staticmethod
    def of(
        values: FloatArray, index: NDArray[np.intp], weights: FloatArray, bins: int
    ) -> "Profile":
        """Take values (N,) with weights (N,) in the bins of an `index` (N,).

        With n = (Σw)² / Σw² effective events, the errors are s / √n of the mean and, of the width
        s, √((m₄ - s⁴) / n) / 2s, to first order in 1/√n: that of s² is √((m₄ - s⁴) / n). A bin
        without two effective events has no errors.
        """
        present = np.flatnonzero(weights)
        x, i, w = values[present], index[present], weights[present]

        def sums(terms: FloatArray) -> FloatArray:
            return np.bincount(i, terms, bins).astype(np.float64)

        with np.errstate(all="ignore"):
            whole = sums(w)
            mean = sums(w * x) / whole
            away = np.square(x - mean[i])
            variance, fourth = sums(w * away) / whole, sums(w * np.square(away)) / whole
            events = np.square(whole) / sums(np.square(w))
            events = np.where((whole > 0) & (events >= 2), events, 0.0)
            width = np.sqrt(variance)
            width_error = np.sqrt((fourth - np.square(variance)) / events) / (2 * width)
            return Profile(mean, width / np.sqrt(events), width, width_error, events)


def equal_bins(values: FloatArray, truth: FloatArray) -> tuple[NDArray[np.intp], int]:
    """Return each value's bin (N,), and their number: ten, that hold as many true events each.

    `truth` (N,) are the truth's weights. Of a condition with fewer values each has its own bin;
    generated ones beyond the truth's are in the outermost.
    """
    inner = tuple(np.arange(1, BINS) / BINS)
    edges = np.unique(weighted_quantiles(values, truth, inner))
    return np.searchsorted(edges, values, side="left"), len(edges) + 1


def profile_chi2(truth: Profile, generated: Profile) -> tuple[float, int]:
    """Return Σ (Δ/σ)² of means and widths, with both errors, and how many terms it has.

    Bins with fewer than ten effective events of either sample do not count. Means and widths of a
    skewed distribution are correlated, so it is no χ²; its floor is that of two true samples.
    """
    used = np.minimum(truth.events, generated.events) >= MINIMUM_TRUTH_EVENTS
    total, terms = 0.0, 0
    for (t, t_error), (g, g_error) in zip(_moments(truth), _moments(generated), strict=True):
        variance = np.square(t_error) + np.square(g_error)
        some = used & (variance > 0)
        total += float(np.sum(np.square(g - t)[some] / variance[some]))
        terms += int(np.count_nonzero(some))
    return total, terms


def _moments(profile: Profile) -> list[tuple[FloatArray, FloatArray]]:
    return [(profile.mean, profile.mean_error), (profile.width, profile.width_error)]
