"""Pairs of observables whose joint distribution matters."""

import math
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import PositiveInt, model_validator

from mleg_ray.config import Config


class Plane(Config):
    """Two observables whose joint distribution matters, with its binning.

    The bins of an axis are equal, on a logarithmic scale if `log`, which is one for both axes or
    one for each; one more bin is "outside".
    """

    x: str
    y: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    bins: PositiveInt = Option(default=50, le=1000)
    log: bool | tuple[bool, bool] = True

    @model_validator(mode="after")
    def _ranges_make_bins(self) -> Self:
        for name, (low, high), log in zip(("x_range", "y_range"), *self._axes, strict=True):
            if not (0.0 if log else -math.inf) < low < high < math.inf:
                kind = "positive, increasing" if log else "increasing"
                raise ValueError(f"{name}: two {kind} numbers are needed")
        return self

    @property
    def logs(self) -> tuple[bool, bool]:
        """Whether x and y are on logarithmic scales."""
        return self.log if isinstance(self.log, tuple) else (self.log, self.log)

    @property
    def _axes(self) -> tuple[tuple[tuple[float, float], ...], tuple[bool, ...]]:
        return (self.x_range, self.y_range), self.logs

    @property
    def name(self) -> str:
        """What figures call it: "x, y"."""
        return f"{self.x}, {self.y}"

    @property
    def edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The bins' edges along x and y, each of shape (bins + 1,)."""
        x, y = (
            (np.geomspace if log else np.linspace)(*ends, self.bins + 1)
            for ends, log in zip(*self._axes, strict=True)
        )
        return x, y

    @property
    def cells(self) -> int:
        """The number of bins, "outside" included."""
        return self.bins**2 + 1

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which bins (`cells`,) are of the plane: all but the last."""
        return np.arange(self.cells) < self.cells - 1

    def index(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return each point's bin, row by row in x; the last, `cells` - 1, is "outside".

        >>> plane = Plane(x="x_bj", y="q2", x_range=(1e-2, 1), y_range=(1, 1e2), bins=2)
        >>> plane.index(np.array([0.05, 0.5, 0.5]), np.array([5.0, 50.0, 500.0]))
        array([0, 3, 4])
        """
        i, j = map(self._along, (x, y), *self._axes)
        inside = (i >= 0) & (i < self.bins) & (j >= 0) & (j < self.bins)  # what is NaN is not
        with np.errstate(invalid="ignore"):
            return np.where(inside, i * self.bins + j, self.cells - 1).astype(np.intp)

    def _along(
        self, values: NDArray[np.float64], ends: tuple[float, float], log: bool
    ) -> NDArray[np.float64]:
        """Return the number of each value's bin along an axis, three times faster than a search."""
        scale = np.log if log else np.asarray
        low, high = scale(ends)
        with np.errstate(divide="ignore", invalid="ignore"):
            position: NDArray[np.float64] = (scale(values) - low) * (self.bins / (high - low))
        return np.floor(position)
