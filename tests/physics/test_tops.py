"""Masses of what top quarks decay to, by hand."""

import math

import pytest
import torch

from mleg_ray.definitions.expressions import evaluate
from mleg_ray.errors import ConfigError
from mleg_ray.physics import tops

PI = math.pi


def objects(*events, places=3):
    """Return (B, 4, K) of events that are lists of (pt, eta, phi, mass)."""
    result = torch.zeros(len(events), 4, places)
    for row, event in enumerate(events):
        for k, (pt, eta, phi, mass) in enumerate(event):
            energy = math.hypot(pt * math.cosh(eta), mass)
            result[row, :, k] = torch.tensor([pt, eta, phi, energy])
    return result


def test_the_mass_of_the_two_hardest_jets():
    """m² = 2 p₁ p₂ (cosh Δη - cos Δφ) of massless jets; a third is not looked at; one is no pair.

    2 · 60 · 40 · (cosh 1 - cos 2) = 9,404; and at rest, back to back, with m = 9 and pt = 40 each:
    the sum of the energies, 2 · 41 = 82.
    """
    jets = objects(
        [(60, 0.5, 1.0, 0), (40, -0.5, -1.0, 0), (30, 2.0, 3.0, 0)],
        [(40, 0.0, 0.3, 9), (40, 0.0, 0.3 + PI, 9)],
        [(50, 1.0, 0.0, 5)],
        [],
    )
    expected = [math.sqrt(4800 * (math.cosh(1) - math.cos(2))), 82, 0, 0]
    torch.testing.assert_close(tops.m_jj(jets), torch.tensor(expected).double(), rtol=1e-5, atol=0)


def test_a_w_and_a_b_jet():
    """(E, p): two jets (82, 0), a b-jet of pt 40 and mass 9 (41, 40): √(123² - 40²) = 116.31."""
    jets = [(40, 0.0, 0.3, 9), (40, 0.0, 0.3 + PI, 9)]
    b_jet = [(40, 0.0, 2.0, 9), (20, 0.0, 1.0, 0)]
    found = tops.m_bjj(objects(jets, jets, jets[:1]), objects(b_jet, [], b_jet))
    expected = torch.tensor([math.sqrt(123**2 - 40**2), 0, 0]).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_the_hardest_lepton_and_the_b_jet_that_fits_best():
    """Lepton 30 at φ = 0; b-jets 50 at π and 20 at π/2: √(2·30·20) = 34.64 is below √(4·30·50).

    A muon of 40 at φ = π/2 takes the electron's place: with the b-jet of 50, √(2·40·50) = 63.25,
    and that of 20 is beside it.
    """
    none = objects([], [], [], [], places=1)
    electron = objects([(30, 0, 0, 0)], [(30, 0, 0, 0)], [], [(30, 0, 0, 0)])
    muon = objects([], [(40, 0, PI / 2, 0)], [], [], places=2)
    b = [(50, 0, PI, 0), (20, 0, PI / 2, 0)]
    found = tops.m_lb(electron, none, muon, none, objects(b, b[:1], [(50, 0, PI, 9)], []))
    expected = torch.tensor([math.sqrt(1200), math.sqrt(4000), 0, 0]).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_an_expression_names_groups():
    parts = ("pt", "eta", "phi", "energy")
    jets = objects([(40, 0.0, 0.3, 9), (40, 0.0, 0.3 + PI, 9)])
    columns = {f"jet.{part}": jets[:, i] for i, part in enumerate(parts)}
    assert evaluate("tops.m_jj(jet)", columns).item() == pytest.approx(82, rel=1e-5)
    with pytest.raises(ConfigError, match="takes"):
        evaluate("tops.m_bjj(jet)", columns)
    with pytest.raises(ConfigError, match="m_jj cannot be computed"):
        evaluate("tops.m_jj(met.pt, met.pt, met.pt, met.pt)", {"met.pt": torch.ones(3)})
