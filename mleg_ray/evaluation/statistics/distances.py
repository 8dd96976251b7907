"""Distances between two weighted samples of one observable that need no bins.

Both samples are pooled and sorted once; a distance is then a function of two vectors of weights
over the pooled events, one for each sample (zero where an event belongs to the other). Bootstrap
resamples and truth-versus-truth splits are only other weights, so they cost no further sorting.
Weights may be negative; only their sum must be positive.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstwobign

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.estimate import NotComputableError

# (weights of the truth, weights of the generated sample), each (N,) over pooled events -> a number
Statistic = Callable[[FloatArray, FloatArray], float]

# The same for several distances that share the costly part: one number each, (k,).
JointStatistic = Callable[[FloatArray, FloatArray], FloatArray]

# (pooled values (N,), weights of the whole truth (N,)) -> Statistic. What a figure takes from the
# truth alone (bins, scale) is fixed here, once, and is the same for all resamples and splits.
Preparation = Callable[[FloatArray, FloatArray], Statistic]


def prepare_ks(values: FloatArray, truth: FloatArray) -> Statistic:
    """Prepare the two-sample Kolmogorov-Smirnov distance sup |F - G| of the weighted EDFs.

    It is in [0, 1] for positive weights.
    """
    order = np.argsort(values)
    ends = _ends_of_ties(values[order])

    def statistic(a: FloatArray, b: FloatArray) -> float:
        return float(np.abs(_cdf_difference(a, b, order)[ends]).max())

    return statistic


def prepare_w1(values: FloatArray, truth: FloatArray) -> Statistic:
    """Prepare the Wasserstein distance ∫ |F - G| dx over the truth's standard deviation.

    R. Balanzá García, thesis (2023), ch. 6. Raises `NotComputableError` if the truth is constant.
    """
    scale = standard_deviation(values, truth)
    order = np.argsort(values)
    steps = np.diff(values[order])

    def statistic(a: FloatArray, b: FloatArray) -> float:
        return float(np.abs(_cdf_difference(a, b, order)[:-1]) @ steps / scale)

    return statistic


def ks_p_value(distance: float, n_truth: float, n_generated: float) -> float:
    """Probability that samples of one distribution are `distance` apart, for large samples.

    Kolmogorov's limit with effective sample sizes (Σw)² / Σw².
    """
    return float(kstwobign.sf(distance * np.sqrt(n_truth * n_generated / (n_truth + n_generated))))


def two_sample(
    prepare: Preparation,
    truth: FloatArray,
    generated: FloatArray,
    truth_weights: FloatArray | None = None,
    generated_weights: FloatArray | None = None,
) -> float:
    """Compute a prepared statistic once, for two plain samples.

    Arguments have shapes (n,), (m,), (n,), (m,); absent weights are 1. The result is NaN if a
    value is NaN. Raises `NotComputableError` if a sample is empty or its weights sum to <= 0.
    """
    values = np.concatenate([truth, generated]).astype(np.float64)
    if np.isnan(values).any():
        return float("nan")
    weights = [
        np.ones(len(sample)) if given is None else np.asarray(given, dtype=np.float64)
        for sample, given in ((truth, truth_weights), (generated, generated_weights))
    ]
    for whose, weight in zip(("truth's", "generated sample's"), weights, strict=True):
        if weight.sum() <= 0:
            raise NotComputableError(f"the {whose} weights sum to {weight.sum():g}")
    a = np.concatenate([weights[0], np.zeros(len(generated))])
    b = np.concatenate([np.zeros(len(truth)), weights[1]])
    return prepare(values, a)(a, b)


def effective_size(weights: FloatArray) -> float:
    """(Σw)² / Σw²: the number of unweighted events with the same statistical power."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def standard_deviation(values: FloatArray, weights: FloatArray) -> float:
    """Weighted standard deviation; `NotComputableError` if it is not positive."""
    w = weights / weights.sum()
    variance = float(w @ np.square(values - w @ values))
    # A constant column leaves only rounding errors of its mean.
    if variance <= np.square(8 * np.finfo(np.float64).eps * np.abs(values).max()):
        raise NotComputableError("all truth values are equal")
    return float(np.sqrt(variance))


def _cdf_difference(a: FloatArray, b: FloatArray, order: NDArray[np.intp]) -> FloatArray:
    difference: FloatArray = np.cumsum((a / a.sum() - b / b.sum())[order])
    return difference


def _ends_of_ties(ordered: FloatArray) -> NDArray[np.intp]:
    """Where a run of equal values ends: only there is the distribution function defined."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
