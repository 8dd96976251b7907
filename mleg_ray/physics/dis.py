"""Deep-inelastic scattering e(k) P -> e'(k') X with head-on beams of equal energy.

The electron beam runs along +z with k = (E_b, 0, 0, E_b), the proton against it with
P = (E_b, 0, 0, -E_b): masses are neglected, so s = 2 P·k = 4 E_b² (with the proton's mass, 2 P·k
is smaller by M²/4E_b²: 0.22% at 10 GeV, 0.009% at 50 GeV). Definitions as in the Particle Data
Group's review of structure functions, eq. 18.1.

An electron of 25 GeV at 90 degrees, of beams of 50 GeV:

>>> import torch
>>> electron = torch.tensor([25.0]), torch.tensor([0.0]), torch.tensor([0.0])
>>> q2(*electron, torch.tensor([50.0])), inelasticity(*electron, torch.tensor([50.0]))
(tensor([2500.]), tensor([0.7500]))
"""

import math

from torch import Tensor

from mleg_ray.physics.kinematics import minus_momentum, momentum
from mleg_ray.physics.observables import observable

PROTON_MASS = 0.93827209  # GeV
FINE_STRUCTURE = 1 / 137.035999


@observable("GeV2", "s")
def mandelstam_s(beam_energy: Tensor) -> Tensor:
    """s = 4 E_b², GeV²."""
    return 4 * beam_energy.square()


@observable("GeV2", "Q^2", log=True)
def q2(px: Tensor, py: Tensor, pz: Tensor, beam_energy: Tensor) -> Tensor:
    """Q² = -(k - k')² = 2 E_b (E' - pz'), GeV²; precise for forward electrons too."""
    return 2 * beam_energy * minus_momentum(px, py, pz)


@observable("1", "y", log=True)
def inelasticity(px: Tensor, py: Tensor, pz: Tensor, beam_energy: Tensor) -> Tensor:
    """y = P·q / P·k = 1 - (E' + pz') / 2E_b."""
    return 1 - (momentum(px, py, pz) + pz) / (2 * beam_energy)


@observable("1", "x_{bj}", log=True)
def x_bj(px: Tensor, py: Tensor, pz: Tensor, beam_energy: Tensor) -> Tensor:
    """Bjorken x = Q² / 2P·q = Q² / (s y)."""
    y = inelasticity(px, py, pz, beam_energy)
    return q2(px, py, pz, beam_energy) / (mandelstam_s(beam_energy) * y)


@observable("GeV2", "W^2", log=True)
def w2(px: Tensor, py: Tensor, pz: Tensor, beam_energy: Tensor) -> Tensor:
    """Squared mass of the hadronic system, W² = (P + q)² = M² + s y - Q², GeV²."""
    y = inelasticity(px, py, pz, beam_energy)
    return PROTON_MASS**2 + mandelstam_s(beam_energy) * y - q2(px, py, pz, beam_energy)


def reduction(q2: Tensor, x_bj: Tensor, inelasticity: Tensor) -> Tensor:
    """x Q⁴ / (2π α² Y₊) with Y₊ = 1 + (1 - y)²: what makes d²σ/dx dQ² the reduced cross section.

    GeV⁴, so that σ_r of a cross section in GeV⁻² is a number; it is F2 where F_L and Z exchange do
    not count. Source: H1 and ZEUS, arXiv:1506.06042, eq. 2.
    """
    y_plus = 1 + (1 - inelasticity).square()
    return x_bj * q2.square() / (2 * math.pi * FINE_STRUCTURE**2 * y_plus)
