"""Toy events of 0 to 8 jets and a missing momentum whose density has a closed form.

They judge generators of events with a varying number of objects: what a sample says is compared
with exact numbers. Momenta are in GeV, angles in radians. An event is drawn as follows.

The number of jets k has a Poisson distribution of mean 3, cut off after `MOST` = 8. Given k, the
jets are drawn independently and put in order, the largest pt first:

    pt      f_k(pt) = exp(-(pt - p0) / τ_k) / τ_k above p0 = 25 GeV, τ_k = (35 + 5 k) GeV
    eta     normal of mean 0 and σ = 1.2, within |η| < 2.5
    phi     uniform
    flavour 1 with the probability b(pt) = 0.5 / (1 + exp(-(pt - 80 GeV) / 30 GeV)), else 0

The missing momentum is a share κ = 0.2 of the jets' momenta, lost, and a smear that grows with the
scalar sum of pt, H_T = Σ pt_i: each component of its vector (pt cos φ, pt sin φ) is normal,

    mean -κ Σ_i (pt_i cos φ_i, pt_i sin φ_i),    variance σ² = s0² + s1² H_T,

with s0 = 10 GeV and s1² = 0.6 GeV. The weight is ±1, negative above all in soft events:

    E[w | jets] = Π_i c(pt_i),   c(pt) = 1 - 0.2 exp(-(pt - p0) / λ),   λ = 30 GeV,

that is, -1 with the probability (1 - Π_i c(pt_i)) / 2. So events drawn with the density p count as
events of p · E[w | jets] / E[w], which is positive: that is what a generator learns.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, gammaln, ndtr, ndtri
from torch import Tensor

from mleg_ray.events import Events

Array = NDArray[np.float64]

MOST = 8  # jets
MEAN_NUMBER = 3.0  # of the Poisson distribution, before it is cut off
PT_MIN = 25.0  # GeV, p0
ETA_MAX, ETA_WIDTH = 2.5, 1.2
HEAVY, HEAVY_PT, HEAVY_RISE = 0.5, 80.0, 30.0  # b(pt): its plateau, where half is reached, GeV
LOST = 0.2  # κ
NOISE, STOCHASTIC = 10.0, 0.6  # s0, GeV, and s1², GeV
NEGATIVE, NEGATIVE_RANGE = 0.2, 30.0  # 1 - c(p0), and λ, GeV

NUMBERS = np.arange(MOST + 1)
SCALES = 35.0 + 5.0 * NUMBERS  # τ_k, GeV
_POISSON = np.exp(NUMBERS * math.log(MEAN_NUMBER) - gammaln(NUMBERS + 1))
DRAWN = _POISSON / _POISSON.sum()  # the probability of k jets


def sample(rng: np.random.Generator, n: int) -> Events:
    """Draw n events with the columns jet.pt, jet.eta, jet.phi, jet.flavour, met.pt and met.phi."""
    number = rng.choice(MOST + 1, n, p=DRAWN)
    present = np.arange(MOST) < number[:, None]
    pt = PT_MIN + SCALES[number, None] * rng.standard_exponential((n, MOST))
    pt = -np.sort(-np.where(present, pt, 0.0), axis=1)
    edge = ndtr(-ETA_MAX / ETA_WIDTH)
    eta = np.where(present, ETA_WIDTH * ndtri(rng.uniform(edge, 1 - edge, (n, MOST))), 0.0)
    phi = np.where(present, rng.uniform(-math.pi, math.pi, (n, MOST)), 0.0)
    flavour = (rng.random((n, MOST)) < heavy_probability(pt)) & present
    smear = np.sqrt(NOISE**2 + STOCHASTIC * pt.sum(axis=1))
    x = smear * rng.standard_normal(n) - LOST * (pt * np.cos(phi)).sum(axis=1)
    y = smear * rng.standard_normal(n) - LOST * (pt * np.sin(phi)).sum(axis=1)
    tensors = {name: torch.from_numpy(values) for name, values in (("pt", pt), ("there", present))}
    negative = rng.random(n) < (1 - mean_weight_of(tensors["pt"], tensors["there"]).numpy()) / 2
    columns = {
        "jet.pt": pt,
        "jet.eta": eta,
        "jet.phi": phi,
        "jet.flavour": flavour.astype(np.int8),
        "met.pt": np.hypot(x, y),
        "met.phi": np.arctan2(y, x),
    }
    return Events(
        {name: torch.from_numpy(values) for name, values in columns.items()},
        {"jet": tensors["there"]},
        torch.from_numpy(np.where(negative, -1.0, 1.0)),
    )


def heavy_probability(pt: Array) -> Array:
    """Return b(pt), the probability that a jet of pt (GeV), of any shape, has flavour 1."""
    share: Array = HEAVY * expit((pt - HEAVY_PT) / HEAVY_RISE)
    return share


def mean_weight_of(pt: Tensor, present: Tensor) -> Tensor:
    """Return E[w | jets] = Π_i c(pt_i), shape (B,), of pt (B, 8) in GeV and the jets `present`."""
    factor = 1 - NEGATIVE * (-(pt - PT_MIN) / NEGATIVE_RANGE).exp()
    return torch.where(present, factor, 1.0).prod(dim=1)
