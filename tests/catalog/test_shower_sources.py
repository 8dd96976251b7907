"""Sources of showers: what they draw and refuse, and what PENELOPE is told."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.sources import penelope, showers
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.errors import ConfigError, DataError, ResourceError, UserError
from mleg_ray.physics.materials import MATERIALS
from mleg_ray.physics.showers import Slab

ENTRIES = sorted(
    path.stem
    for name in ("showers", "penelope")
    for path in (Path(__file__).parents[2] / "data_catalog").glob(f"{name}*.toml")
)
needs_penelope = pytest.mark.skipif(
    not penelope.installed(), reason="pyPenred, of the extra `penelope`, is not installed"
)


def spec_of(name, *assignments, events=20):
    told = (f"source.events={events}", f"shard_events={events}", *assignments)
    return DatasetSpec.load(name, told)


def opened(spec):
    return spec.source.open(spec.schema_, spec.conditions, spec.shard_events)


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.startswith("showers")])
def test_events_of_the_catalog_fulfil_their_constraints(name):
    spec = spec_of(name)
    stored, dropped = checked(opened(spec).shard(0), spec.stored, name)
    assert not any(dropped.values())
    events = spec.joined(to_events(stored, spec.schema_, spec.conditions))
    assert not any(violates(rule, events).any() for rule in spec.constraints.values())


@pytest.mark.parametrize("name", [name for name in ENTRIES if name.startswith("penelope")])
def test_a_twin_differs_by_its_program_and_numbers_alone(name):
    twin, cascade = (DatasetSpec.load(n) for n in (name, name.replace("penelope", "showers")))
    assert (twin.source.program, cascade.source.program) == ("penelope", "cascade")
    own = {"program", "events", "seed"}
    assert twin.source.model_dump(exclude=own) == cascade.source.model_dump(exclude=own)
    assert (twin.fields, twin.observables, twin.conditions) == (
        *(cascade.fields, cascade.observables, cascade.conditions),
    )


def test_energies_are_log_uniform_but_for_a_band():
    source = DatasetSpec.load("showers").source
    energy = source._energies(np.random.default_rng(1), 100_000, {})
    assert 50 <= energy.min() < 51
    assert 990 < energy.max() <= 1000
    assert not ((energy > 280) & (energy < 320)).any()
    whole = np.log(1000 / 50) - np.log(320 / 280)
    assert (energy < 280).mean() == pytest.approx(np.log(280 / 50) / whole, abs=0.005)
    assert (energy < 500).mean() == pytest.approx(1 - np.log(2) / whole, abs=0.005)


def test_slabs_windows_and_places_are_told_in_cm(monkeypatch):
    """Of 6 mm and 10 mm by turns; a window of 160 mm, and places within 20 mm."""
    told = []

    def simulate(rng, slabs, window, cells, energy, theta, x, y):
        told.append((window, cells, x, y))
        return np.zeros((len(energy), len(slabs), cells, cells))

    monkeypatch.setattr(showers, "_cascade", simulate)
    columns = opened(spec_of("showers-oblique")).shard(0)
    [(window, cells, x, y)] = told
    assert (window, cells) == (16.0, 32)
    assert (columns["x"], columns["y"]) == (pytest.approx(10 * x), pytest.approx(10 * y))
    slabs = DatasetSpec.load("showers-layers").source.slabs
    assert [slab.material for slab in slabs] == ["lead", "polystyrene"] * 5
    assert [slab.thickness for slab in slabs] == pytest.approx([0.6, 1.0] * 5)


def test_each_energy_is_a_stratum_and_a_column():
    source = opened(spec_of("showers-100-800-1000", events=9))
    assert [len(shards) for shards in source.shard_rows()] == [1, 1, 1]
    assert [set(source.shard(i)["energy"]) for i in range(3)] == [{100.0}, {800.0}, {1000.0}]


def test_angles_and_places_are_even_within_their_limits():
    columns = opened(spec_of("showers-oblique", events=300)).shard(0)
    assert 0 <= columns["theta"].min() < 0.01 < 0.49 < columns["theta"].max() <= 0.5
    for name in "xy":
        assert -10 <= columns[name].min() < -9 < 9 < columns[name].max() <= 10


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("showers-800", "source.energies=[100.0]", "give the energy once"),
        ("showers-800", "conditions.energy=0.5", "cascade simulates electrons from 1 to 100000"),
        ("penelope-800", "conditions.energy=1800.0", "penelope .*to 1000 MeV.*program = 'cascade'"),
        ("showers", "source.energies=[100.0]", "not both"),
        ("showers", "source.energy_range=[500.0, 100.0]", "the first energy must be below"),
        ("showers", "source.held_out=[20.0, 60.0]", "a band within energy_range"),
        ("showers", "source.held_out=[50.0, 1000.0]", "leaves nothing of energy_range"),
        ("showers-100-800-1000", "source.held_out=[280.0, 320.0]", "give that too"),
        ("showers-oblique", "conditions.theta=0.1", "draws theta"),
        ("showers-oblique", "source.spot=200.0", "come in within the window"),
        ("showers-800", "source.repeat=2", r"what differs is image \[MeV\] 2 x 32 x 32, .*4 x 32"),
        ("showers-800", "source.layers=[{material='gold',thickness=1.0}]", "none of lead, poly"),
        ("showers-800", "source.cells=16", "image"),
        ("showers-800", "source.program='geant4'", "'cascade' or 'penelope'"),
    ],
)
def test_what_cannot_be_is_refused(name, assignment, message):
    with pytest.raises(ConfigError, match=message):
        spec_of(name, assignment)


def test_penelope_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs pyPenred; install.*mleg-ray\[penelope\]"):
        opened(spec_of("penelope-800"))


def test_penelope_is_told_the_slabs():
    slabs = (Slab("lead", 0.9), Slab("polystyrene", 7.5), Slab("lead", 0.1))
    text = penelope._surfaces(slabs, ["lead", "polystyrene"]).splitlines()
    planes = [line for line in text if line.startswith("     A0=")]
    assert [float(line[9:31]) for line in planes] == pytest.approx(
        [0, -0.9, -8.4, -8.5, 1000, -1000, 1000, -1000]
    )
    body = text[text.index("BODY    (   3)") :]
    assert body[1:4] == [
        "MATERIAL(   1)",
        "SURFACE (   3), SIDE POINTER=(+1)",
        "SURFACE (   4), SIDE POINTER=(-1)",
    ]
    assert text[-1].startswith("END")


def test_penelope_is_told_each_electron():
    lines = penelope._sources(
        *(np.array(values) for values in ([800.0, 50.0], [0.0, 0.4], [0.0, 1.0], [0.0, -2.0]))
    )
    told = dict(line.removeprefix("sources/generic/").split(" ", 1) for line in lines)
    assert told["e0000000/energy/energy"] == "8.000000000e+08"
    assert float(told["e0000001/direction/theta"]) == pytest.approx(22.918312)
    assert float(told["e0000001/spatial/position/x"]) == pytest.approx(1 - np.tan(0.4))
    assert float(told["e0000001/spatial/position/y"]) == -2


def test_materials_are_told_by_weight():
    told = penelope._composition("polystyrene", MATERIALS["polystyrene"])
    shares = dict(told["composition"])
    assert shares[1] == pytest.approx(0.077421, abs=1e-5)
    assert sum(shares.values()) == pytest.approx(1)
    assert told["density"] == 1.06


def test_penelope_s_failure_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(penelope, "PROGRAM", "raise SystemExit('no such material')")
    with pytest.raises(DataError, match="PENELOPE ended with an error: no such material"):
        penelope._run(tmp_path)
    monkeypatch.setattr(penelope, "PROGRAM", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ResourceError, match="ended by SIGKILL; run the same command again"):
        penelope._run(tmp_path)


def test_hits_of_penelope_become_images(monkeypatch):
    """Cells of 0.5 cm from -1 cm; what a secondary particle carries away is taken off again."""
    told = {}

    def run(folder):
        told.update(json.loads((folder / "job.json").read_text()))
        for number, rows in {
            1: [(5e6, (0.3, -0.7, 0.1), 2), (-1e6, (0.3, -0.7, 0.1), 2), (9e6, (1.1, 0, 0.1), 2)],
            2: [(3e6, (-0.9, 0.6, 1.0), 1)],
        }.items():
            hits = np.zeros(len(rows), penelope.HIT)
            hits["energy"], hits["place"], hits["history"] = zip(*rows, strict=True)
            hits.tofile(folder / f"hits-th0-singles_det_{number}.dat")

    monkeypatch.setattr(penelope, "_run", run)
    slabs = (Slab("lead", 0.9), Slab("polystyrene", 7.5))
    full = np.full(2, 800.0)
    found = penelope.images(np.random.default_rng(1), slabs, 2.0, 4, full, *np.zeros((3, 2)))
    expected = np.zeros((2, 2, 4, 4))
    expected[1, 0, 0, 2], expected[0, 1, 3, 0] = 4, 3
    assert found == pytest.approx(expected)
    config = told["config"].splitlines()
    for line in (
        "tallies/hits/filters/pileup false",
        "tallies/hits/detectors [1, 2]",
        "geometry/kdet/2 2",
        "simulation/threads 1",
        "materials/polystyrene/number 2",
        "materials/lead/eabs/electron 300000.0",
        "materials/lead/eabs/positron 300000.0",
        "materials/lead/eabs/gamma 30000.0",
    ):
        assert line in config


@needs_penelope
@pytest.mark.slow
def test_penelope_makes_oblique_showers_of_their_energies():
    columns = opened(spec_of("penelope-oblique", events=200)).shard(0)
    image = columns["image"].astype(float)
    assert image.shape == (200, 2, 32, 32)
    assert (image.sum(axis=(1, 2, 3)) <= columns["energy"] * (1 + 1e-6)).all()
    x = (np.arange(32) - 15.5) * 5
    lead = image[:, 0].sum(axis=1)
    seen = lead.sum(axis=1) > 5
    centre = (lead @ x)[seen] / lead.sum(axis=1)[seen]
    slope, _ = np.polyfit(columns["x"][seen], centre, 1)
    assert slope == pytest.approx(1, abs=0.15)


@needs_penelope
@pytest.mark.slow
def test_penelope_makes_the_same_showers_again():
    first, second = (opened(spec_of("penelope-800")).shard(0)["image"] for _ in range(2))
    assert (first == second).all()
    assert first.sum() > 0
