from types import SimpleNamespace

import numpy as np
import pytest

from mleg_ray.evaluation.metrics.amplification import amplification, train_events
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics.estimate import Estimate, NotComputableError, Reading
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
    assert all(figure.value > 20 for figure in figures.values())
    assert any(isinstance(f, Reading) and f.lower_limit for f in figures.values())


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


def test_errors_of_three_regions_by_hand():
    """A hundred quantiles of which the generator fills three wrongly, 100,000 events of each."""
    right = np.full(100, 1000)
    wrong, other = right.copy(), right.copy()
    wrong[[0, 49, 50]] += [2000, -1000, -1000]
    other[[0, 2, 49, 50]] += [1000, 1000, -1000, -1000]
    # All the truth is spread evenly; compared are events in the middle of each quantile.
    compared = [np.repeat(np.arange(100) + 0.5, count) for count in (right, wrong, other)]
    values = np.concatenate([(np.arange(100_000) + 0.5) / 1000, *compared])
    whole, a, b, c = (np.repeat(np.arange(4) == k, 100_000).astype(float) for k in range(4))
    whole[0] += 1e-3  # so that rounding moves no edge
    pooled = SimpleNamespace(
        numbers=["x"],
        column=lambda name: values,
        whole_truth=whole,
        truth=a,
        generated=b,
        n=100_000,
        resamples=lambda rng: [(a, b)] * 50 + [(a, c)],
    )
    figures = amplification(pooled, 10, np.random.default_rng(0))
    variance = 0.01 * 0.99  # of a share, times the number of events
    noise = variance * (1 / 100_000 + 1 / 100_000)
    # The tail has 2 bins, of which one is 0.02 too full; the bulk 90, of which two are empty. Of
    # 51 resamples one differs by d, so their standard deviation is d/√51.
    for region, bins, error, of_other in (
        ("tail", 2, 0.02**2, 0.01**2),
        ("bulk", 90, 2 * 0.01**2, 2 * 0.01**2),
    ):
        found = figures[region]
        assert isinstance(found, Estimate)
        assert found.value == pytest.approx(bins * variance / (error - bins * noise) / 10, rel=1e-4)
        share = abs(error - of_other) / np.sqrt(51) / (error - bins * noise)
        assert found.uncertainty == pytest.approx(found.value * share, rel=1e-4, abs=1e-9)
    # The 8 bins of the edge are right, so that twice the spread of the resamples is all one knows.
    least = 8 * variance / (2 * 0.01**2 / np.sqrt(51)) / 10
    assert isinstance(figures["edge"], Reading)
    assert figures["edge"].lower_limit
    assert figures["edge"].value == pytest.approx(least)
