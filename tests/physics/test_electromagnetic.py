"""Cross sections and stopping powers: closed forms, limits, and published numbers."""

import math

import numpy as np
import pytest

from mleg_ray.physics import electromagnetic as em
from mleg_ray.physics.materials import ENERGIES, LEAD_ATOM, MATERIALS

LEAD, PLASTIC = MATERIALS["lead"], MATERIALS["polystyrene"]
BARN = 1e-24


def at(*energies):
    return np.array(energies, dtype=float)


def integral(f, low, high, n=20_001):
    x = np.geomspace(low, high, n)
    return np.trapezoid(f(x) * x, np.log(x))


def test_radiation_lengths_are_those_of_the_particle_data_group():
    assert em.radiation_length(LEAD) * LEAD.density == pytest.approx(6.37, rel=1e-3)
    assert em.radiation_length(PLASTIC) * PLASTIC.density == pytest.approx(43.79, rel=1e-3)


def test_numbers_of_atoms():
    assert LEAD.molecules == pytest.approx(3.2988e22, rel=1e-4)
    assert LEAD.electrons == 82 * LEAD.molecules
    assert PLASTIC.electrons / PLASTIC.density == pytest.approx(6.02214e23 * 7 / 13.019, rel=1e-5)


def test_klein_nishina_goes_from_thomson_scattering_to_its_logarithm():
    thomson = 8 * math.pi / 3 * em.RADIUS**2
    assert thomson / BARN == pytest.approx(0.66524587, rel=1e-7)
    k = 1e-3
    low = em.klein_nishina(at(k * em.MASS))
    assert low / thomson == pytest.approx(1 - 2 * k + 5.2 * k**2, rel=1e-6)
    k = 1e5
    high = em.klein_nishina(at(k * em.MASS))
    scale = math.pi * em.RADIUS**2 / k
    assert high / scale == pytest.approx(math.log(2 * k) + 0.5, rel=1e-4)


def test_compton_spectrum_has_the_cross_section_as_its_integral():
    for energy in (0.1, 1.0, 100.0):
        k = energy / em.MASS
        found = integral(lambda e: em.compton_spectrum(at(energy), e), 1 / (1 + 2 * k), 1)  # noqa: B023
        scale = math.pi * em.RADIUS**2 / k
        assert found == pytest.approx(em.klein_nishina(at(energy))[0] / scale, rel=1e-5)


def test_pairs_at_high_energy_are_seven_ninths_of_a_radiation_length():
    rate = LEAD.molecules * em.pair_production(LEAD_ATOM, at(1e5))
    assert rate * em.radiation_length(LEAD) == pytest.approx(7 / 9, rel=0.03)
    spectrum = em.pair_spectrum(82, at(1e8), np.linspace(0.001, 0.999, 9999))
    mean = spectrum.mean() / spectrum[0]
    # Complete screening: ∫ [1 - 4x(1 - x)/3] dx = 7/9, but for the small constant of φ2.
    assert mean == pytest.approx(7 / 9, rel=0.01)


def test_pairs_need_twice_the_mass_and_grow():
    made = em.pair_production(LEAD_ATOM, at(0.5, 1.0, 2 * em.MASS, 1.5, 2, 5, 10, 100, 1000))
    assert (made[:3] == 0).all()
    assert (np.diff(made[2:]) > 0).all()
    # PENELOPE-2018 for lead, nucleus and electrons, barn at 2, 10 and 100 MeV.
    assert made[[4, 6, 7]] / BARN == pytest.approx([1.875, 12.72, 31.34], rel=0.05)
    half = em.pair_production(LEAD_ATOM, at(em.MASS + 0.75))  # half the way from 2m to 1.5 MeV
    assert half / BARN == pytest.approx(made[3] / BARN / 4)


def test_spectra_without_and_with_screening_by_hand():
    """Bare: both φ less 4 ln Z/3 are 4 ln(2EE'/mk) - 2. Complete: 4 ln(184.15/Z^⅓), less 2/3."""
    for Z, total in ((1, 10.0), (82, 1.2)):  # bare is a light nucleus, and any one at low energy
        bare = 4 * math.log(2 * total / em.MASS) - 2  # k = E' = E/2
        radiated = em.bremsstrahlung_spectrum(Z, at(total - em.MASS), at(total / 2))
        assert radiated == pytest.approx((1 + 0.25 - 1 / 3) * bare, rel=0.03)
    made = em.pair_spectrum(1, at(10.0), at(0.25))  # E+ = 2.5 MeV, E- = 7.5 MeV
    bare = 4 * math.log(2 * 2.5 * 7.5 / (em.MASS * 10)) - 2
    assert made == pytest.approx((0.0625 + 0.5625 + 2 / 3 * 0.1875) * bare, rel=0.03)
    whole = 4 * math.log(184.15 * 82 ** (-1 / 3))  # 14.99
    radiated = em.bremsstrahlung_spectrum(82, at(1e9), at(0.5e9))
    assert radiated == pytest.approx(1.25 * whole - (whole - 2 / 3) / 3, rel=1e-3)
    made = em.pair_spectrum(82, at(1e9), at(0.5))
    assert made == pytest.approx(whole / 2 + (whole - 2 / 3) / 6, rel=1e-3)


def test_the_density_effect_of_a_conductor_begins_below_x0():
    """At 0.5 MeV p = 1.707 m and x = 0.2323: 0.14 · 10^(2 (0.2323 - 0.3776)). At x0 both meet."""
    p = 10 ** np.array([0.3775, 0.3777])
    below, meeting, above = em.density_effect(LEAD, at(0.5, *(em.MASS * (np.sqrt(1 + p**2) - 1))))
    assert below == pytest.approx(0.0717, abs=1e-4)
    assert [meeting, above] == pytest.approx([0.14, 0.1407], abs=2e-3)


def test_photoelectric_effect_jumps_at_the_edge_and_falls_beyond_its_table():
    below, above, one, far, farther = em.photoelectric(LEAD_ATOM, at(0.0879, 0.0881, 1, 20, 40))
    assert [below / BARN, above / BARN, one / BARN] == pytest.approx([524.4, 2461, 6.167])
    assert farther / far == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("material", "charge", "published"),
    # ICRU 37, MeV cm²/g at 1, 10, 100 and 1,000 MeV.
    [
        (LEAD, -1, (0.994, 1.201, 1.423, 1.582)),
        (LEAD, 1, (0.9664, 1.162, 1.384, 1.543)),
        (PLASTIC, -1, (1.790, 1.917, 2.132, 2.323)),
        (PLASTIC, 1, (1.752, 1.865, 2.078, 2.269)),
    ],
)
def test_collision_loss_is_the_published_one(material, charge, published):
    loss = em.collision_loss(material, at(1, 10, 100, 1000), charge) / material.density
    assert loss == pytest.approx(published, rel=2e-3)


def test_critical_energies():
    """Where electrons lose as much by radiation as by collisions (Berger and Seltzer: 9.3 MeV,
    with older tables, for lead)."""
    energies = np.linspace(5, 150, 14_501)
    for material, expected in ((LEAD, 10.0), (PLASTIC, 107.0)):
        radiative = em.radiative_loss(material, energies, -1)
        collision = em.collision_loss(material, energies, -1)
        crossing = energies[(radiative > collision).argmax()]
        assert crossing == pytest.approx(expected, rel=0.02)


def test_ranges_without_straggling():
    """∫ dT / S from 10 keV: 0.70 g/cm² at 1 MeV in lead by S alone, 4.9 in polystyrene at 10."""
    for material, energy, csda in ((LEAD, 1.0, 0.77), (PLASTIC, 10.0, 5.1)):
        t = np.geomspace(0.01, energy, 2000)
        loss = em.collision_loss(material, t, -1) + em.radiative_loss(material, t, -1)
        found = np.trapezoid(t / loss, np.log(t)) * material.density
        assert found == pytest.approx(csda, rel=0.03)


def test_radiative_loss_is_tabulated_and_grows_with_the_energy():
    known = em.radiative_loss(LEAD, ENERGIES, -1) / LEAD.density
    assert known == pytest.approx(LEAD.radiative)
    one, ten = em.radiative_loss(LEAD, at(1e3, 1e4), -1)
    assert ten / one == pytest.approx(10, rel=1e-3)
    assert one * em.radiation_length(LEAD) == pytest.approx(1000, rel=0.03)


def test_positrons_radiate_less_at_low_energy():
    share = em.radiative_loss(LEAD, at(1.0, 10.0, 1000.0), 1) / em.radiative_loss(
        LEAD, at(1.0, 10.0, 1000.0), -1
    )
    assert share == pytest.approx([0.4921, 0.7727, 0.9922], abs=2e-3)  # of PENELOPE's listing


def test_transfers_to_electrons_start_as_rutherford_scattering():
    small = at(1e-6)
    for of_one in (em.moller, em.bhabha):
        assert of_one(at(100.0), small) * small**2 == pytest.approx(1, rel=1e-6)
    # Identical electrons share T evenly: at W = T/2, [4 + (1 - 1/γ)² - (2γ - 1)/γ²... ]/T².
    g = 3.0
    T = (g - 1) * em.MASS
    expected = (8 + ((g - 1) / g) ** 2 - 4 * (2 * g - 1) / g**2) / T**2
    assert em.moller(at(T), at(T / 2)) == pytest.approx(expected)
    y, beta2 = 1 / (g + 1), 1 - 1 / g**2
    half = 1 - 2 * y
    whole = 1 - beta2 * (2 - y**2 - half * (3 + y**2) + half**2 + half**3 - half**3)
    assert em.bhabha(at(T), at(T)) == pytest.approx(whole / T**2)


def test_annihilation_has_the_spectrum_s_integral():
    for energy in (0.5, 5.0, 50.0):
        g = energy / em.MASS + 1
        least = 1 / (g + 1 + math.sqrt(g**2 - 1))
        found = integral(lambda e: em.annihilation_spectrum(at(energy), e), least, 0.5)  # noqa: B023
        scale = math.pi * em.RADIUS**2 / ((g + 1) * (g**2 - 1))
        assert found == pytest.approx(em.annihilation(at(energy))[0] / scale, rel=1e-4)


def test_transport_is_tabulated_and_falls_with_the_square():
    known = em.transport_rate(LEAD, ENERGIES, -1) / LEAD.molecules / BARN
    assert known == pytest.approx([v * (1 + 1 / 82) for v in LEAD.transport[0]])
    one, ten = em.transport_rate(PLASTIC, at(1e3, 1e4), 1)
    assert one / ten == pytest.approx(100, rel=2e-3)
    assert em.transport_rate(PLASTIC, at(1.0), 1) == pytest.approx(
        PLASTIC.molecules * 26.07 * BARN * (1 + 7 / 37)
    )
