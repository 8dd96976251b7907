"""What rows of top quarks count: channels by hand, and objects of other events."""

import math

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


def two_jets(pts: list[float]) -> Events:
    """Return events of two jets of a p_T back to back: their mass is twice that, cosh 0 = 1."""
    made = events(*({"jet": [pt, pt], "met": [1.0]} for pt in pts))
    made.columns["jet.phi"][:, 1] += math.pi
    made.columns["jet.eta"][:] = 0.0
    made.columns["jet.energy"][:] = made.columns["jet.pt"]
    return made


FOUR, PAIR = {"jet": [201, 180, 170, 51]}, {"jet": [60], "muon": [30], "antimuon": [16]}
THREE = {"electron": [20], "positron": [18], "antimuon": [16]}


@pytest.mark.parametrize(
    ("event", "channels"),
    [
        # Four jets above 50 GeV, one above 200; H_T of 602 GeV; missing 200, and 0.2 H_T.
        ({**FOUR, "met": [200]}, ("1", "3")),
        ({"jet": [201, 180, 170], "b_jet": [51], "met": [200]}, ("1", "3")),
        ({**FOUR, "met": [199]}, ("3",)),
        ({"jet": [201, 180, 167, 51], "met": [200]}, ()),  # 599 GeV
        ({"jet": [600, 300, 100, 90], "met": [217]}, ("3",)),  # a fifth of 1,090 GeV is 218
        ({"jet": [201, 180, 170, 60, 49], "met": [220]}, ("1", "3")),
        ({"jet": [251, 180, 170, 49], "met": [220]}, ("3",)),
        ({"jet": [199, 180, 170, 55], "met": [220]}, ("3",)),
        # Missing 100 GeV and H_T of 600.
        ({"jet": [600], "met": [100]}, ("3",)),
        ({"jet": [600], "met": [99]}, ()),
        ({"jet": [599], "met": [100]}, ()),
        # Three leptons, or two and H_T of 50 GeV; missing 50.
        ({**THREE, "met": [50]}, ("2a",)),
        ({**THREE, "met": [49]}, ()),
        ({**PAIR, "met": [50]}, ("2b",)),
        ({**PAIR, "met": [49]}, ()),
        ({**PAIR, "jet": [49], "met": [50]}, ()),
        ({"jet": [60], "muon": [30], "met": [50]}, ()),
        ({**PAIR, "positron": [16], "b_jet": [20], "met": [60]}, ("2a", "2b")),
    ],
)
def test_channels_of_the_challenge(
    event: dict[str, list[float]], channels: tuple[str, ...]
) -> None:
    found = tops.regions(events(event))
    assert tuple(name for name, [passed] in found.items() if passed) == channels


def test_observables_are_of_the_objects_that_they_name() -> None:
    """m² = Σ 2 p p' (1 - cos Δφ) over the pairs of massless objects, which have one η here.

    The first jet is opposite to the second, along which are the b-jet and the electron; the muon,
    the hardest lepton, is a quarter turn from them, and missing momentum one radian.
    """
    objects = {"jet": [100.0, 60], "b_jet": [50.0], "electron": [30.0], "antimuon": [40.0]}
    one = events({**objects, "met": [20.0]})
    one.columns["jet.phi"][:, 0] += math.pi
    one.columns["antimuon.phi"][:, 0] += math.pi / 2
    found = DatasetSpec.load(tops.ENTRY).definitions.joined(one).columns
    expected = {
        "ht": 210,
        "jet1_pt": 100,
        "jet2_pt": 60,
        "b_jet1_pt": 50,
        "recoil": 100 - 60,
        "delta_phi": math.pi - 1,
        "m_jj": math.sqrt(4 * 100 * 60),
        "m_bjj": math.sqrt(4 * 100 * 60 + 4 * 50 * 100),
        "m_lb": math.sqrt(2 * 40 * 50),
        "criteria": 3,  # a jet, an electron and a muon
    }
    assert {name: found[name].item() for name in expected} == pytest.approx(expected)


def test_shares_are_compared_by_their_errors() -> None:
    """20 and 30 of 100: 0.1 over √(0.2 x 0.8/100 + 0.3 x 0.7/100) = √0.0037."""
    truth, other = (torch.arange(100) < n for n in (20, 30))
    assert tops.compared(truth, other) == pytest.approx([20, 30, 0.1 / 0.0037**0.5])
    assert tops.compared(truth[50:], other[50:]) == [0, 0, 0]


def test_the_peak_of_w_bosons_lies_on_a_line_through_what_is_beside_it() -> None:
    """Of 20 events 10 lie in the peak and 4 beside: 0.3 of all, and of the others 6 - 3 = 0.15.

    Var = (14 - 20 x 0.3^2)/20^2 = 0.0305 and (9 - 20 x 0.15^2)/20^2 = 0.021375.
    """
    # Two jets of 40 GeV at rest have 80 GeV, of 30 GeV 60, of 60 GeV 120.
    true, other = (
        tops.sample(two_jets([40.0] * inside + [30.0] * beside + [60.0] * rest), "sample")
        for inside, beside, rest in ((10, 4, 6), (6, 3, 11))
    )
    share, error = tops.w_peak(true, other)
    assert share == pytest.approx(0.5)
    assert error == pytest.approx((0.021375 + 0.25 * 0.0305) ** 0.5 / 0.3)


def test_tails_are_what_one_in_a_thousand_true_events_exceeds() -> None:
    """Of H_T = 20 ... 2,019 GeV two lie beyond the quantile of 99.9%, which is 2,017.001 GeV."""
    truth = tops.sample(events(*({"jet": [20.0 + i], "met": [1.0]} for i in range(2000))), "true")
    some = events(*({"jet": [pt], "met": [1.0]} for pt in (2017.0, 2017.002)))
    found = tops.tails(truth, tops.sample(some, "other"))
    assert found["ht > 2017, %"][:2] == pytest.approx([0.1, 50])


def test_samples_that_are_invalid() -> None:
    """Of four events one has a jet below its threshold, and two a lepton off its shell, of a kind
    each: the largest share off any shell is that of one event.
    """
    good = {"jet": [100.0], "electron": [30.0], "muon": [30.0], "met": [20.0]}
    four = events(good, {**good, "jet": [100.0, 19.0]}, good, good)
    four.columns["electron.energy"][2, 0] *= 1.01
    four.columns["muon.energy"][3, 0] *= 1.01
    found = tops.invalid(tops.sample(four, "four"))
    assert found == {"invalid, %": 75.0, "off shell, %": 25.0}
