"""Closed forms of toy jets: what a sample of `mleg_ray.physics.toy_jets` is compared with.

With weights, events drawn with the density p count as events of p · E[w | jets] / E[w]. It is again
a product over jets, and f_k · c is a sum of two exponentials. All closed forms are there for either
density: `weighted`, or as events are drawn.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import quad, quad_vec
from scipy.special import gammaln, ndtr
from torch import Tensor

from mleg_ray.events import Events
from mleg_ray.physics.toy_jets import (
    DRAWN,
    ETA_MAX,
    ETA_WIDTH,
    HEAVY,
    HEAVY_RISE,
    LOST,
    MOST,
    NEGATIVE,
    NEGATIVE_RANGE,
    NOISE,
    NUMBERS,
    PT_MIN,
    SCALES,
    STOCHASTIC,
    heavy_probability,
    mean_weight_of,
)

Array = NDArray[np.float64]

ANGLES = 128  # of the mean over azimuths of a smooth periodic function: exact to rounding
HIGHEST_Q = 1.0  # 1/GeV: the smear's characteristic function is below 1e-21 there


def log_density(events: Events, *, weighted: bool = True) -> Tensor:
    """Return ln p (B,) of events with `sample`'s columns; -∞ where there can be none.

    It is a density in pt (GeV), η and φ of each jet and in pt and φ of the missing momentum, and a
    probability of the number and the flavours. Jets are in order, so that it is k! times that of
    k independent draws.
    """
    present = events.present["jet"]
    pt, eta, phi = (events.columns[f"jet.{name}"].double() for name in ("pt", "eta", "phi"))
    met, met_phi = events.columns["met.pt"].double(), events.columns["met.phi"].double()
    number = present.sum(dim=1)
    scale = torch.from_numpy(SCALES)[number, None]
    within = math.log(2 * ndtr(ETA_MAX / ETA_WIDTH) - 1)
    heavy = torch.from_numpy(heavy_probability(pt.numpy()))
    jets = (
        -(pt - PT_MIN) / scale
        - scale.log()
        - (eta / ETA_WIDTH).square() / 2
        - math.log(ETA_WIDTH * math.sqrt(2 * math.pi))
        - within
        - math.log(2 * math.pi)
        + torch.where(events.columns["jet.flavour"] == 1, heavy, 1 - heavy).log()
    )
    possible = (pt >= PT_MIN) & (eta.abs() <= ETA_MAX)
    jets = torch.where(present, torch.where(possible, jets, -math.inf), 0.0).sum(dim=1)
    ordered = (~present[:, 1:] | (pt[:, :-1] >= pt[:, 1:])).all(dim=1)
    variance = NOISE**2 + STOCHASTIC * pt.sum(dim=1)
    x = met * met_phi.cos() + LOST * (pt * phi.cos()).sum(dim=1)
    y = met * met_phi.sin() + LOST * (pt * phi.sin()).sum(dim=1)
    missing = (met / (2 * math.pi * variance)).log() - (x.square() + y.square()) / (2 * variance)
    total = torch.from_numpy(np.log(DRAWN) + gammaln(NUMBERS + 1))[number] + jets + missing
    if weighted:
        total = total + mean_weight_of(pt, present).log() - math.log(mean_weight())
    return torch.where(ordered, total, -math.inf)


def mean_weight() -> float:
    """Return E[w] = Σ_k P(k) (∫ f_k c dpt)^k; the share of negative weights is (1 - E[w]) / 2."""
    return float(_unnormalised(weighted=True).sum())


def number_table(*, weighted: bool = True) -> Array:
    """Return the probabilities (9,) of 0 to 8 jets."""
    table = _unnormalised(weighted=weighted)
    normalised: Array = table / table.sum()
    return normalised


def pt_cdf(pt: Array, *, weighted: bool = True) -> Array:
    """Return the cumulative distribution (n,) of the pt (n,), GeV, of all jets, pooled.

    Σ_k P(k) k m_k^(k-1) F_k(pt) / Σ_k P(k) k m_k^k, of the integral F_k of f_k c and m_k = F_k(∞).
    """
    mass = _mass(weighted)
    jets = DRAWN * NUMBERS * mass ** (NUMBERS - 1)
    result: Array = _integral(pt, weighted) @ jets / (jets @ mass)
    return result


def leading_pt_cdf(pt: Array, *, weighted: bool = True) -> Array:
    """Return the cumulative distribution (n,) of the largest pt (n,), GeV, of events with jets.

    All k jets are below pt: Σ_k P(k) F_k(pt)^k / Σ_k P(k) m_k^k over k > 0.
    """
    below = _integral(pt, weighted)[:, 1:] ** NUMBERS[1:] @ DRAWN[1:]
    result: Array = below / _unnormalised(weighted=weighted)[1:].sum()
    return result


def eta_cdf(eta: Array) -> Array:
    """Return the cumulative distribution (n,) of the η (n,) of jets; no weight depends on η."""
    edge = ndtr(-ETA_MAX / ETA_WIDTH)
    inside = (ndtr(eta / ETA_WIDTH) - edge) / (1 - 2 * edge)
    result: Array = np.clip(inside, 0.0, 1.0)
    return result


def heavy_share(*, weighted: bool = True) -> float:
    """Return the share of jets of flavour 1 among all jets: ∫ b(pt) dF(pt) by quadrature.

    By parts it is 0.5 - ∫ b'(pt) F(pt) dpt, with F from `pt_cdf` and b' = b (1 - b/0.5) / 30 GeV.
    """

    def integrand(pt: float) -> float:
        b = float(heavy_probability(np.array(pt)))
        return (
            b * (1 - b / HEAVY) / HEAVY_RISE * float(pt_cdf(np.array([pt]), weighted=weighted)[0])
        )

    return HEAVY - float(quad(integrand, PT_MIN, np.inf, epsabs=1e-11, epsrel=1e-11)[0])


class Moments(NamedTuple):
    """Mean and standard deviation of H_T and of the missing pt, GeV, and their correlation."""

    ht: float
    ht_deviation: float
    met: float
    met_deviation: float
    correlation: float


def moments(*, weighted: bool = True) -> Moments:
    """Return the moments of H_T = Σ pt_i, zero without jets, and the missing pt, over all events.

    Over k jets that are independent, with u_n = ∫ pt^n f_k c dpt and m = u_0,

        E[H_T] = k u_1 m^(k-1),     E[H_T²] = k u_2 m^(k-1) + k (k-1) u_1² m^(k-2),
        E[MET²] = 2 s0² m^k + k (2 s1² u_1 + κ² u_2) m^(k-1).

    A vector in the plane without a preferred direction has E|V| = ∫ (1 - E[exp(i q V_x)]) dq/q²
    over q > 0, since ∫ (1 - J_0(t)) dt/t² = 1. Here E[exp(i q V_x)] is exp(-q² s0²/2) g(q)^k over
    m^k, where g is the mean of exp(-z pt) over f_k c and over the azimuth, at
    z = q² s1²/2 + i κ q cos φ. The mean over f_k c is closed, so E[MET] is one integral over q and
    a mean over angles; E[H_T MET] has k u_1 m^(k-1) and k h g^(k-1) instead, h the mean of
    pt exp(-z pt). The quadrature is exact to 1e-9.
    """
    k, fewer = NUMBERS, np.maximum(NUMBERS - 1, 0)
    a, tau = _exponentials(weighted)
    mass = a.sum(axis=0)
    first = (a * (PT_MIN + tau)).sum(axis=0)
    second = (a * (PT_MIN**2 + 2 * PT_MIN * tau + 2 * tau**2)).sum(axis=0)
    cosine = np.cos(2 * math.pi * np.arange(ANGLES) / ANGLES)[:, None, None]
    limits = np.stack([mass**k, k * first * mass**fewer])  # E[1] and E[H_T] by k

    def integrand(q: float) -> Array:
        z = q**2 * STOCHASTIC / 2 + 1j * LOST * q * cosine
        waves = a * np.exp(-z * PT_MIN) / (1 + z * tau)  # (angles, exponentials, 9)
        g = waves.sum(axis=1).real.mean(axis=0)
        h = (waves * (PT_MIN + tau / (1 + z * tau))).sum(axis=1).real.mean(axis=0)
        smear = math.exp(-((q * NOISE) ** 2) / 2)
        difference: Array = (limits - smear * np.stack([g**k, k * h * g**fewer])) / q**2
        return difference

    integral, _ = quad_vec(integrand, 0.0, HIGHEST_Q, epsabs=1e-9, epsrel=1e-11)
    norm = limits[0] @ DRAWN
    met, ht_met = (integral + limits / HIGHEST_Q) @ DRAWN / norm
    ht = limits[1] @ DRAWN / norm
    pairs = k * fewer * first**2 * mass ** np.maximum(k - 2, 0)
    ht_square = (k * second * mass**fewer + pairs) @ DRAWN / norm
    lost = 2 * STOCHASTIC * first + LOST**2 * second
    met_square = (2 * NOISE**2 * limits[0] + k * lost * mass**fewer) @ DRAWN / norm
    ht_deviation, met_deviation = math.sqrt(ht_square - ht**2), math.sqrt(met_square - met**2)
    correlation = (ht_met - ht * met) / (ht_deviation * met_deviation)
    return Moments(float(ht), ht_deviation, float(met), met_deviation, float(correlation))


def _exponentials(weighted: bool) -> tuple[Array, Array]:
    """Return f_k c as a sum of exponentials above p0, Σ_j a_j exp(-(pt - p0) / τ_j) / τ_j.

    Both a and τ (GeV) are of shape (1 or 2, 9), by j and k.
    """
    steeper = 1 / (1 / SCALES + 1 / NEGATIVE_RANGE)
    a = np.stack([np.ones(MOST + 1), -NEGATIVE * steeper / SCALES])
    terms = 2 if weighted else 1
    return a[:terms], np.stack([SCALES, steeper])[:terms]


def _mass(weighted: bool) -> Array:
    """Return m_k = ∫ f_k c dpt (9,): 1 if not weighted."""
    a, _ = _exponentials(weighted)
    return np.asarray(a.sum(axis=0))


def _integral(pt: Array, weighted: bool) -> Array:
    """Return F_k(pt) = ∫ f_k c up to pt, shape (n, 9) of pt (n,)."""
    a, tau = _exponentials(weighted)
    above = np.maximum(pt - PT_MIN, 0.0)[:, None, None]
    return np.asarray(-(a * np.expm1(-above / tau)).sum(axis=1))


def _unnormalised(*, weighted: bool) -> Array:
    """Return P(k) m_k^k (9,), the sum of which is E[w], or 1 if not weighted."""
    return np.asarray(DRAWN * _mass(weighted) ** NUMBERS)
