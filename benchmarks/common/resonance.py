"""A resonance as an experiment fits it: a Breit-Wigner smeared by a Gaussian."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import voigt_profile

Array = NDArray[np.float64]

BINS = 200
STEP = 1e-4  # by which slopes are taken


@dataclass(frozen=True)
class Resonance:
    """Mass, full width and resolution σ, each with its error, in the unit of the masses."""

    mass: tuple[float, float]
    width: tuple[float, float]
    resolution: tuple[float, float]

    def pulls(self, other: "Resonance") -> tuple[float, float, float]:
        """Return the differences of two independent fits, of each number over its error."""
        pairs = (
            (self.mass, other.mass),
            (self.width, other.width),
            (self.resolution, other.resolution),
        )
        mass, width, resolution = ((a - b) / float(np.hypot(s, t)) for (a, s), (b, t) in pairs)
        return mass, width, resolution


def fitted(masses: Array, window: tuple[float, float], start: Resonance) -> Resonance:
    """Fit the masses (n,) within a window by maximum likelihood; errors are those of Fisher.

    The density is that of Voigt, a Breit-Wigner 1/((m - M)² + Γ²/4) smeared by a Gaussian,
    normalised within the window and taken at the middles of `BINS` bins. The covariance of the
    parameters is the inverse of F_ab = n Σ ∂_a p_i ∂_b p_i / p_i.
    """
    counts, edges = np.histogram(masses, BINS, window)
    middles = (edges[1:] + edges[:-1]) / 2

    def shares(parameters: Array) -> Array:
        mass, width, resolution = np.abs(parameters)
        density = np.asarray(voigt_profile(middles - mass, resolution, width / 2))
        result: Array = density / density.sum()
        return result

    def loss(parameters: Array) -> float:
        return float(-counts @ np.log(shares(parameters)) / counts.sum())

    first = np.array([start.mass[0], start.width[0], start.resolution[0]])
    settings: Any = {"xatol": 1e-5, "fatol": 1e-12, "maxiter": 5000}
    found = np.abs(minimize(loss, first, method="Nelder-Mead", options=settings).x)
    slopes = np.array(
        [(shares(found + step) - shares(found - step)) / (2 * STEP) for step in STEP * np.eye(3)]
    )
    with np.errstate(all="ignore"):  # where there is no resonance errors are not finite
        information = counts.sum() * (slopes / shares(found)) @ slopes.T
        errors = np.sqrt(np.diag(np.linalg.inv(information)))
    mass, width, resolution = zip(found.tolist(), errors.tolist(), strict=True)
    return Resonance(mass, width, resolution)
