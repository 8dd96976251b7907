"""Weights that unfold signal from background: sWeights.

Of events whose species is not known, a variable such as a mass tells how likely each is. Source:
M. Pivk and F. R. Le Diberder, sPlot: a statistical tool to unfold data distributions, Nucl.
Instrum. Meth. A 555 (2005) 356, arXiv:physics/0402083, called P below.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CONVERGED = 1e-9  # of the distance to the largest likelihood, in standard deviations


def yields(densities: Array) -> Array:
    """Return the numbers of events N (K,) of each species that make the data most likely.

    `densities` (n, K) are f_k of the n events, of different shapes and not all zero at any. The
    extended log likelihood of P, eq. (2), ℓ = Σ_e ln Σ_k N_k f_k - Σ_k N_k, is concave. Newton's
    steps V g, of its gradient g and its curvature V⁻¹, are halved until ℓ grows while λ = √(g·V g),
    the distance to the maximum in standard deviations, is large; below 1/4 a whole step converges
    (Y. Nesterov and A. Nemirovskii, Interior-Point Polynomial Algorithms, SIAM 1994, sec. 2.2). A
    yield may turn negative, but no Σ_k N_k f_k does. There is a maximum unless a mixture of species
    is likelier than another one at each of the events.
    """
    n, species = densities.shape
    found = np.full(species, n / species)
    distance = math.inf
    while distance > CONVERGED:
        gradient = (densities / (densities @ found)[:, None]).sum(axis=0) - 1
        step = covariance(densities, found) @ gradient
        distance = math.sqrt(abs(gradient @ step))
        reached = _likelihood(densities, found)
        while distance > 0.25 and _likelihood(densities, found + step) <= reached:
            step = step / 2
        found = found + step
    return found


def _likelihood(densities: Array, numbers: Array) -> float:
    """Return ℓ of the yields `numbers` (K,), -∞ where a density is not positive."""
    total = densities @ numbers
    return float(np.log(total).sum() - numbers.sum()) if (total > 0).all() else -math.inf


def covariance(densities: Array, numbers: Array) -> Array:
    """Return the covariance V (K, K) of the yields `numbers` (K,), P, eq. (10).

    V⁻¹_jk = Σ_e f_j f_k / (Σ_l N_l f_l)².
    """
    relative = densities / (densities @ numbers)[:, None]
    return np.asarray(np.linalg.inv(relative.T @ relative), dtype=np.float64)


def sweights(densities: Array) -> Array:
    """Return the sWeights (n, K) of events with `densities` (n, K), P, eq. (11).

    w_k = Σ_j V_kj f_j / Σ_l N_l f_l. Those of an event sum to 1, those of a species to its yield.
    With them events of all species are distributed, in whatever does not depend on the variable of
    the densities within a species, as those of species k alone. Weights are negative where the
    others outweigh.

    >>> two_bins = np.repeat([[0.8, 0.3], [0.2, 0.7]], [5, 5], axis=0)  # the share of a bin
    >>> sweights(two_bins)[[0, -1], 0].round(6).tolist()  # 0.7/0.5 and -0.3/0.5: a matrix's inverse
    [1.4, -0.6]
    """
    numbers = yields(densities)
    total = (densities @ numbers)[:, None]
    weights: Array = densities @ covariance(densities, numbers) / total
    return weights
