"""A spectrometer of zones: its errors by values of hand, what it does not see, what it refuses."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mleg_ray.catalog.sources.detectors import DETECTORS, Spectrometer
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.physics.detector import energy_resolution

SMALL = ("source.of.events=20_000", "shard_events=20_000")


def at(eta: float, energy: float) -> dict[str, torch.Tensor]:
    pt = energy / math.cosh(eta)
    numbers = {"px": pt, "py": 0.0, "pz": pt * math.sinh(eta), "energy": energy}
    return {f"electron.{name}": torch.tensor([value]).double() for name, value in numbers.items()}


def resolution(detector: Spectrometer, eta: float, energy: float) -> float:
    px, py, pz, _ = at(eta, energy).values()
    return detector.resolution(px, py, pz).item()


def test_resolution_of_energy_is_two_terms_in_quadrature() -> None:
    found = energy_resolution(torch.tensor([4.0, 25.0]).double(), 0.12, 0.02)
    # 12%/√4 = 6%, 12%/√25 = 2.4%
    assert found.tolist() == pytest.approx([math.hypot(0.06, 0.02), math.hypot(0.024, 0.02)])


@pytest.mark.parametrize(
    ("eta", "energy", "calorimeter", "tracker"),
    [  # of the handbook's table, at this energy
        (4.0, 25.0, (0.02 / 5, 0.01), None),
        (3.0, 25.0, (0.02 / 5, 0.01), (0.025, 0.02)),
        (2.2, 16.0, (0.02 / 4, 0.01), (0.008, 0.01)),
        (1.5, 4.0, (0.07 / 2, 0.02), (0.002, 0.01)),
        (0.0, 9.0, (0.12 / 3, 0.02), (0.0045, 0.005)),
        (-1.5, 4.0, (0.12 / 2, 0.02), (0.002, 0.01)),
        (-3.0, 25.0, (0.12 / 5, 0.02), (0.025, 0.02)),
        (-4.0, 25.0, (0.12 / 5, 0.02), None),
    ],
)
def test_calorimeter_and_tracker_are_one_mean(eta, energy, calorimeter, tracker) -> None:
    expected = math.hypot(*calorimeter)
    if tracker:
        expected = (expected**-2 + math.hypot(*tracker) ** -2) ** -0.5
    assert resolution(Spectrometer(), eta, energy) == pytest.approx(expected)
    assert resolution(Spectrometer(scale=2.0), eta, energy) == pytest.approx(2 * expected)


def test_efficiency_is_that_of_the_zone_and_zero_beyond() -> None:
    parts = [at(eta, 20.0) for eta in (0.0, 4.0, -4.0, 4.6)]
    columns = {n: np.concatenate([part[n].numpy() for part in parts]) for n in parts[0]}
    assert Spectrometer().efficiency(columns) == pytest.approx([0.95, 0.95 * 0.7, 0.95 * 0.7, 0.0])


def test_events_are_smeared_and_lost_as_it_says() -> None:
    spec = DatasetSpec.load("folding-hera-flat", SMALL)
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    table = source.shard(0)
    true = {f"electron.{n}": table[f"vertex.{n}"] for n in ("px", "py", "pz", "energy")}
    px, py, pz, energy = (torch.from_numpy(column) for column in true.values())
    sigma = spec.source.detector.resolution(px, py, pz).numpy()
    pull = (table["electron.energy"] / energy.numpy() - 1) / sigma
    assert stats.kstest(pull, "norm").pvalue > 0.01
    theta, true_theta = (
        np.arctan2(np.hypot(table[f"{of}.px"], table[f"{of}.py"]), table[f"{of}.pz"])
        for of in ("electron", "vertex")
    )
    far = (true_theta > 0.01) & (true_theta < math.pi - 0.01)  # nearer, an angle passes the beam
    assert stats.kstest((theta - true_theta)[far] / 1e-3, "norm").pvalue > 0.01
    assert source.loses_events
    lone = spec.source.of.open(spec.schema_.without(spec.schema_.truth), spec.conditions, 20_000)
    expected = spec.source.detector.efficiency(lone.shard(0)).sum()
    assert len(pull) == pytest.approx(expected, abs=4 * math.sqrt(20_000 * 0.25))
    assert len(pull) < 20_000 * 0.96


def test_a_detector_that_sees_nothing_is_an_error() -> None:
    blind = "source.detector.zones=[{ eta = [-9.0, -8.0], stochastic = 0.1, constant = 0.1 }]"
    spec = DatasetSpec.load("folding-hera-flat", (*SMALL, blind))
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    with pytest.raises(DataError, match="'spectrometer' sees none of the 20000 events of shard 0"):
        source.shard(0)


@pytest.mark.parametrize(
    ("zones", "message"),
    [
        ([{"eta": [1, -1], "stochastic": 0.1, "constant": 0}], "the first is the lower end"),
        (
            [{"eta": e, "stochastic": 0.1, "constant": 0} for e in ([0, 2], [1, 3])],
            "two of them hold the pseudorapidities 1 to 2",
        ),
        (
            [{"eta": [0, 2], "stochastic": 0.1, "constant": 0, "sagitta": 0.1}],
            "give both or neither",
        ),
        ([{"eta": [0, 2], "stochastic": 0.1, "constant": 0, "efficiency": 0}], "greater than 0"),
        ([], "at least 1"),
    ],
)
def test_impossible_zones_are_refused(zones: list[dict[str, object]], message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        DETECTORS.parse({"kind": "spectrometer", "zones": zones})
