"""Figures of scattered electrons by values of hand."""

import math

import numpy as np
import pytest
import torch

from benchmarks.common.dis_figures import Q2_BINS, X_BINS, electrons, reduced
from benchmarks.common.transverse import transverse
from mleg_ray.events import Events

ALPHA = 1 / 137.035999


def events(*momenta: tuple[float, float, float]) -> Events:
    """Electrons of beams of 50 GeV with these px, py and pz."""
    columns = torch.tensor(momenta, dtype=torch.float64).T
    names = ("electron.px", "electron.py", "electron.pz")
    beam = {"beam_energy": torch.full((len(momenta),), 50.0, dtype=torch.float64)}
    return Events(dict(zip(names, columns, strict=True)) | beam, {}, torch.ones(len(momenta)))


# Q² = 2E_b (E' - pz) = 100 GeV² and y = 1 - (E' + pz) / 2E_b = 0.5: E' - pz = 1, E' + pz = 50, so
# pz = 24.5 and pT² = 50; x = Q² / (s y) = 100 / (10⁴ · 0.5) = 0.02.
AT_HALF = (5.0, 5.0, 24.5)
# Q² = 2500 and y = 0.75: 25 GeV at 90 degrees, x = 2500 / 7500.
SIDEWAYS = (0.0, 25.0, 0.0)


def test_variables_of_two_electrons() -> None:
    """ν1 = ln(E' - pz) and ν2 = ln(2E_b - E' - pz), in GeV: dissertation, eq. 24."""
    found = electrons(events(AT_HALF, SIDEWAYS))
    assert found["nu1"] == pytest.approx([math.log(1), math.log(25)], abs=1e-12)
    assert found["nu2"] == pytest.approx([math.log(50), math.log(75)])
    assert found["log10 Q2"] == pytest.approx([2, math.log10(2500)])
    assert found["log10 x"] == pytest.approx([math.log10(0.02), math.log10(1 / 3)])
    assert found["y"] == pytest.approx([0.5, 0.75])


def test_the_reduced_cross_section_of_one_electron_in_two() -> None:
    """σ_r = x Q⁴ / (2π α² Y₊) d²σ/dx dQ² / σ with Y₊ = 1 + (1 - y)² = 1.25; d²σ/σ = 1/2 a bin."""
    x_bin = next(ends for ends in X_BINS if ends[0] < 0.02 < ends[1])
    sigma_r, error = reduced(electrons(events(AT_HALF, SIDEWAYS)), x_bin)
    [there] = np.flatnonzero(sigma_r)
    low, high = Q2_BINS[there : there + 2]
    assert low < 100 < high
    factor = 0.02 * 100**2 / (2 * math.pi * ALPHA**2 * 1.25)
    expected = factor / 2 / ((high - low) * (x_bin[1] - x_bin[0]))
    assert sigma_r[there] == pytest.approx(expected)
    assert error[there] == pytest.approx(expected)  # of one event


def test_transverse_momenta() -> None:
    assert transverse(events(AT_HALF, SIDEWAYS)).tolist() == [[5, 5], [0, 25]]
