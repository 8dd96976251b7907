"""Detectors as parametrisations: what is measured of a true momentum, given normal numbers."""

import torch
from torch import Tensor

from mleg_ray.physics.kinematics import azimuth, momentum, polar_angle


def difference(measured: Tensor, true: Tensor) -> Tensor:
    """measured - true."""
    return measured - true


def ratio(measured: Tensor, true: Tensor) -> Tensor:
    """measured / true."""
    return measured / true


def momentum_resolution(p: Tensor, sagitta: float, scattering: float) -> Tensor:
    """σ(p)/p = √((sagitta · p)² + scattering²), p in GeV and `sagitta` in 1/GeV.

    A tracker measures curvature, 1/p, with a constant error, and multiple scattering adds a
    constant relative one. Source: Particle Data Group, Particle Detectors at Accelerators, sec.
    "Measurement of particle momenta in a uniform magnetic field".
    """
    return torch.hypot(sagitta * p, torch.full_like(p, scattering))


def tracked(
    px: Tensor,
    py: Tensor,
    pz: Tensor,
    noise: Tensor,
    *,
    sagitta: float,
    scattering: float,
    theta: float,
    phi: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the momentum (B,) that a tracker measures, GeV.

    `noise` (B, 3) are standard normal numbers for |p|, θ and φ, whose errors are independent;
    `theta` and `phi` are σ(θ) and σ(φ), rad. |p| is smeared relatively, σ(p)/p as in
    `momentum_resolution`.
    """
    p = momentum(px, py, pz)
    measured = p * (1 + momentum_resolution(p, sagitta, scattering) * noise[:, 0])
    polar = polar_angle(px, py, pz) + theta * noise[:, 1]
    around = azimuth(px, py) + phi * noise[:, 2]
    pt = measured * polar.sin()
    return pt * around.cos(), pt * around.sin(), measured * polar.cos()
