"""Images as hits: a varying number of cells with energy, in place of all cells."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mleg_ray.errors import DataError, library

AXES = ("layer", "row", "column")  # of an image, whose last ones it has


def hits_of(images: NDArray[Any]) -> Any:  # noqa: ANN401 - an array of awkward
    """Return the cells of images (B, *shape) that are not zero: a list for each event.

    A hit is a record of `layer`, `row` and `column`, from 0, as far as the images have them, and
    `energy`. Raises `DataError` for more axes, `UserError` if awkward is not installed.

    >>> hits = hits_of(np.array([[[0.0, 2.5], [1.5, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    >>> hits.tolist()
    [[{'row': 0, 'column': 1, 'energy': 2.5}, {'row': 1, 'column': 0, 'energy': 1.5}], []]
    """
    awkward = library("awkward", "hits")
    shape = images.shape[1:]
    if len(shape) > len(AXES):
        raise DataError(
            f"images of shape {shape} have {len(shape)} axes, hits at most {len(AXES)}: "
            f"{', '.join(AXES)}"
        )
    event, *cells = np.nonzero(images)
    names = AXES[len(AXES) - len(shape) :]
    places = {name: cell.astype(np.int32) for name, cell in zip(names, cells, strict=True)}
    hits = awkward.zip({**places, "energy": images[event, *cells]})
    return awkward.unflatten(hits, np.bincount(event, minlength=len(images)))
