"""The cascade: energy, limits with closed forms, and shapes of showers."""

import numpy as np
import pytest

from mleg_ray.physics import electromagnetic as em
from mleg_ray.physics import showers
from mleg_ray.physics.materials import MATERIALS
from mleg_ray.physics.showers import Calorimeter, Quantiles, Slab, turned

SAMPLING = (Slab("lead", 0.9), Slab("polystyrene", 7.5))


def shower(slabs, energy, n, window=100.0, cells=16, theta=0.0, x=0.0, seed=1):
    full = np.full(n, 1.0)
    return Calorimeter(slabs, window, cells).showers(
        np.random.default_rng(seed), energy * full, theta * full, x * full, 0 * full
    )


@pytest.mark.parametrize("energy", [1.0, 30.0, 800.0])
def test_energy_is_conserved_in_every_shower(energy):
    made = shower(SAMPLING, energy, 30, window=10.0)
    total = made.images.sum(axis=(1, 2, 3), dtype=float) + made.outside + made.leaked
    assert total == pytest.approx(np.full(30, energy), rel=1e-6)
    assert (made.images >= 0).all()
    assert (made.leaked >= 0).all()


def test_the_loss_in_a_thin_slab_is_landau_s():
    """The median of Landau's distribution, ξ (ln(2mξ/(ħω)²) + 0.2 + 1.58), at high energy."""
    plastic = MATERIALS["polystyrene"]
    made = shower((Slab("polystyrene", 1.0),), 500.0, 1500)
    left = made.images.sum(axis=(1, 2, 3), dtype=float)
    xi = em.electron_scale(plastic)
    plasma = 21.754e-6  # MeV
    expected = xi * (np.log(2 * em.MASS * xi / plasma**2) + 0.2 + 1.58)
    assert np.median(left) == pytest.approx(expected, rel=0.02)


def test_a_thick_block_keeps_all_but_what_comes_back():
    made = shower((Slab("lead", 20.0),), 100.0, 50)
    assert 0 < made.leaked.mean() < 3.0


def test_the_profile_in_thick_lead_is_the_one_of_rossi():
    """Maximum at ln(E/Ec) - 1/2 radiation lengths, Ec = 7.43 MeV, mean depth 1.7 beyond (PDG)."""
    made = shower(tuple(Slab("lead", 0.28) for _ in range(36)), 1000.0, 50, cells=1)
    profile = made.images.sum(axis=(0, 2, 3), dtype=float)
    depth = (np.arange(36) + 0.5) * 0.28 / em.radiation_length(MATERIALS["lead"])
    peak = np.polynomial.Polynomial.fit(depth[2:18], np.log(profile[2:18]), 3)
    at = np.linspace(depth[2], depth[17], 500)
    expected = np.log(1000 / 7.43) - 0.5
    assert at[peak(at).argmax()] == pytest.approx(expected, abs=0.8)
    assert depth @ profile / profile.sum() == pytest.approx(expected + 1.7, abs=1.0)


def test_showers_are_as_penelope_has_them():
    """PENELOPE-2018, 6,000 showers of 800 MeV: means 45.2 and 66.1 MeV, σ of the sum 52.6 MeV."""
    made = shower(SAMPLING, 800.0, 1000)
    left = made.images.sum(axis=(2, 3), dtype=float)
    assert left.mean(axis=0) == pytest.approx([45.2, 66.1], rel=0.05)
    assert left.sum(axis=1).std() == pytest.approx(52.6, rel=0.08)


def test_showers_go_where_electrons_go():
    made = shower(SAMPLING, 800.0, 200, window=16.0, cells=32, theta=0.4, x=1.0)
    centre = (np.arange(32) - 15.5) / 2
    along, across = (made.images.sum(axis=(0, axis), dtype=float) for axis in (2, 3))
    x, y = (p @ centre / p.sum(axis=1) for p in (along, across))
    assert x[0] == pytest.approx(1.0 + np.tan(0.4) * 0.65, abs=0.15)
    assert x[1] == pytest.approx(1.0 + np.tan(0.4) * 4.65, abs=0.6)
    assert y == pytest.approx([0, 0], abs=0.2)


@pytest.mark.parametrize(
    ("energy", "cells", "followed"), [(1000.0, 16, [9]), (5e5, 16, [4, 4, 1]), (1.0, 4096, [1] * 9)]
)
def test_few_showers_of_much_energy_or_many_cells_are_followed_at_once(
    energy, cells, followed, monkeypatch
):
    seen = []

    class Flight:
        def __init__(self, calorimeter, rng, n):
            seen.append(n)

        def showers(self, *incoming):
            return showers.Showers(np.zeros((1, 1, 1, 1), "f4"), np.zeros(1), np.zeros(1))

    monkeypatch.setattr(showers, "_Flight", Flight)
    shower((Slab("lead", 1.0),), energy, 9, cells=cells)
    assert seen == followed


def test_the_same_numbers_make_the_same_showers():
    first, second = (shower(SAMPLING, 100.0, 20, seed=3) for _ in range(2))
    assert (first.images == second.images).all()
    assert (first.images != shower(SAMPLING, 100.0, 20, seed=4).images).any()


def test_collisions_are_fewer_and_deflect_as_much():
    lead = MATERIALS["lead"]
    energy = np.geomspace(showers.ELECTRON_CUT, showers.HIGHEST, showers.GRID)
    for charge, rates in zip((-1, 1), showers.Matter(lead, 0.1).charged, strict=True):
        deflected = rates[:, showers.SCATTERING] * rates[:, showers.DEFLECTING]
        assert deflected == pytest.approx(em.transport_rate(lead, energy, charge))
        assert rates[:, showers.DEFLECTING].max() == pytest.approx(showers.DEFLECTION)
        assert rates[:, showers.SCATTERING].min() == pytest.approx(10)


def test_losses_of_a_step_fluctuate_as_bohr_says():
    """W (1 - β²/2) 0.6897 MeV/cm / β² in lead; W = 0.3 MeV, or T/2 of an electron of 0.3 MeV."""
    spread = showers.Matter(MATERIALS["lead"], 0.1).charged[0][:, showers.STRAGGLING]
    assert spread[-1] == pytest.approx(0.6897 * 0.3 / 2, rel=1e-3)
    assert spread[0] == pytest.approx(0.6897 * 0.15 * (1 / 0.60299 - 1 / 2), rel=1e-3)


@pytest.mark.parametrize("charge", [-1, 1])
def test_restricted_losses_and_hard_transfers_add_up(charge):
    """The mean loss of a table's continuous part and of what is knocked on and radiated."""
    lead = MATERIALS["lead"]
    energy = np.array([5.0, 50.0, 500.0])
    matter = showers.Matter(lead, 0.1)
    rates = showers._interpolated(
        matter.charged[charge > 0], np.zeros(3, dtype=int), energy, showers.ELECTRON_CUT
    )
    rng = np.random.default_rng(1)
    chances = np.diff(rates[:, : showers.KNOCKING + 1], axis=1)
    knocked = showers._common().knocked[charge > 0]
    for i, one in enumerate(energy):
        many = np.full(100_000, one)
        photon = showers._photon(many, matter.radiation.draw(rng, many)).mean()
        transfer = showers._transfer(many, knocked.draw(rng, many), charge).mean()
        found = rates[i, showers.LOSING] + chances[i] @ [photon, transfer]
        whole = sum(
            loss(lead, energy, charge)[i] for loss in (em.collision_loss, em.radiative_loss)
        )
        assert found == pytest.approx(whole, rel=0.02)


def test_atoms_of_a_molecule_count_by_z_and_those_of_electrons_by_number():
    """Of CH, a spectrum of Z itself is 6 · 7 · 6 + 1 · 2 · 1."""
    plastic, at = MATERIALS["polystyrene"], np.ones(1)
    assert showers._of_atoms(plastic, lambda Z, energy, _: Z * energy, at, at) == 254
    energy = np.geomspace(showers.ELECTRON_CUT, showers.HIGHEST, showers.GRID)
    rates = showers.Matter(plastic, 0.1).charged[1]
    annihilating = rates[:, showers.ANNIHILATING] - rates[:, showers.KNOCKING]
    expected = plastic.electrons * em.annihilation(energy)
    assert annihilating[:300] == pytest.approx(expected[:300], rel=1e-6)


def test_what_is_drawn_keeps_its_limits():
    """At 10 MeV, κ = 10/m: of shares and energies the least and the most, and half the way."""
    energy, q, m = np.full(3, 10.0), np.array([0, 0.5, 1]), em.MASS
    least = 1 / (1 + 20 / m)
    g = 1 + 10 / m
    fastest = 1 / (g + 1 + np.sqrt(g**2 - 1))
    for found, expected in (
        (showers._share_of_pair(energy, q), [m / 10, 0.5, 1 - m / 10]),
        (showers._kept(energy, q), [least, least**0.5, 1]),
        (showers._photon(energy, q), [0.03, 0.3**0.5, 10]),
        (showers._transfer(energy, q, -1), [0.3, 1.5**0.5, 5]),
        (showers._transfer(energy, q, 1), [0.3, 3**0.5, 10]),
        (showers._share_of_annihilation(energy, q), [fastest, (fastest / 2) ** 0.5, 0.5]),
    ):
        assert found == pytest.approx(expected)


def test_quantiles_draw_their_density():
    table = Quantiles(1.0, lambda energy, q: 2 * q + 0 * energy)
    drawn = table.draw(np.random.default_rng(1), np.full(200_000, 30.0))
    assert drawn.mean() == pytest.approx(2 / 3, abs=2e-3)
    assert (drawn < 0.5).mean() == pytest.approx(0.25, abs=4e-3)


def test_quantiles_between_two_energies_are_of_the_one_or_the_other():
    """Densities of 1 ± (2q - 1) by turns, of the mean 1/2 ± 1/6; a quarter of a row on, half."""
    rows = np.geomspace(1.0, showers.HIGHEST, showers.ROWS)
    table = Quantiles(1.0, lambda _, q: 1 + (-1.0) ** np.arange(len(rows))[:, None] * (2 * q - 1))
    rng = np.random.default_rng(4)
    for part, mean in ((0, 2 / 3), (0.25, 7 / 12), (0.5, 1 / 2), (1, 1 / 3)):
        energy = rows[10] * (rows[11] / rows[10]) ** (part + 1e-9)
        assert table.draw(rng, np.full(100_000, energy)).mean() == pytest.approx(mean, abs=4e-3)


def in_lead(n, energy, charge, seed=6):
    """Return what follows particles in 1 cm of lead, and n of them half way through."""
    rng = np.random.default_rng(seed)
    some = np.zeros((10, n))
    direction = rng.standard_normal((3, n))
    some[showers.DIRECTION] = direction / np.sqrt((direction**2).sum(axis=0))
    some[showers.EVENT], some[showers.Z] = np.arange(n), 0.5
    some[showers.ENERGY], some[showers.CHARGE] = energy, charge
    return showers._Flight(Calorimeter((Slab("lead", 1.0),), 10.0, 4), rng, n), some


def momenta(some):
    energy, charged = some[showers.ENERGY], np.abs(some[showers.CHARGE])
    return np.sqrt(energy * (energy + 2 * em.MASS * charged)) * some[showers.DIRECTION]


@pytest.mark.parametrize(
    ("process", "charge"), [("_scatter", 0), ("_knock", -1), ("_knock", 1), ("_annihilate", 1)]
)
def test_momentum_is_conserved(process, charge):
    flight, some = in_lead(300, 20.0, charge)
    before = momenta(some)
    getattr(flight, process)(some, np.arange(300))
    after = np.zeros((3, 300))
    made = [*flight._charged, *flight._photons]
    for part in (some[:, some[showers.EVENT] >= 0], *made):
        np.add.at(after.T, part[showers.EVENT].astype(int), momenta(part).T)
    # The electron of a soft Compton scattering is not followed.
    whole = np.unique(np.concatenate([part[showers.EVENT] for part in made])).astype(int)
    assert len(whole) > 200
    assert after[:, whole] == pytest.approx(before[:, whole], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("process", "electrons", "photons"),
    [
        (showers.SCATTERING, 0, 0),
        (showers.RADIATING, 0, 50),
        (showers.KNOCKING, 50, 0),
        (showers.ANNIHILATING, 0, 100),
    ],
)
def test_a_positron_does_what_its_rates_say(process, electrons, photons):
    flight, some = in_lead(50, 20.0, 1)
    before = some[showers.DIRECTION].copy()
    rates = np.full((50, 7), 0.1)
    rates[:, : showers.ANNIHILATING + 1] = np.arange(4) >= process
    flight._interact(some, np.arange(50), rates)
    for made, number in ((flight._charged, electrons), (flight._photons, photons)):
        assert sum(part.shape[1] for part in made) == number
    if process == showers.SCATTERING:
        assert (some[showers.DIRECTION] * before).sum(axis=0).mean() == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize(
    ("process", "charges", "sums"),
    [
        (showers.COMPTON, None, None),
        (showers.PAIR, [1, -1], 20 - 2 * em.MASS),
        (showers.PHOTOELECTRIC, [-1], 20 - 0.088),
    ],
)
def test_a_photon_does_what_its_rates_say(process, charges, sums, monkeypatch):
    flight, some = in_lead(50, 20.0, 0)
    before = some[showers.DIRECTION].copy()
    rates = np.broadcast_to(1e9 * (np.arange(3) >= process), (50, 3))
    monkeypatch.setattr(showers, "_interpolated", lambda *_: rates)
    flight._move_photons(some)
    left = sum(part.shape[1] for part in flight._photons)
    assert left == (50 if process == showers.COMPTON else 0)
    if process != showers.COMPTON:
        made = flight._charged
        assert [part[showers.CHARGE][0] for part in made] == charges
        assert sum(part[showers.ENERGY] for part in made) == pytest.approx(np.full(50, sums))
    if process == showers.PHOTOELECTRIC:
        assert flight._charged[0][showers.DIRECTION] == pytest.approx(before)


def test_a_slow_positron_becomes_two_photons_back_to_back():
    flight, some = in_lead(20, 0.2, 1)
    assert flight._stop(some).size == 0
    one, other = flight._photons
    for photon in (one, other):
        assert photon[showers.ENERGY] == pytest.approx(np.full(20, em.MASS))
    assert one[showers.DIRECTION] == pytest.approx(-other[showers.DIRECTION])
    [(_, left)] = flight._hits
    assert left == pytest.approx(np.full(20, 0.2))


def test_a_pair_opens_to_both_sides_of_its_photon():
    flight, some = in_lead(50, 20.0, 0)
    along = some[showers.DIRECTION].copy()
    flight._make_pairs(some, np.arange(50))
    first, second = (
        part[showers.DIRECTION] - (part[showers.DIRECTION] * along).sum(axis=0) * along
        for part in flight._charged
    )
    lengths = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    assert (first * second).sum(axis=0) / lengths == pytest.approx(np.full(50, -1.0))


def test_what_flies_along_the_slabs_stays_between_them():
    flight, some = in_lead(3, 20.0, 0)
    some[showers.W] = 0.0, -0.5, 0.5
    some[showers.Z, 0] = 0.2
    border, step = flight._to_border(some, np.full(3, 2.0))
    assert border.tolist() == [-1, 0, 1]
    assert step == pytest.approx([2.0, 1.0, 1.0])


def test_what_is_made_flies_on_at_angles_of_about_m_over_e():
    """Of u = θE/m a quarter has the mean 2/0.625, the others 2/1.875; of u² 6 over the squares."""
    flight, _ = in_lead(1, 20.0, 0)
    u = np.arccos(flight._narrow(np.full(200_000, 100.0))) * (100 + em.MASS) / em.MASS
    assert u.mean() == pytest.approx(0.25 * 2 / 0.625 + 0.75 * 2 / 1.875, rel=0.01)
    assert (u**2).mean() == pytest.approx(0.25 * 6 / 0.625**2 + 0.75 * 6 / 1.875**2, rel=0.03)


def test_turned_vectors_have_their_angle_and_length():
    rng = np.random.default_rng(2)
    direction = rng.standard_normal((3, 100))
    direction /= np.sqrt((direction**2).sum(axis=0))
    direction[:, 0] = 0, 0, -1
    cos, azimuth = rng.uniform(-1, 1, 100), rng.uniform(-3, 3, 100)
    new = turned(direction, cos, azimuth)
    assert (new**2).sum(axis=0) == pytest.approx(np.ones(100))
    assert (new * direction).sum(axis=0) == pytest.approx(cos)
    opposite = turned(direction, cos, azimuth + np.pi)
    assert new + opposite == pytest.approx(2 * cos * direction)
