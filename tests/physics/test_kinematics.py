"""Single-particle kinematics by closed forms."""

import math

import pytest
import torch

from mleg_ray.physics import kinematics


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_a_3_4_12_13_triangle() -> None:
    px, py, pz = column(3.0), column(4.0), column(12.0)
    assert kinematics.transverse_momentum(px, py).item() == 5
    assert kinematics.momentum(px, py, pz).item() == 13
    assert kinematics.energy(px, py, pz, 84.0).item() == 85
    assert kinematics.polar_angle(px, py, pz).item() == pytest.approx(math.atan(5 / 12))
    assert kinematics.azimuth(px, py).item() == pytest.approx(math.atan2(4, 3))
    assert kinematics.minus_momentum(px, py, pz).item() == pytest.approx(1.0)
    assert kinematics.minus_momentum(px, py, -pz).item() == pytest.approx(25.0)


def test_pseudorapidity_is_minus_log_tan_half_theta() -> None:
    px, py, pz = column(1, -2, 0.3), column(0.5, 1, -4), column(3, -5, 0)
    theta = kinematics.polar_angle(px, py, pz)
    torch.testing.assert_close(kinematics.pseudorapidity(px, py, pz), -(theta / 2).tan().log())


def test_mass_shell_residual() -> None:
    residual = kinematics.mass_shell_residual(column(3), column(4), column(0), column(5.5))
    assert residual.item() == pytest.approx(0.5 / 5.5)


def test_momentum_by_pseudorapidity() -> None:
    # cosh ln 2 = (2 + 1/2) / 2
    assert kinematics.momentum_at(column(4.0), column(math.log(2))).item() == pytest.approx(5.0)


def test_pairs() -> None:
    one, other = column(3, 1, 9, 10)[None], column(-6, 3, -5, 9)[None]
    assert kinematics.pair_transverse_momentum(one, other).item() == 5  # (-3, 4)
    assert kinematics.plus(column(3), column(-1)).item() == 2


@pytest.mark.parametrize(
    ("first", "second", "turn"),
    [(0.5, 0.2, 0.3), (0.2, 0.5, -0.3), (3.0, -3.0, 6 - 2 * math.pi), (-3.0, 3.0, 2 * math.pi - 6)],
)
def test_azimuth_of_a_pair(first: float, second: float, turn: float) -> None:
    one, other = (
        column(pt * math.cos(phi), pt * math.sin(phi), 7, 20)[None]
        for pt, phi in ((5, first), (9, second))
    )
    assert kinematics.pair_azimuth(one, other).item() == pytest.approx(turn)
