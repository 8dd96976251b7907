"""Measured momenta by hand, and a toroid's coils by closed forms."""

import math

import pytest
import torch

from mleg_ray.physics.detector import coil_distance, difference, momentum_resolution, smeared

SIX = torch.tensor(6.0)


def directions(theta: float, phi: torch.Tensor, p: float = 2.0) -> tuple[torch.Tensor, ...]:
    """Return px, py, pz of momentum `p`."""
    polar = torch.full_like(phi, theta)
    return p * polar.sin() * phi.cos(), p * polar.sin() * phi.sin(), p * polar.cos()


def test_resolution_of_a_tracker_by_hand() -> None:
    found = momentum_resolution(torch.tensor([2.0, 0.0, 9.0]), 0.03, 0.08)
    assert found.tolist() == pytest.approx([0.1, 0.08, math.hypot(0.27, 0.08)])


def test_an_error_by_hand_is_what_is_measured_less_the_truth() -> None:
    assert difference(torch.tensor([3.0]), torch.tensor([5.0])).item() == -2


def test_measured_momenta_by_hand() -> None:
    """Of (3, 4, 12), with |p| = 13: 10% more, 0.2 rad further from the beam, and 0.1 rad around."""
    px, py, pz = (torch.full((3,), value).double() for value in (3.0, 4.0, 12.0))
    noise = torch.tensor([[2.0, 0, 0], [0, 2, 0], [0, 0, -1]]).double()
    found = smeared(px, py, pz, noise, resolution=torch.full((3,), 0.05), theta=0.1, phi=0.1)
    theta, phi = math.atan2(5, 12) + 0.2, math.atan2(4, 3) - 0.1
    pt = 13 * math.sin(theta)
    assert found[0].tolist() == pytest.approx([3.3, pt * 3 / 5, 5 * math.cos(phi)])
    assert found[1].tolist() == pytest.approx([4.4, pt * 4 / 5, 5 * math.sin(phi)])
    assert found[2].tolist() == pytest.approx([13.2, 13 * math.cos(theta), 12])


def test_distance_is_that_of_the_point_one_unit_away_from_the_nearest_plane() -> None:
    phi = torch.linspace(-math.pi, math.pi, 1001, dtype=torch.float64)
    planes = [math.radians(30 + 60 * k) for k in range(6)]
    px, py, pz = directions(0.4, phi, p=1.0)
    # Distance from the plane of a coil, of those on the coil's side of the beam.
    distances = [
        torch.where(px * math.cos(a) + py * math.sin(a) > 0, px * math.sin(a) - py * math.cos(a), 9)
        for a in planes
    ]
    nearest = torch.stack(distances).abs().min(dim=0).values
    torch.testing.assert_close(coil_distance(px, py, pz, SIX), nearest)
    torch.testing.assert_close(coil_distance(3 * px, 3 * py, 3 * pz, SIX), nearest)


@pytest.mark.parametrize("theta", [0.07, 0.15, 0.4, 2.0])
@pytest.mark.parametrize("sectors", [2, 6, 8])
def test_a_coil_shades_more_azimuth_at_small_angles(theta: float, sectors: int) -> None:
    phi = 2 * math.pi * (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000 - math.pi
    clear = coil_distance(*directions(theta, phi), torch.tensor(sectors)) >= 0.06
    shaded = math.asin(min(1.0, 0.06 / math.sin(theta))) / (math.pi / sectors)
    assert clear.double().mean().item() == pytest.approx(max(0.0, 1 - shaded), abs=1e-4)


def test_the_first_sector_is_around_the_x_axis() -> None:
    middle, coil = torch.tensor([0.0]), torch.tensor([math.pi / 6])
    assert coil_distance(*directions(0.5, middle), SIX).item() == pytest.approx(
        math.sin(0.5) * math.sin(math.pi / 6)
    )
    assert coil_distance(*directions(0.5, coil), SIX).item() == pytest.approx(0, abs=1e-6)
