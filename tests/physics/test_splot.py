"""sWeights by the closed form of binned data: with as many bins as species, a matrix's inverse."""

import numpy as np
import pytest

from mleg_ray.physics.splot import covariance, sweights, yields


def of_bins(shares: np.ndarray, counts: tuple[int, ...]) -> np.ndarray:
    """Return the densities (n, K) of events in bins, of the species' shares (bins, K) of each."""
    return np.repeat(shares, counts, axis=0)


TWO = np.array([[0.8, 0.3], [0.2, 0.7]])
THREE = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.1], [0.1, 0.3, 0.8]])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [  # 0.8 N + 0.3 M and 0.2 N + 0.7 M are the counts
        ((5, 5), (4, 6)),
        ((7, 3), (8, 2)),
        ((4, 6), (2, 8)),
        ((9, 1), (12, -2)),  # more of a species than there are events
    ],
)
def test_yields_of_two_bins_solve_two_equations(counts, expected) -> None:
    assert yields(of_bins(TWO, counts)) == pytest.approx(expected)


def test_covariance_of_yields_by_hand() -> None:
    """Of 5 and 5 events both bins hold 5: V⁻¹ has 0.68/5, 0.38/5 and 0.58/5, and det 0.01."""
    found = covariance(of_bins(TWO, (5, 5)), np.array([4.0, 6.0]))
    assert found == pytest.approx(np.array([[11.6, -7.6], [-7.6, 13.6]]))


@pytest.mark.parametrize("counts", [(5, 5), (7, 3), (40, 60)])
def test_weights_of_two_bins_are_the_inverse_matrix(counts) -> None:
    """0.5 is the determinant; whatever the counts, as the weights solve for each bin by itself."""
    found = sweights(of_bins(TWO, counts))
    assert found[0] == pytest.approx([0.7 / 0.5, -0.2 / 0.5])
    assert found[-1] == pytest.approx([-0.3 / 0.5, 0.8 / 0.5])


def test_weights_of_three_species_are_the_inverse_matrix() -> None:
    counts = (50, 30, 40)
    found = sweights(of_bins(THREE, counts))
    assert found[np.cumsum(counts) - 1] == pytest.approx(np.linalg.inv(THREE).T)
    assert found.sum(axis=0) == pytest.approx(np.linalg.solve(THREE, counts))


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_sums_of_weights_are_one_and_the_yields(share) -> None:
    rng = np.random.default_rng(5)
    n = 4000
    signal = rng.random(n) < share
    mass = np.where(signal, rng.normal(0, 0.1, n), rng.uniform(-1, 1, n))
    peak = np.exp(-((mass / 0.1) ** 2) / 2) / (0.1 * np.sqrt(2 * np.pi))
    densities = np.stack([peak, np.full(n, 0.5)], axis=1)
    found, numbers = sweights(densities), yields(densities)
    assert found.sum(axis=1) == pytest.approx(np.ones(n))
    assert found.sum(axis=0) == pytest.approx(numbers)
    # The maximum of the extended likelihood.
    assert (densities / (densities @ numbers)[:, None]).sum(axis=0) == pytest.approx([1, 1])
    error = np.sqrt(covariance(densities, numbers)[0, 0])
    assert numbers[0] == pytest.approx(signal.sum(), abs=4 * error)
