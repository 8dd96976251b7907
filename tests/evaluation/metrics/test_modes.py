"""Modes covered and good events, of a few points."""

import numpy as np
import pytest

from mleg_ray.catalog.sources.densities import Grid, Modes
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.modes import mode_metrics, nearest_mode
from mleg_ray.evaluation.samples.sample import from_arrays


def test_the_nearest_mode_counts_in_its_widths():
    """5 is 3.5 widths from the first mode and 2.5 from the second."""
    two = Modes(np.array([0.5, 0.5]), np.array([[-2.0, 0], [10, 0]]), np.array([2.0, 2.0]))
    nearest, distance = nearest_mode(np.array([[5.0, 0.0], [-2.0, 3.0]]), two)
    assert nearest.tolist() == [1, 0]
    assert distance.tolist() == [2.5, 1.5]


GRID = Grid(side=2, spacing=10, sigma=1)  # modes at ±5


def figures(counts: tuple[int, ...], between: int) -> dict:
    """Of as many events at each mode, and some between all; truth has as many everywhere."""
    places = [(-5, -5), (-5, 5), (5, -5), (5, 5), (0, 0)]
    rng = np.random.default_rng(0)

    def sample(counts: tuple[int, ...]):
        points = np.repeat(np.array(places, dtype=float), counts, axis=0)
        points += rng.uniform(-0.1, 0.1, points.shape)
        return from_arrays({"x": points[:, 0], "y": points[:, 1]})

    comparison = Comparison(sample((500, 500, 500, 500, 0)), sample((*counts, between)))
    return {
        name: metric.figures(comparison, np.random.default_rng(0))
        for name, metric in mode_metrics(GRID).items()
    }


def test_a_mode_is_covered_with_a_fifth_of_its_events():
    """The expected share is a quarter: 6% of the events are enough for a mode, 4% are not."""
    found = figures((460, 440, 60, 40), 0)["mode_coverage"]["all"]
    assert found.value == 0.75
    assert (found.floor, found.direction) == (1, "higher")
    assert figures((250, 250, 250, 250), 0)["mode_coverage"]["all"].verdict == "at the floor"


def test_events_between_the_modes_are_not_good():
    found = figures((200, 200, 200, 200), 200)["good_share"]
    assert found["3 σ"].value == pytest.approx(0.8)
    assert found["4 σ"].value == pytest.approx(0.8)
    assert found["3 σ"].verdict == "large"
