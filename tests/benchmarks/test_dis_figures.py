"""Figures of scattered electrons by values of hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.common.dis_figures import (
    ALL_EDGES,
    CELL,
    Q2_EDGES,
    X_EDGES,
    electrons,
    judge,
    reductions,
    shares,
)
from benchmarks.common.options import Options
from benchmarks.common.results import Results
from benchmarks.common.transverse import transverse
from mleg_ray.events import Events

ALPHA = 1 / 137.035999


def events(*momenta: tuple[float, float, float]) -> Events:
    """Electrons of HERA's beams with these px, py and pz."""
    columns = torch.tensor(momenta, dtype=torch.float64).T
    names = ("electron.px", "electron.py", "electron.pz")
    ones = torch.ones(len(momenta), dtype=torch.float64)
    beams = {"electron_beam": 27.5 * ones, "proton_beam": 920 * ones}
    return Events(dict(zip(names, columns, strict=True)) | beams, {}, ones)


# E' - pz = 2 and E' + pz = 22 GeV: pz = 10, pT² = 44, Q² = 55 · 2 = 110 GeV², y = 1 - 22/55 = 0.6,
# x = 110 / (101,200 · 0.6) = 0.0018116.
FORWARD = (math.sqrt(44), 0.0, 10.0)
# 25 GeV at 90 degrees: Q² = 1375 GeV², y = 1 - 25/55, x = 1375 / (101,200 · 0.54545) = 0.024909.
SIDEWAYS = (0.0, 25.0, 0.0)
# E' - pz = 8 and E' + pz = 38.5 GeV: y = 0.3; and 29 and 5.5 GeV: y = 0.9, Q² = 1595 GeV².
SLOW = (math.sqrt(8 * 38.5), 0.0, (38.5 - 8) / 2)
BACKWARD = (math.sqrt(29 * 5.5), 0.0, (5.5 - 29) / 2)


def test_variables_of_two_electrons() -> None:
    """ν1 = ln(E' - pz) and ν2 = ln(2E_e - E' - pz), in GeV: dissertation, eq. 24."""
    found = electrons(events(FORWARD, SIDEWAYS))
    assert found["nu1"] == pytest.approx([math.log(2), math.log(25)])
    assert found["nu2"] == pytest.approx([math.log(33), math.log(30)])
    assert found["log10 Q2"] == pytest.approx([math.log10(110), math.log10(1375)])
    assert 10 ** found["log10 x"] == pytest.approx([0.0018116, 0.024909], rel=1e-4)
    assert found["y"] == pytest.approx([0.6, 30 / 55])
    for number, (x, q2) in zip(found[CELL], ((0.0018116, 110), (0.024909, 1375)), strict=True):
        at_x, at_q2 = divmod(int(number), len(Q2_EDGES) - 1)
        assert X_EDGES[at_x] < x < X_EDGES[at_x + 1]
        assert Q2_EDGES[at_q2] < q2 < Q2_EDGES[at_q2 + 1]


def test_an_electron_beyond_all_cells_is_in_none() -> None:
    x_of_one_half = (math.sqrt(400 * 51.06), 0.0, (51.06 - 400) / 2)  # Q² = 22,000 GeV²
    found = electrons(events(x_of_one_half, FORWARD))
    assert found[CELL][0] == -1
    assert shares(found)[CELL].sum() == 0.5


def test_weighted_shares_are_of_all_events() -> None:
    made = shares(electrons(events(FORWARD, SIDEWAYS)), np.array([3.0, 1.0]))
    for name in ALL_EDGES:
        assert sorted(made[name][made[name] > 0]) == [0.25, 0.75]


def test_the_reduced_cross_section_of_two_electrons_in_three() -> None:
    """σ_r = x Q⁴ / (2π α² Y₊) d²σ/dx dQ² / σ with Y₊ = 1 + (1 - y)² = 1.16; d²σ/σ = 2/3 a bin."""
    columns = electrons(events(FORWARD, FORWARD, SIDEWAYS))
    cell = int(columns[CELL][0])
    at_x, at_q2 = divmod(cell, len(Q2_EDGES) - 1)
    area = (X_EDGES[at_x + 1] - X_EDGES[at_x]) * (Q2_EDGES[at_q2 + 1] - Q2_EDGES[at_q2])
    factor = 110 / (101_200 * 0.6) * 110**2 / (2 * math.pi * ALPHA**2 * 1.16)
    found = shares(columns)[CELL] * reductions(columns)
    assert found[cell] == pytest.approx(factor * 2 / 3 / area)
    assert np.count_nonzero(found) == 2


def test_a_band_is_judged_by_hand(tmp_path: Path) -> None:
    """Four kinds of electrons, equally many; two of them are generated more often, two less."""
    kinds = (FORWARD, SLOW, SIDEWAYS, BACKWARD)
    true = electrons(events(*kinds * 10))
    each = electrons(events(*kinds))
    replicas = [shares(each, np.array([p, p, 0.5 - p, 0.5 - p])) for p in (0.3, 0.35, 0.4)]
    results = Results("judged", Options(out=tmp_path))
    bands = judge({"method": "by hand"}, true, replicas, 20, 1, results)
    rows = json.loads((tmp_path / "judged.json").read_text())["rows"]
    found = {row["of"]["variable"]: row["figures"] for row in rows}
    # 0.35 or 0.15 for 0.25; 40 true events and 20 make a variance of 0.25 (1/40 + 1/20).
    chi2, true_error = 0.1**2 / (0.25 * 0.075), math.sqrt(0.25 * 0.75 / 40)
    for name in ALL_EDGES:
        figures = found[name]
        assert figures["χ²/ndf"] == pytest.approx(chi2)
        assert figures["mean |pull|"] == pytest.approx(0.1 / math.hypot(0.05, true_error))
        assert (figures["within 1 σ"], figures["within 2 σ"]) == (0, 1)
        assert bands[name].used.sum() == 4
        # By ν2 they come in another order: slow, sideways, forward, backward.
        alike = -1 if name == "nu2" else 1 / 3
        assert figures["correlation of neighbours"] == pytest.approx(alike)
        if name != CELL:
            assert figures["KS"] == pytest.approx(0.1 if name == "nu2" else 0.2)
    assert found[CELL]["σ_r, median |ratio - 1|"] == pytest.approx(0.1 / 0.25)
    assert found[CELL]["σ_r, median error"] == pytest.approx(0.05 / 0.25)
    assert found[CELL]["σ_r, median error of the truth"] == pytest.approx(true_error / 0.25)


def test_transverse_momenta() -> None:
    assert transverse(events(FORWARD, SIDEWAYS))[0].tolist() == pytest.approx([math.sqrt(44), 0])
    assert transverse(events(SIDEWAYS)).tolist() == [[0, 25]]
