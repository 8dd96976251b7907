"""Figures of typed objects by hand."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.common import typed_objects, typed_pictures
from benchmarks.common.typed_objects import COLUMNS, PARTS, TYPES, Criteria
from mleg_ray.events import Events

PLACES = 4


def events(*given: dict[str, list[tuple[float, ...]]], met: float = 50.0) -> Events:
    """Return events of objects (energy, pt, η, φ) by type."""
    columns, present = {}, {}
    for group in TYPES:
        table = torch.zeros(len(given), PLACES, 4, dtype=torch.float64)
        for k, event in enumerate(given):
            for place, values in enumerate(event.get(group, [])):
                table[k, place] = torch.tensor(values)
        columns |= {f"{group}.{part}": table[:, :, i] for i, part in enumerate(PARTS)}
        present[group] = table[:, :, 1] > 0
    ones = torch.ones(len(given)).double()
    return Events({**columns, "met.pt": met * ones, "met.phi": 0 * ones}, present, ones)


def test_distances_of_histograms_by_hand() -> None:
    """Truth: 3/4 in the first bin and 1/4 in the last; generated: 1/2 and 1/2.

    Of 50 heights, all others are zero: sorted, 3/4 lies opposite 1/2, and 1/4 opposite 1/2, which
    is 1/2 over 50. The numbers 0 and 1 themselves are 1/4 apart, with a deviation of √(3/16).
    """
    truth = np.array([0.0, 0.0, 0.0, 1.0] * 1000)
    made = np.array([0.0, 1.0] * 1_000_000)
    found = typed_objects.distances(truth, made)
    assert found.heights == pytest.approx(0.5 / 50)
    assert found.w1 == pytest.approx(0.25 / math.sqrt(3 / 16))
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert found.kl == pytest.approx(kl, rel=1e-3)  # half events in 48 empty bins
    m = (5 / 8, 3 / 8)
    js2 = 0.5 * sum(
        p * math.log(p / middle)
        for share in ((3 / 4, 1 / 4), (1 / 2, 1 / 2))
        for p, middle in zip(share, m, strict=True)
    )
    assert found.js_nat == pytest.approx(math.sqrt(js2), rel=1e-3)
    assert found.js == pytest.approx(math.sqrt(js2 / math.log(2)), rel=1e-3)


def test_what_lies_beyond_the_truths_range_is_in_the_outer_bins() -> None:
    """Of 0 and 1, a half each; generated -5 and 7 are the same histogram, with no distance."""
    found = typed_objects.distances(np.array([0.0, 1.0] * 500), np.array([-5.0, 7.0] * 500_000))
    assert found.heights == pytest.approx(0)
    assert found.kl == pytest.approx(0, abs=1e-3)
    assert found.w1 == pytest.approx(11)  # (5 + 6)/2 over 1/2


def test_empty_bins_of_generated_events_count_half_an_event() -> None:
    """Truth: a half in the first bin and in the last; 100 generated events, all in the first.

    The other 49 bins count 1/2 each, so that shares are of 100 + 49/2.
    """
    found = typed_objects.distances(np.array([0.0, 1.0]), np.zeros(100))
    expected = 0.5 * math.log(0.5 / (100 / 124.5)) + 0.5 * math.log(0.5 / (0.5 / 124.5))
    assert found.kl == pytest.approx(expected)
    # Of 50 heights 1/2, 1/2 lie opposite 1, 0: no half events there.
    assert found.heights == pytest.approx(1 / 50)


def test_numbers_are_those_of_the_objects_there_are() -> None:
    """Energies and transverse momenta are in log10, angles as they are."""
    made = events({"jet": [(1000, 100, 0.5, -2)]}, {})
    expected = {"energy": 3, "pt": 2, "eta": 0.5, "phi": -2}
    for part, value in expected.items():
        assert typed_objects.numbers(f"jet.{part}", made).tolist() == pytest.approx([value])


def test_numbers_of_the_hardest_objects() -> None:
    """A second jet does not count; missing momentum is that of all events."""
    made = events({"jet": [(90, 80, 0.5, 1), (40, 30, 2, 3)]}, {}, {"jet": [(40, 30, -1, 2)]})
    assert typed_objects.numbers("jet.eta", made, hardest=True).tolist() == [0.5, -1]
    assert len(typed_objects.numbers("met.pt", made, hardest=True)) == 3


def test_types_count_by_their_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two events, three jets, one muon, with distances 0, 1 and 2: (2·0 + 3·1 + 1·2) / 6."""
    truth = events(
        {"jet": [(90, 80, 0, 0), (40, 30, 0, 1)]},
        {"jet": [(70, 60, 0, 0)], "muon": [(30, 26, 0, 0)]},
    )
    values = {"met": 0.0, "jet": 1.0, "muon": 2.0}
    named = [f"{g}.{p}" for g in ("jet", "muon") for p in PARTS] + ["met.pt", "met.phi"]
    asked: list[str] = []

    def pair(name: str, truth: Events, made: Events, hardest: bool) -> list[str]:
        assert not hardest
        asked.append(name)
        return [name, name]

    def found(name: str, _: str) -> typed_objects.Distances:
        there = values.get(name.partition(".")[0], math.nan)
        return typed_objects.Distances(*[there] * 5)

    monkeypatch.setattr(typed_objects, "_pair", pair)
    monkeypatch.setattr(typed_objects, "distances", found)
    assert typed_objects.combined(truth, truth).kl == pytest.approx(5 / 6)
    assert set(named) < set(asked)


def test_leading_objects_and_total_energy() -> None:
    made = events(
        {"electron": [(30, 20, 0, 0)], "muon": [(50, 40, 1, 2)], "jet": [(100, 60, 0, 0)]}, {}
    )
    assert typed_objects.total_energy(made).tolist() == [180, 0]
    first = typed_objects.leading(made, typed_objects.LEPTONS, "energy")
    assert first[0] == 50
    assert np.isnan(first[1])
    assert typed_objects.leading(made, typed_objects.LEPTONS, "eta", 2)[0] == 0


def test_correlations_are_of_the_events_that_have_both() -> None:
    """Second jets of half the first one's pt where they are; E is 2 pt throughout."""
    rng = np.random.default_rng(1)
    given = []
    for k, pt in enumerate(rng.uniform(50, 100, 40)):
        jets = [(2 * pt, pt, 0.0, 0.0), (pt, pt / 2, 0.0, 0.0)]
        given.append({"jet": jets[: 1 + k % 2]})
    found = typed_objects.correlations(events(*given))
    at = {name: place for place, name in enumerate(COLUMNS)}
    assert found[at["j1pT"], at["j2pT"]] == pytest.approx(1)
    assert found[at["j1pT"], at["j1E"]] == pytest.approx(1)
    assert np.isnan(found[at["j1pT"], at["l1E"]])
    assert typed_objects.correlations(events(*given), zeros=True)[2, 4] < 0.9


def test_correlations_of_leptons_and_of_logarithms() -> None:
    """E = pt² of muons, so that of the logarithms alone all is correlated.

    As many positrons, whose pt falls as that of the jet rises, leave nothing of it.
    """
    rng = np.random.default_rng(1)
    given, others = [], []
    for k, pt in enumerate(10 ** rng.uniform(1, 2, 40)):
        jet = {"jet": [(50.0 + k, pt, 0.0, 0.0)]}
        given.append(jet | {"muon": [(pt**2, pt, 0.0, 0.0)]})
        others.append(jet | {"positron": [(200, 110 - pt, 0.0, 0.0)]})
    found, logs = (
        typed_objects.correlations(events(*given), logarithmic=logarithmic)
        for logarithmic in (False, True)
    )
    at = {name: place for place, name in enumerate(COLUMNS)}
    assert found[at["l1pT"], at["j1pT"]] == pytest.approx(1)
    assert found[at["l1E"], at["j1pT"]] < 0.99
    assert logs[at["l1E"], at["j1pT"]] == pytest.approx(1)
    both = typed_objects.correlations(events(*given, *others))
    assert both[at["l1pT"], at["j1pT"]] == pytest.approx(0, abs=1e-9)


def test_correlations_of_jets_with_b_jets_among_them() -> None:
    """The hardest jet is a b-jet of twice the missing momentum; that of the other jets falls."""
    given = [
        {"b_jet": [(90, 2 * met, 0, 0)], "jet": [(90, 60 - met, 0, 0)]} for met in (31, 40, 45)
    ]
    made = events(*given).replacing((), {"met.pt": torch.tensor([31.0, 40, 45]).double()})
    at = {name: place for place, name in enumerate(COLUMNS)}
    both = typed_objects.correlations(made, jets=("jet", "b_jet"))
    assert both[at["MET"], at["j1pT"]] == pytest.approx(1)
    assert both[at["MET"], at["j2pT"]] == pytest.approx(-1)
    assert typed_objects.correlations(made)[at["MET"], at["j1pT"]] == pytest.approx(-1)


def test_phi_is_drawn_evenly() -> None:
    """Of n numbers even in (-π, π) the largest is within 2π/n of π, but for a share of e⁻¹⁰."""
    made = typed_objects.turned(events(*[{"jet": [(90, 80, 1, 2)]}] * 1000), 1)
    for name in ("jet.phi", "met.phi"):
        phi = typed_objects.numbers(name, made)
        assert len(phi) == 1000
        assert math.pi * 0.98 < phi.max() < math.pi
        assert -math.pi < phi.min() < -math.pi * 0.98
        # A mean cosine of n has the deviation √(1/2n).
        assert abs(np.cos(phi).mean()) < 5 / math.sqrt(2000)


def test_all_figures_of_one_sample() -> None:
    """Two jets: pT and half of it; E of the first rises with pT, or falls twice as fast.

    Six pairs of numbers have a correlation, of which two differ by 2. Half of the events have no
    jet of 60 GeV; one jet of eight has less energy than momentum.
    """

    def jets(*energies: float) -> Events:
        made = events(
            *(
                {"jet": [(energy, pt, k / 100, k), (100, pt / 2, k / 100, k)]}
                for k, (energy, pt) in enumerate(zip(energies, (40, 50, 60, 70), strict=True))
            )
        )
        met = torch.tensor([1.0, 2, 2, 1]).double()
        return made.replacing((), {"met.pt": met, "met.phi": met})

    truth, made = jets(50, 60, 70, 80), jets(120, 100, 80, 60)
    found = typed_objects.figures(truth, made, Criteria("ttbar-13tev"))
    assert found["total energy, σ/σ"] == pytest.approx(2)
    # Of the truth's range, 150 to 180 GeV, three of 220, 200, 180 and 160 GeV are in the last bin:
    # heights of 3/4 and 1/4 opposite four of 1/4.
    assert found["total energy, WD of heights"] == pytest.approx(1 / 50)
    assert found["correlations, rms off"] == pytest.approx(math.sqrt(2 * 2**2 / 6))
    assert found["j1pT-j2pT"] == pytest.approx(1)
    assert found["E < p %"] == pytest.approx(12.5)
    # Of each event's first jet E is 50, 60, 70 and 80 GeV, and generated 60 and thrice the largest;
    # pT is the same, and η and φ are: 1/50 of one in four. Jets count 8, missing momenta 4.
    assert found["WD of heights, hardest"] == pytest.approx(1 / 50 / 4 * 8 / 12)
    assert found["invalid by event %"] == found["invalid by any %"] == 50
    assert found["invalid by object %"] == 0


def test_the_total_energy_is_binned_in_log10() -> None:
    """Of 10 to 1,000 GeV 20 GeV is not in the first bin but in the eighth: 2/3 as of 1,000 GeV.

    In 50 bins of 19.8 GeV all of the generated events would be in the first.
    """

    def jets(*energies: float) -> Events:
        made = events(*({"jet": [(e, 5 + k, k / 9, k)]} for k, e in enumerate(energies)))
        met = torch.arange(1.0, 4).double()
        return made.replacing((), {"met.pt": met, "met.phi": met})

    truth, made = jets(10, 1000, 1000), jets(10, 20, 20)
    found = typed_objects.figures(truth, made, Criteria("ttbar-13tev"))
    assert found["total energy, WD of heights"] == pytest.approx(0, abs=1e-12)


def test_pictures_of_leading_objects_and_of_frequent_masks() -> None:
    """The hardest lepton is the antimuon; 85% of ten events have one of the first two masks."""
    lepton = events({"electron": [(30, 20, 0, 0)], "antimuon": [(50, 40, 1, 2)]})
    panels = typed_pictures._panels(lepton, ("first lepton", "jet 2"))
    assert panels["eta, first lepton"](lepton).tolist() == [1]
    two = events({"jet": [(90, 80, 1, 2), (50, 40, -1, 3)]})
    assert panels["eta, jet 2"](two).tolist() == [-1]
    jet = (90.0, 80.0, 0.0, 0.0)
    truth = events(*[{"jet": [jet]}] * 8, {"jet": [jet] * 2}, {"jet": [jet] * 3})
    above, below = typed_pictures.masks(truth, truth[:9]).axes
    assert above.get_title() == "2 frequent masks: 90.0% of true events"
    assert below.get_title().startswith("1 of 1 rare masks; 0.00%")


def test_spectra_of_several_processes_have_the_same_bins() -> None:
    """Of both types' objects: pT 100 and 1000 GeV, so between 2 and 3 of the logarithm."""
    samples = {
        "soft": events(*[{"jet": [(100.0, 100.0, 0.0, 0.0)] * 2}] * 30),
        "hard": events(*[{"jet": [(1000.0, 1000.0, 0.0, 0.0)]}] * 30),
    }
    [pt] = [a for a in typed_pictures.spectra(samples).axes if a.get_xlabel() == "log10 pt, jet"]
    soft, hard = (patch.get_data() for patch in pt.patches)
    assert soft.edges.tolist() == hard.edges.tolist()
    assert (soft.edges[0], soft.edges[-1]) == pytest.approx((2, 3))
    assert (soft.values[0], soft.values[-1]) == (1, 0)
    assert (hard.values[0], hard.values[-1]) == (0, 1)


def test_objects_of_some_types_are_taken_out() -> None:
    event = events(
        {"jet": [(90, 80, 1, 2)] * 2, "muon": [(30, 20, 0, 1)], "photon": [(9, 8, 0, 1)]}
    )
    left = typed_objects.truncated(event, 0, ("muon", "photon"))
    assert typed_objects.counts(left).tolist() == [[2, 0, 0, 0, 0, 0, 0]]
    assert typed_objects.total_energy(left).tolist() == [180]


@pytest.mark.parametrize(
    ("event", "invalid"),
    [
        ({"jet": [(90, 61, 0, 0)]}, (False, False)),
        ({"b_jet": [(90, 59, 0, 0)]}, (True, False)),
        ({"b_jet": [(90, 61, 0, 0)]}, (False, False)),
        ({"jet": [(90, 61, 2.9, 0)]}, (True, True)),
        ({"electron": [(90, 26, 1.4, 0)]}, (True, False)),
        ({"electron": [(90, 26, -1.3, 0)]}, (False, False)),
        ({"positron": [(90, 26, 1.6, 0)]}, (False, False)),
        ({"muon": [(90, 26, 2.6, 0)]}, (False, False)),
        ({"antimuon": [(90, 26, 2.6, 0)]}, (False, False)),
        ({"photon": [(90, 26, 0, 0)], "muon": [(90, 14, 0, 0)]}, (False, True)),
        ({}, (True, False)),
    ],
)
def test_invalid_events(
    event: dict[str, list[tuple[float, ...]]], invalid: tuple[bool, bool]
) -> None:
    """Of the thesis's two tables, by event and by object."""
    found = Criteria("ttbar-13tev").invalid(events(event))
    assert (found["event"], found["object"]) == tuple(100.0 * mark for mark in invalid)
    assert found["any"] == 100.0 * any(invalid)


def test_independent_objects_keep_numbers_and_spectra() -> None:
    rng = np.random.default_rng(2)
    given = [
        {"jet": [(2 * pt, pt, 0.1, 0.2) for pt in sorted(rng.uniform(20, 90, k % 4), reverse=True)]}
        for k in range(60)
    ]
    met = torch.arange(60.0).double()
    truth = events(*given).replacing((), {"met.pt": met, "met.phi": met / 60})
    order = partial(torch.randperm, generator=torch.Generator().manual_seed(1))
    made = typed_objects.independent(truth, order)
    assert torch.equal(made.present["jet"], truth.present["jet"])
    assert not torch.equal(made.columns["met.pt"], truth.columns["met.pt"])
    assert torch.equal(made.columns["met.pt"].sort().values, truth.columns["met.pt"])
    pt = [np.sort(typed_objects.numbers("jet.pt", some)) for some in (truth, made)]
    np.testing.assert_allclose(*pt)
    assert not torch.equal(made.columns["jet.pt"], truth.columns["jet.pt"])
    assert (made.columns["jet.pt"].diff(dim=1) <= 0).all()
    # An object stays whole: its energy is twice its pt.
    torch.testing.assert_close(made.columns["jet.energy"], 2 * made.columns["jet.pt"])
    # And so does the missing momentum.
    moved = made.columns["met.pt"]
    assert not torch.equal(moved, met)
    assert torch.equal(moved.sort().values, met)
    assert torch.equal(made.columns["met.phi"], moved / 60)


def test_what_is_cut_and_what_is_put_on_shell() -> None:
    made = events({"jet": [(90, 80, 1.0, 0), (40, 30, 0, 1)], "muon": [(10, 20, 0, 0)]})
    cut = typed_objects.truncated(made, 1)
    assert cut.counts["jet.count"].tolist() == [1]
    assert cut.columns["jet.pt"].tolist() == [[80, 0, 0, 0]]
    # 90 < 80 cosh 1 = 123.4 and 10 < 20: two of three objects.
    assert typed_objects.below_shell(made) == pytest.approx(200 / 3)
    shell = typed_objects.on_shell(made)
    assert shell.columns["jet.energy"][0, 0].item() == pytest.approx(80 * math.cosh(1))
    assert typed_objects.below_shell(shell) == 0


def test_masks_of_counts() -> None:
    """True: three of one jet, one of two. Made: one jet, three jets, two jets, none."""
    jet = (90.0, 80.0, 0.0, 0.0)
    truth = events(*[{"jet": [jet]}] * 3, {"jet": [jet] * 2})
    made = events({"jet": [jet]}, {"jet": [jet] * 3}, {"jet": [jet] * 2}, {})
    found = typed_objects.masks(truth, made, train=3)
    # 1/4 of the truth has two jets, below 1/3; three and none are not there at all.
    assert found["rare"] == pytest.approx(75)
    assert found["novel"] == pytest.approx(50)
    assert typed_objects.masks(truth, made, train=4)["rare"] == pytest.approx(50)
    assert found["variation"] == pytest.approx(50 * (1 / 2 + 0 + 1 / 4 + 1 / 4))
    vectors, true, generated = typed_objects.mask_shares(truth, made)
    assert vectors[:, 0].tolist() == [1, 2, 0, 3]
    assert true.tolist() == [0.75, 0.25, 0, 0]
    assert generated.tolist() == [0.25] * 4
