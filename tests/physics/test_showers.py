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


def test_quantiles_draw_their_density():
    table = Quantiles(1.0, lambda energy, q: 2 * q + 0 * energy)
    drawn = table.draw(np.random.default_rng(1), np.full(200_000, 30.0))
    assert drawn.mean() == pytest.approx(2 / 3, abs=2e-3)
    assert (drawn < 0.5).mean() == pytest.approx(0.25, abs=4e-3)


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
