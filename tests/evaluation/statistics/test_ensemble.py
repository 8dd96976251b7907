"""Bands of ensembles: pulls and their coverage where both are known."""

import numpy as np
import pytest

from mleg_ray.errors import DataError
from mleg_ray.evaluation.statistics.ensemble import Band, pulls

EDGES = np.linspace(-2.5, 2.5, 41)


def bootstraps(rng: np.random.Generator, data: np.ndarray, n: int = 20) -> list[np.ndarray]:
    return [rng.choice(data, len(data)) for _ in range(n)]


def test_bootstraps_of_the_truth_cover_it_as_they_should() -> None:
    rng = np.random.default_rng(1)
    within = []
    for _ in range(10):
        truth, data = rng.normal(size=(2, 5000))
        found = pulls(truth, np.ones(5000), bootstraps(rng, data), EDGES)
        within.append(list(found.coverage.values()))
    one, two = np.mean(within, axis=0)
    assert one == pytest.approx(0.683, abs=0.06)
    assert two == pytest.approx(0.954, abs=0.03)


def test_a_biased_ensemble_does_not() -> None:
    rng = np.random.default_rng(2)
    truth, data = rng.normal(size=(2, 20_000))
    found = pulls(truth, np.ones(20_000), bootstraps(rng, data + 0.1), EDGES)
    assert found.coverage[0.683] < 0.4
    assert found.pulls[:10].mean() < -1


def test_weights_of_the_truth_count() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(-2.5, 2.5, 20_000)
    weight = np.exp(-truth * truth / 2)
    data = rng.normal(size=20_000)
    data = data[np.abs(data) < 2.5]
    found = pulls(truth, weight, bootstraps(rng, data), EDGES)
    assert found.coverage[0.954] > 0.85
    assert found.truth.sum() == pytest.approx(1)


TWO_BINS = np.array([0.0, 1.0, 2.0])


def two_bins(first: int, second: int) -> np.ndarray:
    return np.repeat([0.5, 1.5], [first, second])


def test_pull_by_hand() -> None:
    truth = two_bins(30, 70)
    replicas = [two_bins(2, 8), two_bins(4, 6), two_bins(6, 4)]
    found = pulls(truth, np.ones(100), replicas, TWO_BINS)
    # The first bin's shares are 0.2, 0.4 and 0.6: mean 0.4, variance 0.04. The truth's is 0.3, of
    # variance 0.3 · 0.7 / 100. So the pull is 0.1 / √0.0421.
    assert found.generated == pytest.approx([0.4, 0.6])
    assert found.generated_error == pytest.approx([0.2, 0.2])
    assert found.truth_error == pytest.approx([0.0458258, 0.0458258], rel=1e-5)
    assert found.pulls == pytest.approx([0.487370, -0.487370], rel=1e-5)
    assert found.coverage == {0.683: 1.0, 0.954: 1.0}


def test_pull_of_weighted_truth_by_hand() -> None:
    weight = np.repeat([2.0, 1.0], [30, 40])
    replicas = [two_bins(2, 8), two_bins(4, 6), two_bins(6, 4)]
    found = pulls(two_bins(30, 40), weight, replicas, TWO_BINS)
    # A share of 0.6; Σw² is 120 in it and 40 beside it: (0.4² · 120 + 0.6² · 40) / 100² = 0.00336.
    assert found.truth == pytest.approx([0.6, 0.4])
    assert found.truth_error == pytest.approx([0.0579655, 0.0579655], rel=1e-5)
    # -0.2 / √0.04336
    assert found.pulls == pytest.approx([-0.960474, 0.960474], rel=1e-5)


@pytest.mark.parametrize(
    ("part", "values", "message"),
    [
        ("truth", np.full(50, np.nan), "50 true values are not finite"),
        ("weight", np.append(np.ones(49), np.inf), "1 weights are not finite"),
        ("weight", -np.ones(50), "the weights sum to -50"),
        ("replica", np.append(np.zeros(48), [np.nan, -np.inf]), "2 values of replica 3 are not"),
        ("replica", np.empty(0), "no values of replica 3"),
        ("weight", np.ones(49), "49 weights for 50 true values"),
    ],
)
def test_numbers_that_are_none_are_refused(part: str, values: np.ndarray, message: str) -> None:
    given = {"truth": np.zeros(50), "weight": np.ones(50), "replica": np.zeros(50)} | {part: values}
    replicas = [np.zeros(50)] * 3 + [given["replica"]]
    with pytest.raises(DataError, match=message):
        pulls(given["truth"], given["weight"], replicas, EDGES)


@pytest.mark.parametrize(
    ("replicas", "truth", "message"),
    [
        (2, np.zeros(50), "2 replicas have no spread"),
        (5, np.full(50, 9.0), "no bin of 40 holds"),
        (5, np.zeros(50), "has an error"),
    ],
)
def test_what_has_no_bands_is_refused(replicas: int, truth: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pulls(truth, np.ones(50), [np.zeros(50)] * replicas, EDGES)


def test_coverage_by_hand() -> None:
    """Errors of 0.6 and 0.8 are 1 together; the last bin is not used."""
    zero, one = np.zeros(4), np.ones(4)
    generated = np.array([0.5, -1.5, 2.5, 9.0])
    used = np.array([True, True, True, False])
    band = Band(np.arange(5.0), zero, 0.6 * one, generated, 0.8 * one, used)
    assert band.pulls == pytest.approx([0.5, -1.5, 2.5])
    assert band.coverage == pytest.approx({0.683: 1 / 3, 0.954: 2 / 3})
