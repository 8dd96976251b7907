import numpy as np
import pytest

from mleg_ray.evaluation.coverage import pulls
from mleg_ray.evaluation.estimate import NotComputableError
from mleg_ray.evaluation.histograms import Histogram


def test_honest_errors_cover_68_and_95_percent():
    """Each replica has its own Poisson counts, the truth has one draw of the same spread."""
    rng = np.random.default_rng(0)
    expected = np.full(2000, 100.0)
    truth = rng.poisson(expected).astype(float)
    # The replicas scatter around one training sample that itself has a Poisson error.
    training = rng.poisson(expected)
    ensemble = rng.poisson(training, (50, 2000)).astype(float)
    found = pulls(Histogram(truth, truth), ensemble)
    assert found.coverage_68 == pytest.approx(0.68, abs=0.04)
    assert found.coverage_95 == pytest.approx(0.95, abs=0.02)


def test_pull_by_hand_and_bins_that_never_vary():
    truth = Histogram(np.array([2.0, 2.0, 0.0]), np.array([0.5, 0.5, 0.0]))
    found = pulls(truth, np.array([[3.0, 1, 0], [1.0, 1, 0]]))
    # shares 0.75 and 0.5: mean 0.625, variance 1/32; truth 0.5 with variance 0.5 / 16
    assert found.pull[:2] == pytest.approx([0.5, -0.5])
    assert np.isnan(found.pull[2])
    assert found.coverage_68 == 1


def test_what_is_missing_is_said():
    truth = Histogram(np.ones(2), np.ones(2))
    with pytest.raises(NotComputableError, match="1 replicas"):
        pulls(truth, np.ones((1, 2)))
    with pytest.raises(NotComputableError, match="positive"):
        pulls(truth, np.zeros((2, 2)))
