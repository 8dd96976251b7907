"""Unfolding by weights: what a detector smeared and shifted is found again, weights included."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.common.omnifold import Simulated, omnifold
from mleg_ray.errors import DataError

N = 6000
RESOLUTION = 0.5


def simulated(seed: int, mean: float, weight: np.ndarray | None = None) -> Simulated:
    """Normal events around a mean, measured with a resolution and a shift of 0.2."""
    rng = np.random.default_rng(seed)
    vertex = rng.normal(mean, 1.0, (N, 1))
    measured = vertex + 0.2 + RESOLUTION * rng.normal(size=(N, 1))
    return Simulated(vertex, measured, np.ones(N) if weight is None else weight)


def mean_of(vertex: np.ndarray, weight: np.ndarray) -> float:
    return float(np.average(vertex[:, 0], weights=weight))


def unfolded(
    simulation: Simulated, data: np.ndarray, weight: np.ndarray, iterations: int
) -> list[np.ndarray]:
    return list(omnifold(simulation, data, weight, iterations=iterations, seed=1))


def test_the_true_mean_is_found_again() -> None:
    simulation, truth = simulated(1, 0.0), simulated(2, 0.4)
    steps = unfolded(simulation, truth.measured, np.ones(N), 3)
    means = [mean_of(simulation.vertex, weight) for weight in steps]
    assert means[0] == pytest.approx(0.4, abs=0.12)  # one iteration leaves part of the prior
    assert means[-1] == pytest.approx(0.4, abs=0.06)
    assert steps[-1].sum() == pytest.approx(N)


def test_weights_of_data_and_simulation_count() -> None:
    """Two thirds of the data are around 0.6; a simulation that is weighted is its own density."""
    low, high = simulated(3, 0.0), simulated(4, 0.6)
    data = np.concatenate([low.measured, high.measured])
    weight = np.repeat([0.5, 1.0], N)
    plain = simulated(6, 0.0)
    simulation = replace(plain, weight=np.where(plain.vertex[:, 0] > 0, 1.3, 0.7))
    last = unfolded(simulation, data, weight, 2)[-1]
    assert mean_of(simulation.vertex, last) == pytest.approx(0.4, abs=0.08)


def test_data_like_the_simulation_change_nothing() -> None:
    simulation, data = simulated(7, 0.0), simulated(8, 0.0).measured
    [last] = unfolded(simulation, data, np.ones(N), 1)
    assert mean_of(simulation.vertex, last) == pytest.approx(0.0, abs=0.06)
    assert last.std() < 0.15


@pytest.mark.parametrize(
    ("data", "weight", "message"),
    [
        (np.zeros((10, 1)), np.ones(10), "10 measured events are too few to unfold"),
        (np.full((N, 1), np.nan), np.ones(N), "measured events: a number is not finite"),
        (np.zeros((N, 1)), np.ones(N - 1), f"^measured events: {N - 1} weights for {N} events"),
        (np.zeros((N, 1)), np.full(N, np.inf), "^measured events: a weight is not finite"),
        (np.zeros((N, 1)), np.zeros(N), "^measured events: the weights sum to 0"),
        (np.zeros((N, 1)), -np.ones(N), "^measured events: the weights sum to -6000"),
    ],
)
def test_what_cannot_be_unfolded_is_refused(
    data: np.ndarray, weight: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        next(omnifold(simulated(1, 0.0), data, weight, iterations=1, seed=1))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(N + 1), f"{N + 1} weights for {N} events"),
        (np.full(N, np.nan), "a weight is not finite"),
        (np.repeat([1.0, -1.0], N // 2), "the weights sum to 0"),
    ],
)
def test_a_simulation_of_bad_weights_is_refused(weight: np.ndarray, message: str) -> None:
    simulation = simulated(1, 0.0, weight)
    with pytest.raises(DataError, match=f"simulated vertex events: {message}"):
        next(omnifold(simulation, simulation.measured, np.ones(N), iterations=1, seed=1))
