from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mleg_ray.evaluation.statistics.distances import (
    effective_size,
    ks_p_value,
    prepare_ks,
    prepare_w1,
    two_sample,
)
from mleg_ray.evaluation.statistics.estimate import NotComputableError

ks = partial(two_sample, prepare_ks)
w1 = partial(two_sample, prepare_w1)

# A few values, so that ties within and between the samples are common.
TIED = arrays(np.float64, st.integers(1, 30), elements=st.integers(-3, 3).map(float))


@given(TIED, TIED)
def test_ks_is_scipys_also_with_ties(x, y):
    with np.errstate(divide="ignore"):  # in scipy's p-value of equal samples
        expected = stats.ks_2samp(x, y, method="asymp").statistic
    assert ks(x, y) == pytest.approx(expected, abs=1e-12)


@given(TIED, TIED)
def test_ks_is_symmetric_and_unchanged_by_growing_functions(x, y):
    assert ks(x, y) == pytest.approx(ks(y, x))
    assert ks(x, y) == pytest.approx(ks(np.exp(x), np.exp(y)))


def test_ks_of_ties_by_hand():
    """At 0 the shares are 2/3 and 1/3, at 1 both are whole: within a tie nothing is compared."""
    assert ks(np.array([0.0, 0, 1]), np.array([0.0, 1, 1])) == pytest.approx(1 / 3)
    assert ks(np.zeros(5), np.zeros(3)) == pytest.approx(0, abs=1e-12)


def test_distances_of_weighted_samples_by_hand():
    """Shares up to 0, 1 and 2: 1/4, 2/4, 1 of the truth, and 2/4, 3/4, 1."""
    x, truth, generated = np.arange(3.0), np.array([1.0, 1, 2]), np.array([2.0, 1, 1])
    assert ks(x, x, truth, generated) == pytest.approx(1 / 4)
    spread = np.sqrt((1 * 0 + 1 * 1 + 2 * 4) / 4 - (5 / 4) ** 2)
    assert w1(x, x, truth, generated) == pytest.approx((1 / 4 + 1 / 4) / spread)
    # With a negative weight 1/2, 0 and 1 of the generated events lie up to there.
    signed = np.array([1.0, -1, 2])
    assert ks(x, x, truth, signed) == pytest.approx(1 / 2)
    assert w1(x, x, truth, signed) == pytest.approx((1 / 4 + 1 / 2) / spread)


def test_w1_is_scipys_with_weights():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=500), rng.normal(0.3, 1.2, size=700)
    wx, wy = rng.uniform(0.5, 2, 500), rng.uniform(0.5, 2, 700)
    mean = np.average(x, weights=wx)
    spread = np.sqrt(np.average((x - mean) ** 2, weights=wx))
    assert w1(x, y, wx, wy) == pytest.approx(stats.wasserstein_distance(x, y, wx, wy) / spread)


def test_shifted_gaussians_have_their_analytic_distances():
    """KS = 2 Φ(δ/2) - 1 and W1 = δ; quantiles stand for infinitely many events."""
    x = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    delta = 0.4
    assert ks(x, x + delta) == pytest.approx(2 * stats.norm.cdf(delta / 2) - 1, abs=1e-4)
    assert w1(x, x + delta) == pytest.approx(delta, rel=1e-3)


@pytest.mark.parametrize("distance", [ks, w1])
def test_an_event_may_be_replaced_by_copies_of_the_same_total_weight(distance):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), rng.normal(0.2, 1, size=200)
    w = rng.uniform(0.5, 1.5, 200)
    split = distance(x, np.concatenate([y, y]), None, np.concatenate([2 * w, -w]))
    assert split == pytest.approx(distance(x, y, None, w))


@pytest.mark.parametrize("distance", [ks, w1])
def test_weights_that_sum_to_nothing_are_an_error(distance):
    x = np.arange(4.0)
    with pytest.raises(NotComputableError, match="generated sample's weights sum to 0"):
        distance(x, x, None, np.array([1.0, 1, -1, -1]))
    with pytest.raises(NotComputableError, match="truth's weights sum to 0"):
        distance(x[:0], x)


def test_nan_is_not_hidden_and_a_constant_truth_has_no_scale():
    assert np.isnan(ks(np.arange(3.0), np.array([1.0, np.nan])))
    with pytest.raises(NotComputableError, match="all truth values are equal"):
        w1(np.full(10, 0.1), np.arange(10.0))


def test_p_value_follows_scipys_limit():
    assert ks_p_value(0.02, 1e4, 1e4) == pytest.approx(stats.kstwobign.sf(0.02 * np.sqrt(5e3)))


def test_effective_size():
    assert effective_size(np.ones(7)) == 7
    assert effective_size(np.array([1.0, 1, -1])) == pytest.approx(1 / 3)
