"""Figures of mean images, by hand."""

import math

import numpy as np
import pytest

from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.mean_images import (
    asymmetry,
    kl_mean_image,
    row_differences,
    row_moments,
    symmetrised,
)
from mleg_ray.evaluation.samples.sample import EventSample
from tests.evaluation.conftest import gaussian, with_images


def test_kl_by_hand():
    """Shares 3/4, 1/4, 0 of the truth and 1/2, 1/4, 1/4 generated, each plus 1e-5."""
    truth, generated = np.array([[3.0, 1.0], [0.0, 0.0]]), np.array([[4.0, 2.0], [2.0, -1.0]])
    e = 1e-5
    expected = (0.75 + e) * math.log((0.75 + e) / (0.5 + e)) + e * math.log(e / (0.25 + e))
    assert kl_mean_image(truth, generated) == pytest.approx(expected, rel=1e-12)
    assert kl_mean_image(generated, truth) != pytest.approx(expected, rel=0.1)
    assert kl_mean_image(truth, 7 * truth) == pytest.approx(0, abs=1e-15)


def test_rows_by_hand():
    """Columns are at -1, 0 and 1."""
    mean = np.array([[[0.0, 1, 3], [0, 0, 0]], [[2, 0, 2], [0, 5, 0]]])
    first, spread = row_moments(mean)
    assert first.tolist() == [[0.75, 0], [0, 0]]
    assert spread == pytest.approx(np.array([[math.sqrt(0.75 - 0.75**2), 0], [1, 0]]))


def test_rows_differ_by_the_truths_energy():
    """Rows of 1/4 and 3/4 of the energy; the first is one column to the right, the second wider."""
    truth = np.array([[0.0, 1.0, 0.0], [0.0, 3.0, 0.0]])
    generated = np.array([[0.0, 0.0, 9.0], [1.0, 0.0, 1.0]])
    assert row_differences(truth, generated) == pytest.approx([math.sqrt(1 / 4), math.sqrt(3 / 4)])


def test_asymmetry_by_hand():
    """A corner's energy e is wanted in all four: 3/4 of it is elsewhere."""
    corner = np.array([[4.0, 0, 0], [0, 12, 0], [0, 0, 0]])
    assert symmetrised(corner).tolist() == [[1, 0, 1], [0, 12, 0], [1, 0, 1]]
    assert asymmetry(corner) == pytest.approx(3 / 16)
    assert asymmetry(symmetrised(corner)) == 0


def test_a_place_that_no_symmetry_keeps_has_eight_copies():
    single = np.zeros((2, 4, 4))
    single[1, 0, 1] = 8
    assert symmetrised(single)[1].tolist() == [
        [0, 1, 1, 0],
        [1, 0, 0, 1],
        [1, 0, 0, 1],
        [0, 1, 1, 0],
    ]
    assert symmetrised(single)[0].sum() == 0


def test_a_rectangle_has_four_symmetries():
    rectangle = np.array([[4.0, 0, 0], [0, 0, 0]])
    assert symmetrised(rectangle).tolist() == [[1, 0, 1], [1, 0, 1]]


def shuffled_cells() -> tuple[Comparison, Comparison]:
    """The truth beside events whose cells are each those of another one, and beside the events."""
    truth, other = with_images(2000, 1), with_images(1000, 2)
    rng = np.random.default_rng(0)
    cells = rng.permuted(other.images["image"].dense, axis=0)
    moved = with_images(1000, 2, image=cells)
    return Comparison(truth, moved), Comparison(truth, other)


def test_kl_does_not_see_cells_of_different_events():
    """Shuffling each cell over the events leaves the mean image, and with it all these figures."""
    moved, whole = shuffled_cells()
    for name in ("kl_mean_image", "row_moments", "symmetry"):
        rng = np.random.default_rng
        found, expected = (METRICS[name].figures(c, rng(0)) for c in (moved, whole))
        assert len(found) in (1, 2)
        for subject, figure in found.items():
            assert figure.value == pytest.approx(expected[subject].value, rel=1e-6)
            assert figure.verdict == "at the floor"


def test_a_shifted_image_is_found():
    """By one column, which nothing else than its means tells."""

    def at(columns: int, n: int, seed: int) -> EventSample:
        cells = with_images(n, seed).images["image"].dense
        return with_images(n, seed, image=np.pad(cells, ((0, 0), (1, 1), (columns, 2 - columns))))

    truth, shifted = at(1, 4000, 1), at(2, 2000, 2)
    comparison = Comparison(truth, shifted)
    figures = {
        name: METRICS[name].figures(comparison, np.random.default_rng(0))
        for name in ("kl_mean_image", "row_moments", "symmetry")
    }
    assert figures["kl_mean_image"]["image"].verdict == "large"
    assert figures["row_moments"]["image, mean"].value == pytest.approx(1, abs=0.1)
    assert figures["row_moments"]["image, spread"].verdict == "at the floor"
    assert figures["symmetry"]["image, mean"].verdict == "large"
    assert figures["symmetry"]["image, mean"].direction == "equal"
    assert figures["symmetry"]["image, mean square"].verdict == "large"


def test_without_images_there_is_nothing():
    comparison = Comparison(gaussian(500, 1), gaussian(500, 2))
    for name in ("kl_mean_image", "row_moments", "symmetry", "cell_spectrum"):
        assert METRICS[name].figures(comparison, np.random.default_rng(0)) == {}
