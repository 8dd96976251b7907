"""Toy images: the sample against the closed forms, and these against quadrature."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import dblquad
from scipy.stats import beta, chisquare, dirichlet, gamma, kstest

from benchmarks.common.exact_images import moments
from mleg_ray.physics import images, toy_images
from mleg_ray.physics.toy_images import IMAGE, LAYERS, Blob
from tests.physics.deviations import LIKELY, p_value

EVENTS = 10_000


@pytest.fixture(scope="module", params=[IMAGE, LAYERS], ids=["image", "layers"])
def blob(request) -> Blob:
    return request.param


@pytest.fixture(scope="module")
def sample(blob) -> tuple[torch.Tensor, np.ndarray]:
    """Images and their energies."""
    rng = np.random.default_rng(21)
    energy = toy_images.energies(rng, EVENTS)
    return torch.from_numpy(blob.sample(rng, energy)), energy


def test_shapes():
    assert IMAGE.shape == (16, 16)
    assert LAYERS.shape == (2, 12, 12)


def test_energies_are_log_uniform(sample):
    _, energy = sample
    assert kstest(np.log10(energy), "uniform", (1, 1)).pvalue > LIKELY


def test_nine_cells_of_ten_hold_exactly_zero(blob, sample):
    image, energy = sample
    exact = moments(blob, energy).occupancy
    np.testing.assert_array_equal(images.occupancy(image, 0).numpy(), exact)
    assert exact.mean() == pytest.approx(0.1, abs=0.01)
    assert image.dtype == torch.float32
    assert (image >= 0).all()


def test_shifted_blobs_stay_off_the_border(blob):
    energy = np.geomspace(*toy_images.ENERGIES, 2000)
    for shift in blob.shifts:
        lit = blob.lit(energy, np.full_like(energy, shift))
        assert lit[..., 0].max() == lit[..., -1].max() == 0
        moved = np.roll(blob.lit(energy, np.zeros_like(energy)), shift, axis=-1)
        np.testing.assert_allclose(lit, moved, atol=1e-15)


@pytest.mark.parametrize(("layer", "row", "column"), [(0, 5, 6), (0, 7, 4), (1, 6, 7)])
def test_a_cell_has_the_integral_of_the_gaussian(layer, row, column):
    """u = 0.3 in layers of 12 x 12: 0.625 of the second to one of the first, r = -0.8, s = 1."""
    energy = np.array([10 * 10**0.3])
    width = (1.2 + 0.4 * 0.3) * (1.25 if layer else 1)
    share = (0.625 if layer else 1) / 1.625
    y, x = row - 5.5, column - 5.5

    def density(x: float, y: float) -> float:
        square = (y + 0.8) ** 2 + (x - 1) ** 2
        return share * math.exp(-square / (2 * width**2)) / (2 * math.pi * width**2)

    expected, _ = dblquad(density, y - 0.5, y + 0.5, x - 0.5, x + 0.5, epsabs=1e-13)
    found = LAYERS.lit(energy, np.array([1.0]))[0, layer, row, column]
    assert found == pytest.approx(expected if expected >= 0.012 else 0.0, abs=1e-10)


def test_a_whole_blob_has_the_declared_mean_and_resolution(monkeypatch, blob):
    """With every cell lit hardly anything of it lies outside: 0.9 E ± 0.9 √(0.1 GeV E)."""
    monkeypatch.setattr(toy_images, "THRESHOLD", 0.0)
    energy = np.array([30.0])
    exact = moments(blob, energy)
    assert exact.total == pytest.approx(27, rel=1e-3)
    assert exact.total_variance == pytest.approx(0.81 * 0.1 * 30, rel=1e-3)
    assert exact.occupancy == 1


def test_moments_are_those_of_a_dirichlet_distribution(blob):
    """Of the shares y = w Y of the lit cells, shape a I each: b = x·w, and E[Σ x² w - b²]."""
    energy = np.array([20.0])
    lit = blob.lit(energy, np.zeros(1))[0]
    shares = dirichlet(20 / 0.1 * lit[lit > 0])
    exact = moments(blob, energy)
    for i, axis in enumerate((1, 2)):
        x = np.nonzero(lit)[axis] - (blob.cells - 1) / 2
        variance = x @ shares.cov() @ x
        assert exact.barycentre[0, i] == pytest.approx(x @ shares.mean())
        square = x**2 @ shares.mean() - (variance + (x @ shares.mean()) ** 2)
        assert exact.square_width[0, i] == pytest.approx(square)
        shift = np.var(blob.shifts) if axis == 2 else 0
        assert exact.barycentre_variance[0, i] == pytest.approx(variance + shift)


def test_moments(blob, sample):
    image, energy = sample
    exact = moments(blob, energy)
    total = images.total(image).numpy() - exact.total
    numbers = [total / exact.total, total**2 / exact.total_variance - 1]
    for i, axis in enumerate((-2, -1)):
        away = images.barycentre(image, axis).numpy() - exact.barycentre[:, i]
        numbers += [away, away**2 - exact.barycentre_variance[:, i]]
        numbers.append(images.width(image, axis).numpy() ** 2 - exact.square_width[:, i])
    assert p_value(np.stack(numbers, axis=1)) > LIKELY
    for lowest, highest in ((10, 20), (20, 50), (50, 100)):
        some = (energy >= lowest) & (energy < highest)
        assert p_value(np.stack(numbers, axis=1)[some]) > LIKELY


def test_totals_have_a_gamma_distribution(blob, sample):
    image, energy = sample
    exact = moments(blob, energy)
    u = gamma.cdf(images.total(image).numpy(), exact.shape, scale=exact.scale)
    assert kstest(u, "uniform").pvalue > LIKELY


def test_blobs_come_in_every_place_equally_often(blob, sample):
    image, energy = sample
    away = images.barycentre(image, -1).numpy() - moments(blob, energy).barycentre[:, 1]
    places, numbers = np.unique(np.rint(away), return_counts=True)
    np.testing.assert_array_equal(places, blob.shifts)
    assert chisquare(numbers).pvalue > LIKELY


def test_shares_of_layers_have_a_beta_distribution(sample, blob):
    image, energy = sample
    exact = moments(blob, energy)
    np.testing.assert_allclose(exact.layer_share.sum(axis=1), 1)
    if blob.layers == 1:
        return
    first, second = (exact.shape * exact.layer_share[:, layer] for layer in (0, 1))
    u = beta.cdf(images.share(image, 1).numpy(), second, first)
    assert kstest(u, "uniform").pvalue > LIKELY
