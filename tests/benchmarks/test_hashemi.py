"""What the row of muon pairs computes itself: the paper's frame, and the choice among trainings."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.common import dimuon_pictures as pictures
from benchmarks.common.dimuon_pictures import columns_of, shares
from benchmarks.paper import hashemi
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.events import Events


def test_the_harder_muon_is_turned_with_the_softer_one() -> None:
    """p = (0, 5) and (3, 0) GeV: a quarter turn apart, so (0, 5) where the other lies along x.

    (0, 4) and (0, 2) are along each other: (4, 0).
    """
    muons = {"mu1": [[0.0, 5, 0, 5], [0, 4, 0, 4]], "mu2": [[3.0, 0, 0, 3], [0, 2, 0, 2]]}
    columns = {
        f"{muon}.{part}": torch.tensor(values).double()
        for muon, rows in muons.items()
        for part, values in zip(("px", "py", "pz", "energy"), zip(*rows, strict=True), strict=True)
    }
    definitions = DatasetSpec.load("dimuons-13tev").definitions
    found = columns_of(definitions.joined(Events(columns, {}, torch.ones(2).double())))
    np.testing.assert_allclose(found["turned_px"], [0, 4], atol=1e-12)
    np.testing.assert_allclose(found["turned_py"], [5, 0], atol=1e-12)


def test_what_follows_of_seventeen_numbers() -> None:
    """Muons of 50 and 30 GeV a quarter turn apart: m² = 2 · 50 · 30; jets above 15 GeV are two."""
    numbers = {"mu1.py": 50.0, "mu1.energy": 50, "mu2.px": 30, "mu2.energy": 30}
    numbers |= dict.fromkeys(("mu1.px", "mu1.pz", "mu2.py", "mu2.pz"), 0.0)
    numbers |= {"mu1.isolation": 0, "mu2.isolation": 0, "n_vtx": 20, "met.px": 3, "met.py": 4}
    columns = {name: torch.tensor([value]).double() for name, value in numbers.items()}
    columns["jet.pt"] = torch.tensor([[40.0, 16, 14, 0, 0]]).double()
    made = Events(columns, {"jet": columns["jet.pt"] > 0}, torch.ones(1).double())
    found = DatasetSpec.load("zmumu-13tev").definitions.joined(made).columns
    expected = {
        "m_ll": np.sqrt(3000),
        "pt_ll": np.hypot(50, 30),
        "met": 5,
        "met_phi": np.arctan2(4, 3),
        "delta_phi": np.pi / 2,
        "n_jets": 2,
        "leading_jet": 40,
        "mu1_pt": 50,
        "mu2_pt": 30,
    }
    assert {name: found[name].item() for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("entry", ["zmumu-13tev", "dimuons-13tev"])
@pytest.mark.parametrize(
    ("first", "second", "mass", "broken"),
    [
        (30.0, 26.0, 0.1056584, set()),
        (26.0, 30.0, 0.1056584, {"order"}),
        (100.0, 19.0, 0.1056584, {"mu2_threshold"}),
        (24.0, 24.0, 0.1056584, {"m_ll_min"}),  # 48 GeV
        (76.0, 76.0, 0.1056584, {"m_ll_max"}),
        (30.0, 26.0, 5.0, {"mu1_above_shell", "mu2_above_shell"}),
    ],
)
def test_what_no_muon_pair_is(
    entry: str, first: float, second: float, mass: float, broken: set[str]
) -> None:
    """Back to back across the beam the mass is 2 √(p p'), but for the muons' own."""
    spec = DatasetSpec.load(entry)
    schema = spec.schema_
    columns = {name: torch.zeros(1, *schema.shapes[name]).double() for name in schema.event}
    for muon, p in (("mu1", first), ("mu2", -second)):
        columns[f"{muon}.px"][:] = p
        columns[f"{muon}.energy"][:] = np.hypot(p, mass)
    present = {"jet": columns["jet.pt"] > 0} if "jet.pt" in columns else {}
    made = spec.definitions.joined(Events(columns, present, torch.ones(1).double()))
    found = {name for name, rule in spec.constraints.items() if violates(rule, made).item()}
    assert found == broken


def test_shares_are_of_all_events() -> None:
    """One in (0, 1), one in (1, 2), two beyond: a quarter each."""
    found = shares(np.array([0.5, 1.5, 7, -3]), np.array([0.0, 1, 2]))
    assert found.tolist() == [0.25, 0.25]
    assert shares(np.array([]), np.array([0.0, 1, 2])).tolist() == [0, 0]


def test_many_vertices_are_more_than_25_and_few_below_15() -> None:
    """Missing momenta of 1, 4, 7 and 10 GeV with 14, 15, 25 and 26 vertices: bins of 3 GeV."""
    met = np.array([1.0, 4, 7, 10])
    columns = {"n_vtx": np.array([14.0, 15, 25, 26]), "met": met, "pt_ll": met}
    _, many, few = pictures.pile_up(columns, {"made": columns}).axes
    for axes, bin_ in ((many, 3), (few, 0)):
        for drawn in axes.patches:
            values = drawn.get_data().values  # type: ignore[attr-defined]
            assert np.flatnonzero(values).tolist() == [bin_]
            assert values[bin_] == 1


def test_the_line_is_the_median_of_the_pairs_p_t() -> None:
    """Of 30 events with a jet of 12 GeV 20 have a pair of 40 GeV and 10 one of 100 GeV."""
    columns = {"leading_jet": np.full(30, 12.0), "pt_ll": np.array([40.0] * 20 + [100.0] * 10)}
    for axes in pictures.recoil({"truth": columns, "generated": columns}).axes:
        [line] = axes.lines
        values = np.asarray(line.get_ydata(), dtype=float)
        assert values[0] == 40
        assert np.isnan(values[1:]).all()


def test_a_matrix_of_correlations_has_no_diagonal() -> None:
    """Of what is opposite it has -1, and zero of what has one value throughout."""
    names = [panel.name for panel in (*pictures.INPUTS, *pictures.DERIVED)]
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(size=9) for name in names}
    columns |= {"met.py": -columns["met.px"], "n_jets": np.zeros(9)}
    for axes in pictures.correlations({"truth": columns, "generated": columns}).axes[:2]:
        matrix = np.asarray(axes.images[0].get_array())
        assert matrix.shape == (17 + 6, 17 + 6)
        assert not matrix.diagonal().any()
        assert matrix[names.index("met.px"), names.index("met.py")] == pytest.approx(-1)
        assert not matrix[names.index("n_jets")].any()


def test_distances_of_moments_are_drawn_in_gev() -> None:
    """Squares of a mass over its deviation, 2 GeV: 4 is 4 GeV off, 9 is 6 GeV."""
    moment = dict.fromkeys(("step", "adversarial", "critic_loss", "ks_sum"), 1.0)
    moment |= {"mean of m": 4, "width of m": 9}
    _, moments, _ = pictures.trainings({"one": ([moment], "m", 2.0)}).axes
    assert [list(line.get_ydata()) for line in moments.lines] == [[4], [6]]


def test_of_all_trainings_the_best_that_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums: 0.9, 0.52, 0.5 and 0.51; ranks of a: 4, 2, 3, 1, of b: 1, 3, 2, 4: 5 each.

    With the third left out, of which no weights were kept, the smallest sum is that of the fourth,
    and of the three that rank alike the first seed's first step is taken.
    """
    a, b = (0.8, 0.02, 0.3, 0.01), (0.1, 0.5, 0.2, 0.5001)
    moments: list[dict[str, Any]] = [
        {"step": step, "ks.a": x, "ks.b": y, "ks_sum": x + y}
        for step, x, y in zip((100, 200, 100, 200), a, b, strict=True)
    ]

    def training(*own: dict[str, Any]) -> SimpleNamespace:
        names = dict.fromkeys(("ks_sum", "ks.a", "ks.b"), 0.0)
        return SimpleNamespace(card=SimpleNamespace(history=own, metrics=names))

    trainings = {1: training(*moments[:2]), 2: training(*moments[2:])}
    steps = {id(trainings[1]): (100, 200), id(trainings[2]): (200,)}
    monkeypatch.setattr(
        hashemi, "snapshots_of", lambda one: dict.fromkeys(steps[id(one)], "a place")
    )
    assert hashemi.best_of(trainings, "ks_sum") == (2, 200, pytest.approx(0.5101))  # type: ignore[arg-type]
    assert hashemi.best_of(trainings, "ks_rank_sum") == (1, 100, pytest.approx(0.9))  # type: ignore[arg-type]
