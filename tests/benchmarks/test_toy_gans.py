"""Figures of toys' generators and of smeared momenta by hand and in closed forms."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.common import critics
from benchmarks.common.divergence import BINS, EPSILON, divergence, fwhm, heights, mean_divergence
from benchmarks.common.modes import at_modes, covered
from benchmarks.paper.smearing import ETA, TRUE_PT, apart, electrons
from benchmarks.paper.toy_critics import FOUND
from benchmarks.paper.toy_gans import Asked, farthest, of_means
from mleg_ray.catalog.sources.densities import Modes
from mleg_ray.objectives.adversarial import Vanilla


def test_divergence_of_two_bins_by_hand() -> None:
    """A half and a half at both ends of the range, against a quarter and three quarters."""
    truth, generated = np.array([0.0, 0.0, 1.0, 1.0]), np.array([-9.0, 1.0, 1.0, 1.5])
    half, low, high = 0.5 + EPSILON, 0.25 + EPSILON, 0.75 + EPSILON
    expected = half * math.log(half / low) + half * math.log(half / high)
    assert divergence(truth, generated) == pytest.approx(expected)


def test_a_bin_that_is_empty_counts_by_what_is_added() -> None:
    truth, generated = np.array([0.0, 1.0]), np.array([0.0, 0.0])
    one, half, none = 1 + EPSILON, 0.5 + EPSILON, EPSILON
    expected = half * math.log(half / one) + half * math.log(half / none)
    assert divergence(truth, generated) == pytest.approx(expected)


def test_the_mean_is_over_draws_of_ten_thousand() -> None:
    """Of two Gaussians a deviation apart KL is 1/2, and by chance some BINS/n more."""
    rng = np.random.default_rng(1)
    truth, generated = rng.standard_normal(50_000), 1 + rng.standard_normal(50_000)
    parts = [
        divergence(*both) for both in zip(np.split(truth, 5), np.split(generated, 5), strict=True)
    ]
    assert mean_divergence(truth, generated) == pytest.approx(np.mean(parts))
    assert mean_divergence(truth, generated) == pytest.approx(0.5, abs=0.05)
    floor = mean_divergence(truth, rng.standard_normal(50_000))
    assert floor == pytest.approx(BINS / 10_000, rel=0.5)


def test_width_at_half_maximum_of_a_gaussian_and_of_a_uniform_number() -> None:
    """√(8 ln 2) σ, and of the kernel √(1 + 0.15²) times that; of even numbers their range."""
    rng = np.random.default_rng(2)
    width, error = fwhm(7 + 3 * rng.standard_normal(200_000), rng)
    assert width == pytest.approx(3 * math.sqrt(8 * math.log(2) * 1.0225), rel=0.01)
    assert 0.001 < error / width < 0.01
    assert fwhm(rng.uniform(-1, 3, 200_000), rng)[0] == pytest.approx(4, rel=0.01)


def test_heights_are_of_all_events() -> None:
    """Of four events one lies in each bin of 2, and two beyond."""
    found = heights(np.array([0.5, 3.0, 9.0, -1.0]), np.array([0.0, 2.0, 4.0]))
    assert found.tolist() == [1 / 8, 1 / 8]


def test_modes_of_four_events_by_hand() -> None:
    """Two at the first mode, one beyond its 3σ but within 4, one 1σ from a wide second one."""
    modes = Modes(np.array([0.5, 0.5]), np.array([[0.0], [10.0]]), np.array([1.0, 4.0]))
    shares, good = at_modes(np.array([[0.5], [-2.9], [-3.1], [6.0]]), modes)
    assert shares.tolist() == [0.5, 0.25]
    assert good == 0.75
    assert covered(shares, modes) == 2
    assert covered(np.array([0.9, 0.099]), modes) == 1  # less than a fifth of a half
    assert covered(np.array([0.9, 0.1]), modes) == 2


def test_an_event_belongs_to_the_mode_of_fewest_deviations() -> None:
    """4 is 2 deviations from the wide mode and 4 from the narrow one, which is as near."""
    modes = Modes(np.array([0.5, 0.5]), np.array([[0.0], [8.0]]), np.array([1.0, 2.0]))
    assert at_modes(np.array([[4.0]]), modes)[0].tolist() == [0, 1]


def test_distances_of_densities_on_a_grid_are_exact() -> None:
    """Of disjoint densities twice the Jensen-Shannon divergence is 2 ln 2, W the shift."""
    x = np.linspace(-20, 20, 8001)
    step = x[1] - x[0]
    p, q = (np.exp(-((x - at) ** 2) / 2) / math.sqrt(2 * math.pi) for at in (-9, 9))
    assert 2 * critics.jensen_shannon(p, q, step) == pytest.approx(2 * math.log(2), rel=1e-6)
    assert critics.jensen_shannon(p, p, step) == pytest.approx(0, abs=1e-12)
    assert critics.wasserstein(p, q, step) == pytest.approx(18, rel=1e-4)
    assert critics.discriminator(np.array([3.0]), np.array([1.0])).tolist() == [0.75]


def test_a_critic_alone_finds_the_logarithm_of_the_ratio() -> None:
    """Of N(1, 1) and N(-1, 1) that is 2x: the slope is 2 where generated events are."""
    rng = np.random.default_rng(3)

    def sampled(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        z = torch.from_numpy(rng.standard_normal((2, n, 1))).float()
        return z[0] + 1, z[1] - 1

    critic = critics.trained_alone(Vanilla(critic_updates=1), sampled, 300, seed=1)
    found = critics.scores(critic, torch.tensor([[-1.0], [0.0], [1.0]]))
    assert found == pytest.approx([-2, 0, 2], abs=0.5)
    assert critics.slope(critic, sampled(1000)[1]) == pytest.approx(2, rel=0.25)


def test_points_of_a_square_go_row_by_row() -> None:
    assert critics.grid_of(0, 1, 2).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def test_figures_of_a_mean_by_hand() -> None:
    truth = {5: np.array([4.0, 6.0])}
    row = of_means(truth, {5: np.array([4.0, 8.0])})
    assert row["mean, 5"] == 1
    assert row["width, 5"] == 2


def test_the_farthest_mean_is_that_of_the_second_half_in_true_widths() -> None:
    """Of N(0, 1), of 100,000 true events: 9 in the first half does not count, -3 is 3 widths."""
    course = [(10, 9.0, 1.0), (20, 0.5, 1.0), (30, -3.0, 1.0), (40, 2.0, 1.0)]
    assert farthest(course, "toy-gaussian") == pytest.approx(3, abs=0.03)
    assert farthest([(10, 0.0, 0.1)], "toy-beta") == pytest.approx(  # mean 2/7, σ² 10/392
        2 / 7 / math.sqrt(10 / 392), abs=0.03
    )


def test_measurements_of_other_steps_are_others(tmp_path: Path) -> None:
    asked = {"out": tmp_path, "seeds": [1], "toys": [], "losses": []}
    few, more, full = (
        Asked(**asked, steps=steps, full=full).values
        for steps, full in ((20, False), (30, False), (20, True))
    )
    assert (few["steps"], more["steps"], full["steps"]) == (20, 30, None)


def test_the_slides_generator_has_found_the_larger_mode() -> None:
    assert FOUND == (5.0, 0.8)


def test_widths_in_sectors_of_azimuth_by_hand() -> None:
    """Numbers from 0 to 1 everywhere, but to 3 in one of twelve sectors: 2 over a mean of 14/12."""
    phi = np.repeat((np.arange(12) + 0.5) * math.pi / 6 - math.pi, 101)
    pull = np.tile(np.linspace(0, 1, 101), 12)
    pull[:101] *= 3
    assert apart(pull, phi) == pytest.approx(2 * 12 / 14)
    assert apart(np.tile(np.linspace(0, 1, 101), 12), phi) == pytest.approx(0)


def test_electrons_of_a_cell_have_its_energy_and_are_even_in_cos_theta() -> None:
    given = electrons((40.0, (1.5, 1.7)), 20_000, np.random.default_rng(4))
    eta = given.columns[ETA].numpy()
    assert 1.5 < eta.min() < 1.501 < 1.699 < eta.max() < 1.7
    energy = given.columns[TRUE_PT].numpy() * np.cosh(eta)
    assert energy == pytest.approx(40.0, rel=1e-6)
    low, high = np.tanh((1.5, 1.7))
    assert np.tanh(eta).mean() == pytest.approx((low + high) / 2, rel=1e-3)
