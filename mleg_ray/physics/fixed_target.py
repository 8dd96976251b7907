"""Inclusive electron scattering e(k) P -> e'(k') X off a proton at rest.

The beam runs along +z with k = (E, 0, 0, E), and P = (M, 0, 0, 0); electrons are massless. With the
energy transfer ν = E - E' and the hadrons' mass W,

    Q² = -(k - k')² = 2 E (E' - pz') = 4 E E' sin²(θ/2),    W² = (P + k - k')² = M² + 2 M ν - Q².

Q² is the electron's alone: `dis.q2` serves here too.
"""

import math
from collections.abc import Iterable

import torch
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.config import Config
from mleg_ray.physics import dis
from mleg_ray.physics.dis import FINE_STRUCTURE, PROTON_MASS
from mleg_ray.physics.kinematics import momentum
from mleg_ray.physics.observables import observable

PION_MASS = 0.1349768  # GeV, of the neutral one; Particle Data Group 2024
RHO_MASS = 0.77526  # GeV, Particle Data Group 2024
LOWEST_W = PROTON_MASS + PION_MASS  # GeV: the lightest system of hadrons beyond the proton itself
THRESHOLD = (LOWEST_W**2 - PROTON_MASS**2) / (2 * PROTON_MASS)  # GeV, of the beam
DIPOLE = 0.71  # GeV², of the nucleon's form factor (1 + Q²/0.71)⁻²


class Resonance(Config):
    """A bump in W: its mass and width, GeV, and the height of its peak at Q² = 0, μb."""

    mass: PositiveFloat
    width: PositiveFloat
    height: PositiveFloat


# The three regions that inclusive scattering shows, with roughly the heights of photoproduction.
RESONANCES = (
    Resonance(mass=1.232, width=0.117, height=400.0),
    Resonance(mass=1.520, width=0.110, height=100.0),
    Resonance(mass=1.680, width=0.125, height=80.0),
)
CONTINUUM = 120.0  # μb


@observable("GeV", "W")
def invariant_mass(px: Tensor, py: Tensor, pz: Tensor, beam_energy: Tensor) -> Tensor:
    """W = √(M² + 2 M ν - Q²), GeV; -√|W²| where W² is negative, as of no electron off a proton."""
    nu = beam_energy - momentum(px, py, pz)
    w2 = PROTON_MASS**2 + 2 * PROTON_MASS * nu - dis.q2(px, py, pz, beam_energy)
    return w2.sign() * w2.abs().sqrt()


@observable("GeV", r"\nu")
def energy_transfer(q2: Tensor, w: Tensor) -> Tensor:
    """ν = (W² - M² + Q²) / 2M, GeV."""
    return (w.square() - PROTON_MASS**2 + q2) / (2 * PROTON_MASS)


def electron(
    q2: Tensor, w: Tensor, phi: Tensor, beam_energy: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return px, py, pz and energy (B,) of the electron with these Q², W and azimuth, GeV.

    What lies outside the phase space, 4 E E' < Q², has NaN for its transverse momentum.
    """
    energy = beam_energy - energy_transfer(q2, w)
    minus = q2 / (2 * beam_energy)  # E' - pz
    pt = (minus * (2 * energy - minus)).sqrt()
    return pt * phi.cos(), pt * phi.sin(), energy - minus, energy


def largest_q2(beam_energy: float) -> float:
    """Q² of an electron turned back by the lightest hadrons, GeV²; > 0 above `THRESHOLD`."""
    room = PROTON_MASS**2 + 2 * PROTON_MASS * beam_energy - LOWEST_W**2
    return 2 * beam_energy * room / (PROTON_MASS + 2 * beam_energy)


def largest_w(q2: float, beam_energy: float) -> float:
    """W of the hadrons when the electron of this Q² is turned back, 4 E E' = Q², GeV."""
    s = PROTON_MASS**2 + 2 * PROTON_MASS * beam_energy
    return math.sqrt(s - q2 * (1 + PROTON_MASS / (2 * beam_energy)))


def photon_flux(q2: Tensor, w: Tensor, beam_energy: float) -> Tensor:
    """Transverse virtual photons per electron, Q² and W, GeV⁻³; 0 outside the phase space.

    Hand's Γ = α/2π² · E'/E · K/Q² · 1/(1 - ε) per E' and solid angle, with K = (W² - M²)/2M and
    ε = [1 + 2 (1 + ν²/Q²) tan²(θ/2)]⁻¹, times ∂(E', Ω)/∂(Q², W) = π W / (M E E'):

        α/(4π M² E²) · W (W² - M²)/Q² · [1 + (4 E E' - Q²) / 2(Q² + ν²)].

    Source: L. N. Hand, Phys. Rev. 129 (1963) 1834.
    """
    nu = energy_transfer(q2, w)
    room = 4 * beam_energy * (beam_energy - nu) - q2
    polarised = 1 + room / (2 * (q2 + nu.square()))  # 1 / (1 - ε)
    scale = FINE_STRUCTURE / (4 * math.pi * (PROTON_MASS * beam_energy) ** 2)
    flux = scale * w * (w.square() - PROTON_MASS**2) / q2 * polarised
    return torch.where((room > 0) & (w > LOWEST_W), flux, 0.0)


def photoabsorption(
    q2: Tensor, w: Tensor, resonances: Iterable[Resonance], continuum: float
) -> Tensor:
    """σ(γ* p -> X) of transverse photons above threshold, μb: declared, not an experiment's.

        √(1 - W_π²/W²) · [ Σ A B(W) · q²/q₀² · (1 + Q²/0.71)⁻⁴ + C / (1 + Q²/m_ρ²) ],
        B = M_r² Γ_r² / ((W² - M_r²)² + M_r² Γ_r²),    q² = [(W² + M² + Q²) / 2W]² - M²

    with W_π = M + m_π. A bump's amplitude goes with the photon's momentum q among the hadrons at
    rest, q₀ at Q² = 0, as a magnetic one does, and with the dipole form factor. The continuum is
    that of vector dominance: at large Q² it scales, σ ~ 1/Q² at fixed x, and outlives the bumps.
    """
    bumps = torch.zeros_like(w)
    for resonance in resonances:
        area = (resonance.mass * resonance.width) ** 2
        distance = (w.square() - resonance.mass**2).square()
        bumps = bumps + resonance.height * area / (distance + area)
    momentum2 = ((w.square() + PROTON_MASS**2 + q2) / (2 * w)).square() - PROTON_MASS**2
    real2 = ((w.square() - PROTON_MASS**2) / (2 * w)).square()
    excited = bumps * momentum2 / real2 / (1 + q2 / DIPOLE) ** 4
    smooth = continuum / (1 + q2 / RHO_MASS**2)
    rise = (1 - (LOWEST_W / w).square()).clamp(min=0).sqrt()
    return rise * (excited + smooth)
