"""The spectrum of cells, by hand."""

import numpy as np
import pytest
import torch

from mleg_ray.definitions import Definitions, Observable
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.cell_spectrum import (
    CELL_SPECTRUM,
    cells_in_bins,
    prepare_spectrum,
    spectrum_edges,
)
from mleg_ray.evaluation.samples.images import Images
from mleg_ray.evaluation.samples.sample import from_arrays
from tests.evaluation.conftest import with_images

CELLS = np.array([[[0, 2.0], [0.5, 8]], [[0, 0], [0, 0]], [[1, 4], [2, 2]]])
IMAGES = Images.of(torch.from_numpy(CELLS))


def test_cells_are_counted_by_event():
    counts = cells_in_bins(IMAGES, np.array([1.0, 2.0, 4.0]))
    assert counts.toarray().tolist() == [[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 1]]


def test_edges_are_those_of_the_truth_on_a_logarithmic_scale():
    edges = spectrum_edges(IMAGES, np.array([0.0, 0, 1]))
    assert edges[[0, 50, 100]] == pytest.approx([1, 2, 4])


def test_thresholds_are_those_of_the_occupancy():
    definitions = Definitions(
        observables={
            "share": Observable(expression="detector.ratio(x, 2)"),
            "of_other": Observable(expression="images.occupancy(other, 3)"),
            "above_x": Observable(expression="images.occupancy(image, x)"),
            "occupancy": Observable(expression="images.occupancy(image, 1.5)"),
        }
    )
    assert definitions.threshold("image") == 1.5
    assert definitions.threshold("none") == 0
    sample = from_arrays(
        {
            "x": np.arange(300.0),
            "image": np.tile(CELLS, (100, 1, 1)),
            "other": np.ones((300, 2, 2)),
        },
        definitions=definitions,
    )
    pooled = Comparison(sample, sample).pooled(np.random.default_rng(0))
    first, last = (
        prepare_spectrum(pooled, "image")(pooled.truth, w) for w in (pooled.truth, pooled.generated)
    )
    assert first == 0
    assert 0 <= last < 0.1


def test_separation_by_hand():
    """Half of the truth's cells hold 1 and half 10; generated ones hold 1 in three of four."""
    low, high = np.full((1000, 1, 1), 1.0), np.full((1000, 1, 1), 10.0)
    x = {"x": np.random.default_rng(0).normal(size=4000)}
    truth = from_arrays(x | {"image": np.concatenate([low, high, low, high])})
    generated = from_arrays(x | {"image": np.concatenate([low, low, low, high])})
    pooled = Comparison(truth, generated).pooled(np.random.default_rng(0))
    b = np.concatenate([np.zeros(4000), np.ones(2000)])
    statistic = prepare_spectrum(pooled, "image")
    share = pooled.images("image").take(np.arange(4000, 6000)).cells.data
    p = np.mean(share == 1)
    expected = ((0.5 - p) ** 2 / (0.5 + p) + (p - 0.5) ** 2 / (1.5 - p)) / 2
    assert statistic(pooled.whole_truth, b) == pytest.approx(expected)
    assert expected == pytest.approx(1 / 15, abs=0.02)  # of p = 3/4


def test_fewer_energies_are_found():
    truth = with_images(4000, 1)
    softer = with_images(2000, 2, image=with_images(2000, 2).images["image"].dense * 0.8)
    [figure] = CELL_SPECTRUM.figures(Comparison(truth, softer), np.random.default_rng(0)).values()
    assert figure.verdict != "at the floor"
    [same] = CELL_SPECTRUM.figures(
        Comparison(truth, with_images(2000, 2)), np.random.default_rng(0)
    ).values()
    assert same.verdict == "at the floor"
