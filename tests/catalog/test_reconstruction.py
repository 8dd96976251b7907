"""Declared detectors and their objects, by numbers computed by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mleg_ray.catalog.sources.reconstruction import (
    BTag,
    Card,
    Cone,
    Heavy,
    Identified,
    Jets,
    Objects,
    Particles,
    Region,
    Sight,
    flavours,
    isolation,
    jets,
    pairs,
    read_card,
    vertices,
)
from mleg_ray.config import parse
from mleg_ray.errors import ConfigError

EVERYWHERE = Region(eta=(0, 10), efficiency=1.0)
PERFECT = Card(
    tracks=Sight(regions=(EVERYWHERE,)),
    hadrons=Sight(regions=(EVERYWHERE,)),
    electrons=Identified(regions=(EVERYWHERE,), pt=10.0, isolated=0.1),
    muons=Identified(regions=(EVERYWHERE,), pt=10.0),
    photons=Identified(regions=(EVERYWHERE,), pt=10.0, isolated=0.1),
    jets=Jets(pt=10.0, b_tag=BTag(eta=2.5, bottom=1.0, charm=0.0, light=0.0)),
    vertex_tracks=2,
)
NO_HADRONS = Heavy(*np.zeros((2, 0), dtype=int), *np.zeros((2, 0)))
CHARGES = {11: -1, -11: 1, 13: -1, -13: 1, 211: 1, -211: -1, 22: 0, 130: 0}


def particles(*rows: tuple[int, int, int, float, float, float]) -> Particles:
    """Return massless particles of rows (event, vertex, PDG number, pt, η, φ)."""
    event, vertex, pdg_id, pt, eta, phi = map(np.array, zip(*rows, strict=True))
    charge = np.array([CHARGES[kind] for kind in pdg_id], dtype=float)
    return Particles(event, vertex, pdg_id, charge, pt, eta, phi, np.zeros(len(pt)))


def objects(*rows: tuple[int, float, float]) -> Objects:
    """Return objects of rows (event, η, φ)."""
    event, eta, phi = map(np.array, zip(*rows, strict=True))
    none = np.zeros(len(event))
    return Objects(event, none + 50, eta, phi, none, none, none, none > 0)


MUON = (0, 0, 13, 50.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("others", "sum_pt"),
    [
        ([(0, 0, 211, 2.0, 0.1, 0.0)], 2.0),
        ([(0, 0, 211, 2.0, 0.1, 0.0), (0, 0, 22, 3.0, 0.0, 0.2)], 5.0),
        # 2 + max(0, 3 - 4/2): half of the charged pile-up comes along in neutral particles.
        (
            [(0, 0, 211, 2.0, 0.1, 0.0), (0, 0, 22, 3.0, 0.0, 0.2), (0, 7, -211, 4.0, 0.2, 0.2)],
            3.0,
        ),
        # max(0, 3 - 8/2) is exactly zero; a charged hadron of the hard collision stays.
        ([(0, 3, 130, 3.0, 0.0, 0.2), (0, 7, -211, 8.0, 0.2, 0.2)], 0.0),
        ([(0, 0, 211, 2.0, 0.1, 0.0), (0, 7, -211, 8.0, 0.2, 0.2)], 2.0),
        # Beyond the cone (0.3² < 0.22² + 0.22²), too soft, or of another event.
        ([(0, 0, 211, 9.0, 0.22, 0.22)], 0.0),
        ([(0, 0, 211, 0.49, 0.1, 0.0)], 0.0),
        ([(1, 0, 211, 9.0, 0.1, 0.0)], 0.0),
    ],
)
def test_isolation(others, sum_pt):
    assert isolation(particles(MUON, *others), np.array([0]), Cone()).item() == sum_pt / 50


def test_isolation_across_the_seam_of_the_azimuth():
    # From φ = 3.1 to -3.1 it is 2π - 6.2 = 0.083.
    seen = particles((0, 0, 13, 20.0, 0.0, 3.1), (0, 0, -13, 10.0, 0.0, -3.1))
    np.testing.assert_allclose(isolation(seen, np.array([0, 1]), Cone()), [0.5, 2.0])


def test_pairs_are_of_the_same_event():
    first, second = pairs(np.array([1, 0, 3]), np.array([0, 0, 1, 1, 2]))
    assert list(zip(first, second, strict=True)) == [(0, 2), (0, 3), (1, 0), (1, 1)]


def test_resolution():
    region = Region(eta=(0, 5), efficiency=1.0, stochastic=1.0, constant=0.05, slope=1e-3)
    # At η = ln 2, cosh η = 1.25: pt = 20 GeV is E = 25 GeV. (1/5)² + 0.05² + (0.02)² = 0.0429.
    [error] = region.resolution(particles((0, 0, 211, 20.0, math.log(2), 0.0)))
    assert error == pytest.approx(math.sqrt(0.0429))


def test_a_region_holds_its_lower_ends():
    region = Region(eta=(1, 2), pt=5.0, efficiency=1.0)
    rows = [(5.0, 1.0), (5.0, 2.0), (4.9, 1.5), (9.0, -1.9), (9.0, 0.9)]
    held = region.holds(particles(*((0, 0, 211, pt, eta, 0.0) for pt, eta in rows)))
    assert held.tolist() == [True, False, False, True, False]


def test_energy_of_a_massive_particle():
    # pt cosh η = 3 · 1.25 at η = ln 2, and √(3.75² + 5²) = 6.25.
    one = particles((0, 0, 211, 3.0, math.log(2), 0.0))
    assert replace(one, mass=np.array([5.0])).energy == pytest.approx(6.25)


def test_each_kind_is_seen_by_its_own_part_of_the_detector():
    """Parts look at rings of |η| of their own; each ring has one particle of each kind."""

    def ring(k: int) -> tuple[Region]:
        return (Region(eta=(k, k + 1), efficiency=1.0),)

    card = Card(
        tracks=Sight(regions=ring(0)),
        hadrons=Sight(regions=ring(1)),
        electrons=Identified(regions=ring(2), pt=10.0),
        muons=Identified(regions=ring(3), pt=10.0),
        photons=Identified(regions=ring(4), pt=10.0),
        jets=PERFECT.jets,
    )
    every = [(0, 0, kind, 1.0, k + 0.5, 0.0) for kind in CHARGES for k in range(5)]
    seen = card.measured(particles(*every), np.random.default_rng(0))
    found = set(zip(seen.pdg_id.tolist(), seen.eta.tolist(), strict=True))
    rings = {211: 0, -211: 0, 130: 1, 11: 2, -11: 2, 13: 3, -13: 3, 22: 4}
    assert found == {(kind, k + 0.5) for kind, k in rings.items()}


def test_what_is_measured():
    n = 100_000
    wide = Region(eta=(0, 2), efficiency=0.8, constant=0.5)
    blind = Region(eta=(1, 2), pt=5.0, efficiency=0.0)  # the last region that holds one counts
    card = PERFECT.model_copy(update={"tracks": Sight(regions=(wide, blind))})
    zero = np.zeros(3 * n)
    eta = np.repeat([-0.5, 1.5, 2.5], n)
    pions = Particles(
        *np.zeros((2, 3 * n), dtype=int), zero + 211, zero + 1, zero + 10, eta, zero, zero
    )
    seen = card.measured(pions, np.random.default_rng(0))
    assert set(seen.eta) == {-0.5}
    assert len(seen.pt) / n == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / n))
    # Log-normal, of mean 1 and deviation 0.5: its skewness is (v² + 3) v with v = 0.5.
    factor = seen.pt / 10
    assert factor.min() > 0
    assert factor.mean() == pytest.approx(1, abs=5 * 0.5 / math.sqrt(len(factor)))
    assert factor.std() == pytest.approx(0.5, rel=0.03)
    skewness = ((factor - 1) ** 3).mean() / 0.5**3
    assert skewness == pytest.approx(1.625, rel=0.15)


def test_vertices_need_charged_particles():
    seen = particles(
        *[(0, 0, 211, 1.0, 0.0, 0.0)] * 2,
        *[(0, 1, 211, 1.0, 0.0, 0.0)] * 1,
        *[(0, 2, -211, 1.0, 0.0, 0.0)] * 3,
        *[(0, 3, 22, 1.0, 0.0, 0.0)] * 5,
        *[(2, 4, 13, 1.0, 0.0, 0.0)] * 2,
    )
    assert vertices(seen, 4, tracks=2).tolist() == [2, 0, 1, 0]


def test_jets_are_sums_of_near_particles_and_no_banner_is_printed(capfd):
    pytest.importorskip("fastjet")
    seen = particles(
        *((1, 0, 211, 30.0, 0.0, 0.0), (1, 0, 22, 20.0, 0.0, 0.3)),  # 0.3 < R = 0.4
        *((1, 0, 211, 25.0, 1.0, 3.0), (1, 0, 211, 4.0, -2.0, 1.5)),  # the last is too soft
        *((2, 0, 211, 15.0, 0.0, 0.0), (2, 0, 211, 12.0, 0.5, 0.0)),  # 0.5 > R
    )
    found = jets(seen, 4, Jets(pt=10.0, b_tag=PERFECT.jets.b_tag))
    assert capfd.readouterr().out == ""
    assert found.event.tolist() == [1, 1, 2, 2]
    both = max(range(2), key=lambda i: found.pt[i])
    # Momenta add: |30 + 20 exp(0.3 i)| and m² = 2 · 30 · 20 (1 - cos 0.3), with E = 50.
    px, py = 30 + 20 * math.cos(0.3), 20 * math.sin(0.3)
    assert found.pt[both] == pytest.approx(math.hypot(px, py))
    assert found.phi[both] == pytest.approx(math.atan2(py, px))
    assert found.mass[both] == pytest.approx(math.sqrt(1200 * (1 - math.cos(0.3))))
    assert found.eta[1 - both] == pytest.approx(1.0)
    assert found.mass[1 - both] == 0.0
    assert sorted(found.pt[2:]) == pytest.approx([12, 15])


def test_pseudorapidity_of_a_massive_jet_and_a_mass_too_small_to_be_stored():
    pytest.importorskip("fastjet")
    seen = particles(
        *((0, 0, 211, 30.0, 0.9, 0.0), (0, 0, 211, 20.0, 1.2, 0.0)),
        *((1, 0, 211, 30.0, 0.0, 0.0), (1, 0, 211, 20.0, 0.0, 2e-3)),
    )
    found = jets(seen, 2, Jets(pt=10.0, b_tag=PERFECT.jets.b_tag))
    # pt is 30 + 20, and pz the sum of pt sinh η.
    assert found.eta[0] == pytest.approx(
        math.asinh((30 * math.sinh(0.9) + 20 * math.sinh(1.2)) / 50)
    )
    # m² = 2 · 30 · 20 (cosh 0.3 - 1), and 1200 (1 - cos 0.002): 0.05 GeV, 0.1% of 50 GeV.
    assert found.mass.tolist() == [pytest.approx(math.sqrt(1200 * (math.cosh(0.3) - 1))), 0.0]


def test_soft_particles_join_hard_ones_before_each_other():
    """Anti-kt: the one between, 0.35 from pt 100 and 0.3 from pt 1, is the hard one's."""
    pytest.importorskip("fastjet")
    seen = particles(
        *((0, 0, 211, 100.0, 0.0, 0.0), (0, 0, 211, 1.0, 0.0, 0.35), (0, 0, 211, 1.0, 0.0, 0.65))
    )
    found = jets(seen, 1, Jets(pt=0.5, b_tag=PERFECT.jets.b_tag))
    hard = math.hypot(100 + math.cos(0.35), math.sin(0.35))
    assert sorted(found.pt) == pytest.approx([1, hard])


def test_flavour_is_that_of_the_heaviest_near_quark():
    found = objects((0, 0.0, 0.0), (0, 2.0, 0.0), (1, 0.0, 0.0), (2, 0.0, 3.1))
    heavy = Heavy(
        event=np.array([2, 0, 0, 0, 1]),
        flavour=np.array([5, 4, 5, 4, 5]),
        eta=np.array([0.0, 0.1, 0.0, 2.0, 0.0]),
        phi=np.array([-3.1, 0.0, 0.3, 0.1, 0.41]),  # the last is just too far
    )
    assert flavours(found, heavy, radius=0.4).tolist() == [5, 4, 0, 5]


def test_an_event():
    """A b-jet, an isolated electron, one in the jet, a muon beside it, and pile-up."""
    pytest.importorskip("fastjet")
    seen = particles(
        (0, 5, 211, 30.0, 1.0, 2.0),  # a charged hadron of pile-up: in no jet, but it is seen
        (0, 5, 22, 15.0, -1.0, 2.0),  # a photon, isolated
        (0, 0, 211, 40.0, 0.0, 0.0),
        (0, 0, 11, 12.0, 0.0, 0.1),  # not isolated: a part of the jet
        (0, 0, -13, 20.0, 0.2, 0.0),  # muons need not be
        (0, 0, -11, 25.0, 0.0, -2.0),
    )
    heavy = Heavy(*(np.array([value]) for value in (0, 5, 0.0, 0.0)))
    found = PERFECT.reconstructed(seen, heavy, 1, np.random.default_rng(0))
    assert found.objects["electron"].pt.tolist() == [25.0]
    assert found.objects["electron"].charge.tolist() == [1.0]
    assert found.objects["photon"].pt.tolist() == [15.0]
    muon = found.objects["muon"]
    assert (muon.pt.item(), muon.charge.item()) == (20.0, 1.0)
    assert muon.isolation.item() == pytest.approx((40 + 12) / 20)
    [pt], [tag] = found.objects["jet"].pt, found.objects["jet"].b_tag
    assert pt == pytest.approx(math.hypot(40 + 12 * math.cos(0.1), 12 * math.sin(0.1)))
    assert tag
    total = sum(p * np.exp(1j * a) for p, a in zip(seen.pt, seen.phi, strict=True))
    assert found.met_px.item() == pytest.approx(-total.real)
    assert found.met_py.item() == pytest.approx(-total.imag)
    assert found.n_vtx.tolist() == [1]


def test_objects_that_are_none_are_parts_of_jets():
    """A muon below its threshold; an electron of isolation 0.15 where 0.1 is asked."""
    pytest.importorskip("fastjet")
    seen = particles(
        *((0, 0, 13, 9.9, 0.0, 0.0), (0, 0, 211, 5.0, 0.0, 0.0)),
        *((1, 0, 11, 20.0, 0.0, 0.0), (1, 0, 211, 3.0, 0.0, 0.0)),
    )
    found = PERFECT.reconstructed(seen, NO_HADRONS, 2, np.random.default_rng(0)).objects
    assert len(found["muon"].pt) == len(found["electron"].pt) == 0
    assert found["jet"].pt.tolist() == pytest.approx([14.9, 23.0])


def test_objects_come_by_event_and_falling_pt_with_their_mass():
    pytest.importorskip("fastjet")
    seen = particles(
        *((1, 0, 13, 20.0, 0.0, 0.0), (0, 0, 13, 15.0, 0.0, 0.0), (1, 0, -13, 30.0, 1.0, 0.0))
    )
    heavy = replace(seen, mass=np.array([0.1, 0.2, 0.3]))
    found = PERFECT.reconstructed(heavy, NO_HADRONS, 2, np.random.default_rng(0)).objects["muon"]
    assert found.event.tolist() == [0, 1, 1]
    assert found.pt.tolist() == [15, 30, 20]
    assert found.mass.tolist() == [0.2, 0.3, 0.1]


@pytest.mark.parametrize("flavour", ["bottom", "charm", "light"])
def test_each_flavour_has_its_own_share_of_tags(flavour):
    pytest.importorskip("fastjet")
    shares = dict.fromkeys(("bottom", "charm", "light"), 0.0) | {flavour: 1.0}
    tagged = Jets(pt=10.0, b_tag=BTag(eta=2.5, **shares))
    card = PERFECT.model_copy(update={"jets": tagged})
    seen = particles(*((event, 0, 211, 40.0, 0.0, 0.0) for event in range(3)))
    heavy = Heavy(np.array([0, 1]), np.array([5, 4]), np.zeros(2), np.zeros(2))
    found = card.reconstructed(seen, heavy, 3, np.random.default_rng(0)).objects["jet"]
    assert found.b_tag.tolist() == [flavour == one for one in ("bottom", "charm", "light")]


def test_no_tag_beyond_its_reach_or_by_another_flavour():
    pytest.importorskip("fastjet")
    seen = particles((0, 0, 211, 40.0, 2.6, 0.0), (1, 0, 211, 40.0, 0.0, 0.0))
    heavy = Heavy(np.array([0, 1]), np.array([5, 4]), np.array([2.6, 0.0]), np.zeros(2))
    found = PERFECT.reconstructed(seen, heavy, 2, np.random.default_rng(0))
    assert found.objects["jet"].b_tag.tolist() == [False, False]


def test_an_event_in_which_nothing_is_seen():
    pytest.importorskip("fastjet")
    found = PERFECT.reconstructed(
        particles((0, 0, 22, 5.0, 11.0, 0.0)), NO_HADRONS, 2, np.random.default_rng(0)
    )
    assert all(len(own.pt) == 0 for own in found.objects.values())
    assert found.met_px.tolist() == [0, 0]
    assert found.n_vtx.tolist() == [0, 0]


@pytest.mark.parametrize("name", ["atlas-like", "cms-hl-lhc-like"])
def test_cards_of_the_catalog(name):
    card = parse(Card, read_card(name), name)
    assert {region.eta[0] for region in card.muons.regions} >= {0.0}


def test_faults_of_a_card():
    with pytest.raises(ConfigError, match="no cms.toml in data_catalog/detectors.*atlas-like"):
        read_card("cms")
    with pytest.raises(ValueError, match="the first is the lower end"):
        Region(eta=(2, 1), efficiency=1.0)
