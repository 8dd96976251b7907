"""Observables of γ p → p π⁺ π⁻ by values of hand.

A photon of E_γ = 4M on a proton at rest: W = 3M, and the centre of mass has β = 4/5, γ = 5/3.
"""

import math

import pytest
import torch

from mleg_ray.physics.decays import boosted
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.photoproduction import (
    PION_MASS,
    cm_energy,
    cos_helicity,
    cos_theta_cm,
    imbalance,
    momentum_transfer,
    pion_shell,
    proton_shell,
    total,
)

M = PROTON_MASS
PHOTON = torch.tensor([4 * M]).double()


def four(*numbers: float) -> torch.Tensor:
    """Return the four-momentum (1, 4) of px, py, pz and energy."""
    return torch.tensor([numbers], dtype=torch.float64)


def test_the_initial_state_and_its_mass() -> None:
    assert total(PHOTON).tolist() == [pytest.approx([0, 0, 4 * M, 5 * M])]
    assert cm_energy(PHOTON).item() == pytest.approx(3 * M)


def test_a_direction_against_the_photon_in_the_centre_of_mass() -> None:
    """pz* = γ (pz - β E) = 5/3 (2 - 4/5 · 3) = -2/3 GeV, beside pT = 1 GeV."""
    found = cos_theta_cm(four(1, 0, 2, 3), PHOTON)
    assert found.item() == pytest.approx(-2 / math.sqrt(13))


def test_the_pair_decays_against_what_is_opposite_to_the_proton() -> None:
    """Where the pair is at rest the proton flies along -z, π⁺ along (0, 3, 4)/5."""
    energy = math.sqrt(0.25 + PION_MASS**2)
    at_rest = (four(0, 0, -1, 2), four(0, 0.3, 0.4, energy), four(0, -0.3, -0.4, energy))
    moving = [boosted(p, four(0.4, -1, 3, 5)) for p in at_rest]
    for p, pip, pim in (at_rest, moving):
        assert cos_helicity(p, pip, pim).item() == pytest.approx(0.8)
        assert cos_helicity(p, pim, pip).item() == pytest.approx(-0.8)


def test_what_the_proton_takes() -> None:
    """(P - p')² = 2 M² - 2 M E'."""
    assert momentum_transfer(torch.tensor([3 * M])).item() == pytest.approx(-4 * M**2)


def test_what_a_final_state_lacks() -> None:
    """Of 5M GeV: 0.2 GeV of px, and -0.4 of energy, which is more."""
    p, pip, pim = four(0.1, 0, 4 * M, 3 * M), four(0.1, 0, 0, M), four(0, 0, 0, M - 0.4)
    assert imbalance(p, pip, pim, PHOTON).item() == pytest.approx(0.4 / (5 * M))


@pytest.mark.parametrize(("shell", "mass"), [(proton_shell, M), (pion_shell, PION_MASS)])
def test_how_far_a_particle_is_from_its_mass_shell(shell, mass) -> None:
    """√(p² + m²) = 4 GeV, of 5."""
    p = torch.tensor([16 - mass**2]).double().sqrt()
    zero, energy = torch.zeros(1).double(), torch.tensor([5.0]).double()
    assert shell(zero, p, zero, energy).item() == pytest.approx(0.2)
