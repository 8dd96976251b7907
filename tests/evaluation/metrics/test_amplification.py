import numpy as np
import pytest

from mleg_ray.evaluation.metrics.amplification import amplification, train_events
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics.estimate import Estimate, NotComputable, NotComputableError
from mleg_ray.evaluation.statistics.resampling import PooledSample


def measured(generated: np.ndarray, n_train: int):
    rng = np.random.default_rng(0)
    truth = from_arrays(rng.normal(size=(20_000, 1)))
    pooled = PooledSample(truth, from_arrays(generated), np.random.default_rng(1))
    return amplification(pooled, n_train, np.random.default_rng(2))


def test_copies_of_the_training_sample_are_worth_the_training_sample():
    """A generator that repeats its 200 events has a truth sample's error of 200 events."""
    ratios = []
    for seed in range(8):
        rng = np.random.default_rng(10 + seed)
        repeated = rng.choice(rng.normal(size=200), (10_000, 1))
        figures = measured(repeated, 200)
        ratios.append(1 / figures["bulk"].value)
        assert figures["bulk"].direction == "higher"
    assert np.mean(ratios) == pytest.approx(1, abs=0.25)


def test_the_truth_itself_has_a_lower_limit_only():
    figures = measured(np.random.default_rng(5).normal(size=(10_000, 1)), 100)
    for figure in figures.values():
        assert isinstance(figure, NotComputable) or figure.value > 20
    assert any("amplification is above" in str(figure) for figure in figures.values())


def test_a_wrong_tail_costs_events_there():
    clipped = np.clip(np.random.default_rng(5).normal(size=(10_000, 1)), -2.2, 2.2)
    figures = measured(clipped * 0.9, 5000)
    assert isinstance(figures["tail"], Estimate)
    assert figures["tail"].value < 1
    assert figures["tail"].verdict == "large"


def test_provenance_says_how_many_events_or_that_it_does_not():
    assert train_events({"checkpoint": {"card": {"train_events": 7}}}) == 7
    with pytest.raises(NotComputableError, match="does not say"):
        train_events({"checkpoint": None})
