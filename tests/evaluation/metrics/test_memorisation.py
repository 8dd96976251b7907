import numpy as np
import pytest

from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.memorisation import QUERIES, memorisation
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from tests.evaluation.conftest import gaussian


def measured(generated, training, truth=None):
    rng = np.random.default_rng(0)
    comparison = Comparison(truth or gaussian(1000, 1), generated, training)
    return memorisation(comparison, rng)["all"]


def test_new_events_are_as_far_from_training_events_as_these_from_each_other():
    figure = measured(gaussian(3000, 2), gaussian(3000, 3))
    assert figure.value == pytest.approx(1, abs=4 * figure.uncertainty)
    assert figure.floor == pytest.approx(1, abs=4 * figure.floor_spread)
    assert (figure.verdict, figure.events) == ("at the floor", QUERIES)


def test_copies_are_found_also_with_noise():
    training = gaussian(2000, 3)
    rng = np.random.default_rng(0)
    noisy = {name: column + rng.normal(0, 1e-3, 2000) for name, column in training.numbers.items()}
    figure = measured(from_arrays(noisy), training)
    assert figure.value < 0.15
    assert figure.verdict == "large"
    assert measured(training, training).value == 0


def test_half_of_the_events_copied_shows():
    training, new = gaussian(4000, 3), gaussian(2000, 4)
    columns = {
        name: np.concatenate([column[:2000], new.numbers[name]])
        for name, column in training.numbers.items()
    }
    assert measured(from_arrays(columns), training).verdict != "at the floor"


def test_reasons_why_there_is_no_ratio():
    with pytest.raises(NotComputableError, match="3 training events"):
        measured(gaussian(100, 1), gaussian(3, 2))
    with pytest.raises(NotComputableError, match="exact copy"):
        measured(gaussian(100, 1), from_arrays({"x": np.ones(100), "y": np.ones(100)}))


def test_ratio_of_distances_by_hand():
    """Training events are 1 apart, generated ones 1/4 from them, and true ones 1/2."""
    places = np.arange(60.0)
    training, generated, truth = (from_arrays({"x": places + d}) for d in (0, 1 / 4, 1 / 2))
    figure = measured(generated, training, truth)
    assert (figure.value, figure.floor) == pytest.approx((1 / 4, 1 / 2))
    assert (figure.direction, figure.events) == ("higher", 60)
