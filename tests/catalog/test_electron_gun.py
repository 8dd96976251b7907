"""Electrons of a gun, and their pt as it is smeared: four terms by hand, and what is refused."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError
from mleg_ray.physics.detector import over_root
from tests.physics.deviations import LIKELY

ENTRIES = ("electron-pt-smearing", "electron-pt-smearing-printed", "electron-pt-smearing-card")


def shard(name: str, *assignments: str) -> dict[str, np.ndarray]:
    """Return a shard of 5,000 electrons."""
    size = ("source.of.events=5000", "shard_events=5000")
    spec = DatasetSpec.load(name, (*size, *assignments))
    return dict(spec.source.open(spec.schema_, spec.conditions, spec.shard_events).shard(0))


def resolution(name: str, pt: float, eta: float) -> float:
    """Return σ(pt)/pt of an entry."""
    detector = DatasetSpec.load(name).source.detector
    return detector.resolution(*torch.tensor([[pt], [eta]]).double()).item()


def test_a_gun_is_even_in_all_it_says() -> None:
    table = shard("electron-pt-smearing")
    pt, eta, phi = table["vertex.pt"], table["electron.eta"], table["electron.phi"]
    energy = np.hypot(pt * np.cosh(eta), 0.51099895e-3)
    even = {
        "cos θ": (np.tanh(eta) / math.tanh(2.5) + 1) / 2,
        "ln E": np.log(energy / 0.01) / math.log(1e4),
        "φ": (phi / math.pi + 1) / 2,
    }
    for name, share in even.items():
        assert stats.kstest(share, "uniform").pvalue > LIKELY, name
    assert np.corrcoef(list(even.values())) == pytest.approx(np.eye(3), abs=0.06)


@pytest.mark.parametrize(
    ("name", "pt", "eta", "expected"),
    [
        # Of 500 MeV, 0.101/√500 ⊕ 0.0017 wherever it flies.
        ("electron-pt-smearing", 0.5, 0.0, math.hypot(0.101 / 500**0.5, 0.0017)),
        ("electron-pt-smearing", 0.5 / math.cosh(2), -2.0, math.hypot(0.101 / 500**0.5, 0.0017)),
        # In MeV: 0.03 ⊕ 0.013 · 2, of 2.
        ("electron-pt-smearing-printed", 0.002, -0.3, math.hypot(0.03 / 2, 0.013)),
        ("electron-pt-smearing-printed", 0.002, 1.6, math.hypot(0.05 / 2, 0.017)),
        ("electron-pt-smearing-printed", 0.002, -1.8, math.hypot(0.15 / 2, 0.031)),
        ("electron-pt-smearing-card", 40.0, 0.3, math.hypot(0.052, 0.03)),
        ("electron-pt-smearing-card", 40.0, -1.4, math.hypot(0.068, 0.05)),
        ("electron-pt-smearing-card", 40.0, 1.6, math.hypot(0.124, 0.15)),
    ],
)
def test_resolutions_by_hand(name, pt, eta, expected) -> None:
    assert resolution(name, pt, eta) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ENTRIES)
def test_pt_is_smeared_as_the_entry_says_whatever_the_azimuth(name) -> None:
    table = shard(name)
    assert len(table["electron.pt"]) == 5000  # none is out of sight
    pt, eta = (torch.from_numpy(table[column]) for column in ("vertex.pt", "electron.eta"))
    sigma = DatasetSpec.load(name).source.detector.resolution(pt, eta).numpy()
    pull = (table["electron.pt"] / pt.numpy() - 1) / sigma
    assert stats.kstest(pull, "norm").pvalue > LIKELY
    for column in ("electron.eta", "electron.phi", "vertex.pt"):
        assert abs(stats.spearmanr(np.abs(pull), table[column]).statistic) < 4 / 5000**0.5


def test_what_is_beyond_the_zones_is_not_seen() -> None:
    zones = "source.detector.zones=[{ eta = [0.5, 1.0], constant = 0.1 }]"
    eta = np.abs(shard("electron-pt-smearing", zones)["electron.eta"])
    assert 0.5 <= eta.min() < eta.max() < 1.0
    expected = (math.tanh(1) - math.tanh(0.5)) / math.tanh(2.5)
    assert len(eta) == pytest.approx(5000 * expected, abs=4 * math.sqrt(5000 * 0.25))


def test_observables_are_the_true_less_the_measured_pt() -> None:
    spec = DatasetSpec.load("electron-pt-smearing")
    table = {"electron.pt": 8.5, "vertex.pt": 9.0, "electron.eta": 0.0, "electron.phi": 1.0}
    events = spec.schema_.events({k: torch.tensor([v]).double() for k, v in table.items()}, {})
    joined = spec.joined(events).columns
    assert joined["delta"].item() == pytest.approx(0.5)
    assert joined["scaled_delta"].item() == pytest.approx(0.5 / 3)
    assert joined["energy"].item() == pytest.approx(9.0)
    assert over_root(torch.tensor([-6.0]), torch.tensor([-4.0])).item() == pytest.approx(-3)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("source.of.energies=[1.0, 0.5]", "source.of: energies: the lower one first, in GeV"),
        ("source.of.energies=[1e-4, 0.5]", "source.of: energies: .*above an electron's mass"),
        ("conditions.electron.phi=1.0", "conditions"),
        ("source.detector.zones=[]", "source.detector.zones"),
        (
            "source.detector.zones=[{ eta = [0, 2] }, { eta = [1, 3] }]",
            "source.detector.zones: two of them hold the pseudorapidities 1 to 2",
        ),
        ("source.detector.zones.0.eta=[2, 0]", "the first is the lower end"),
        ("source.detector.zones.0.noise=-1", "source.detector.zones.0.noise"),
        ("fields.1.role=event", "'transverse-smearing' measures electron.pt in GeV given electron"),
        ("source.of={ kind = 'toy', distribution = 'normal', events = 9, seed = 1 }", "toy makes"),
    ],
)
def test_what_does_not_fit_is_refused(assignment, message) -> None:
    with pytest.raises(ConfigError, match=message):
        DatasetSpec.load("electron-pt-smearing", (assignment,))


def test_a_fixed_direction_is_refused() -> None:
    with pytest.raises(ConfigError, match="draws electron.phi; leave it out of"):
        DatasetSpec.load("electron-pt-smearing", ('conditions={ "electron.phi" = 1.0 }',))
