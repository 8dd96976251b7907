"""Images of events, by the cells that are not zero: of a shower most are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.events import Events, group_of


@dataclass(frozen=True)
class Images:
    """Images of n events, each of the same `shape`.

    `cells` (n, k), float32, are sparse: an image's k cells in the order of its axes.
    """

    cells: csr_array[np.float32]
    shape: tuple[int, ...]

    @staticmethod
    def of(images: Tensor) -> "Images":
        """Keep images (n, *shape)."""
        return Images(csr_array(images.flatten(1).float().numpy()), tuple(images.shape[1:]))

    def __len__(self) -> int:
        return int(self.cells.shape[0])

    def take(self, rows: NDArray[np.intp]) -> "Images":
        """Return the images of some of the events, in the order of the rows."""
        return Images(self.cells[rows], self.shape)

    def above(self, threshold: float) -> "Images":
        """Return the images with all cells up to a threshold empty."""
        kept = self.cells.copy()
        kept.data[kept.data <= threshold] = 0
        kept.eliminate_zeros()
        return Images(kept, self.shape)

    @property
    def dense(self) -> NDArray[np.float32]:
        """All cells (n, *shape)."""
        return self.cells.toarray().reshape(-1, *self.shape)

    @property
    def owner(self) -> NDArray[np.intp]:
        """The event (m,) of each cell that is not zero, in the order of `cells.data`."""
        return np.repeat(np.arange(len(self)), np.diff(self.cells.indptr))

    def mean(self, weights: FloatArray, power: int = 1) -> FloatArray:
        """Return Σ w y^power / Σ w by cell, of the shape of an image, with weights (n,)."""
        cells = self.cells if power == 1 else self.cells.power(power)
        mean: FloatArray = np.asarray(weights @ cells).reshape(self.shape) / weights.sum()
        return mean

    @staticmethod
    def concatenate(parts: Sequence["Images"]) -> "Images":
        """Join the images of several samples, in order."""
        return Images(vstack([part.cells for part in parts], format="csr"), parts[0].shape)


def images_of(events: Events) -> dict[str, Images]:
    """Return the images of events by name."""
    return {
        name: Images.of(values)
        for name, values in events.columns.items()
        if values.ndim > 1 and group_of(name) not in events.present
    }
