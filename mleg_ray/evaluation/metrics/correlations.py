"""Differences of correlation matrices."""

from functools import partial

import numpy as np

from mleg_ray.evaluation.metrics.base import ALL, Metric, resampled
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.distances import Statistic
from mleg_ray.evaluation.statistics.resampling import PooledSample, Subjects


def correlation_matrix(features: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted Pearson correlations, shape (d, d), of features (n, d) with weights (n,).

    NaN where a feature does not vary, or where negative weights leave it no variance.
    """
    present = weights != 0  # of pooled events two thirds belong to no or the other sample
    features, weights = features[present], weights[present]
    w = weights / weights.sum()
    with np.errstate(all="ignore"):
        centred = features - w @ features
        covariance = (centred * w[:, None]).T @ centred
        spread = np.sqrt(np.diag(covariance))
        result: FloatArray = covariance / np.outer(spread, spread)
    return result


def correlation_subjects(pooled: PooledSample) -> Subjects:
    """Make the subjects of `corr_frobenius`.

    "all" is the Frobenius norm of the difference of the two matrices; the pair of observables whose
    correlation differs most stands beside it with the absolute difference. One observable alone has
    no correlations, so no subjects.

    Raises:
        NotComputableError: see `PooledSample.column`.
    """
    names = pooled.numbers
    if len(names) < 2:
        return {}
    features = _standardised(pooled, names)

    def whole() -> Statistic:
        return lambda a, b: float(np.linalg.norm(_difference(features, a, b)))

    def of_pair(first: str, second: str) -> Statistic:
        features = _standardised(pooled, [first, second])
        return lambda a, b: float(abs(_difference(features, a, b)[0, 1]))

    difference = _difference(features, pooled.truth, pooled.generated)
    rows, columns = np.triu_indices(len(names), k=1)
    largest = int(np.argmax(np.nan_to_num(np.abs(difference[rows, columns]))))
    pair = names[rows[largest]], names[columns[largest]]
    return {ALL: whole, ", ".join(pair): partial(of_pair, *pair)}


def _difference(features: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    return correlation_matrix(features, b) - correlation_matrix(features, a)


def _standardised(pooled: PooledSample, names: list[str]) -> FloatArray:
    """Columns (N, d) of order one: heavy tails in GeV² would cost precision."""
    features = np.stack([pooled.column(name) for name in names], axis=1)
    with np.errstate(all="ignore"):
        result: FloatArray = (features - features.mean(axis=0)) / features.std(axis=0)
    return result


CORR_FROBENIUS = Metric(
    title="Correlations",
    meaning="norm of the difference of the correlation matrices",
    compute=resampled(correlation_subjects, p_values=True),
    effort=3,
)
