"""Differences of correlation matrices."""

import numpy as np

from mleg_ray.evaluation.distances import FloatArray, Statistic
from mleg_ray.evaluation.estimate import NotComputableError
from mleg_ray.evaluation.resampling import Pool, Subjects


def correlation_matrix(features: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted Pearson correlations, shape (d, d), of features (n, d) with weights (n,)."""
    w = weights / weights.sum()
    centred = features - w @ features
    covariance = (centred * w[:, None]).T @ centred
    spread = np.sqrt(np.diag(covariance))
    result: FloatArray = covariance / np.outer(spread, spread)
    return result


def correlation_subjects(pool: Pool) -> Subjects:
    """Make the subjects of `corr_frobenius`.

    "all" is the Frobenius norm of the difference of the two matrices; the pair of observables whose
    correlation differs most stands beside it with the absolute difference.
    """
    names = list(pool.axes)

    def whole() -> Statistic:
        features = _standardised(pool, names)
        return lambda a, b: float(np.linalg.norm(_difference(features, a, b)))

    def of_pair(i: int, j: int) -> Statistic:
        features = _standardised(pool, [names[i], names[j]])
        return lambda a, b: float(abs(_difference(features, a, b)[0, 1]))

    try:
        difference = _difference(_standardised(pool, names), pool.truth, pool.generated)
    except NotComputableError:
        return {"all": whole}
    i, j = np.unravel_index(np.nanargmax(np.abs(difference)), difference.shape)
    return {"all": whole, f"{names[i]}, {names[j]}": lambda: of_pair(int(i), int(j))}


def _difference(features: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    return correlation_matrix(features, b) - correlation_matrix(features, a)


def _standardised(pool: Pool, names: list[str]) -> FloatArray:
    """Columns (N, d) of order one: heavy tails in GeV² would cost precision."""
    features = np.stack([pool.column(name) for name in names], axis=1)
    result: FloatArray = (features - features.mean(axis=0)) / features.std(axis=0)
    return result
