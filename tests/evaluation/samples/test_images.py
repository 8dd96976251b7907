"""Images of samples, by hand."""

import numpy as np
import pytest
import torch

from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.images import Images, images_of
from mleg_ray.evaluation.samples.sample import comparable, from_arrays
from mleg_ray.events import Events

CELLS = np.array([[[0, 2.0], [0.5, 0]], [[0, 0], [0, 0]], [[1, 4], [0, -3]]])
IMAGES = Images.of(torch.from_numpy(CELLS))


def test_images_are_kept_whole():
    assert len(IMAGES) == 3
    assert IMAGES.shape == (2, 2)
    assert IMAGES.cells.nnz == 5
    assert IMAGES.dense.tolist() == CELLS.tolist()
    assert IMAGES.owner.tolist() == [0, 0, 2, 2, 2]
    assert IMAGES.take(np.array([2, 0])).dense.tolist() == CELLS[[2, 0]].tolist()
    joined = Images.concatenate([IMAGES, IMAGES.take(np.array([1]))])
    assert joined.dense.tolist() == CELLS[[0, 1, 2, 1]].tolist()


def test_cells_up_to_a_threshold_are_empty():
    above = IMAGES.above(1)
    assert above.dense.tolist() == [[[0, 2], [0, 0]], [[0, 0], [0, 0]], [[0, 4], [0, 0]]]
    assert above.cells.nnz == 2
    assert IMAGES.cells.nnz == 5


def test_mean_image_by_hand():
    weights = np.array([1.0, 1.0, -1.0]) * 3
    assert IMAGES.mean(weights).tolist() == [[-1, -2], [0.5, 3]]
    assert IMAGES.mean(weights, power=2).tolist() == [[-1, -12], [0.25, -9]]


def test_images_are_columns_that_no_group_owns():
    columns = {"image": torch.ones(2, 3, 4), "jet.pt": torch.ones(2, 3), "x": torch.ones(2)}
    events = Events(columns, {"jet": torch.ones(2, 3).bool()}, torch.ones(2))
    assert list(images_of(events)) == ["image"]


def test_samples_of_arrays_have_images_in_the_order_of_their_events():
    x = np.array([3.0, 1.0, 2.0])
    sample = from_arrays({"x": x, "image": CELLS})
    assert list(sample.axes) == ["x"]
    assert sample.columns["x"].values.tolist() == [1, 2, 3]
    assert sample.images["image"].dense.tolist() == CELLS[[1, 2, 0]].tolist()


def test_images_of_another_shape_are_refused():
    truth = from_arrays({"x": np.ones(3), "image": CELLS})
    other = from_arrays({"x": np.ones(3), "image": CELLS[:, :1]})
    with pytest.raises(
        DataError, match=r"'image' has the shape \(2, 2\) in the truth but \(1, 2\)"
    ):
        comparable(truth, other)


def test_as_many_images_as_other_columns_are_needed():
    with pytest.raises(DataError, match=r"column 'image' has shape \(2, 2, 2\), not \(3,\)"):
        from_arrays({"x": np.ones(3), "image": CELLS[:2]})
