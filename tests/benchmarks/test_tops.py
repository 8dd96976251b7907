"""What rows of top quarks count: channels by hand, and objects of other events."""

import pytest
import torch

from benchmarks.common import tops
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Events

SCHEMA = DatasetSpec.load(tops.ENTRY).schema_
NONE: list[float] = []


def events(*rows: dict[str, list[float]]) -> Events:
    """Return events of the objects' p_T that are named, all at η = 0.1 and φ = 1 and massless."""
    columns: dict[str, torch.Tensor] = {}
    present: dict[str, torch.Tensor] = {}
    for group, most in SCHEMA.objects.items():
        pt = torch.zeros(len(rows), most, dtype=torch.float64)
        for i, row in enumerate(rows):
            own = torch.tensor(row.get(group, NONE), dtype=torch.float64)
            pt[i, : len(own)] = own
        present[group] = pt > 0
        columns[f"{group}.pt"] = pt
        columns[f"{group}.eta"] = torch.where(pt > 0, 0.1, 0.0).double()
        columns[f"{group}.phi"] = torch.where(pt > 0, 1.0, 0.0).double()
        columns[f"{group}.energy"] = pt * columns[f"{group}.eta"].cosh()
    columns["met.pt"] = torch.tensor([row["met"][0] for row in rows], dtype=torch.float64)
    columns["met.phi"] = torch.zeros(len(rows), dtype=torch.float64)
    return Events(columns, present, torch.ones(len(rows)).double())


def test_channels_of_the_challenge() -> None:
    """H_T: 650 of five jets; 610 of four; 650, less than five times 129; 620, no hard jet; 60."""
    found = tops.regions(
        events(
            {"jet": [250, 150, 100, 90], "b_jet": [60], "met": [200]},
            {"jet": [350, 160, 51], "b_jet": [49], "met": [250]},
            {"jet": [250, 150, 100, 90], "b_jet": [60], "met": [129]},
            {"jet": [199, 180, 121, 120], "met": [210]},
            {"jet": [60], "electron": [20], "positron": [18], "antimuon": [16], "met": [50]},
            {"b_jet": [60], "muon": [30], "antimuon": [16], "met": [49]},
        )
    )
    assert {name: passed.tolist() for name, passed in found.items()} == {
        "1": [True, False, False, False, False, False],
        "2a": [False, False, False, False, True, False],
        "2b": [False, False, False, False, True, False],
        "3": [True, True, True, True, False, False],
    }


def test_shares_are_compared_by_their_errors() -> None:
    """20 and 30 of 100: 0.1 over √(0.2 x 0.8/100 + 0.3 x 0.7/100) = √0.0037."""
    truth, other = (torch.arange(100) < n for n in (20, 30))
    assert tops.compared(truth, other) == pytest.approx([20, 30, 0.1 / 0.0037**0.5])
    assert tops.compared(truth[50:], other[50:]) == [0, 0, 0]


def test_samples_that_are_invalid() -> None:
    """Of four events one has a jet below its threshold, and one an electron off its shell."""
    good = {"jet": [100.0], "electron": [30.0], "met": [20.0]}
    four = events(good, {**good, "jet": [100.0, 19.0]}, good, good)
    four.columns["electron.energy"][2, 0] *= 1.01
    found = tops.invalid(tops.sample(four, "four"))
    assert found == {"invalid, %": 50.0, "off shell, %": 25.0}
