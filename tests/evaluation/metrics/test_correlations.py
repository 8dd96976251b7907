"""Correlation matrices of weighted events, and how far two are apart."""

from math import sqrt
from types import SimpleNamespace

import numpy as np
import pytest

from mleg_ray.evaluation.metrics.correlations import correlation_matrix, correlation_subjects

# x and y at three places.
PLACES = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])


def test_matrix_by_hand() -> None:
    """Of weights 1, 1, 2: variances 11/16 and 3/16, a covariance of 1/4 - 5/4 · 1/4."""
    found = correlation_matrix(PLACES, np.array([1.0, 1, 2]))
    assert found == pytest.approx(np.array([[1, -1 / sqrt(33)], [-1 / sqrt(33), 1]]))
    # Without the third they lie on a rising line; what has no weight is not there.
    assert correlation_matrix(PLACES, np.array([3.0, 1, 0])) == pytest.approx(np.ones((2, 2)))


def test_difference_of_two_samples_by_hand() -> None:
    """The norm has both places of the one pair."""
    columns = dict(zip("xy", PLACES.T, strict=True))
    pooled = SimpleNamespace(
        numbers=["x", "y"],
        column=columns.__getitem__,
        truth=np.array([1.0, 1, 2]),
        generated=np.array([3.0, 1, 0]),
    )
    subjects = correlation_subjects(pooled)
    assert list(subjects) == ["all", "x, y"]
    whole, pair = (prepare()(pooled.truth, pooled.generated) for prepare in subjects.values())
    assert pair == pytest.approx(1 + 1 / sqrt(33))
    assert whole == pytest.approx(sqrt(2) * pair)
