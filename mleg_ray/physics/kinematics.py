"""Relativistic kinematics of single particles; all arguments broadcast.

>>> px, py, pz = torch.tensor([3.0, 0.0]), torch.tensor([4.0, 0.0]), torch.tensor([12.0, -2.0])
>>> transverse_momentum(px, py), momentum(px, py, pz), polar_angle(px, py, pz)
(tensor([5., 0.]), tensor([13.,  2.]), tensor([0.3948, 3.1416]))
"""

import math

import torch
from torch import Tensor

from mleg_ray.physics.observables import FourMomentum, observable

LEAST_MASS = 3e-3  # of the energy: in single precision a smaller mass is rounding
OFF_SHELL = 1e-4  # of the energy, from that of the mass shell: more is no rounding


@observable("GeV", "p_T")
def transverse_momentum(px: Tensor, py: Tensor) -> Tensor:
    """p_T = sqrt(px² + py²), GeV."""
    return torch.hypot(px, py)


@observable("GeV", "p")
def momentum(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """|p|, GeV."""
    return (px.square() + py.square() + pz.square()).sqrt()


@observable("GeV", "E")
def energy(px: Tensor, py: Tensor, pz: Tensor, mass: float) -> Tensor:
    """E = √(p² + m²), GeV."""
    return (px.square() + py.square() + pz.square() + mass**2).sqrt()


@observable("GeV", "p")
def momentum_at(pt: Tensor, eta: Tensor) -> Tensor:
    """|p| = p_T cosh η, GeV."""
    return pt * eta.cosh()


@observable("GeV", "p_T")
def pair_transverse_momentum(first: FourMomentum, second: FourMomentum) -> Tensor:
    """p_T (B,) of the sum of two particles, GeV.

    >>> one, other = torch.tensor([[3.0, 1.0, 9.0, 10.0], [0.0, 3.0, -5.0, 6.0]]).split(1)
    >>> pair_transverse_momentum(one, other)
    tensor([5.])
    """
    both: Tensor = first + second
    return transverse_momentum(both[:, 0], both[:, 1])


@observable("rad", r"\Delta\phi")
def pair_azimuth(first: FourMomentum, second: FourMomentum) -> Tensor:
    """Azimuth (B,) of the first particle minus that of the second, radians, in [-π, π).

    >>> one, other = torch.tensor([[0.0, 2.0, 0.0, 2.0], [5.0, 0.0, 1.0, 6.0]]).split(1)
    >>> pair_azimuth(one, other), pair_azimuth(other, one)  # quarter turns
    (tensor([1.5708]), tensor([-1.5708]))
    """
    turn = azimuth(first[:, 0], first[:, 1]) - azimuth(second[:, 0], second[:, 1])
    return torch.remainder(turn + math.pi, 2 * math.pi) - math.pi


@observable("rad", r"\theta")
def polar_angle(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """Polar angle θ from the +z axis, radians, in [0, π]."""
    return torch.atan2(torch.hypot(px, py), pz)


@observable("rad", r"\phi")
def azimuth(px: Tensor, py: Tensor) -> Tensor:
    """Azimuthal angle φ, radians, in (-π, π]."""
    return torch.atan2(py, px)


@observable("1", r"\eta")
def pseudorapidity(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """η = -ln tan(θ/2) = arsinh(pz/p_T)."""
    return torch.asinh(pz / torch.hypot(px, py))


@observable("1", r"\cot\theta")
def cot_theta(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """cot θ = pz/p_T."""
    return pz / torch.hypot(px, py)


@observable(None)
def product(first: Tensor, second: Tensor) -> Tensor:
    """Product of two numbers."""
    return first * second


@observable(None)
def plus(first: Tensor, second: Tensor) -> Tensor:
    """Sum of two numbers of one unit."""
    return first + second


@observable("1")
def cos_turns(half_turns: Tensor, times: Tensor) -> Tensor:
    """cos kφ of an angle φ in half turns: the same in each of k sectors."""
    return torch.cos(times * math.pi * half_turns)


@observable("1")
def sin_turns(half_turns: Tensor, times: Tensor) -> Tensor:
    """sin kφ of an angle φ in half turns: the same in each of k sectors."""
    return torch.sin(times * math.pi * half_turns)


@observable("GeV", "|p| - p_z")
def minus_momentum(px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
    """|p| - pz of a massless particle, GeV, without cancellation when it flies along +z."""
    transverse = px.square() + py.square()
    p = momentum(px, py, pz)
    return torch.where(pz > 0, transverse / (p + pz.clamp(min=0)), p - pz)


@observable("1")
def mass_shell_residual(px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
    """|E - |p|| / |E|: the distance from the mass shell of a massless particle."""
    return (energy - momentum(px, py, pz)).abs() / energy.abs()
