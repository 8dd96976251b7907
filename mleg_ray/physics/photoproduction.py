"""The exclusive reaction γ p → p π⁺ π⁻ on a proton at rest, the photon along +z.

Particles are p, pip (π⁺) and pim (π⁻); arguments are columns (B,) in GeV.
"""

import torch
from torch import Tensor

from mleg_ray.physics import kinematics
from mleg_ray.physics.decays import at_rest_in, invariant_mass
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.observables import observable

PION_MASS = 0.13957039  # GeV, Particle Data Group 2024


def total(photon_energy: Tensor) -> Tensor:
    """Four-momentum (B, 4) of photon and proton: (0, 0, E_γ, E_γ + M)."""
    zero = torch.zeros_like(photon_energy)
    return torch.stack([zero, zero, photon_energy, photon_energy + PROTON_MASS], dim=1)


@observable("GeV", "W")
def cm_energy(photon_energy: Tensor) -> Tensor:
    """W = √(M² + 2 M E_γ), GeV."""
    return (PROTON_MASS**2 + 2 * PROTON_MASS * photon_energy).sqrt()


@observable("GeV", "m")
def pair_mass(
    px_1: Tensor,
    py_1: Tensor,
    pz_1: Tensor,
    energy_1: Tensor,
    px_2: Tensor,
    py_2: Tensor,
    pz_2: Tensor,
    energy_2: Tensor,
) -> Tensor:
    """Invariant mass of two particles, GeV."""
    first = torch.stack([px_1, py_1, pz_1, energy_1], dim=1)
    return invariant_mass(first + torch.stack([px_2, py_2, pz_2, energy_2], dim=1))


@observable("GeV2", "t")
def momentum_transfer(p_energy: Tensor) -> Tensor:
    """t = (p - p')² = 2 M (M - E') of the proton, which was at rest, GeV²; never above zero."""
    return 2 * PROTON_MASS * (PROTON_MASS - p_energy)


@observable("1", r"\cos\theta^*")
def cos_theta_cm(
    px: Tensor, py: Tensor, pz: Tensor, energy: Tensor, photon_energy: Tensor
) -> Tensor:
    """cos θ* of a particle against the photon in the centre of mass."""
    p = at_rest_in(torch.stack([px, py, pz, energy], dim=1), total(photon_energy))
    cosine: Tensor = p[:, 2] / p[:, :3].norm(dim=1)
    return cosine


@observable("1", r"\cos\theta_{\pi\pi}")
def cos_helicity(
    p_px: Tensor,
    p_py: Tensor,
    p_pz: Tensor,
    p_energy: Tensor,
    pip_px: Tensor,
    pip_py: Tensor,
    pip_pz: Tensor,
    pip_energy: Tensor,
    pim_px: Tensor,
    pim_py: Tensor,
    pim_pz: Tensor,
    pim_energy: Tensor,
) -> Tensor:
    """cos θ of π⁺ where π⁺π⁻ is at rest, against the direction opposite to the proton's."""
    p = torch.stack([p_px, p_py, p_pz, p_energy], dim=1)
    pip = torch.stack([pip_px, pip_py, pip_pz, pip_energy], dim=1)
    pair = pip + torch.stack([pim_px, pim_py, pim_pz, pim_energy], dim=1)
    recoil, plus = (at_rest_in(q, pair)[:, :3] for q in (p, pip))
    cosine: Tensor = -(recoil * plus).sum(dim=1) / (recoil.norm(dim=1) * plus.norm(dim=1))
    return cosine


@observable("1")
def imbalance(
    p_px: Tensor,
    p_py: Tensor,
    p_pz: Tensor,
    p_energy: Tensor,
    pip_px: Tensor,
    pip_py: Tensor,
    pip_pz: Tensor,
    pip_energy: Tensor,
    pim_px: Tensor,
    pim_py: Tensor,
    pim_pz: Tensor,
    pim_energy: Tensor,
    photon_energy: Tensor,
) -> Tensor:
    """Largest component of what four-momentum the final state lacks, relative to E_γ + M."""
    final = torch.stack(
        [
            p_px + pip_px + pim_px,
            p_py + pip_py + pim_py,
            p_pz + pip_pz + pim_pz,
            p_energy + pip_energy + pim_energy,
        ],
        dim=1,
    )
    initial = total(photon_energy)
    return (final - initial).abs().amax(dim=1) / initial[:, 3]


@observable("1")
def proton_shell(px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
    """|E - √(p² + M²)| / E: the distance from the proton's mass shell."""
    return (energy - kinematics.energy(px, py, pz, PROTON_MASS)).abs() / energy


@observable("1")
def pion_shell(px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
    """|E - √(p² + m²)| / E: the distance from the charged pion's mass shell."""
    return (energy - kinematics.energy(px, py, pz, PION_MASS)).abs() / energy
