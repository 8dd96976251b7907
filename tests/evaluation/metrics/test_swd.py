import numpy as np
import pytest
from scipy import stats

from mleg_ray.evaluation.metrics.swd import swd
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics.resampling import PooledSample
from tests.evaluation.conftest import gaussian


def measured(truth, generated):
    rng = np.random.default_rng(0)
    return swd(PooledSample(truth, generated, rng), rng)


def test_in_one_dimension_it_is_scipys_wasserstein_distance():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=2000), rng.normal(0.5, 1.3, size=1000)
    pooled = PooledSample(from_arrays({"x": x}), from_arrays({"x": y}), np.random.default_rng(0))
    figure = swd(pooled, np.random.default_rng(0))
    values = pooled.column("x")
    expected = stats.wasserstein_distance(values, values, pooled.truth, pooled.generated) / x.std()
    assert figure.value == pytest.approx(expected)


def test_a_shift_of_gaussians_is_analytic():
    """The mean over directions of |δ·u| in the plane is 2 |δ| / π; 256 of them know it to 3%."""
    figure = measured(gaussian(4000, 1, correlation=0), gaussian(2000, 2, shift=1.0, correlation=0))
    assert figure.value == pytest.approx(2 / np.pi, rel=0.12)
    assert figure.verdict == "large"
    assert figure.p_value == pytest.approx(1 / 21)


def test_uncertainty_is_that_of_many_samples():
    figures = [
        measured(gaussian(1000, 2 * seed), gaussian(500, 2 * seed + 1, shift=0.4))
        for seed in range(20)
    ]
    spread = np.std([figure.value for figure in figures], ddof=1)
    assert np.mean([figure.uncertainty for figure in figures]) == pytest.approx(spread, rel=0.5)


def test_equal_distributions_have_no_small_p_value_on_average():
    p = [measured(gaussian(400, 2 * s), gaussian(200, 2 * s + 1)).p_value for s in range(15)]
    assert 0.25 < np.mean(p) < 0.8
