"""Densities of toys: values by hand, an integral of one, and samples that are drawn from them."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad

from mleg_ray.catalog.sources.densities import ExactDensity, Mixture
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from tests.physics.deviations import LIKELY

ONE_NUMBER = ("toy-gaussian", "toy-beta", "toy-two-modes")
PLANE = ("toy-ring", "toy-grid", "toy-swiss-roll")


def exact(name: str) -> ExactDensity:
    return DatasetSpec.load(name).source.density


def density(name: str, **columns: float | np.ndarray) -> np.ndarray:
    """Return p of an entry's events."""
    tensors = {key: torch.from_numpy(np.atleast_1d(v) * 1.0) for key, v in columns.items()}
    events = Events(tensors, {}, torch.ones(len(next(iter(tensors.values())))))
    return exact(name).log_density(events).exp().numpy()


def normal(z: float, sigma: float) -> float:
    return math.exp(-(z**2) / 2) / (sigma * math.sqrt(2 * math.pi))


@pytest.mark.parametrize(
    ("name", "event", "expected"),
    [
        ("toy-gaussian", {"x": 1.5}, normal(1.5, 1)),
        ("toy-beta", {"x": 0.2}, 30 * 0.2 * 0.8**4),  # 1/B(2, 5) = 6!/(1! 4!)
        ("toy-beta", {"x": -0.1}, 0),
        ("toy-beta", {"x": 1.1}, 0),
        ("toy-two-modes", {"x": 5.8}, 0.7 * normal(1, 0.8)),
        ("toy-two-modes", {"x": -4.0}, 0.3 * normal(0, 1)),
        ("toy-conditional-gaussian", {"x": 7.0, "mean": 5.0}, normal(2, 1)),
        ("toy-conditional-gaussian", {"x": 201.0, "mean": 200.0}, normal(1, 1)),
        # A mode of eight, one σ from its middle at (1, 1): the others are 40 σ away and more.
        ("toy-ring", {"x": 1.0, "y": 1 + 0.02 / 2**0.5}, normal(1, 0.02 / 2**0.5) ** 2 / 8
         / math.exp(-0.5)),
        ("toy-grid", {"x": 2**-0.5, "y": -(2**0.5)}, 8 / (25 * 2 * math.pi * 0.05**2)),
    ],
)  # fmt: skip
def test_values_by_hand(name, event, expected) -> None:
    assert density(name, **event) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("t", [1.5 * math.pi, 7.0, 14.0, 4.5 * math.pi])
def test_the_swiss_roll_is_an_integral_along_its_spiral(t) -> None:
    """∫ N(x - t' cos t') N(y - t' sin t') dt'/3π of σ = 0.25, times 7.5², beside the spiral."""
    x, y = t * math.cos(t) + 0.1, t * math.sin(t) - 0.2

    def integrand(along: float) -> float:
        away = (x - along * math.cos(along), y - along * math.sin(along))
        return normal(away[0] / 0.25, 0.25) * normal(away[1] / 0.25, 0.25) / (3 * math.pi)

    low, high = max(1.5 * math.pi, t - 0.5), min(4.5 * math.pi, t + 0.5)  # 8 σ and more
    expected, _ = quad(integrand, low, high, epsrel=1e-11)
    assert density("toy-swiss-roll", x=x / 7.5, y=y / 7.5) == pytest.approx(7.5**2 * expected)


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_numbers_are_drawn_from_their_density(name) -> None:
    x = np.linspace(-9, 9, 20_001)
    cumulative = np.cumsum(density(name, x=x)) * (x[1] - x[0])
    assert cumulative[-1] == pytest.approx(1, abs=1e-5)
    drawn = exact(name).sample(np.random.default_rng(4), 4000)["x"]
    assert stats.kstest(drawn, lambda at: np.interp(at, x, cumulative)).pvalue > LIKELY


@pytest.mark.parametrize("name", PLANE)
def test_points_are_drawn_from_their_density(name) -> None:
    """In a box beside each of some points the mean of 1/p is the area, as far as p is not small."""
    rng = np.random.default_rng(6)
    drawn = exact(name).sample(rng, 20_000)
    sigma = exact(name).mixed().sigma[0]
    points = np.stack([drawn["x"], drawn["y"]], axis=1)
    for centre in points[:6]:
        inside = (np.abs(points - centre) < sigma).all(axis=1)
        assert inside.sum() > 20
        inverse = np.zeros(len(points))
        inverse[inside] = 1 / density(name, x=points[inside, 0], y=points[inside, 1])
        error = inverse.std() / math.sqrt(len(inverse))
        assert inverse.mean() == pytest.approx(4 * sigma**2, abs=4 * error)


@pytest.mark.parametrize(("name", "modes"), [("toy-ring", 8), ("toy-grid", 25)])
def test_modes_have_equal_shares_and_their_places(name, modes) -> None:
    mixture = exact(name)
    assert isinstance(mixture, Mixture)
    share, mean, sigma = mixture.mixed()
    assert share == pytest.approx(np.full(modes, 1 / modes))
    assert len(set(sigma)) == 1
    between = np.hypot(*(mean[:, None] - mean[None]).T)
    np.fill_diagonal(between, np.inf)
    # Neighbours on the ring see each other under an eighth of a turn.
    nearest = 2 * 2**0.5 * math.sin(math.pi / 8) if name == "toy-ring" else 0.5**0.5
    assert between.min(axis=0) == pytest.approx(np.full(modes, nearest))
    drawn = mixture.sample(np.random.default_rng(7), 8000)
    points = np.stack([drawn["x"], drawn["y"]], axis=1)
    away = np.hypot(*(points[:, None] - mean[None]).T)
    assert away.min(axis=0).max() < 6 * sigma[0]
    assert stats.chisquare(np.bincount(away.argmin(axis=0))).pvalue > LIKELY


def test_conditions_are_drawn_in_equal_parts() -> None:
    drawn = exact("toy-conditional-gaussian").sample(np.random.default_rng(8), 6000)
    means, counts = np.unique(drawn["mean"], return_counts=True)
    assert means.tolist() == [0, 5, 10]
    assert stats.chisquare(counts).pvalue > LIKELY
    assert stats.kstest(drawn["x"] - drawn["mean"], "norm").pvalue > LIKELY


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("toy-two-modes", "source.density.modes.0.share=0.6", "modes: their shares must sum to 1"),
        (
            "toy-two-modes",
            "source.density.modes.0.mean=[1.0, 2.0]",
            "their means must have as many",
        ),
        ("toy-swiss-roll", "source.density.noise=0.1", "source.density.noise: .*0.2"),
        ("toy-ring", "source.density.kind=line", "unknown density kind 'line'"),
        ("toy-ring", "fields.1.name=z", r"makes x \[1\], y \[1\]; the dataset declares .*z"),
        ("toy-conditional-gaussian", "conditions.mean=5.0", "draws mean; leave it out"),
    ],
)
def test_what_does_not_fit_is_refused(name, assignment, message) -> None:
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load(name, (assignment,))
