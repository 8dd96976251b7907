"""Deep-inelastic scattering e(k) P -> e'(k') X with head-on beams.

The electron beam runs along +z with k = (E_e, 0, 0, E_e), the proton against it with
P = (E_p, 0, 0, -E_p): masses are neglected, so s = 2 P·k = 4 E_e E_p (with the proton's mass, 2 P·k
is smaller by M²/4E_p²: 0.22% at 10 GeV, 0.009% at 50 GeV). Q² and y follow from the electron and
its own beam; x and W² need both. Definitions as in the Particle Data Group's review of structure
functions, eq. 18.1.

An electron of 25 GeV at 90 degrees, of beams of 50 GeV each, and of HERA's:

>>> import torch
>>> electron = torch.tensor([25.0]), torch.tensor([0.0]), torch.tensor([0.0])
>>> q2(*electron, torch.tensor([50.0])), inelasticity(*electron, torch.tensor([50.0]))
(tensor([2500.]), tensor([0.7500]))
>>> x_bj(*electron, torch.tensor([50.0]), torch.tensor([50.0]))
tensor([0.3333])
>>> x_bj(*electron, torch.tensor([27.5]), torch.tensor([920.0]))
tensor([0.0249])
"""

import math

from torch import Tensor

from mleg_ray.physics.kinematics import minus_momentum, momentum
from mleg_ray.physics.observables import observable

PROTON_MASS = 0.93827209  # GeV
FINE_STRUCTURE = 1 / 137.035999
BEAM_ENERGY = "beam_energy"  # the condition of a dataset whose two beams have the same energy


@observable("GeV2", "s")
def mandelstam_s(electron_beam: Tensor, proton_beam: Tensor) -> Tensor:
    """s = 4 E_e E_p, GeV²."""
    return 4 * electron_beam * proton_beam


@observable("GeV2", "Q^2", log=True)
def q2(px: Tensor, py: Tensor, pz: Tensor, electron_beam: Tensor) -> Tensor:
    """Q² = -(k - k')² = 2 E_e (E' - pz'), GeV²; precise for forward electrons too."""
    return 2 * electron_beam * minus_momentum(px, py, pz)


@observable("1", "y", log=True)
def inelasticity(px: Tensor, py: Tensor, pz: Tensor, electron_beam: Tensor) -> Tensor:
    """y = P·q / P·k = 1 - (E' + pz') / 2E_e, whatever the energy of the proton."""
    return 1 - (momentum(px, py, pz) + pz) / (2 * electron_beam)


@observable("1", "x_{bj}", log=True)
def x_bj(px: Tensor, py: Tensor, pz: Tensor, electron_beam: Tensor, proton_beam: Tensor) -> Tensor:
    """Bjorken x = Q² / 2P·q = Q² / (s y)."""
    y = inelasticity(px, py, pz, electron_beam)
    return q2(px, py, pz, electron_beam) / (mandelstam_s(electron_beam, proton_beam) * y)


@observable("GeV2", "W^2", log=True)
def w2(px: Tensor, py: Tensor, pz: Tensor, electron_beam: Tensor, proton_beam: Tensor) -> Tensor:
    """Squared mass of the hadronic system, W² = (P + q)² = M² + s y - Q², GeV²."""
    sy = mandelstam_s(electron_beam, proton_beam) * inelasticity(px, py, pz, electron_beam)
    return PROTON_MASS**2 + sy - q2(px, py, pz, electron_beam)


def reduction(q2: Tensor, x_bj: Tensor, inelasticity: Tensor) -> Tensor:
    """x Q⁴ / (2π α² Y₊) with Y₊ = 1 + (1 - y)²: what makes d²σ/dx dQ² the reduced cross section.

    GeV⁴, so that σ_r of a cross section in GeV⁻² is a number; it is F2 where F_L and Z exchange do
    not count. Source: H1 and ZEUS, arXiv:1506.06042, eq. 2.
    """
    y_plus = 1 + (1 - inelasticity).square()
    return x_bj * q2.square() / (2 * math.pi * FINE_STRUCTURE**2 * y_plus)
