"""Numbers of an image, by hand."""

import itertools
import math

import pytest
import torch

from mleg_ray.physics import images

# One layer of 3 rows and 4 columns; of the second image nothing is left.
FLAT = torch.tensor([[[0, 0, 0, 0], [0, 1, 3, 0], [0, 0, 4, 0]], 3 * [[0, 0, 0, 0]]]).float()
# Two layers of 2 x 2.
LAYERS = torch.tensor([[[[1, 0], [0, 0]], [[2, 0], [0, 5]]]]).float()


def test_sums():
    assert images.total(FLAT).tolist() == [8, 0]
    assert images.total(LAYERS).tolist() == [8]
    assert images.total(FLAT).dtype == torch.float64


def test_sums_run_in_double_precision():
    image = torch.full((1, 300, 300), 0.1)
    assert images.total(image).item() == pytest.approx(90_000 * float(image[0, 0, 0]), rel=1e-12)


def test_largest():
    assert images.largest(LAYERS).tolist() == [5]
    assert images.largest(FLAT).tolist() == [4, 0]


@pytest.mark.parametrize(("threshold", "expected"), [(0, 3 / 12), (1, 2 / 12), (3.5, 1 / 12)])
def test_occupancy(threshold, expected):
    assert images.occupancy(FLAT, threshold).tolist() == pytest.approx([expected, 0])
    assert images.occupancy(FLAT, torch.tensor(threshold).double())[0].item() == expected


def test_shares_of_layers():
    assert [images.layer(LAYERS, number).item() for number in (0, 1)] == [1, 7]
    assert images.share(LAYERS, 0).tolist() == [1 / 8]
    assert images.share(LAYERS, 1).tolist() == [7 / 8]
    assert images.share(torch.zeros(1, 2, 3, 3), 1).tolist() == [0]


def test_barycentre_and_width():
    """Rows at -1, 0, 1 with 0, 4 and 4; columns at ±1.5, ±0.5 with 0, 1, 7 and 0."""
    assert images.barycentre(FLAT, 0).tolist() == [0.5, 0]
    assert images.width(FLAT, 0).tolist() == [0.5, 0]
    assert images.barycentre(FLAT, 1).tolist() == [(7 - 1) / 16, 0]
    assert images.width(FLAT, 1).tolist() == pytest.approx([math.sqrt(7) / 8, 0])
    assert images.barycentre(FLAT, -2).tolist() == [0.5, 0]


def test_axes_of_layered_images():
    """Layers at ±½ with 1 and 7; rows and columns at ±½ with 3 and 5."""
    assert images.barycentre(LAYERS, 0).tolist() == [3 / 8]
    assert (
        images.barycentre(LAYERS, 1).tolist() == images.barycentre(LAYERS, -2).tolist() == [1 / 8]
    )
    assert images.width(LAYERS, -1).tolist() == pytest.approx([math.sqrt(15) / 8])


def test_an_even_strip_has_a_twelfth_of_its_square():
    """(n² - 1) / 12, of a one-dimensional image."""
    assert images.width(torch.ones(1, 9), 0).item() == pytest.approx(math.sqrt(80 / 12))


def test_asymmetry_is_of_halves():
    """Columns at ±1.5, ±0.5 hold 0, 1, 7 and 0; the middle row belongs to no half."""
    assert images.asymmetry(FLAT, -1).tolist() == [(7 - 1) / 8, 0]
    assert images.asymmetry(FLAT, -2).tolist() == [4 / 8, 0]
    assert images.asymmetry(LAYERS, 0).tolist() == [(7 - 1) / 8]


# The barycentre is the middle of the plane; distances from it are 0, 1, √2 and 2, of both layers.
ROUND = torch.zeros(2, 2, 5, 5)
for place, energy in (
    ((0, 2, 2), 5),
    ((1, 1, 2), 1),
    ((0, 3, 2), 1),
    ((1, 3, 3), 1),
    ((1, 1, 1), 1),
    ((0, 2, 0), 0.5),
    ((0, 2, 4), 0.5),
):
    ROUND[0][place] = energy


def test_rings_share_the_energy():
    edges = (0, 1, 1.2, 2, 3)
    rings = [images.ring(ROUND, *pair) for pair in itertools.pairwise(edges)]
    assert [ring.tolist() for ring in rings] == [[0.5, 0], [0.2, 0], [0.2, 0], [0.1, 0]]


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.3, 0), (0.5, 0), (0.51, 1), (0.7, 1), (0.71, 2**0.5), (0.9, 2**0.5), (1, 2)],
)
def test_radius_that_holds_a_share(share, expected):
    assert images.radius(ROUND, share).tolist() == [pytest.approx(expected), 0]


def test_radii_are_those_of_each_event():
    """Whatever other events hold: sums run over all of them."""
    many = torch.cat([ROUND, 1e4 * ROUND, ROUND])
    root = pytest.approx(2**0.5)
    assert images.radius(many, 0.9).tolist() == [root, 0, root, 0, root, 0]


def test_rings_need_rows_and_columns():
    with pytest.raises(IndexError, match="rows and columns are needed, not 1 axes"):
        images.ring(torch.ones(1, 9), 0, 1)


def test_fraction_of_a_cell():
    position = torch.tensor([30.25, -1.75, 4.0], dtype=torch.float64)
    assert images.fraction(position).tolist() == [0.25, 0.25, 0]
