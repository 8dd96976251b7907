"""Pairs by their mass: closed forms, the inverse, the stretch of the map, and limits."""

import math

import pytest
import torch
from torch import Tensor

from mleg_ray.models.pairs import Direction, MassCurve, Pair

WIDE = math.inf


def numbers(n: int, low: float, high: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)


def pairs(n: int, limit: float) -> Pair:
    most = min(limit, 3.0)
    first = Direction(numbers(n, 20, 200, 1), numbers(n, -most, most, 2), numbers(n, -1, 1, 3))
    ends = torch.tensor([-limit, limit], dtype=torch.float64)
    return Pair(first, numbers(n, 20, 100, 4), (ends[0], ends[1]))


def alone(eta: float, turn: float, limit: float = WIDE) -> tuple[MassCurve, Tensor]:
    """Return the place of an object of p_T 50 GeV behind one of 80 GeV at η = 0.5, φ = 0.2 π."""
    one = (torch.tensor([value], dtype=torch.float64) for value in (80.0, 0.5, 0.2, 50.0))
    pt, pseudorapidity, azimuth, second = one
    ends = torch.tensor([-limit, limit], dtype=torch.float64)
    pair = Pair(Direction(pt, pseudorapidity, azimuth), second, (ends[0], ends[1]))
    values = (torch.tensor([value], dtype=torch.float64) for value in (eta, turn))
    return pair.curve(*values)


def test_the_mass_is_that_of_the_four_momenta() -> None:
    momenta = [
        (pt * math.cosh(eta), pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta))
        for pt, eta, phi in ((80, 0.5, 0.2 * math.pi), (50, -0.7, -0.4 * math.pi))
    ]
    energy, *momentum = (a + b for a, b in zip(*momenta, strict=True))
    mass2 = energy**2 - sum(p**2 for p in momentum)
    at, _ = alone(-0.7, -0.4)
    torch.testing.assert_close(at.log_mass2.item(), math.log(mass2), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("eta", "turn", "place"),
    [
        (0.5, 0.5, 0.0),  # beside it, on the side of larger φ
        (0.5, -0.1, -1.0),  # on the other
        (0.9, 0.2, 0.5),  # at its azimuth, further forward
        (0.1, 0.2, -0.5),
        (0.5 + math.acosh(1.5), 0.5333333333333333, 0.25),  # A = B = 1/2
        (0.5 - math.acosh(1.5), -0.1333333333333333, -0.75),
        (0.5 + math.acosh(4), 0.7, 0.25),  # A = 3, B = 1: D > 2, halfway from B = 2 to B = 0
    ],
)
def test_places_on_the_curve_of_a_mass(eta: float, turn: float, place: float) -> None:
    at, _ = alone(eta, turn)
    # A root near zero costs half the digits.
    assert abs(math.remainder(at.place.item() - place, 2)) < 1e-5


def test_the_largest_mass_is_at_infinity_and_bent_by_hand() -> None:
    """With |η| < 1: A is at most cosh 1.5 - 1, D two more; m² is over 1 - (D/most)²."""
    at, _ = alone(-0.5, 0.7, limit=1.0)
    d, most = math.cosh(1) - 1 + 1, math.cosh(1.5) + 1
    expected = math.log(2 * 80 * 50 * d / (1 - (d / most) ** 2))
    torch.testing.assert_close(at.log_mass2.item(), expected, rtol=1e-12, atol=0)


def test_gaps_are_closed_by_hand() -> None:
    """At D = 1.4 of |η| < 1, forward A is at most cosh 1/2 - 1, w at most that over D."""
    most = math.cosh(0.5) - 1
    above, below = math.asin(math.sqrt(most / 1.4)) / math.pi, 0.5
    a = 0.07  # within the limit
    at, _ = alone(0.5 + math.acosh(1 + a), 0.2 + math.acos(1 - (1.4 - a)) / math.pi, limit=1.0)
    side = math.asin(math.sqrt(a / 1.4)) / math.pi
    below = min(below, math.asin(math.sqrt(min(1, (math.cosh(1.5) - 1) / 1.4))) / math.pi)
    expected = (side - (above - below) / 2) / (above + below)
    torch.testing.assert_close(at.place.item(), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("limit", [WIDE, 3.0])
def test_there_and_back(limit: float) -> None:
    pair, most = pairs(2000, limit), min(limit, 3.0)
    eta, turn = numbers(2000, -most, most, 5), numbers(2000, -1, 1, 6)
    at, _ = pair.curve(eta, turn)
    assert at.place.abs().max() <= 1
    back = pair.directions(at)
    torch.testing.assert_close(back[0], eta, rtol=0, atol=1e-7)
    difference = torch.remainder(back[1] - turn + 1, 2) - 1
    assert difference.abs().max() < 1e-7


@pytest.mark.parametrize("limit", [WIDE, 3.0])
def test_the_slope_is_the_determinant_of_derivatives(limit: float) -> None:
    pair, most = pairs(500, limit), min(limit, 3.0)
    where = (numbers(500, -most, most, 5), numbers(500, -1, 1, 6))

    def summed(eta: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
        at, _ = pair.curve(eta, turn)
        return at.log_mass2.sum(), at.place.sum()

    (a, b), (c, d) = torch.autograd.functional.jacobian(summed, where)
    _, log_slope = pair.curve(*where)
    torch.testing.assert_close(log_slope, (a * d - b * c).abs().log(), rtol=1e-6, atol=1e-6)


def test_every_place_is_within_limits() -> None:
    """Also of masses far beyond what limits leave, and of first objects at the limit itself."""
    pair = pairs(20_000, 2.5)
    at = MassCurve(numbers(20_000, 0, 30, 7), numbers(20_000, -1, 1, 8))
    eta, turn = pair.directions(at)
    assert eta.abs().max() <= 2.5 + 1e-12
    assert turn.abs().max() <= 1
    assert eta.isfinite().all()
