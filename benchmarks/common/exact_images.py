"""Closed forms of toy images: what a sample of `mleg_ray.physics.toy_images` is compared with.

Sums of gamma-distributed energies of equal scale have a gamma distribution, and their shares of the
sum, y / Y, a Dirichlet distribution independent of the sum. So all of this is exact.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mleg_ray.physics.toy_images import RESPONSE, STOCHASTIC, Blob

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """Exact moments of images at energies E (B,); positions in cells, the middle being zero.

    With π = I / S of the lit cells, S = Σ_K I and A = a S, an image's sum Y has a gamma
    distribution of shape A and scale θ. Along an axis with the cells' positions x, and with
    v = Σ x² π - (Σ x π)²,

        E[Y] = A θ    Var[Y] = A θ²    E[<x>] = Σ x π    Var[<x>] = v / (A + 1)
        E[<x²> - <x>²] = v A / (A + 1),

    where those of the shift add to the mean and the variance along the columns. A layer's share
    of Y has a beta distribution of the shapes A π_l and A (1 - π_l), π_l = Σ π over the layer.
    """

    shape: Array  # (B,) A
    scale: float  # θ, GeV
    barycentre: Array  # (B, 2): of rows and columns, as the next two
    barycentre_variance: Array
    square_width: Array
    occupancy: Array  # (B,) the share of cells that are lit
    layer_share: Array  # (B, layers) π_l

    @property
    def total(self) -> Array:
        """E[Y] (B,), GeV."""
        return self.shape * self.scale

    @property
    def total_variance(self) -> Array:
        """Var[Y] (B,), GeV²."""
        return self.shape * self.scale**2


def moments(blob: Blob, energy: Array) -> Moments:
    """Return the moments at energies (B,), GeV."""
    lit = blob.lit(energy, np.zeros_like(energy))
    whole = lit.sum(axis=(1, 2, 3))
    shape = whole * energy / STOCHASTIC
    share = lit / whole[:, None, None, None]
    profiles = np.stack([share.sum(axis=(1, 3)), share.sum(axis=(1, 2))], axis=1)
    mean = profiles @ blob.positions
    variance = profiles @ blob.positions**2 - mean**2
    number = shape[:, None]
    return Moments(
        shape=shape,
        scale=RESPONSE * STOCHASTIC,
        barycentre=mean + np.array([0.0, np.mean(blob.shifts)]),
        barycentre_variance=variance / (number + 1) + np.array([0.0, np.var(blob.shifts)]),
        square_width=variance * number / (number + 1),
        occupancy=(lit > 0).mean(axis=(1, 2, 3)),
        layer_share=share.sum(axis=(2, 3)),
    )
