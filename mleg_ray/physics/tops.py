"""Masses that show what top quarks decay to: t → b W, and W → q q̄ or l ν.

Objects (B, 4, K) have their pt (GeV), η, φ and energy (GeV), the hardest first, and zero where
absent. An event without the objects of a mass has the mass zero. Single precision tells the mass of
a pair, m² = (ΣE)² - |Σp|², to some 10⁻⁷ E²/m: all is computed in double precision.

>>> jets = torch.tensor([[[40.0, 40.0], [0.0, 0.0], [0.0, math.pi], [40.0, 40.0]]])
>>> b_jets = torch.tensor([[[30.0], [0.0], [math.pi / 2], [30.0]]])
>>> [round(m.item(), 2) for m in (m_jj(jets), m_bjj(jets, b_jets))]  # 80 at rest; √(110² - 30²)
[80.0, 105.83]
"""

import math

import torch
from torch import Tensor

from mleg_ray.physics.decays import invariant_mass
from mleg_ray.physics.observables import Objects, observable


@observable("GeV", "m_{jj}")
def m_jj(jets: Objects) -> Tensor:
    """Return the mass (B,) of the two hardest jets, GeV: of a W, if both are its own."""
    return _mass(_hardest(jets, 2).sum(dim=2), _number(jets) >= 2)


@observable("GeV", "m_{bjj}")
def m_bjj(jets: Objects, b_jets: Objects) -> Tensor:
    """Return the mass (B,) of the two hardest jets and the hardest b-jet, GeV: of a top quark."""
    total = _hardest(jets, 2).sum(dim=2) + _hardest(b_jets, 1).sum(dim=2)
    return _mass(total, (_number(jets) >= 2) & (_number(b_jets) >= 1))


@observable("GeV", "m_{lb}")
def m_lb(
    electrons: Objects, positrons: Objects, muons: Objects, antimuons: Objects, b_jets: Objects
) -> Tensor:
    """Return the smallest mass (B,) of the hardest lepton and a b-jet, GeV.

    Of a top quark it is at most √(m_t² - m_W²), some 153 GeV, but for masses of b-jets.
    """
    leptons = torch.cat([electrons, positrons, muons, antimuons], dim=2)
    first = leptons[:, 0].argmax(dim=1)[:, None, None].expand(-1, 4, 1)
    pairs = _momenta(leptons.gather(2, first)) + _momenta(b_jets)
    there = (b_jets[:, 0] > 0) & (_number(leptons) > 0)[:, None]
    masses = _mass(pairs, there).masked_fill(~there, math.inf)
    return torch.where(there.any(dim=1), masses.amin(dim=1), 0.0)


def _number(objects: Tensor) -> Tensor:
    return (objects[:, 0] > 0).sum(dim=1)


def _hardest(objects: Tensor, n: int) -> Tensor:
    return _momenta(objects[:, :, :n])


def _momenta(objects: Tensor) -> Tensor:
    """Return px, py, pz and energy (B, 4, K), GeV."""
    pt, eta, phi, energy = objects.double().unbind(dim=1)
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), energy], dim=1)


def _mass(momenta: Tensor, there: Tensor) -> Tensor:
    """Return the masses (B, ...) of four-momenta (B, 4, ...), zero where there is none."""
    return torch.where(there, invariant_mass(momenta), 0.0)
