"""Maps of one number by hand: splines, turns and levels, and their densities."""

import math

import pytest
import torch

from mleg_ray.models import MODELS
from mleg_ray.models.splines import BOUND, LEAST, Circle, Levels, Line, Monotone, Spline

MAPS = {"line": Line(4), "circle": Circle(4), "levels": Levels(3, mean=-0.4, std=1.7)}


def raw(map_: Monotone, n: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, map_.width, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("name", MAPS)
def test_density_integrates_to_one(name: str) -> None:
    ends = (-1.0, 1.0) if name == "circle" else (-12.0, 12.0)
    step = (ends[1] - ends[0]) / 100_000
    x = ends[0] + step * (torch.arange(100_000).double() + 0.5)
    for one in raw(MAPS[name], 3):
        density = MAPS[name].log_prob(one.expand(len(x), -1), x).exp()
        assert float(density.sum()) * step == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", MAPS)
def test_numbers_have_the_density(name: str) -> None:
    """Where noise goes, its own density divided by the stretch of the map is found."""
    parameters = raw(MAPS[name], 500)
    generator = torch.Generator().manual_seed(2)
    if name == "circle":
        noise = 2 * torch.rand(500, generator=generator).double() - 1
        own = torch.full_like(noise, math.log(1 / 2))
    else:
        noise = torch.randn(500, generator=generator).double()
        own = -noise.square() / 2 - math.log(2 * math.pi) / 2
    noise.requires_grad_()
    x = MAPS[name].decode(parameters, noise)
    [stretch] = torch.autograd.grad(x.sum(), noise)
    assert (stretch > 0).all()
    torch.testing.assert_close(MAPS[name].log_prob(parameters, x), own - stretch.log())


@pytest.mark.parametrize("kind", ["autoregressive", "sequence"])
@pytest.mark.parametrize("bins", [1, 501, 1001])
def test_splines_of_more_bins_than_there_is_room_for_are_refused(kind: str, bins: int) -> None:
    """Each takes 1/1000 at least: the lengths of 1001 would be below zero."""
    with pytest.raises(ValueError, match="bins"):
        MODELS.parse({"kind": kind, "bins": bins})


def test_line_of_zero_parameters_is_the_noise() -> None:
    noise = torch.linspace(-2 * BOUND, 2 * BOUND, 41).double()
    zero = torch.zeros(41, Line(4).width).double()
    torch.testing.assert_close(Line(4).decode(zero, noise), noise)
    normal = -noise.square() / 2 - math.log(2 * math.pi) / 2
    torch.testing.assert_close(Line(4).log_prob(zero, noise), normal)


def test_line_goes_through_its_knots_and_leaves_the_tails() -> None:
    """The first of two bins takes 3/4 of the features and 1/2 of the noise: 2.5 becomes 0.

    A bin has 0.001 and its share of the rest by the softmax: 0.001 + 0.998 p = 0.75.
    """
    p = 0.749 / 0.998
    parameters = torch.tensor([[math.log(p / (1 - p)), 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    for noise, x in ((0.0, 2.5), (-5.0, -5.0), (5.0, 5.0), (7.0, 7.0), (-6.5, -6.5)):
        found = Line(2).decode(parameters, torch.tensor([noise]).double())
        torch.testing.assert_close(found, torch.tensor([x]).double())


def test_line_between_knots() -> None:
    """Two equal bins with a slope of 3 at their knot: half way in the second at ξ = 1/2.

    g = 0 + 5 (ξ² + 3 ξ (1 - ξ)) / (1 + (3 + 1 - 2) ξ (1 - ξ)) = 5 (1/4 + 3/4) / (3/2) = 10/3, and
    g' = (1 ξ² + 2 ξ (1 - ξ) + 3 (1 - ξ)²) / (3/2)² = (3/2) / (9/4) = 2/3.
    """
    inner = math.log(math.expm1(3 - LEAST)) - math.log(math.expm1(1 - LEAST))
    parameters = torch.tensor([[0.0, 0.0, 0.0, 0.0, inner]], dtype=torch.float64)
    x = torch.tensor([2.5], dtype=torch.float64)
    z, log_slope = Spline(parameters, 2, BOUND).forward(x)
    assert z.item() == pytest.approx(10 / 3)
    assert log_slope.exp().item() == pytest.approx(2 / 3)
    torch.testing.assert_close(Line(2).decode(parameters, z), x)


class TestCircle:
    def test_turns(self) -> None:
        """Of zero parameters but the turn, 0.7 half turns: 0.5 comes to 1.2, which is -0.8."""
        parameters = torch.zeros(1, 12).double()
        parameters[0, -1] = 0.7
        found = Circle(4).decode(parameters, torch.tensor([0.5]).double())
        torch.testing.assert_close(found, torch.tensor([-0.8]).double())

    def test_has_no_seam(self) -> None:
        parameters = raw(Circle(4), 100)
        for seam in (torch.full((100,), -1.0).double(), parameters[:, -1]):
            left = Circle(4).log_prob(parameters, seam - 1e-6)
            right = Circle(4).log_prob(parameters, seam + 1e-6)
            torch.testing.assert_close(left, right, atol=1e-3, rtol=0)


class TestLevels:
    three = Levels(3)
    p = torch.tensor([[0.5, 0.2, 0.3]], dtype=torch.float64)

    def test_are_the_distribution_function_undone(self) -> None:
        """Φ(z) = 0.6 lies 0.1/0.2, a half, into the second of three: s = 1.5/3, logit 0.

        0.25 is a half of the first: s = 1/6, log 1/5. 0.94 is 0.24/0.3 of the third: s = 2.8/3,
        log 14.
        """
        shares = torch.tensor([0.6, 0.25, 0.94], dtype=torch.float64)
        found = self.three.decode(self.p.log().expand(3, -1), torch.special.ndtri(shares))
        expected = torch.tensor([0.0, math.log(1 / 5), math.log(14)], dtype=torch.float64)
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)

    def test_density(self) -> None:
        """At logit 0, in the second of three: 3 · 0.2 · s (1 - s) = 0.15.

        A feature of the deviation 2 about -1 is there at 1/2, and twice as dense.
        """
        found = self.three.log_prob(self.p.log(), torch.zeros(1).double())
        assert float(found.exp()) == pytest.approx(0.15)
        standardised = Levels(3, mean=-1.0, std=2.0)
        found = standardised.log_prob(self.p.log(), torch.full((1,), 0.5).double())
        assert float(found.exp()) == pytest.approx(0.3)

    def test_know_their_number(self) -> None:
        """s = 0.32, 0.34 and 0.99 of three are 0, 1 and 2; the middles are 1/6, 1/2 and 5/6."""
        x = torch.tensor([0.32, 0.34, 0.99]).double().logit()
        assert self.three.level(x).tolist() == [0, 1, 2]
        middles = torch.tensor([-math.log(5), 0.0, math.log(5)], dtype=torch.float64)
        torch.testing.assert_close(self.three.middle(x), middles)

    def test_come_as_often_as_their_probability(self) -> None:
        """Of 40,000 the spread of each share is at most 0.0025."""
        noise = torch.randn(40_000, generator=torch.Generator().manual_seed(3))
        x = self.three.decode(self.p.log().float().expand(40_000, -1), noise)
        share = torch.bincount(self.three.level(x), minlength=3) / 40_000
        torch.testing.assert_close(share, self.p[0].float(), atol=0.01, rtol=0)

    def test_noise_of_any_size_has_a_feature(self) -> None:
        noise = torch.tensor([-40.0, -8.0, -0.1, 8.0, 40.0])
        x = self.three.decode(self.p.log().float().expand(5, -1), noise)
        assert x.isfinite().all()
        assert self.three.level(x).tolist() == [0, 0, 0, 2, 2]

    def test_a_level_of_no_probability_comes_of_no_noise(self) -> None:
        """In single precision e^-200 is none, and the noise 8 leaves nothing above it."""
        noise = torch.tensor([-40.0, -8.0, 0.0, 8.0, 40.0])
        x = self.three.decode(torch.tensor([-200.0, 0.0, -200.0]).expand(5, -1), noise)
        assert self.three.level(x).tolist() == [1] * 5
