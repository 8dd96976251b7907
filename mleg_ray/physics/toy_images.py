"""Toy images of a detector's cells, a blob of energy in a few of them, with closed-form moments.

They judge generators of images: 90% of the cells are empty, one condition steers the rest, and what
a sample says is compared with exact numbers. The condition is an energy E, log-uniform from 10 to
100 GeV; u = ln(E / 10 GeV) / ln 10 runs from 0 to 1. A blob is a Gaussian; in
cells from the middle it has

    row         r(E) = -2 + 4 u,
    column      a whole number s, drawn evenly from `shifts`: a blob comes in as many places,
    width       σ_l(E) = (1.2 + 0.4 u) (1 + l/4) in both directions, of the layer l from 0,

so that a cell's share of it is closed, with Φ the normal distribution function,

    I(l, i, j) = h_l [Φ((i + ½ - r) / σ_l) - Φ((i - ½ - r) / σ_l)] [the same of j and s].

The layers' shares h_l go as t^l with t(E) = 0.25 + 1.25 u: of two, the second has 20 to 60%. A cell
with less than 1.2% of the blob is not read out: it holds exactly zero. The others, the lit cells K,
hold energies that are independent, given E and s, of a gamma distribution of shape a I and scale θ,

    a = E / b,  θ = ρ b,  ρ = 0.9,  b = 0.1 GeV:  a whole blob has the mean ρ E and σ = ρ √(b E).

So its moments have closed forms.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

ENERGIES = (10.0, 100.0)  # GeV
RESPONSE = 0.9  # ρ
THRESHOLD = 0.012  # of a blob
STOCHASTIC = 0.1  # b, GeV: √b is the relative resolution at 1 GeV


@dataclass(frozen=True)
class Blob:
    """Images of one or more layers of `cells` x `cells`.

    The shifts are small enough for the lit cells never to reach the first or last column, so that
    a shifted image is the same, elsewhere.
    """

    layers: int
    cells: int
    shifts: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(cells, cells), with the layers before if there are several."""
        layers = (self.layers,) if self.layers > 1 else ()
        return (*layers, self.cells, self.cells)

    def sample(self, rng: np.random.Generator, energy: Array) -> NDArray[np.float32]:
        """Draw an image, GeV, at each energy (B,), GeV; returns (B, *shape)."""
        shift = rng.choice(self.shifts, len(energy)).astype(np.float64)
        lit = self.lit(energy, shift)
        cells = np.zeros(lit.shape, dtype=np.float32)
        shapes = (energy / STOCHASTIC)[:, None, None, None] * lit
        cells[lit > 0] = RESPONSE * STOCHASTIC * rng.standard_gamma(shapes[lit > 0])
        return cells.reshape(len(energy), *self.shape)

    def lit(self, energy: Array, shift: Array) -> Array:
        """Return I (B, layers, cells, cells) of energies and shifts (B,), zero where not lit."""
        u = (np.log(energy / ENERGIES[0]) / math.log(ENERGIES[1] / ENERGIES[0]))[:, None]
        layer = np.arange(self.layers)
        width = (1.2 + 0.4 * u) * (1 + layer / 4)
        height = (0.25 + 1.25 * u) ** layer
        rows = self._profile(-2 + 4 * u, width)
        columns = self._profile(shift[:, None], width)
        height = (height / height.sum(axis=1, keepdims=True))[:, :, None, None]
        share = height * rows[:, :, :, None] * columns[:, :, None, :]
        lit: Array = np.where(share >= THRESHOLD, share, 0.0)
        return lit

    @property
    def positions(self) -> Array:
        """The positions of cells (cells,), from the middle."""
        return np.asarray(np.arange(self.cells) - (self.cells - 1) / 2, dtype=np.float64)

    def _profile(self, centre: Array, width: Array) -> Array:
        """Return the Gaussian's integral over each cell (B, layers, cells) of one axis."""
        away = self.positions - centre[:, :, None]
        scale = width[:, :, None]
        return np.asarray(ndtr((away + 0.5) / scale) - ndtr((away - 0.5) / scale))


IMAGE = Blob(layers=1, cells=16, shifts=(-3, -2, -1, 0, 1, 2, 3))
LAYERS = Blob(layers=2, cells=12, shifts=(-1, 0, 1))
BLOBS = {blob.layers: blob for blob in (IMAGE, LAYERS)}


def energies(rng: np.random.Generator, n: int) -> Array:
    """Draw n energies, GeV, evenly in ln E."""
    low, high = np.log(ENERGIES)
    return np.asarray(np.exp(rng.uniform(low, high, n)))
