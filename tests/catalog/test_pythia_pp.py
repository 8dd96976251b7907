"""Reconstructed p p collisions: selection, pile-up, shards, and what cannot be made."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mleg_ray.catalog.formats.dark_machines import DarkMachines
from mleg_ray.catalog.sources import pythia_pp
from mleg_ray.catalog.sources.pythia_pp import (
    Collisions,
    Counts,
    Cut,
    Engine,
    Pair,
    Process,
    Required,
    Selection,
    overlaid,
)
from mleg_ray.catalog.sources.reconstruction import Heavy, Objects, Particles, Reconstructed
from mleg_ray.catalog.sources.slha import Stop
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError
from tests.catalog.specs import pp_spec

pythia8mc = pytest.importorskip("pythia8mc", reason="the optional package pythia8mc is not here")
awkward = pytest.importorskip("awkward", reason="the optional package awkward is not here")
pytest.importorskip("fastjet", reason="the optional package fastjet is not here")

PARTS = ("px", "py", "pz")
QUIET = {"Beams:eCM": "13000", "PartonLevel:MPI": "off", "HadronLevel:all": "off"}


def muons(*rows: tuple[int, float, float, float, int]) -> dict:
    """Return massless muons of rows (event, pt, η, φ, charge)."""
    event, pt, eta, phi, charge = map(np.array, zip(*rows, strict=True))
    none = np.zeros(len(event))
    return {"muon": Objects(event, pt, eta, phi, none, charge, none, none > 0)}


def jets(*rows: tuple[int, float, float, bool]) -> dict:
    """Return jets of rows (event, pt, mass, b-tag), all at η = ln 2 and φ = 0."""
    event, pt, mass, tagged = map(np.array, zip(*rows, strict=True))
    none = np.zeros(len(event))
    eta = none + math.log(2)
    return {"jet": Objects(event, pt, eta, none, mass, none, none, tagged)}


NOTHING = {
    kind: Objects(*np.zeros((7, 0), dtype=int), np.zeros(0, dtype=bool))
    for kind in ("jet", "electron", "muon", "photon")
}


def test_cuts():
    rows = [(0, pt, eta, 0.0, -1) for pt, eta in [(30, 0.0), (24.9, 0), (30, 1.4), (30, -2.5)]]
    found = muons(*rows, (1, 25.0, -1.6, 0.0, 1))
    cut = Cut(of="muon", pt=25.0, eta=2.47, gap=(1.37, 1.52))
    assert cut.kept(found).eta.tolist() == [0.0, -1.6]
    assert Cut(of="muon", charge=1).kept(found).event.tolist() == [1]
    two = Required(of="muon", pt=25.0, number=2)
    assert two.passed(found, 3).tolist() == [True, False, False]


def test_a_pair_has_opposite_charges_a_mass_and_no_third():
    # Of massless particles m² = 2 pt pt' (cosh Δη - cos Δφ): back to back at η = 0 that is 2 pt.
    back = [(0.0, 0.0), (0.0, math.pi)]
    made = []
    for event, (pt, charges) in enumerate(
        [(45, (1, -1)), (45, (1, 1)), (24.9, (1, -1)), (25.1, (-1, 1)), (75.1, (1, -1))]
    ):
        made += [(event, pt, *where, q) for where, q in zip(back, charges, strict=True)]
    made += [(5, 40.0, 0.0, 0.0, 1), (5, 40.0, 0.0, 3.0, -1), (5, 20.0, 0.0, 1.0, 1)]
    made += [(6, 40.0, 0.0, 0.0, 1)]
    # m² = 2 · 40 · 40 (cosh ln 4 - cos π/2) = 3200 · 2.125: 82.5 GeV.
    made += [(7, 40.0, 0.0, 0.0, 1), (7, 40.0, math.log(4), math.pi / 2, -1)]
    pair = Pair(of="muon", mass=(50.0, 150.0))
    wanted = [True, False, False, True, False, False, False, True, False]
    assert pair.passed(muons(*made), 9).tolist() == wanted
    narrow = Pair(of="muon", mass=(82.4, 82.5))
    assert np.flatnonzero(narrow.passed(muons(*made), 9)).tolist() == [7]


def test_one_of_the_required_objects_is_enough():
    found = muons((0, 30.0, 0.0, 0.0, 1), (1, 10.0, 2.0, 0.0, 1))
    either = Selection(any=(Required(of="muon", pt=20), Required(of="muon", eta=2.5, number=2)))
    assert either.passed(found, 2).tolist() == [True, False]
    assert Selection().passed(found, 2).tolist() == [True, True]


def test_a_pair_is_required_beside_one_of_the_objects():
    found = muons(
        *((0, 45.0, 0.0, 0.0, 1), (0, 45.0, 0.0, math.pi, -1)),  # 90 GeV
        *((1, 90.0, 0.0, 0.0, 1), (1, 90.0, 0.0, math.pi, -1)),  # 180 GeV
    )
    pair = Pair(of="muon", mass=(50.0, 150.0))
    assert Selection(pair=pair).passed(found, 3).tolist() == [True, False, False]
    hard = Required(of="muon", pt=60.0)
    assert Selection(pair=pair, any=(hard,)).passed(found, 3).tolist() == [False] * 3


def test_columns_of_typed_objects():
    """A jet of 70 GeV is enough, and a b-jet of 61 GeV, but not one of 59 GeV.

    At η = ln 2, cosh η = 5/4: 70 GeV and a mass of 5 GeV have E = √(87.5² + 5²). An electron of
    20 GeV is massless, whatever it was made of.
    """
    source = opened(DatasetSpec.load("ttbar-13tev"))
    one = np.array([0])
    electron = Objects(one, one + 20.0, one + math.log(2), one, one + 9.0, one - 1, one, one > 0)
    made = NOTHING | {"electron": electron}
    made |= jets((0, 70, 5, False), (0, 65, 0, True), (1, 61, 0, True), (2, 59, 0, True))
    events = Reconstructed(
        made, np.array([3.0, 0, 1]), np.array([4.0, -2, 1]), np.zeros(3, dtype=int)
    )
    columns, kept = source._columns(events, 3)
    assert kept == 2
    assert columns["jet.pt"].tolist() == [70]
    assert columns["b_jet.pt"].tolist() == [65, 61]
    assert columns["jet.count"].tolist() == [1, 0]
    assert columns["b_jet.count"].tolist() == [1, 1]
    assert columns["jet.energy"] == pytest.approx(math.hypot(87.5, 5))
    assert columns["electron.energy"] == pytest.approx(25)
    assert columns["positron.count"].tolist() == [0, 0]
    assert columns["met.pt"].tolist() == [5, 2]
    assert columns["met.phi"] == pytest.approx([math.atan2(4, 3), -math.pi / 2])


def test_columns_of_ranked_objects(tmp_path):
    """An event of one muon has no second one, and is left out."""
    source = opened(pp_spec(tmp_path, "source.selection={}"))
    found = muons(
        *((0, 40.0, 0.0, math.pi / 6, 1), (0, 30.0, 0.0, 0.0, -1)),
        (1, 50.0, 0.0, 0.0, 1),
        *((2, 25.0, 0.0, 0.0, -1), (2, 24.0, 0.0, 0.0, -1)),
    )
    number = np.array([5, 6, 7])
    events = Reconstructed(NOTHING | found, number + 0.0, number + 0.0, number)
    columns, kept = source._columns(events, 3)
    assert kept == 2
    assert columns["mu1.px"] == pytest.approx([40 * math.sqrt(3) / 2, 25])
    assert columns["mu1.py"] == pytest.approx([20, 0])
    assert columns["mu2.pt"].tolist() == [30, 24]
    assert columns["mu2.charge"].tolist() == [-1, -1]
    assert columns["n_vtx"].tolist() == [5, 7]


def test_what_collisions_leave():
    """Visible particles at the end, and hadrons of more than 5 GeV with a heavy quark.

    Of two collisions: a muon, a neutrino, a K_L, a decayed B⁰ and a Z; a photon, one along the
    beam, a soft D⁺ and one of 6 GeV.
    """
    rows = [
        [(13, 1, 0.1, (3, 4, 12)), (12, 1, 0, (0, 9, 0)), (130, 1, 0.5, (0, -2, 0))],
        [(22, 1, 0, (-1, 0, 0)), (22, 1, 0, (0, 0, 7)), (411, -83, 1.9, (4.9, 0, 0))],
    ]
    rows[0] += [(511, -83, 5.3, (-8, 6, -10)), (23, -62, 91, (1, 1, 1))]
    rows[1] += [(411, -83, 1.9, (0, 6, 0))]
    record = awkward.Array(
        [
            [
                {
                    "id": kind,
                    "status": status,
                    "m": float(mass),
                    "p": dict(zip(PARTS, p, strict=True)),
                }
                for kind, status, mass, p in event
            ]
            for event in rows
        ]
    )
    engine = Engine.__new__(Engine)
    engine._pythia = SimpleNamespace(
        nextBatch=lambda n: SimpleNamespace(prt=record),
        particleData=pythia8mc.Pythia("", False).particleData,
    )
    found = engine.collisions(2)
    assert found.n == 2
    seen, heavy = found.particles, found.heavy
    assert seen.event.tolist() == [0, 0, 1]
    assert seen.pdg_id.tolist() == [13, 130, 22]
    assert seen.charge.tolist() == [-1, 0, 0]
    assert seen.vertex.tolist() == [0, 0, 0]
    assert seen.pt.tolist() == [5, 2, 1]
    assert seen.eta == pytest.approx([math.asinh(12 / 5), 0, 0])
    assert seen.phi == pytest.approx([math.atan2(4, 3), -math.pi / 2, math.pi])
    assert seen.mass.tolist() == [0.1, 0.5, 0]
    assert heavy.event.tolist() == [0, 1]
    assert heavy.flavour.tolist() == [5, 4]
    assert heavy.eta == pytest.approx([-math.asinh(1), 0])
    assert heavy.phi == pytest.approx([math.atan2(6, -8), math.pi / 2])


def test_collisions_that_pythia_gives_up_are_told():
    engine = Engine.__new__(Engine)
    none = SimpleNamespace(prt=awkward.Array([]))  # as of decays that break a charge
    engine._pythia = SimpleNamespace(nextBatch=lambda n: none)
    with pytest.raises(DataError, match="gives up all of 7 collisions; see the settings"):
        engine.collisions(7)


def test_the_pool_is_as_large_as_its_reuse_says(tmp_path):
    """Of 100 events with 4 overlaid collisions each, of which each is used 20 times."""
    asked = []

    class Some:
        def collisions(self, n):
            asked.append(n)
            empty = np.zeros((8, 0), dtype=int)
            return Collisions(n, Particles(*empty), Heavy(*empty[:4]))

    source = opened(pp_spec(tmp_path, "source.pile_up=4.0"))
    n, _ = source._batch(Some(), Some(), 100, np.random.default_rng(0))
    assert (n, asked) == (100, [100, 20])


def test_overlaid_collisions():
    """Of three collisions in the pool, one has nothing, one particle at η = 1, two at 2 and 3."""
    rng = np.random.default_rng(0)
    event, eta, phi = np.array([1, 2, 2]), np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5, 0.8])
    whole, real = np.zeros(3, dtype=int), np.ones(3)
    pool = Particles(event, whole, whole + 211, real, real, eta, phi, real)
    n, mean = 20_000, 3.0
    found = overlaid(Collisions(3, pool, Heavy(*[whole[:0]] * 4)), n, mean, rng)
    # Each collision of the pool is used n mean/3 times, with a Poisson error.
    uses = n * mean / 3
    for value in (1.0, 2.0, 3.0):
        assert (np.abs(found.eta) == value).sum() == pytest.approx(uses, abs=5 * math.sqrt(uses))
    assert (found.eta == 1.0).sum() == pytest.approx(uses / 2, abs=5 * math.sqrt(uses / 2))
    # A third of the collisions leave nothing, so vertices seen of an event are Poisson(2).
    seen = np.unique(np.stack([found.event, found.vertex]), axis=1)
    number = np.bincount(seen[0], minlength=n)
    assert number.mean() == pytest.approx(2, abs=5 * math.sqrt(2 / n))
    assert number.var() == pytest.approx(2, rel=0.1)
    assert found.vertex.min() == 1
    # Both particles of one collision are turned and mirrored together.
    two, three = (found[np.abs(found.eta) == value] for value in (2.0, 3.0))
    np.testing.assert_array_equal(two.vertex, three.vertex)
    np.testing.assert_allclose(three.eta, 1.5 * two.eta)
    np.testing.assert_allclose(np.exp(1j * (three.phi - two.phi)), np.exp(0.3j))
    assert abs(np.exp(1j * two.phi).mean()) < 5 / math.sqrt(uses)
    assert np.abs(found.phi).max() <= math.pi


def test_batches_are_no_larger_than_will_do():
    assert Counts().next_batch(10) == pythia_pp.BATCH
    # Half of 100 are kept: for 10 more, 20 with a tenth to spare, and one.
    assert Counts(made=100, kept=50).next_batch(60) == 23
    assert Counts(made=100, kept=50).next_batch(5000) == pythia_pp.BATCH
    # Of 4,000 overlaid collisions at most: 200 events with 20, 4 with 1,000.
    assert Counts().next_batch(10, 20.0) == 200
    assert Counts(made=100, kept=50).next_batch(60, 1000.0) == 4
    assert Counts().next_batch(10, 1e5) == 1


def test_each_shard_has_minimum_bias_collisions_of_its_own(monkeypatch, tmp_path):
    seeds = []

    class Told(Engine):
        def __init__(self, settings, spectrum):
            seeds.append((settings["Random:seed"], "SoftQCD:nonDiffractive" in settings))
            raise StopIteration

    monkeypatch.setattr(pythia_pp, "Engine", Told)
    source = opened(pp_spec(tmp_path, "source.pile_up=2.0"))
    for index in (0, 1):
        for use in ("process", "minimum bias"):
            with pytest.raises(StopIteration):
                settings = pythia_pp.MINIMUM_BIAS if use == "minimum bias" else {}
                source._engine(settings, "", index, use)
    assert len({seed for seed, _ in seeds}) == 4
    assert [soft for _, soft in seeds] == [False, True] * 2
    assert "used 20 times on average" in source.provenance()["pile_up"]
    assert opened(pp_spec(tmp_path)).provenance()["pile_up"] == "none"


def opened(spec: DatasetSpec):
    return spec.source.open(spec.schema_, spec.conditions, spec.shard_events)


def test_dimuons_are_as_selected(tmp_path):
    columns = opened(pp_spec(tmp_path)).shard(0)
    assert set(columns["mu1.charge"] + columns["mu2.charge"]) == {0}
    assert (columns["mu2.pt"] >= 10).all()
    assert (columns["mu1.energy"] > columns["mu2.pt"]).all()
    assert (columns["mu1.energy"] > np.abs(columns["mu1.px"])).all()
    assert columns["process"].tolist() == [0] * 6
    assert (columns["jet.pt"] >= 10).all()
    assert len(columns["jet.pt"]) == columns["jet.count"].sum()


def test_processes_are_strata_with_their_conditions(tmp_path):
    settings = (
        '{"WeakSingleBoson:ffbar2gmZ"="on","PartonLevel:MPI"="off","HadronLevel:all"="off",'
        '"23:onMode"="off","23:onIfAny"="13","PhaseSpace:mHatMin"="LOW"}'
    )
    processes = ",".join(
        f"p{low}={{settings={settings.replace('LOW', str(low))},conditions={{low={low}}}}}"
        for low in (50, 120)
    )
    fields = (
        '[{name="mu1.energy",unit="GeV"},{name="low",role="condition"},{name="mu2.energy",'
        'unit="GeV"},{name="process",role="label"},{name="jet.pt",unit="GeV"}]'
    )
    groups = '{mu1={},mu2={},jet={most=5,ordered_by="pt"}}'
    spec = pp_spec(
        tmp_path, f"fields={fields}", f"groups={groups}", f"source.processes={{{processes}}}"
    )
    source = opened(spec)
    assert source.shard_rows() == [[6] * 5] * 2
    for index, number, low in ((0, 0, 50), (5, 1, 120)):
        columns = source.shard(index)
        assert columns["process"].tolist() == [number] * 6
        assert columns["low"].tolist() == [low] * 6


def test_weights_of_a_process_sum_to_what_a_luminosity_brings(monkeypatch, tmp_path):
    """σ ε L = 7 pb · 60% · 2 fb⁻¹ = 8,400 events, in 60 events of 140 each; else by Pythia's σ."""
    fields = '[{name="jet.pt",unit="GeV"},{name="weight",role="weight"}]'
    spec = [
        *(f"fields={fields}", 'groups={jet={most=5,ordered_by="pt"}}', "source.selection={}"),
        *('source.objects={jet={of="jet"}}', "source.luminosity=2.0", "observables={}"),
        *("constraints={}", "planes=[]"),
    ]

    class Some(Engine):
        def __init__(self, settings, spectrum):
            pass

        def cross_section(self):
            return 11.0

    def batch(source, hard, soft, n, rng):
        return 10, None

    def columns(source, events, n):
        return {"jet.count": np.zeros(6, dtype=int), "jet.pt": np.zeros(0)}, 6

    monkeypatch.setattr(pythia_pp, "Engine", Some)
    monkeypatch.setattr(pythia_pp.PythiaPP, "_batch", batch)
    monkeypatch.setattr(pythia_pp.PythiaPP, "_columns", columns)
    declared = opened(pp_spec(tmp_path, *spec, "source.processes.zmumu.cross_section=7.0"))
    shards = [declared.shard(i)["weight"] for i in range(10)]
    np.testing.assert_allclose(np.concatenate(shards), np.full(60, 140.0))
    own = opened(pp_spec(tmp_path, *spec)).shard(0)["weight"]
    np.testing.assert_allclose(own, np.full(6, 140.0 * 11 / 7))


def test_the_process_of_ones_own_is_as_documented(tmp_path):
    """Each process has half of the events, of equal weights in a shard, and all have a muon."""
    page = Path(__file__).parents[2] / "docs" / "physics" / "lhc.md"
    [entry] = re.findall(r"```toml\n(name = .*?)```", page.read_text(), re.DOTALL)
    file = tmp_path / "my-events.toml"
    file.write_text(entry)
    few = ("source.events=16", "shard_events=8", "source.pile_up=0")
    source = opened(DatasetSpec.load(str(file), few))
    for index in range(2):
        made = source.shard(index)
        assert made["process"].tolist() == [index] * 8
        assert made["muon.pt"].min() >= 25
        assert np.abs(made["muon.eta"]).max() < 2.5
        assert len(made["jet.pt"]) == made["jet.count"].sum()
        assert len(set(made["weight"])) == 1


def test_what_lives_longer_than_10_mm_reaches_the_detector():
    """K_S (27 mm) and Λ (79 mm) do; π⁰ and charmed hadrons (0.3 mm at most) decay."""
    engine = Engine(pythia_pp.ALWAYS | pythia_pp.MINIMUM_BIAS | {"Beams:eCM": "13000"}, spectrum="")
    kinds = {*np.abs(engine.collisions(20).particles.pdg_id).tolist()}
    assert {211, 310, 3122} <= kinds
    assert not {111, 411, 421} & kinds


def test_the_cross_section_is_pythias():
    """Z → μμ of any mass above 50 GeV: 1.6 nb at leading order, of which showers change nothing."""
    settings = {"WeakSingleBoson:ffbar2gmZ": "on", "23:onMode": "off", "23:onIfAny": "13"}
    engine = Engine(pythia_pp.ALWAYS | QUIET | settings | {"PhaseSpace:mHatMin": "50"}, spectrum="")
    engine.collisions(500)
    told = engine._pythia.infoPython().sigmaGen()  # mb
    assert engine.cross_section() == pytest.approx(told * 1e9)
    assert 1e3 < engine.cross_section() < 2.5e3


def test_masses_of_a_spectrum_reach_pythia():
    stop = Stop(m_stop=300, m_chi=100)
    process = Process(
        settings={
            "SUSY:gg2squarkantisquark": "on",
            "SUSY:idA": "1000006",
            "SUSY:idB": "1000006",
        },
        stop=stop,
    )
    engine = Engine(pythia_pp.ALWAYS | QUIET | process.settings, process.spectrum)
    known = engine._pythia.particleData
    assert (known.m0(1000006), known.m0(1000022)) == (300, 100)
    assert not known.isVisible(1000022)
    with pytest.raises(ValueError, match="give one of them"):
        Process(settings={"SUSY:all": "on"}, stop=stop, slha="user.slha")


def test_a_process_of_which_nothing_passes_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setattr(pythia_pp, "HOPELESS", 20)
    spec = pp_spec(tmp_path, "source.selection.pair.mass=[148.0,148.001]")
    wanted = r"source.processes.zmumu: of \d+ collisions 0 are kept, too few for 6 events"
    with pytest.raises(DataError, match=wanted):
        opened(spec).shard(0)


def test_what_pythia_does_not_know_is_said_before_the_work(tmp_path):
    spec = pp_spec(tmp_path, 'source.processes.zmumu.settings={"Topp:all"="on"}')
    with pytest.raises(ConfigError, match='zmumu.settings."Topp:all": Pythia has no such setting'):
        opened(spec)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["source.objects.mu1.rank=0"], "source.objects.mu1.rank"),
        (['source.objects.mu1={of="muon"}'], "objects.mu1.rank: a group that is there once"),
        (["source.objects.jet.rank=1"], "objects.jet.rank"),
        (['source.objects.b={of="jet"}'], "objects: one table for each group"),
        (['fields.0={name="met.eta"}'], "jet, met, mu1.* fields of no object are met.px, met.py"),
        (['fields.0={name="mu1.spin"}'], "no field 'mu1.spin'; of an object it makes pt, eta"),
        (['fields.0={name="mu1.px",unit="rad"}'], "mu1.px.*GeV .energy. cannot be converted"),
        (["source.processes.zmumu.conditions={mass=1.0}"], "processes.zmumu.conditions: give none"),
        (["source.luminosity=10.0"], "luminosity: events of a luminosity .* have weights"),
        (
            ['fields.0={name="weight",role="weight"}'],
            "luminosity: .* together with a field of role 'weight'",
        ),
        (["source.processes.zmumu.cross_section=1.0"], "zmumu.cross_section: it is for weights"),
        (["source.detector=cms"], "no cms.toml"),
        (["source.processes={}"], "source.processes"),
        (["source.selection.pair.mass=[150.0,50.0]"], "pair.mass: the first is the lower end"),
        (["source.objects.jet.gap=[1.5,1.4]"], "objects.jet.gap: the first is the lower end"),
    ],
)
def test_bad_configuration(tmp_path, assignments, message):
    with pytest.raises(ConfigError, match=message):
        pp_spec(tmp_path, *assignments)


@pytest.mark.parametrize(
    "name",
    [
        "ttbar-13tev",
        "stop-220-20",
        "stop-300-100",
        "stop-400-100",
        "stop-800-100",
        "stop-grid",
        "ttbar-stop-10fb",
    ],
)
def test_entries_of_the_catalog(name):
    spec = DatasetSpec.load(name)
    for process in spec.source.processes.values():
        if process.stop and spec.schema_.conditions:
            masses = {"m_stop": process.stop.m_stop, "m_chi": process.stop.m_chi}
            assert masses == (process.conditions or spec.conditions)
    if named := re.match(r"stop-(\d+)-(\d+)", name):
        assert tuple(spec.conditions.values()) == tuple(map(float, named.groups()))
    opened(spec)
    DarkMachines().require(spec)  # can be written as the challenge's lines


def test_muon_pairs_are_those_of_their_paper():
    """B. Hashemi et al., arXiv:1901.05282, sec. 3; the mass's window is of the authors' code."""
    spec = DatasetSpec.load("zmumu-13tev")
    source, [process] = spec.source, spec.source.processes.values()
    assert (source.energy, source.pile_up) == (13_000, 20)
    assert process.settings["PhaseSpace:mHatMin"] == "50"
    assert source.selection.pair.mass == (50, 150)
    muons = (source.objects["mu1"], source.objects["mu2"], source.selection.pair)
    assert [cut.pt for cut in muons] == [20, 20, 20]  # ours: the paper names no threshold
    assert (muons[0].rank, muons[1].rank, source.objects["jet"].eta) == (1, 2, 4.7)
    # Isolation is a feature: no muon is left out for it. Tracks reach to 4, muons to 2.8.
    assert source.detector.muons.isolated is None
    assert [max(region.eta) for region in source.detector.tracks.regions] == [1.5, 2.8, 4.0]
    assert [max(region.eta) for region in source.detector.muons.regions] == [1.5, 2.4, 2.8]
    assert (source.detector.cone.radius, source.detector.jets.radius) == (0.3, 0.4)
    assert spec.schema_.objects["jet"] == 5
    assert spec.definitions.observables["n_jets"].expression == "objects.above(jet.pt, 15)"


def test_typed_objects_are_those_of_the_challenge():
    """R. Balanzá García, UPV master's thesis 2023, sec. 3.1: an event's objects, and all others."""
    spec = DatasetSpec.load("ttbar-13tev")
    source = spec.source
    assert (source.energy, source.pile_up, source.detector.jets.radius) == (13_000, 0, 0.4)
    leptons = ("electron", "positron", "muon", "antimuon")
    asked = {name: (cut.pt, cut.eta) for name, cut in source.objects.items()}
    assert asked == {
        **dict.fromkeys(("jet", "b_jet"), (20, 2.8)),
        **dict.fromkeys(leptons, (15, 2.7)),
        "photon": (20, 2.37),
    }
    assert [source.objects[name].charge for name in leptons] == [-1, 1, -1, 1]
    assert [source.objects[name].b_tag for name in ("jet", "b_jet")] == [False, True]
    assert {one.of: (one.pt, one.eta, one.gap) for one in source.selection.any} == {
        "jet": (60, 2.8, None),
        "electron": (25, 2.47, (1.37, 1.52)),
        "muon": (25, 2.7, None),
        "photon": (25, 2.37, None),
    }
    rules = {name: rule.expression for name, rule in spec.definitions.constraints.items()}
    assert rules["event"] == "criteria >= 1"
    for name, (pt, eta) in asked.items():
        assert rules[f"{name}_pt"] == f"{name}.pt >= {pt:g}"
        assert rules[f"{name}_eta_max"] == f"{name}.eta <= {eta:g}"
        assert rules[f"{name}_eta_min"] == f"{name}.eta >= {-eta:g}"


@pytest.mark.slow
def test_a_pool_of_pile_up_stands_for_fresh_pile_up():
    n, mean = 400, 20.0
    made = {}
    for reuse in (20, 1):
        settings = (f"source.events={n}", f"shard_events={n}", f"source.pile_up_reuse={reuse}")
        columns = opened(DatasetSpec.load("zmumu-13tev", (*settings, "source.seed=3"))).shard(0)
        made[reuse] = columns
    pool, fresh = made[20], made[1]
    # Vertices of an event are Poisson, of fresh pile-up. In a pool of about n collisions, of which
    # the share p has a vertex, the error of p adds mean √(p (1 - p) / n).
    p = (fresh["n_vtx"].mean() - 1) / mean
    error = math.hypot(math.sqrt(2 * mean / n), mean * math.sqrt(p * (1 - p) / n))
    assert pool["n_vtx"].mean() == pytest.approx(fresh["n_vtx"].mean(), abs=4 * error)
    assert pool["n_vtx"].var() == pytest.approx(fresh["n_vtx"].var(), rel=0.3)
    for part in ("met.px", "met.py"):
        # A deviation is known to 1/√2n of itself.
        spread = fresh[part].std()
        assert pool[part].std() == pytest.approx(spread, abs=5 * spread / math.sqrt(n))
    for muon in ("mu1", "mu2"):
        clean = [(columns[f"{muon}.isolation"] == 0).mean() for columns in (pool, fresh)]
        assert clean[0] == pytest.approx(clean[1], abs=5 * math.sqrt(0.5 / n))


@pytest.mark.slow
def test_the_mass_peak_of_the_z():
    n = 400
    columns = opened(
        DatasetSpec.load("zmumu-13tev", (f"source.events={n}", f"shard_events={n}"))
    ).shard(0)
    total = [sum(columns[f"mu{i}.{part}"] for i in (1, 2)) for part in ("px", "py", "pz", "energy")]
    mass = np.sqrt(total[3] ** 2 - total[0] ** 2 - total[1] ** 2 - total[2] ** 2)
    # The width of the Z is 2.5 GeV, the resolution about as much: the error of the median of
    # 400 events is below 0.3 GeV, and the mean is drawn down by photons.
    assert np.median(mass) == pytest.approx(91.0, abs=0.8)
    assert 88 < mass.mean() < 91
    assert 6 < mass.std() < 11
