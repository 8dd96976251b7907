"""Resamples and splits are weights over pooled events."""

import numpy as np
import pytest

from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics import resampling
from mleg_ray.evaluation.statistics.resampling import (
    SPLITS,
    PooledSample,
    beside_floors,
    null_p_value,
)


@pytest.fixture
def pooled() -> PooledSample:
    rng = np.random.default_rng(0)
    truth, generated = (from_arrays({"x": rng.normal(size=n)}) for n in (400, 150))
    return PooledSample(truth, generated, rng)


def test_of_a_large_truth_some_random_events_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "MAXIMUM_TRUTH", 300)
    rng = np.random.default_rng(0)
    truth, generated = (from_arrays({"x": rng.normal(size=1000)}) for _ in range(2))
    pooled = PooledSample(truth, generated, rng)
    assert pooled.n == 150
    assert len(pooled.whole_truth) == 300 + 150
    taken = pooled.column("x")[:300]
    assert len(np.unique(taken)) == 300
    assert np.isin(taken, truth.numbers["x"]).all()
    assert abs(taken.mean()) < 0.3  # the truth is in order, these are from all of it


def test_resamples_draw_events_of_both_samples_poisson_times(pooled: PooledSample) -> None:
    a, b = map(np.array, zip(*pooled.resamples(np.random.default_rng(1)), strict=True))
    for times, sample in ((a, pooled.truth), (b, pooled.generated)):
        assert not times[:, sample == 0].any()
        times = times[:, sample > 0]
        assert times.shape == (200, 150)
        assert times.mean() == pytest.approx(1, abs=0.02)
        assert times.var() == pytest.approx(1, abs=0.05)


def test_splits_are_disjoint_samples_of_the_truth(pooled: PooledSample) -> None:
    pairs = list(pooled.splits(np.random.default_rng(1)))
    assert len(pairs) == SPLITS
    for a, b in pairs:
        assert (a > 0).sum() == (b > 0).sum() == pooled.n == 150
        assert not (a * b).any()
        assert not (a + b)[400:].any()


def test_a_figure_beside_its_floors_by_hand() -> None:
    floors = [1.0, 2.0, 3.0, 6.0]
    figure = beside_floors(2.5, 0.5, floors, 70, p_value=True)
    assert (figure.value, figure.uncertainty, figure.events) == (2.5, 0.5, 70)
    assert figure.floor == 3.0
    assert figure.floor_spread == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3))
    assert figure.p_value == pytest.approx((1 + 2) / (1 + 4))
    assert beside_floors(2.5, 0.5, floors, 70).p_value is None
    assert null_p_value(3.0, floors) == pytest.approx((1 + 2) / 5)  # a tie is as large
    assert null_p_value(9.0, floors) == pytest.approx(1 / 5)
