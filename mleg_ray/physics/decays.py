"""Decays with exact kinematics; four-momenta (B, 4) are px, py, pz, E in GeV, float64.

Random choices are made of numbers u (B,) uniform in [0, 1). Source, unless another is named:
Particle Data Group, Kinematics, secs. "Two-body decays" and "Three-body decays".
"""

import math

import torch
from torch import Tensor


def breakup_momentum(mass: Tensor, first: Tensor | float, second: Tensor | float) -> Tensor:
    """p* = √[(M² - (m1 + m2)²)(M² - (m1 - m2)²)] / 2M of both products where M is at rest, GeV.

    Zero where the mass does not suffice.

    >>> breakup_momentum(torch.tensor([1.232, 1.0]), 0.938272, 0.139570)  # Δ -> p π
    tensor([0.2272, 0.0000])
    """
    both, difference = first + second, first - second
    # Without what is left, nothing: below |m1 - m2| both brackets are negative.
    left = (mass - both).clamp(min=0)
    inside = left * (mass + both) * (mass - difference) * (mass + difference)
    return inside.clamp(min=0).sqrt() / (2 * mass)


def direction(cosine: Tensor, u: Tensor) -> Tensor:
    """Return unit vectors (B, 3) of that cosine of the polar angle, at the azimuth 2π u."""
    sine, phi = (1 - cosine.square()).clamp(min=0).sqrt(), 2 * math.pi * u
    return torch.stack([sine * phi.cos(), sine * phi.sin(), cosine], dim=1)


def isotropic(u: Tensor) -> Tensor:
    """Return unit vectors (B, 3), evenly over the sphere, of numbers (B, 2)."""
    return direction(2 * u[:, 0] - 1, u[:, 1])


def boosted(p: Tensor, frame: Tensor) -> Tensor:
    """Carry four-momenta from the rest frame of `frame` (B, 4) to where `frame` was measured.

    E' = (E_f E + p_f·p) / M and p' = p + p_f (E + E') / (E_f + M), of equal axes.
    """
    mass = invariant_mass(frame)
    energy = (frame[:, 3] * p[:, 3] + (frame[:, :3] * p[:, :3]).sum(dim=1)) / mass
    share = (p[:, 3] + energy) / (frame[:, 3] + mass)
    return torch.cat([p[:, :3] + frame[:, :3] * share[:, None], energy[:, None]], dim=1)


def at_rest_in(p: Tensor, frame: Tensor) -> Tensor:
    """Carry four-momenta into the rest frame of `frame` (B, 4): the inverse of `boosted`."""
    return boosted(p, frame * frame.new_tensor([-1.0, -1.0, -1.0, 1.0]))


def invariant_mass(p: Tensor) -> Tensor:
    """√(E² - p²) of (B, 4, ...), GeV; zero, with a slope of zero, of what is not timelike."""
    length = p[:, :3].norm(dim=1)
    squared: Tensor = (p[:, 3] - length) * (p[:, 3] + length)
    # The root of a clamped zero has a slope that is no number.
    timelike = squared > 0
    return torch.where(timelike, torch.where(timelike, squared, 1.0).sqrt(), 0.0)


def two_body(
    parent: Tensor, first: Tensor | float, second: Tensor | float, along: Tensor
) -> tuple[Tensor, Tensor]:
    """Return both products (B, 4) of a decay, the first `along` unit vectors at the parent's rest.

    Args:
        parent: four-momenta (B, 4).
        first: mass of the first product.
        second: mass of the second product.
        along: unit vectors (B, 3) in the parent's rest frame, `isotropic` ones say.
    """
    p = breakup_momentum(invariant_mass(parent), first, second)[:, None] * along
    return boosted(on_shell(p, first), parent), boosted(on_shell(-p, second), parent)


def on_shell(p: Tensor, mass: Tensor | float) -> Tensor:
    """Return four-momenta (B, 4) of momenta (B, 3) and a mass, E = √(p² + m²)."""
    energy = (p.square().sum(dim=1) + mass**2).sqrt()
    return torch.cat([p, energy[:, None]], dim=1)


def breit_wigner(
    u: Tensor, mass: float, width: float, low: Tensor | float, high: Tensor | float
) -> Tensor:
    """Return masses (B,) between `low` and `high` of a relativistic Breit-Wigner resonance.

    dN/dm² ∝ 1 / [(m² - M²)² + M²Γ²], whose integral is an arctangent; u is its share. Source:
    Particle Data Group, Resonances, the relativistic form with a constant width.
    """
    below, above = (
        torch.atan((torch.as_tensor(edge) ** 2 - mass**2) / (mass * width)) for edge in (low, high)
    )
    squared = mass**2 + mass * width * torch.tan(below + u * (above - below))
    return squared.sqrt()


def exponential(u: Tensor, slope: float, low: Tensor, high: Tensor) -> Tensor:
    """Return numbers t (B,) between `low` and `high` with dN/dt ∝ exp(slope · t), slope > 0."""
    return high + torch.log1p(u * torch.expm1(-slope * (high - low))) / slope


def pair_mass_density(pair: Tensor, total: Tensor, masses: tuple[float, float, float]) -> Tensor:
    """Density dN/dm12 of three-body phase space, in units of a bound that it never exceeds.

    dN/dm12 ∝ p*(M; m12, m3) p*(m12; m1, m2), isotropic in both rest frames, is the flat Dalitz
    plot. The first factor falls with m12 and the second grows, so the product of their largest
    values is a bound.

    Args:
        pair: masses m12 (B,).
        total: mass M (B,) of all three.
        masses: m1, m2 and m3.
    """
    m1, m2, m3 = masses
    density = breakup_momentum(total, pair, m3) * breakup_momentum(pair, m1, m2)
    lowest = torch.full_like(total, m1 + m2)
    most = breakup_momentum(total, lowest, m3) * breakup_momentum(total - m3, m1, m2)
    return density / most
