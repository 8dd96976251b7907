"""Relativistic kinematics of single particles; all arguments broadcast."""

import math

import torch
from torch import Tensor

ELECTRON_MASS = 0.51099895e-3  # GeV, Particle Data Group 2024


def transverse_momentum(px: Tensor, py: Tensor) -> Tensor:
    """p_T = sqrt(px² + py²), GeV."""
    return torch.hypot(px, py)


def momentum(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """|p|, GeV."""
    return (px.square() + py.square() + pz.square()).sqrt()


def energy(px: Tensor, py: Tensor, pz: Tensor, mass: float) -> Tensor:
    """E = √(p² + m²), GeV."""
    return (px.square() + py.square() + pz.square() + mass**2).sqrt()


def polar_angle(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """Polar angle θ from the +z axis, radians, in [0, π]."""
    return torch.atan2(torch.hypot(px, py), pz)


def azimuth(px: Tensor, py: Tensor) -> Tensor:
    """Azimuthal angle φ, radians, in (-π, π]."""
    return torch.atan2(py, px)


def pseudorapidity(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """η = -ln tan(θ/2) = arsinh(pz/p_T)."""
    return torch.asinh(pz / torch.hypot(px, py))


def cot_theta(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """cot θ = pz/p_T."""
    return pz / torch.hypot(px, py)


def product(first: Tensor, second: Tensor) -> Tensor:
    """Product of two numbers."""
    return first * second


def cos_turns(half_turns: Tensor, times: Tensor) -> Tensor:
    """cos kφ of an angle φ in half turns: the same in each of k sectors."""
    return torch.cos(times * math.pi * half_turns)


def sin_turns(half_turns: Tensor, times: Tensor) -> Tensor:
    """sin kφ of an angle φ in half turns: the same in each of k sectors."""
    return torch.sin(times * math.pi * half_turns)


def minus_momentum(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """|p| - pz of a massless particle, GeV, without cancellation when it flies along +z."""
    transverse = px.square() + py.square()
    p = momentum(px, py, pz)
    return torch.where(pz > 0, transverse / (p + pz.clamp(min=0)), p - pz)


def mass_shell_residual(px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
    """|E - |p|| / |E|: the distance from the mass shell of a massless particle."""
    return (energy - momentum(px, py, pz)).abs() / energy.abs()
