"""What costs nothing to train: rivals that any generator of showers has to beat.

A rival makes images at wanted energies of those of the train split. Particles come at right angles
onto the middle of a square window, and their energy is the only condition:

    library         a true shower of nearly the energy, scaled to it, turned or reflected at random
    cells           each cell that of another shower of like energy: every cell right, and no shower
    parametrised    a few numbers fitted by energy, and spots of energy drawn of them, like GFlash
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares

from mleg_ray.events import Events

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

# (train events with `image` and `energy`, wanted energies (B,), random stream) -> B events
Rival = Callable[[Events, Array, np.random.Generator], Events]

NEAREST = 10  # showers of the library among which one is drawn
LIKE = 100  # showers whose cells are mixed
CLASSES = 10  # of energy, with parameters of their own
FEWEST = 20  # showers of a class that light a layer
AT_ONCE = 1000  # events whose cells are gathered
FINER = 5  # points along a cell, over which its energy is spread
QUANTILES = np.linspace(0.05, 0.95, 19)  # of the energy, at which its distance is fitted


def library(train: Events, energy: Array, rng: np.random.Generator) -> Events:
    """Take one of the ten showers of the nearest energies, scale it, and turn or reflect it."""
    known = train.columns["energy"].numpy()
    rows = near(known, energy, NEAREST, 1, rng)[:, 0]
    scale = torch.from_numpy(energy / known[rows]).float()
    images = train.columns["image"][torch.from_numpy(rows)]
    images = images * scale.reshape(-1, *[1] * (images.ndim - 1))
    symmetry = torch.from_numpy(rng.integers(8, size=len(energy)))
    for bit, change in enumerate((_transposed, _upside_down, _mirrored)):
        chosen = (symmetry >> bit) % 2 == 1
        images[chosen] = change(images[chosen])
    return _events(images, energy)


def cells(train: Events, energy: Array, rng: np.random.Generator) -> Events:
    """Take each cell of another of the hundred showers of the nearest energies."""
    known, flat = train.columns["energy"].numpy(), train.columns["image"].flatten(1).numpy()
    number = flat.shape[1]
    parts = []
    for start in range(0, len(energy), AT_ONCE):
        rows = near(known, energy[start : start + AT_ONCE], LIKE, number, rng)
        parts.append(flat[rows, np.arange(number)])
    shape = train.columns["image"].shape[1:]
    return _events(torch.from_numpy(np.concatenate(parts)).reshape(-1, *shape), energy)


def near(known: Array, wanted: Array, window: int, draws: int, rng: np.random.Generator) -> Rows:
    """Draw rows (B, draws) of known energies (n,) among the `window` nearest by rank, and ties."""
    order = rng.permutation(len(known))
    order = order[np.argsort(known[order], kind="stable")]
    first, last = (np.searchsorted(known[order], wanted, side) for side in ("left", "right"))
    low = np.clip(np.minimum(first, (first + last - window) // 2), 0, max(len(known) - window, 0))
    high = np.clip(np.maximum(last, low + window), 1, len(known))
    ranks = low[:, None] + rng.random((len(wanted), draws)) * (high - low)[:, None]
    drawn: Rows = order[ranks.astype(np.intp)]
    return drawn


@dataclass(frozen=True)
class Radial:
    """How energy is spread around the axis, distances in cells.

        f(r) = p 2r Rc² / (r² + Rc²)² + (1 - p) 2r Rt² / (r² + Rt²)²,

    a core and a tail: G. Grindhammer, M. Rudowicz, S. Peters, Nucl. Instrum. Meth. A 290 (1990)
    469, eq. 21.
    """

    core: float
    tail: float
    share: float

    def within(self, distance: Array) -> Array:
        """Return the share of the energy within a distance, p r² / (r² + Rc²) + ..."""
        square = np.square(distance)
        core, tail = (square / (square + radius**2) for radius in (self.core, self.tail))
        return np.asarray(self.share * core + (1 - self.share) * tail)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw n distances: R √(u / (1 - u)), R that of the core or the tail."""
        radius = np.where(rng.random(n) < self.share, self.core, self.tail)
        u = rng.random(n)
        return np.asarray(radius * np.sqrt(u / (1 - u)))

    @staticmethod
    def fitted(mean: Array) -> "Radial":
        """Fit the distances that hold 5 to 95% of a layer's mean image (rows, columns)."""
        axes = [(np.arange(FINER * n) + 0.5) / FINER - n / 2 for n in mean.shape]
        distance = np.hypot(axes[0][:, None], axes[1][None, :]).ravel()
        order = np.argsort(distance)
        energy = np.repeat(np.repeat(mean, FINER, axis=0), FINER, axis=1).ravel()[order]
        within = np.cumsum(energy) / energy.sum()
        places = distance[order][np.searchsorted(within, QUANTILES)]

        def missed(parameters: Array) -> Array:
            core, wider, share = parameters
            return Radial(core, core * wider, share).within(places) - QUANTILES

        start = np.array([places[len(places) // 2], 4.0, 0.8])
        found = least_squares(missed, start, bounds=([1e-3, 1.0, 0.0], [np.inf, 1e3, 1.0]))
        core, wider, share = found.x
        return Radial(float(core), float(core * wider), float(share))


@dataclass(frozen=True)
class Parameters:
    """A class of energies: layers' ln(E_l / E), which of them are empty, radii, spots by layer."""

    mean: Array  # (L,) of ln(E_l / E) where no layer is empty
    covariance: Array  # (L, L)
    lit: Array  # (L,) share of showers that light a layer
    radial: tuple[Radial, ...]
    spots: Array  # (L,) mean number of spots

    @staticmethod
    def fitted(images: Array, energy: Array) -> "Parameters":
        """Fit images (n, L, rows, columns) at energies (n,).

        The spots of a lit layer, of which several may meet in a cell, light as many cells as it has
        on average, see `spots_of`; some fall beyond the window.
        """
        layers = images.sum(axis=(2, 3))
        full = (layers > 0).all(axis=1)
        if np.count_nonzero(full) < FEWEST:
            raise ValueError(f"{np.count_nonzero(full)} showers light all layers, not {FEWEST}")
        logs = np.log(layers[full] / energy[full, None])
        lit = (layers > 0).mean(axis=0)
        number = np.count_nonzero(images, axis=(2, 3)).mean(axis=0) / lit
        radial, spots = [], []
        for image, cells_lit in zip(images.mean(axis=0), number, strict=True):
            radial.append(Radial.fitted(image))
            inside = radial[-1].within(np.array([min(image.shape) / 2]))
            spots.append(spots_of(image / image.sum(), cells_lit) / float(inside[0]))
        return Parameters(
            mean=logs.mean(axis=0),
            covariance=np.atleast_2d(np.cov(logs, rowvar=False)),
            lit=lit,
            radial=tuple(radial),
            spots=np.array(spots),
        )

    def draw(self, energy: Array, shape: tuple[int, int], rng: np.random.Generator) -> Array:
        """Draw images (n, L, rows, columns) at energies (n,).

        Layers' energies are log-normal, and together no more than the shower's. A layer is divided
        among its spots at random, by exponential shares; those beyond the window are left out.
        """
        layers = np.exp(rng.multivariate_normal(self.mean, self.covariance, len(energy)))
        layers *= rng.random(layers.shape) < self.lit
        layers *= (energy / np.maximum(layers.sum(axis=1), 1.0))[:, None]
        images = np.zeros((len(energy), len(self.mean), *shape))
        for number, (radial, spots) in enumerate(zip(self.radial, self.spots, strict=True)):
            count = np.maximum(rng.poisson(spots, len(energy)), 1)
            event = np.repeat(np.arange(len(energy)), count)
            distance, angle = radial.draw(len(event), rng), rng.uniform(0, 2 * np.pi, len(event))
            row = np.floor(distance * np.sin(angle) + shape[0] / 2).astype(np.intp)
            column = np.floor(distance * np.cos(angle) + shape[1] / 2).astype(np.intp)
            inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
            share = rng.exponential(size=len(event)) * inside
            whole = np.bincount(event, share, len(energy))
            deposit = layers[event, number] * share / np.where(whole > 0, whole, 1.0)[event]
            of = images[:, number]
            np.add.at(of, (event[inside], row[inside], column[inside]), deposit[inside])
        return images


def spots_of(shares: Array, lit: float) -> float:
    """Return the mean number ν of spots that light so many cells: Σ 1 - exp(-ν q) = lit."""
    q = shares[shares > 0]
    most = np.count_nonzero(q)
    target = min(lit, 0.999 * most)

    def beyond(log: float) -> float:
        return float(np.sum(-np.expm1(-np.exp(log) * q)) - target)

    return float(np.exp(brentq(beyond, -20, 40)))


def parametrised(train: Events, energy: Array, rng: np.random.Generator) -> Events:
    """Fit parameters in classes of energy, and draw from those of each shower's class."""
    known, images = train.columns["energy"].numpy(), train.columns["image"].numpy()
    shape = images.shape[1:]
    images = images.reshape(len(images), -1, *shape[-2:])
    edges = np.unique(np.quantile(known, np.arange(1, CLASSES) / CLASSES))
    of_known, of_wanted = (np.searchsorted(edges, e, side="left") for e in (known, energy))
    classes = np.unique(of_known)
    made = np.zeros((len(energy), *images.shape[1:]), dtype=np.float32)
    nearest = classes[np.abs(of_wanted[:, None] - classes).argmin(axis=1)]
    for number in classes:
        rows, wanted = of_known == number, nearest == number
        if wanted.any():
            fitted = Parameters.fitted(images[rows].astype(np.float64), known[rows])
            made[wanted] = fitted.draw(energy[wanted], (shape[-2], shape[-1]), rng)
    return _events(torch.from_numpy(made).reshape(-1, *shape), energy)


RIVALS: Mapping[str, Rival] = {
    "shower library": library,
    "independent cells": cells,
    "parametrisation": parametrised,
}


def _transposed(images: torch.Tensor) -> torch.Tensor:
    return images.transpose(-1, -2)


def _upside_down(images: torch.Tensor) -> torch.Tensor:
    return images.flip(-2)


def _mirrored(images: torch.Tensor) -> torch.Tensor:
    return images.flip(-1)


def _events(images: torch.Tensor, energy: Array) -> Events:
    columns = {"image": images, "energy": torch.from_numpy(energy)}
    return Events(columns, {}, torch.ones(len(energy)).double())
