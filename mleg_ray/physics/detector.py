"""Detectors as parametrisations: what they see, and what they measure given normal numbers."""

import math

import torch
from torch import Tensor

from mleg_ray.physics.kinematics import azimuth, momentum, polar_angle, transverse_momentum
from mleg_ray.physics.observables import observable


@observable(None)
def difference(measured: Tensor, true: Tensor) -> Tensor:
    """measured - true."""
    return measured - true


@observable(None)
def ratio(measured: Tensor, true: Tensor) -> Tensor:
    """measured / true."""
    return measured / true


@observable("1", "E_{tot}/E")
def response(measured: Tensor, true: Tensor) -> Tensor:
    """measured / true: a calorimeter's response to the energy of a particle."""
    return ratio(measured, true)


@observable(None)
def over_root(difference: Tensor, true: Tensor) -> Tensor:
    """Difference / √|true|: the error of what counts grows as the root."""
    return difference * true.abs().rsqrt()


def momentum_resolution(p: Tensor, sagitta: float, scattering: float) -> Tensor:
    """σ(p)/p = √((sagitta · p)² + scattering²), p in GeV and `sagitta` in 1/GeV.

    A tracker measures curvature, 1/p, with a constant error, and multiple scattering adds a
    constant relative one. Source: Particle Data Group, Particle Detectors at Accelerators, sec.
    "Measurement of particle momenta in a uniform magnetic field".
    """
    return torch.hypot(sagitta * p, torch.full_like(p, scattering))


def energy_resolution(energy: Tensor, stochastic: float, constant: float) -> Tensor:
    """σ(E)/E = √(stochastic²/E + constant²), E in GeV and `stochastic` in √GeV.

    A calorimeter counts the particles of a shower, and is not calibrated better than `constant`.
    Source: Particle Data Group, Particle Detectors at Accelerators, sec. "Electromagnetic
    calorimeters", without the term of electronic noise.
    """
    return torch.hypot(stochastic * energy.rsqrt(), torch.full_like(energy, constant))


def smeared(
    px: Tensor,
    py: Tensor,
    pz: Tensor,
    noise: Tensor,
    *,
    resolution: Tensor,
    theta: float,
    phi: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the measured momentum (B,), GeV.

    `noise` (B, 3) are standard normal numbers for |p|, θ and φ, whose errors are independent;
    `resolution` (B,) is σ(p)/p, `theta` and `phi` are σ(θ) and σ(φ), rad.
    """
    p = momentum(px, py, pz)
    measured = p * (1 + resolution * noise[:, 0])
    polar = polar_angle(px, py, pz) + theta * noise[:, 1]
    around = azimuth(px, py) + phi * noise[:, 2]
    pt = measured * polar.sin()
    return pt * around.cos(), pt * around.sin(), measured * polar.cos()


@observable("1", "d_{coil}")
def coil_distance(px: Tensor, py: Tensor, pz: Tensor, sectors: Tensor) -> Tensor:
    """Return how far a straight track passes from the nearest coil's plane, per distance flown.

    The coils of a toroid stand in half-planes along the beam at φ = (2k + 1) π/n, between n >= 2
    `sectors` of which the first is around φ = 0. With Δ, the azimuth to the nearest of them,

        d = sin θ sin Δ,

    so a coil of constant width w shades d < w/2: azimuths within arcsin(w / 2 sin θ) of its plane,
    and all of them at small θ. CLAS is such a detector of six sectors (B. Mecking et al., Nucl.
    Instrum. Meth. A 503 (2003) 513).

    >>> px, py, pz = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> coil_distance(px, py, pz, torch.tensor(6))  # in the middle of a sector
    tensor([0.5000, 0.3536])
    """
    sector = 2 * math.pi / sectors
    to_coil = (azimuth(px, py).remainder(sector) - sector / 2).abs()
    return transverse_momentum(px, py) / momentum(px, py, pz) * to_coil.sin()
