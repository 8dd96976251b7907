"""Electrons off a proton at rest: four-vectors, the photon flux and the declared cross section."""

import math

import pytest
import torch

from mleg_ray.physics import dis, fixed_target
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.fixed_target import LOWEST_W, Resonance, photoabsorption
from mleg_ray.physics.kinematics import azimuth, momentum, polar_angle

BEAM = 5.5
Q2 = torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
W = torch.tensor([3.0, 1.232, 1.1, 2.0, 1.7], dtype=torch.float64)


def test_electron_has_the_q2_w_and_azimuth_it_was_made_of() -> None:
    phi = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    px, py, pz, energy = fixed_target.electron(Q2, W, phi, BEAM)
    torch.testing.assert_close(momentum(px, py, pz), energy)
    torch.testing.assert_close(azimuth(px, py), phi)
    # k - k', and P + k - k' with the proton at rest.
    q2 = px**2 + py**2 + (BEAM - pz) ** 2 - (BEAM - energy) ** 2
    w2 = (PROTON_MASS + BEAM - energy) ** 2 - px**2 - py**2 - (BEAM - pz) ** 2
    torch.testing.assert_close(q2, Q2)
    torch.testing.assert_close(w2.sqrt(), W)
    half = (polar_angle(px, py, pz) / 2).sin()
    torch.testing.assert_close(4 * BEAM * energy * half**2, Q2)
    beam = torch.full_like(px, BEAM)
    torch.testing.assert_close(dis.q2(px, py, pz, beam), Q2)
    torch.testing.assert_close(fixed_target.invariant_mass(px, py, pz, beam), W)


def test_what_is_no_electron_off_a_proton_has_a_negative_mass() -> None:
    zero, backward, beam = (torch.tensor([v], dtype=torch.float64) for v in (0.0, -5.0, BEAM))
    w2 = PROTON_MASS**2 + 2 * PROTON_MASS * 0.5 - 4 * BEAM * 5.0
    w = fixed_target.invariant_mass(zero, zero, backward, beam)
    assert w.item() == pytest.approx(-math.sqrt(-w2))


def test_limits_of_the_phase_space_are_electrons_turned_back() -> None:
    q2 = fixed_target.largest_q2(BEAM)
    assert fixed_target.largest_w(q2, BEAM) == pytest.approx(LOWEST_W)
    w = fixed_target.largest_w(0.5, BEAM)
    corners = torch.tensor([[q2, LOWEST_W], [0.5, w]], dtype=torch.float64)
    energy = BEAM - fixed_target.energy_transfer(*corners.T)
    torch.testing.assert_close(4 * BEAM * energy, corners[:, 0])
    edge = torch.tensor([w - 1e-6, w + 1e-6], dtype=torch.float64)
    flux = fixed_target.photon_flux(torch.full_like(edge, 0.5), edge, BEAM)
    assert flux[0] > 0
    assert flux[1] == 0
    assert fixed_target.largest_q2(0.14) < 0  # no pion can be made


def test_flux_is_hand_s_in_other_variables() -> None:
    """Γ(E', θ) by its definition, times the Jacobian of (E', cos θ) by autograd."""
    nu = fixed_target.energy_transfer(Q2, W)
    energy = (BEAM - nu).requires_grad_()
    cosine = (1 - Q2 / (2 * BEAM * energy.detach())).requires_grad_()
    q2 = 2 * BEAM * energy * (1 - cosine)
    w = (PROTON_MASS**2 + 2 * PROTON_MASS * (BEAM - energy) - q2).sqrt()
    rows = [torch.autograd.grad(v.sum(), (energy, cosine), retain_graph=True) for v in (q2, w)]
    jacobian = (rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]).abs()  # ∂(Q², W)/∂(E', cos θ)
    tan2 = (torch.acos(cosine) / 2).tan() ** 2
    epsilon = 1 / (1 + 2 * (1 + nu**2 / Q2) * tan2)
    equivalent = (W**2 - PROTON_MASS**2) / (2 * PROTON_MASS)
    hand = dis.FINE_STRUCTURE / (2 * math.pi**2) * energy / BEAM * equivalent / Q2 / (1 - epsilon)
    expected = 2 * math.pi * hand / jacobian
    torch.testing.assert_close(fixed_target.photon_flux(Q2, W, BEAM), expected.detach())


def test_photons_of_a_bump_and_of_the_continuum() -> None:
    bump = Resonance(mass=1.5, width=0.1, height=200.0)
    side = math.sqrt(1.5**2 + 1.5 * 0.1)  # where a Breit-Wigner has half its height
    w = torch.tensor([1.5, side, LOWEST_W], dtype=torch.float64)
    rise = (1 - (LOWEST_W / w) ** 2).sqrt()
    real = photoabsorption(torch.zeros_like(w), w, [bump], 0.0)
    torch.testing.assert_close(real, torch.tensor([200.0, 100.0, 0.0]) * rise)
    # The photon's momentum in the hadrons' rest frame, by a boost of (ν, |q|) to W.
    q2 = torch.tensor([0.71], dtype=torch.float64)
    nu = fixed_target.energy_transfer(q2, w[:1])
    boosted = (nu**2 + q2).sqrt() * PROTON_MASS / 1.5
    at_rest = (1.5**2 - PROTON_MASS**2) / (2 * 1.5)
    expected = 200 * rise[:1] * (boosted / at_rest) ** 2 / 2**4
    torch.testing.assert_close(photoabsorption(q2, w[:1], [bump], 0.0), expected)
    # The continuum alone, far above threshold: σ Q² is constant.
    q2 = torch.tensor([0.0, 1e3, 1e4], dtype=torch.float64)
    smooth = photoabsorption(q2, torch.full_like(q2, 1e3), [], 120.0)
    assert smooth[0].item() == pytest.approx(120.0, rel=1e-5)
    assert (smooth[2] / smooth[1]).item() == pytest.approx(0.1, rel=1e-3)
