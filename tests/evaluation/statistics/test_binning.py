import numpy as np
import pytest

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.statistics.binning import percentile_bins, tail_edges, weighted_quantiles


def test_bins_have_the_documented_edges():
    values = np.concatenate([np.arange(1001.0), [-5.0, 0.5, 1e9, np.inf, -np.inf]])
    truth = np.concatenate([np.ones(1001), np.zeros(5)])
    low, high = weighted_quantiles(values, truth, (0.001, 0.999))
    assert (low, high) == (1.0, 999.0)
    index = percentile_bins(values, truth)
    assert index[[0, 1, 500, 999]].tolist() == [0, 1, 51, 101]
    assert index[-5:].tolist() == [0, 0, 101, 101, 0]


def test_quantiles_follow_absolute_weights():
    values = np.array([3.0, 1.0, 2.0])
    assert weighted_quantiles(values, np.array([-8.0, 1.0, 1.0]), (0.1, 0.2, 0.5)).tolist() == [
        1,
        2,
        3,
    ]


def test_plane_bins_are_logarithmic_and_know_outside():
    plane = Plane(x="x", y="y", x_range=(1e-2, 1.0), y_range=(1.0, 100.0), bins=2)
    x = np.array([0.05, 0.5, 0.5, 0.001, 0.5, np.nan])
    y = np.array([5.0, 5.0, 50.0, 5.0, 1e3, 5.0])
    assert plane.index(x, y).tolist() == [0, 2, 3, 4, 4, 4]


def test_each_axis_of_a_plane_has_its_own_scale():
    """Bins of x end at 0.1, the middle of [0.01, 1] on its logarithmic scale, those of y at 0."""
    ranges = {"x_range": (1e-2, 1.0), "y_range": (-50.0, 50.0), "bins": 2}
    plane = Plane(x="x", y="y", log=(True, False), **ranges)
    x, y = np.array([0.05, 0.2, 0.05, 0.2]), np.array([-49.0, -1.0, 1.0, 49.0])
    assert plane.index(x, y).tolist() == [0, 2, 1, 3]
    assert np.allclose(plane.edges, [[0.01, 0.1, 1], [-50, 0, 50]])
    with pytest.raises(ValueError, match="y_range: two positive, increasing numbers"):
        Plane(x="x", y="y", log=(False, True), **ranges)


def test_tails_have_edges_beyond_which_ten_events_lie():
    """Of 200,000 events 20 are beyond 1e-4 of either end, and 2 beyond 1e-5."""
    values = np.arange(200_000.0)
    low, high = tail_edges(values, np.ones(200_000))
    assert (low, high) == (19.0, 199_979.0)
    assert len(tail_edges(values[:90_000], np.ones(90_000))) == 0
    # The weights of truth alone count, and those of 1 and 0 are half as many events.
    assert len(tail_edges(values, np.repeat([1.0, 0.0], 100_000))) == 2
    assert len(tail_edges(values, np.repeat([1.0, 0.0], [90_000, 110_000]))) == 0
