"""Criteria of the Dark Machines challenge, one event each."""

import pytest
import torch

from mleg_ray.physics import dark_machines

NAMES = [
    "jet_pt",
    "b_jet_pt",
    "electron_pt",
    "electron_eta",
    "positron_pt",
    "positron_eta",
    "muon_pt",
    "antimuon_pt",
    "photon_pt",
]


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({}, 0),
        ({"jet_pt": 60.1}, 1),
        ({"jet_pt": 59.9}, 0),
        ({"b_jet_pt": 60.1}, 1),
        ({"jet_pt": 70, "b_jet_pt": 70}, 1),  # both are jets
        ({"electron_pt": 25.1, "electron_eta": -1.36}, 1),
        ({"electron_pt": 25.1, "electron_eta": -1.38}, 0),  # in the gap
        ({"electron_pt": 25.1, "electron_eta": 1.53}, 1),
        ({"electron_pt": 25.1, "electron_eta": 2.48}, 0),
        ({"electron_pt": 24.9, "electron_eta": 1.0}, 0),
        ({"positron_pt": 25.1, "positron_eta": -2.46}, 1),
        ({"positron_pt": 25.1, "positron_eta": 1.51}, 0),
        ({"electron_pt": 40, "electron_eta": 1.4, "positron_pt": 20, "positron_eta": 1.0}, 0),
        ({"muon_pt": 25.1}, 1),
        ({"antimuon_pt": 25.1}, 1),
        ({"muon_pt": 24.9, "antimuon_pt": 24.9}, 0),
        ({"photon_pt": 25.1}, 1),
        ({"photon_pt": 24.9}, 0),
        ({"jet_pt": 61, "electron_pt": 26, "muon_pt": 26, "photon_pt": 26}, 4),
    ],
)
def test_criteria(given, number):
    columns = [torch.tensor([[float(given.get(name, 0)), 0.0]]) for name in NAMES]
    assert dark_machines.criteria(*columns).tolist() == [number]
