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
