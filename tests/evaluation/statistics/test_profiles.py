"""Profiles, by hand."""

import math

import numpy as np
import pytest

from mleg_ray.evaluation.statistics.profiles import Profile, equal_bins, profile_chi2


def test_moments_by_hand():
    """The first bin holds 0, 0, 3 and 3 of weights 1, 1, 1 and 1, the second one event."""
    values, index = np.array([0.0, 0, 3, 3, 7, 9]), np.array([0, 0, 0, 0, 1, 1])
    found = Profile.of(values, index, np.array([1.0, 1, 1, 1, 1, 0]), 3)
    assert found.mean[:2].tolist() == [1.5, 7]
    assert found.width[0] == 1.5
    assert found.events.tolist() == [4, 0, 0]
    assert found.mean_error[0] == 1.5 / 2
    assert found.width_error[0] == 0  # m₄ = s⁴ of two points


def test_errors_of_a_normal_distribution():
    """σ/√n of the mean and σ/√(2n) of the width."""
    values = np.random.default_rng(0).normal(5, 2, 100_000)
    found = Profile.of(values, np.zeros(100_000, dtype=np.intp), np.ones(100_000), 1)
    assert found.mean_error[0] == pytest.approx(2 / math.sqrt(1e5), rel=0.01)
    assert found.width_error[0] == pytest.approx(2 / math.sqrt(2e5), rel=0.02)


def test_weights_count_as_effective_events():
    """(Σw)² / Σw² of 3, 1, 1 and -1, of which the last two are at the same place."""
    values, index = np.array([0.0, 4.0, 4.0, 4.0, 1e9]), np.zeros(5, dtype=np.intp)
    found = Profile.of(values, index, np.array([3.0, 1.0, 1.0, -1.0, 0.0]), 1)
    assert (found.mean[0], found.events[0]) == (1, 0)  # 16 / 12 are fewer than two
    many = Profile.of(np.tile(values, 3), np.tile(index, 3), np.tile([3.0, 1, 1, -1, 0], 3), 1)
    assert (many.mean[0], many.events[0]) == (1, 4)
    assert many.width[0] == pytest.approx(math.sqrt(3))
    assert many.mean_error[0] == pytest.approx(math.sqrt(3) / 2)


def test_bins_hold_as_many_true_events():
    values = np.arange(1000.0)
    index, bins = equal_bins(values, np.ones(1000))
    assert bins == 10
    assert np.bincount(index).tolist() == 10 * [100]


def test_a_few_values_have_bins_of_their_own():
    values = np.array([1.0, 1, 1, 8, 8, 8, 10, 10, 10, 12, 5])
    truth = np.array([1.0] * 9 + [0.0, 0.0])
    index, bins = equal_bins(values, truth)
    assert index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 1]
    assert bins == 4


def profile(mean, width, events):
    one = np.ones(len(events))
    return Profile(np.array(mean), one, np.array(width), 2 * one, np.array(events))


def test_chi2_by_hand():
    """The third bin has too few events; errors are √2 of the means and √8 of the widths."""
    truth = profile([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [50, 10, 50])
    generated = profile([2.0, 2.0, 9.0], [1.0, 5.0, 1.0], [50, 10, 9])
    assert profile_chi2(truth, generated) == (1 / 2 + 16 / 8, 4)
