"""Distances among events, of points that are known."""

import numpy as np
import pytest

from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.diversity import DIVERSITY
from mleg_ray.evaluation.samples.sample import EventSample, from_arrays
from mleg_ray.evaluation.statistics.estimate import Estimate, NotComputable
from tests.evaluation.conftest import gaussian


def diversity(truth: EventSample, generated: EventSample) -> Estimate:
    [figure] = DIVERSITY.figures(Comparison(truth, generated), np.random.default_rng(0)).values()
    return figure


def line(n: int, step: float) -> EventSample:
    return from_arrays({"x": step * np.arange(n)})


def test_distances_are_those_to_the_nearest_other():
    """Of half of a line of points three in four have a neighbour at one step."""
    figure = diversity(line(4000, 1.0), line(2000, 3.0))
    assert figure.value == pytest.approx(3, rel=1e-9)
    assert figure.floor == 1
    assert (figure.direction, figure.events) == ("equal", 2000)


def test_equal_distributions_are_as_diverse():
    assert diversity(gaussian(4000, 1), gaussian(2000, 2)).verdict == "at the floor"


def test_a_generator_that_repeats_itself_is_found():
    few = gaussian(200, 2)
    rng = np.random.default_rng(0)
    repeated = from_arrays(
        {name: np.tile(x, 10) + 1e-3 * rng.normal(size=2000) for name, x in few.numbers.items()},
        axes=few.axes,
        definitions=few.definitions,
    )
    figure = diversity(gaussian(4000, 1), repeated)
    assert figure.verdict == "large"
    assert figure.value < 0.2


def test_true_events_that_are_equal_have_no_distance():
    truth = from_arrays({"x": np.repeat([1.0, 2.0], 500)})
    figure = diversity(truth, line(500, 1.0))
    assert isinstance(figure, NotComputable)
    assert "exact copy" in figure.reason
