"""Reconstructed p p collisions: selection, pile-up, shards, and what cannot be made."""

import math
import re

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
from mleg_ray.catalog.sources.reconstruction import Heavy, Objects, Particles
from mleg_ray.catalog.sources.slha import Stop
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError
from tests.catalog.specs import pp_spec

pythia8mc = pytest.importorskip("pythia8mc", reason="the optional package pythia8mc is not here")
pytest.importorskip("fastjet", reason="the optional package fastjet is not here")

QUIET = {"Beams:eCM": "13000", "PartonLevel:MPI": "off", "HadronLevel:all": "off"}


def muons(*rows: tuple[int, float, float, float, int]) -> dict:
    """Return massless muons of rows (event, pt, η, φ, charge)."""
    event, pt, eta, phi, charge = map(np.array, zip(*rows, strict=True))
    none = np.zeros(len(event))
    return {"muon": Objects(event, pt, eta, phi, none, charge, none, none > 0)}


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
    with pytest.raises(ConfigError, match="processes.zmumu.settings: .* no setting 'Topp:all'"):
        opened(spec)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["source.objects.mu1.rank=0"], "source.objects.mu1.rank"),
        (['source.objects.mu1={of="muon"}'], "objects.mu1.rank: a group that is there once"),
        (["source.objects.jet.rank=1"], "objects.jet.rank"),
        (['source.objects.b={of="jet"}'], "objects: one table for each group"),
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
