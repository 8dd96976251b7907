"""The exclusive reaction γ p → p π⁺ π⁻ on a proton at rest, the photon along +z.

Particles are p, pip (π⁺) and pim (π⁻); other arguments are columns (B,) in GeV.
"""

import torch
from torch import Tensor

from mleg_ray.events import four_momentum
from mleg_ray.physics import kinematics
from mleg_ray.physics.decays import at_rest_in, invariant_mass
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.observables import FourMomentum, observable

PION_MASS = 0.13957039  # GeV, Particle Data Group 2024
PARTICLES = ("p", "pip", "pim")
FIELDS = tuple(name for particle in PARTICLES for name in four_momentum(particle))
PHOTON_ENERGY = "photon_energy"


def total(photon_energy: Tensor) -> Tensor:
    """Four-momentum (B, 4) of photon and proton: (0, 0, E_γ, E_γ + M)."""
    zero = torch.zeros_like(photon_energy)
    return torch.stack([zero, zero, photon_energy, photon_energy + PROTON_MASS], dim=1)


@observable("GeV", "W")
def cm_energy(photon_energy: Tensor) -> Tensor:
    """W = √(M² + 2 M E_γ), GeV."""
    return (PROTON_MASS**2 + 2 * PROTON_MASS * photon_energy).sqrt()


@observable("GeV", "m")
def pair_mass(first: FourMomentum, second: FourMomentum) -> Tensor:
    """Invariant mass of two particles, GeV.

    >>> pip, pim = torch.tensor([[0.0, 0.0, 0.3, 0.4], [0.0, 0.0, -0.3, 0.4]]).split(1)
    >>> pair_mass(pip, pim)
    tensor([0.8000])
    """
    return invariant_mass(first + second)


@observable("GeV2", "t")
def momentum_transfer(energy: Tensor) -> Tensor:
    """t = (p - p')² = 2 M (M - E') of the proton, which was at rest, GeV²; never above zero."""
    return 2 * PROTON_MASS * (PROTON_MASS - energy)


@observable("1", r"\cos\theta^*")
def cos_theta_cm(particle: FourMomentum, photon_energy: Tensor) -> Tensor:
    """cos θ* of a particle against the photon in the centre of mass."""
    p = at_rest_in(particle, total(photon_energy))
    cosine: Tensor = p[:, 2] / p[:, :3].norm(dim=1)
    return cosine


@observable("1", r"\cos\theta_{\pi\pi}")
def cos_helicity(p: FourMomentum, pip: FourMomentum, pim: FourMomentum) -> Tensor:
    """cos θ of π⁺ where π⁺π⁻ is at rest, against the direction opposite to the proton's."""
    recoil, plus = (at_rest_in(q, pip + pim)[:, :3] for q in (p, pip))
    cosine: Tensor = -(recoil * plus).sum(dim=1) / (recoil.norm(dim=1) * plus.norm(dim=1))
    return cosine


@observable("1")
def imbalance(
    p: FourMomentum, pip: FourMomentum, pim: FourMomentum, photon_energy: Tensor
) -> Tensor:
    """Largest component of what four-momentum the final state lacks, relative to E_γ + M."""
    initial = total(photon_energy)
    return (p + pip + pim - initial).abs().amax(dim=1) / initial[:, 3]


@observable("1")
def proton_shell(px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
    """|E - √(p² + M²)| / E: the distance from the proton's mass shell."""
    return (energy - kinematics.energy(px, py, pz, PROTON_MASS)).abs() / energy


@observable("1")
def pion_shell(px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
    """|E - √(p² + m²)| / E: the distance from the charged pion's mass shell."""
    return (energy - kinematics.energy(px, py, pz, PION_MASS)).abs() / energy
