"""Fits and joint distributions of muon pairs by numbers that are known."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ndtri

from benchmarks.common.conditional import (
    FEWEST,
    Bins,
    agreement,
    histogram,
    means,
    medians,
    shares,
)
from benchmarks.common.resonance import Resonance, fitted
from benchmarks.physics.dimuons import bins
from mleg_ray.events import Events

START = Resonance((90.0, 0.0), (2.0, 0.0), (1.0, 0.0))


class TestResonance:
    def test_finds_what_was_drawn(self) -> None:
        """Of a Breit-Wigner of full width 2.5 a number is M + 1.25 tan π (u - 1/2)."""
        rng = np.random.default_rng(1)
        u, normal = rng.random(100_000), rng.standard_normal(100_000)
        masses = 91.2 + 1.25 * np.tan(np.pi * (u - 0.5)) + 1.4 * normal
        found = fitted(masses, (81.0, 101.0), START)
        for (value, error), true in (
            (found.mass, 91.2),
            (found.width, 2.5),
            (found.resolution, 1.4),
        ):
            assert value == pytest.approx(true, abs=4 * error)
            assert 0 < error < 0.06

    def test_error_of_a_narrow_one_is_that_of_a_mean(self) -> None:
        """Of n numbers that are normal but for a width of 0.05 it is σ/√n, within some percent."""
        n = 40_000
        u = np.random.default_rng(2).random(n)
        narrow = 0.025 * np.tan(np.pi * (u - 0.5))
        masses = 91 + 1.5 * ndtri((np.arange(n) + 0.5) / n) + narrow
        [_, error] = fitted(masses, (81.0, 101.0), START).mass
        assert error == pytest.approx(1.5 / math.sqrt(n), rel=0.08)

    def test_pulls(self) -> None:
        """A difference of 0.5 over √(0.3² + 0.4²)."""
        one = Resonance((91.5, 0.3), (2.5, 0.3), (1.0, 0.3))
        other = Resonance((91.0, 0.4), (2.5, 0.4), (1.5, 0.4))
        assert one.pulls(other) == pytest.approx((1.0, 0.0, -1.0))


class TestBins:
    def test_shares(self) -> None:
        """30 of 100 are chosen in the first bin, none of 100 in the second; the third has 10."""
        by = np.repeat([0.5, 1.5, 2.5], [100, 100, 10])
        chosen = np.arange(210) < 30
        found = shares(chosen, by, np.array([0.0, 1.0, 2.0, 3.0]))
        np.testing.assert_allclose(found.value, [0.3, 0.0, np.nan])
        p = np.array([31, 1]) / 102
        np.testing.assert_allclose(found.error[:2], np.sqrt(p * (1 - p) / 100))

    def test_histogram(self) -> None:
        """What lies outside counts in the whole: 40, 20 and 0 of 80."""
        values = np.repeat([0.5, 1.5, 9.0], [40, 20, 20])
        found = histogram(values, np.array([0.0, 1.0, 2.0, 3.0]))
        np.testing.assert_allclose(found.value, [0.5, 0.25, 0.0])
        p = np.array([41, 21, 1]) / 82
        np.testing.assert_allclose(found.error, np.sqrt(p * (1 - p) / 80))

    def test_medians(self) -> None:
        """Of 0 ... 100: 50, and half the distance of the quantiles 1/2 ± 1/(2 √101) of these."""
        values, by = np.arange(101.0), np.zeros(101)
        found = medians(values, by, np.array([0.0, 1.0, 2.0]))
        assert found.value[0] == 50
        assert found.error[0] == pytest.approx(100 * 0.5 / math.sqrt(101))
        assert math.isnan(found.value[1])

    def test_means(self) -> None:
        """(1 · 2 + 3 · 6) / 4 = 5, and -3 of weights -1 and 2; nothing lies in the third bin."""
        values, by = np.array([2.0, 6.0, 3.0, 0.0]), np.array([0.1, 0.9, 1.5, 1.6])
        found = means(values, by, np.array([1.0, 3.0, -1.0, 2.0]), np.arange(4.0))
        np.testing.assert_allclose(found, [5.0, -3.0, np.nan])

    def test_pulls_of_shares_have_a_common_one(self) -> None:
        """None of 100 and 30 of 300 are 30 of 400 together: 0.1 / √(0.075 0.925 / 75)."""
        edges = np.array([0.0, 1.0])
        none = shares(np.zeros(100, bool), np.full(100, 0.5), edges)
        some = shares(np.arange(300) < 30, np.full(300, 0.5), edges)
        expected = 0.1 / math.sqrt(0.075 * 0.925 * (1 / 100 + 1 / 300))
        assert some.pulls(none) == pytest.approx([expected])
        assert none.pulls(none).size == 0

    def test_agreement(self) -> None:
        """3.5 and -1 of the error √2; the third is not known, and 0 of 0 is no pull."""
        one = Bins(np.array([3.5 * math.sqrt(2), 0.0, 1.0]), np.ones(3))
        other = Bins(np.array([0.0, math.sqrt(2), np.nan]), np.ones(3))
        assert agreement({"x": one}, {"x": other}) == {"x": (pytest.approx(3.5), 1, 2)}


def test_joint_distributions_of_muon_pairs() -> None:
    """Four classes of 25 events, told by pT(Z), vertices, jets, isolations and missing momentum.

    14 vertices are few and 26 many; 15 and 25 are neither.
    """
    classes = {
        "pt_ll": (1.0, 1.0, 4.0, 80.0),
        "n_vtx": (14, 15, 25, 26),
        "mu1.isolation": (0.0, 0.1, 0.0, 0.2),
        "mu2.isolation": (0.3, 0.2, 0.0, 0.0),
        "n_jets": (0, 1, 1, 2),
        "met": (2.0, 7.0, 7.0, 12.0),
        "leading_jet": (0.0, 12.0, 12.0, 90.0),
    }
    columns = {
        name: torch.tensor(values).double().repeat_interleave(FEWEST)
        for name, values in classes.items()
    }
    found = bins(Events(columns, {}, torch.ones(4 * FEWEST).double()))
    # Of pT(Z) the classes are 0 to 3, 3 to 6 and above 70 GeV.
    at_pt = {name: own.value[[0, 1, -1]].tolist() for name, own in found.items() if "by pT" in name}
    assert at_pt == {
        "P(I1 = 0) by pT": [0.5, 1, 0],
        "P(I2 = 0) by pT": [0, 1, 1],
        "P(N = 0) by pT": [0.5, 0, 0],
        "P(N = 1) by pT": [0.5, 1, 0],
        "P(N = 2) by pT": [0, 0, 1],
        **{f"P(N = {k}) by pT": [0, 0, 0] for k in (3, 4, 5)},
    }
    assert found["MET, n < 15"].value[:3].tolist() == [1, 0, 0]
    assert found["MET, n > 25"].value[:3].tolist() == [0, 0, 1]
    # 10 to 15 GeV has as many of 1 as of 4 GeV, 80 to 120 the last class.
    medians_of_pt = found["median pT by jet"].value
    assert medians_of_pt[0] == 2.5
    assert medians_of_pt[-2] == 80
    assert np.isnan(medians_of_pt[1:-2]).all()
