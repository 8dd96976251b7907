"""Pythia's events: the promised cuts, and the settings that keep the electron's kinematics."""

import sys

import numpy as np
import pytest
import torch

from mleg_ray.catalog.sources.pythia import (
    PythiaDISConfig,
    _scattered_electron,
    cross_section,
    dis_settings,
)
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, UserError
from mleg_ray.physics import dis
from tests.catalog.specs import pythia_spec
from tests.dis_events import ELECTRON

pythia8mc = pytest.importorskip("pythia8mc", reason="the optional package pythia8mc is not here")


def generator(**changes: str):
    pythia = pythia8mc.Pythia("", False)
    beams = {"Beams:eA": "50", "Beams:eB": "50"}
    for key, value in {**dis_settings(2.0, 4.0), **beams, **changes}.items():
        assert pythia.readString(f"{key} = {value}")
    pythia.init()
    return pythia


@pytest.fixture(scope="module")
def events():
    spec = pythia_spec("source.events=5000", "shard_events=5000")
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    return {name: torch.from_numpy(values) for name, values in source.shard(0).items()}


def test_cuts_are_as_promised(events):
    momentum = (*(events[name] for name in ELECTRON[:3]), events["beam_energy"])
    q2, x = dis.q2(*momentum), dis.x_bj(*momentum, events["beam_energy"])
    assert q2.min() >= 2 * (1 - 1e-6)
    assert (q2 < 2.1).any()
    assert (events["electron.energy"] <= 50).all()
    assert x.min() > 0
    assert x.max() < 1
    # m_hat_min = 4 GeV: below x s = 16 GeV² lies only what showers and primordial kT moved there.
    assert (x * 1e4 < 16).double().mean() < 0.015


def test_a_cut_on_y_keeps_what_is_above() -> None:
    spec = DatasetSpec.load("dis-ep-hera-y", ("source.events=400", "shard_events=400"))
    table = spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0)
    y = 1 - (table["electron.energy"] + table["electron.pz"]) / 55
    assert 0.05 <= y.min() < 0.055
    assert y.max() > 0.9


def test_the_cross_section_is_pythias_in_other_units() -> None:
    """(ħc)² = 0.38938 GeV² mb."""
    source = pythia_spec().source
    assert isinstance(source, PythiaDISConfig)
    found = cross_section(source, {"beam_energy": 50.0}, 300)
    pythia = generator(
        **{"Random:setSeed": "on", "Random:seed": f"{source.seed % 900_000_000 + 1}"}
    )
    for _ in range(300):
        pythia.next()
    assert found == pytest.approx(pythia.infoPython().sigmaGen() / 0.3893794)


def test_azimuth_is_isotropic_and_the_beam_along_z(events):
    phi = torch.atan2(events["electron.py"], events["electron.px"])
    assert abs(phi.cos().mean()) < 4 * (0.5 / len(phi)) ** 0.5
    assert abs(phi.sin().mean()) < 4 * (0.5 / len(phi)) ** 0.5
    assert (events["electron.pz"] > 0).double().mean() > 0.95


def test_electron_carries_exactly_the_q2_of_the_hard_process():
    pythia = generator()
    for _ in range(1000):
        if pythia.next():
            e = _scattered_electron(pythia.event)
            momentum = torch.tensor([e.px(), e.py(), e.pz(), 50.0], dtype=torch.float64)
            assert dis.q2(*momentum).item() == pytest.approx(-pythia.infoPython().tHat(), rel=1e-5)


def test_hadronisation_leaves_the_scattered_electron_alone():
    with_it, without = generator(**{"HadronLevel:all": "on"}), generator()
    compared = 0
    for seed in range(1, 60):
        momenta = []
        for pythia in (with_it, without):
            pythia.rndm.init(seed)
            if pythia.next():
                electron = _scattered_electron(pythia.event)
                momenta.append((electron.px(), electron.py(), electron.pz(), electron.e()))
        if len(momenta) == 2:
            assert momenta[0] == momenta[1]
            compared += 1
    assert compared > 50


def test_seeds_differ_between_shards_and_beam_energies():
    spec = pythia_spec()
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    other = spec.source.open(spec.schema_, {"beam_energy": 40.0}, spec.shard_events)
    seeds = {source.seed(i) for i in range(10)} | {other.seed(i) for i in range(10)}
    assert len(seeds) == 20
    assert all(1 <= seed <= 900_000_000 for seed in seeds)


def test_strata_have_their_beam_energies():
    spec = DatasetSpec.load("dis-ep-energies", ("source.events=50", "shard_events=10"))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    assert source.shard_rows() == [[10]] * 5
    np.testing.assert_array_equal(source.shard(1)["beam_energy"], np.full(10, 20.0))
    assert source.shard(1)["electron.energy"].max() <= 20


def test_missing_pythia_names_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    spec = pythia_spec()
    with pytest.raises(UserError, match=r"pip install 'mleg-ray\[pythia\]'"):
        spec.source.open(spec.schema_, spec.conditions, spec.shard_events)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("source.beam_energies=[50.0]", "give the beam energy once"),
        ("conditions={}", "give the beam energy once"),
        ("source.q2_minimum=2", "unknown key 'source.q2_minimum'.*did you mean 'q2_min'"),
        ("source.events=0", "source.events"),
    ],
)
def test_bad_configuration(assignment, message):
    with pytest.raises(ConfigError, match=message):
        pythia_spec(assignment)


def test_impossible_cuts_are_a_clear_error():
    spec = pythia_spec("source.q2_min=20000.0")
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    with pytest.raises(ConfigError, match="no phase space"):
        source.shard(0)
