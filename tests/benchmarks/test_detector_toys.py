"""Widths of pt beside a dissertation's table, and the divergence of one Gaussian in closed form."""

import math

import pytest

from benchmarks.physics.detector_toys import TABLE, density_of, drawn, fwhm, of_density, smearing
from mleg_ray.catalog.sources.detectors import TransverseSmearing

HALF = 2 * math.sqrt(2 * math.log(2))  # the full width at half maximum of σ = 1


def test_width_of_one_gaussian_is_known() -> None:
    """σ(pt) = 3 MeV wherever an electron flies: its noise."""
    detector = TransverseSmearing(zones=({"eta": (0.0, 2.5), "noise": 3e-3},))
    assert fwhm(detector, 0.5, (0.0, 2.5)) == pytest.approx(HALF * 3e-3)


def test_width_of_a_mixture_lies_between() -> None:
    """Half below |cos θ| = 0.5 with σ = 1 MeV, half with 5: e^(-x²/2) + e^(-x²/50)/5 = 0.6."""
    inner, outer = math.atanh(0.5), math.atanh(0.99999)
    zones = (
        {"eta": (0.0, inner), "noise": 1e-3},
        {"eta": (inner, outer), "noise": 5e-3},
    )
    found = fwhm(TransverseSmearing(zones=zones), 0.5, (0.0, outer)) / 2e-3
    height = math.exp(-(found**2) / 2) + math.exp(-(found**2) / 50) / 5
    assert height == pytest.approx(0.6, abs=1e-4)


@pytest.mark.parametrize("cell", TABLE)
def test_table_3_4_is_of_a_calorimeter_in_mev(cell) -> None:
    energy, eta = cell
    assert 1000 * fwhm(smearing("electron-pt-smearing"), energy, eta) == pytest.approx(
        TABLE[cell], rel=0.09
    )


@pytest.mark.parametrize("cell", TABLE)
def test_table_3_4_is_not_of_the_printed_widths(cell) -> None:
    """They are 2.8 to 18.4 times too large."""
    energy, eta = cell
    ratio = 1000 * fwhm(smearing("electron-pt-smearing-printed"), energy, eta) / TABLE[cell]
    assert 2.7 < ratio < 18.5


def test_printed_widths_do_not_fall_towards_the_beam() -> None:
    printed = smearing("electron-pt-smearing-printed")
    widths = [fwhm(printed, energy, eta) for energy, eta in TABLE if energy == 40.0]
    assert 0.95 < widths[2] / widths[1] < 1.05
    truth = [width for (energy, _), width in TABLE.items() if energy == 40.0]
    assert truth[2] / truth[1] < 0.5


def test_divergence_of_one_gaussian() -> None:
    """Of N(0, 1) none; of N(0, 5, 10; 1) the mutual information of Gaussians, ½ ln(1 + 50/3)."""
    row = of_density(density_of("toy-gaussian"), drawn("toy-gaussian", 4000))
    assert row["mean ln p"] == pytest.approx(-(1 + math.log(2 * math.pi)) / 2, abs=0.05)
    assert row["KL, one Gaussian"] == pytest.approx(0, abs=2e-3)
    events = drawn("toy-conditional-gaussian", 4000)
    row = of_density(density_of("toy-conditional-gaussian"), events)
    assert row["KL, one Gaussian"] == pytest.approx(math.log(1 + 50 / 3) / 2, abs=0.05)
    # Of eight modes on a ring of radius r, covariance (r²/2 + σ²) in both directions.
    row = of_density(density_of("toy-ring"), drawn("toy-ring", 4000))
    ring = 1 + math.log(2 * math.pi) + math.log(1 + 2e-4)
    mode = 1 + math.log(2 * math.pi) + math.log(2e-4)
    assert row["KL, one Gaussian"] == pytest.approx(ring - mode - math.log(8), abs=0.06)
