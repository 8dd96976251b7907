"""Every step, and what a recipe's critic sees, at three events by hand.

The arithmetic stands here as the docstrings of the steps have their equations, not as their code
has them. Electrons are triangles of whole numbers: (3, 4, 12), of which pT = 5 and p = 13.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import acosh, asinh, atan2, cos, log, pi, sin, sqrt
from statistics import NormalDist

import pytest
import torch

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.config import known_names
from mleg_ray.events import Events, Group
from mleg_ray.features.steps import STEPS, Step
from mleg_ray.features.steps.base import Layout, Quantity
from mleg_ray.randomness import Noise
from mleg_ray.run import RunConfig
from tests.dis_events import ELECTRON, SCHEMA

E = math.e
Columns = Mapping[str, Sequence[float]]


def logit(share: float) -> float:
    return log(share / (1 - share))


@dataclass(frozen=True)
class Known:
    """A step: columns of three events, what it makes of them, log |det|, what a critic sees.

    A step that learns does so of the events `learned`.
    """

    config: dict[str, object]
    given: Columns  # before the step
    made: Columns
    slope: Sequence[float] = (0.0, 0.0, 0.0)
    beside: Columns = field(default_factory=dict)  # conditions, and what else the step uses
    seen: Columns = field(default_factory=dict)
    learned: Columns = field(default_factory=dict)


def electron(*momenta: tuple[float, float, float, float], group: str = "electron") -> Columns:
    names = (f"{group}.{part}" for part in ("px", "py", "pz", "energy"))
    return dict(zip(names, zip(*momenta, strict=True), strict=True))


def beams(*energies: float) -> Columns:
    return {"beam_energy": energies}


SCATTERED = electron((3, 4, 12, 13), (4, -3, -12, 13), (0, 5, 0, 5))
AZIMUTH = [atan2(4, 3) / pi, atan2(-3, 4) / pi, 1 / 2]  # in half turns
BEAMS = beams(50, 50, 25)
# E' - pz = Q²/2E_b, and 2E_b - E' - pz = 2E_b y.
MINUS, LOST = [1, 25, 5], [75, 99, 45]
S, Q2, Y = [10_000, 10_000, 2500], [100, 2500, 250], [3 / 4, 99 / 100, 9 / 10]
X = [1 / 75, 25 / 99, 1 / 9]  # Q²/(s y)
TAU = [1 / 100, 1 / 4, 1 / 10]  # Q²/s
ODDS = [log(1 / x) / log(1 / y) for x, y in zip(X, Y, strict=True)]  # log x / log(τ/x), τ/x = y
P, PT = [13, 13, 5], [5, 5, 5]

LIGHT_CONE = Known(
    {"kind": "dis-lightcone"},
    SCATTERED,
    {
        "electron.nu1": [log(minus) for minus in MINUS],
        "electron.nu2": [log(lost) for lost in LOST],
        "electron.phi": AZIMUTH,
    },
    # d³p = (E'/2) dQ² dy dφ, where dQ² dy = Q² y dν1 dν2 = MINUS LOST dν1 dν2, and dφ = π d(φ/π).
    [-log(pi * p / 2 * a * b) for p, a, b in zip(P, MINUS, LOST, strict=True)],
    BEAMS,
    {
        "electron.px": [3, 4, 0],
        "electron.py": [4, -3, 5],
        "electron.pz": [12, -12, 0],
        "electron.log_pt": [log(5)] * 3,
    },
)


def kinematic(u2: list[float], steeper: list[float], **settings: float) -> Known:
    """The DIS step without a cut's edge, or with one that changes u2, and du2/dy by factors."""
    q2_min = 2
    slopes = [
        # du1/dQ², then du2/dy where u2 = log log(y/τ) - log log(1/y), then d(φ/π) dQ² dy / d³p.
        log(1 / (q2 - q2_min) + 1 / (s - q2))
        + log((1 / log(1 / x) + 1 / log(1 / y)) / y * factor)
        + log(2 / p / pi)
        for s, q2, x, y, p, factor in zip(S, Q2, X, Y, P, steeper, strict=True)
    ]
    return Known(
        {"kind": "dis-kinematic", "q2_min": q2_min, **settings},
        SCATTERED,
        {
            "electron.u1": [
                log((q2 - q2_min) / (1 - tau)) for q2, tau in zip(Q2, TAU, strict=True)
            ],
            "electron.u2": u2,
            "electron.phi": AZIMUTH,
        },
        slopes,
        BEAMS,
        {
            "electron.log_pt": [log(5)] * 3,
            "electron.px": [3, 4, 0],
            "electron.py": [4, -3, 5],
            "electron.log_pz_gap": [log(50 - 12), log(50 + 12), log(25)],
            "electron.log_energy_gap": [log(50 - 13), log(50 - 13), log(25 - 5)],
        },
    )


def with_edge(m2: float, width: float) -> Known:
    """The same with the edge x s = m², which lies at x_m > τ, or nowhere."""
    u2, steeper = [], []
    for s, tau, odds in zip(S, TAU, ODDS, strict=True):
        x_m = max(m2 / s, tau)
        log_share = log(log(1 / tau) / log(1 / x_m))  # log(log τ / log x_m)
        ratio = odds * log(x_m / tau) / log(1 / x_m)  # o/o_m, 0 where there is no edge
        root = sqrt((1 - ratio) ** 2 + 4 * width**2)
        u2.append(log(odds) + log_share - log((1 - ratio + root) / 2))
        # d log ρ(r) = dr / root, and dr = -do/o_m = -(o/o_m) d log o.
        steeper.append(1 + ratio / root)
    return kinematic(u2, steeper, m_hat_min=sqrt(m2), m_hat_smearing=width)


DIS_KINEMATIC = [
    kinematic([log(odds) for odds in ODDS], [1.0] * 3),
    with_edge(110.25, 0.5),  # x_m = 0.011, below x = 0.013 of the first event
    with_edge(400.0, 0.5),  # x_m = 0.04 and 0.16: the first and the last lie beyond
]

RESPONSE = Known(
    {"kind": "electron-response"},
    # Twice the momentum; another angle; and across the seam at φ = π.
    electron((6, 8, 24, 26), (4, -3, -12, 13), (-4, -3, 0, 5)),
    {
        "electron.log_ratio_momentum": [log(2), 0, 0],
        "electron.shift_theta": [0, atan2(5, -12) - atan2(5, 12), 0],
        "electron.shift_phi": [0, -2 * atan2(3, 4), 2 * atan2(3, 4)],
    },
    # d³p = p² sin θ dp dθ dφ = p² pT d(log p) dθ dφ.
    [-log(26**2 * 10), -log(13**2 * 5), -log(5**2 * 5)],
    {"vertex.px": [3, 4, -4], "vertex.py": [4, 3, 3], "vertex.pz": [12, 12, 0]},
)

PROTON, PION = 0.93827209, 0.13957039


@dataclass(frozen=True)
class Pair:
    """γ p -> p π⁺π⁻ at a pair's mass m, θ*, φ*, and θ, φ of π⁺ where the pair is at rest."""

    photon: float
    mass: float
    out: float
    out_phi: float
    decay: float
    decay_phi: float

    @property
    def w(self) -> float:
        return sqrt(PROTON**2 + 2 * PROTON * self.photon)

    @property
    def span(self) -> float:
        return self.w - PROTON - 2 * PION

    @property
    def share(self) -> float:
        return (self.mass - 2 * PION) / self.span

    def momenta(self) -> list[list[float]]:
        """Return (px, py, pz, E) of p, π⁺ and π⁻ in the laboratory."""
        w, m = self.w, self.mass
        k = sqrt((w**2 - (m + PROTON) ** 2) * (w**2 - (m - PROTON) ** 2)) / (2 * w)
        q = sqrt(m**2 / 4 - PION**2)
        z = [sin(self.out) * cos(self.out_phi), sin(self.out) * sin(self.out_phi), cos(self.out)]
        y = [-sin(self.out_phi), cos(self.out_phi), 0.0]  # along photon x pair
        x = [y[1] * z[2] - y[2] * z[1], y[2] * z[0] - y[0] * z[2], y[0] * z[1] - y[1] * z[0]]
        gamma = sqrt(k**2 + m**2) / m
        at_cm = [[*(-k * c for c in z), sqrt(k**2 + PROTON**2)]]
        for sign in (1, -1):
            along = sign * q * cos(self.decay)
            a = sign * q * sin(self.decay) * cos(self.decay_phi)
            b = sign * q * sin(self.decay) * sin(self.decay_phi)
            boosted = gamma * along + k / m * m / 2  # γ p + γβ E, each pion of E = m/2
            momentum = [a * x[i] + b * y[i] + boosted * z[i] for i in range(3)]
            at_cm.append([*momentum, gamma * m / 2 + k / m * along])
        forward, up = self.photon / w, (self.photon + PROTON) / w  # γβ and γ of the laboratory
        return [
            [px, py, up * pz + forward * energy, up * energy + forward * pz]
            for px, py, pz, energy in at_cm
        ]


def mass_of(*momenta: list[float]) -> float:
    px, py, pz, energy = (sum(parts) for parts in zip(*momenta, strict=True))
    return sqrt(energy**2 - px**2 - py**2 - pz**2)


PAIRS = [
    Pair(3.0, 0.77, 0.4, 0.3, 1.1, -0.6),
    Pair(3.0, 0.45, 2.0, -2.5, 0.3, 2.8),
    Pair(1.5, 0.5, 1.2, 1.9, 2.5, 0.2),
]
MOMENTA = [pair.momenta() for pair in PAIRS]


def of_pairs(particle: int, name: str) -> Columns:
    return electron(*(tuple(momenta[particle]) for momenta in MOMENTA), group=name)


PHOTOPRODUCED = {**of_pairs(0, "p"), **of_pairs(1, "pip"), **of_pairs(2, "pim")}
PAIR_MASSES = [
    [mass_of(momenta[i], momenta[j]) for momenta in MOMENTA] for i, j in ((0, 1), (0, 2), (1, 2))
]
PION_PAIR = Known(
    {"kind": "pion-pair"},
    PHOTOPRODUCED,
    {
        "pair.logit_mass": [logit(pair.share) for pair in PAIRS],
        "pair.logit_cos_out": [logit((1 + cos(pair.out)) / 2) for pair in PAIRS],
        "pair.phi_out": [pair.out_phi / pi for pair in PAIRS],
        "pair.logit_cos_decay": [logit((1 + cos(pair.decay)) / 2) for pair in PAIRS],
        "pair.phi_decay": [pair.decay_phi / pi for pair in PAIRS],
    },
    # d logit((1 + c)/2) / dc = 2 / (1 - c²) = 2 / sin²; two azimuths in half turns.
    [
        -log(pair.share * (1 - pair.share) * pair.span)
        + log(2 / sin(pair.out) ** 2)
        + log(2 / sin(pair.decay) ** 2)
        - 2 * log(pi)
        for pair in PAIRS
    ],
    {"photon_energy": [pair.photon for pair in PAIRS]},
    {
        "m_p_pip": PAIR_MASSES[0],
        "m_p_pim": PAIR_MASSES[1],
        "m_pip_pim": [pair.mass for pair in PAIRS],
        "t": [2 * PROTON * (PROTON - momenta[0][3]) for momenta in MOMENTA],
    },
)

# The mean over u of -log s(1 - s) - log n at s = (k + u)/n: with D(s) = (1 - s) log(1 - s) - s log
# s, which is 0 at 0, 1/2 and 1, 2 - log n + n [D((k + 1)/n) - D(k/n)]; D(1/4) = -D(3/4) is:
QUARTER = 3 / 4 * log(3 / 4) - 1 / 4 * log(1 / 4)
THIRD = 2 / 3 * log(2 / 3) - 1 / 3 * log(1 / 3)

MU2 = {"mu2.px": [3, 4, 0], "mu2.py": [4, -3, 5]}
MU1 = {"mu1.px": [5, 5, 5], "mu1.py": [10, 10, 10]}
# Components along mu2 and to its left: (5 · 3 + 10 · 4)/5, (10 · 3 - 5 · 4)/5, and so on.
TURNED = {"mu1.turned_px": [11, -2, 10], "mu1.turned_py": [2, 11, -5]}
ROTATIONS = [
    Known(
        {"kind": "rotation", "along": "mu2", "groups": ["mu1"]},
        {**MU2, **MU1},
        {"mu2.pt": PT, "mu2.turn": AZIMUTH, **TURNED},
        [-log(5 * pi)] * 3,  # dpx dpy = pT dpT dφ
    ),
    Known(  # the angle's density is 1/2 per half turn
        {"kind": "rotation", "along": "mu2", "groups": ["mu1"], "angle": "dropped"},
        {"mu2.px": [5, 1, 2], "mu2.py": [0, 0, 0], **MU1},
        {"mu2.pt": [5, 1, 2], "mu1.turned_px": [5, 5, 5], "mu1.turned_py": [10, 10, 10]},
        [-log(2 * pi * pt) for pt in (5, 1, 2)],
    ),
    Known(
        {"kind": "rotation", "along": "mu2", "groups": ["mu1", "met"]},
        {
            "mu2.phi": [pi / 2, -pi / 2, 3],
            "mu1.phi": [1, 2, -3],
            "met.px": [2, 2, cos(3)],
            "met.py": [1, 1, sin(3)],
        },
        {
            "mu2.turn": [1 / 2, -1 / 2, 3 / pi],
            "mu1.turned_phi": [1 - pi / 2, 2 + pi / 2 - 2 * pi, 2 * pi - 6],
            "met.turned_px": [1, -1, 1],
            "met.turned_py": [-2, 2, 0],
        },
        [-log(pi)] * 3,
    ),
]
# Of p_T > 20 and M = 100 back to back l = log 0.16, and at a ratio of 0.4 cosh Δη is below
# 0.4 · 100²/(2 · 20²) - 1 = 4; at a right angle l = log 0.08, and cosh Δη below 12.5 ratios; with
# M = 80 back to back l = log 1/4, and at 1/2 cosh Δη below 3.
REACHES = [2.8 + acosh(4) - 1, 2.8 - 2 + acosh(12.5 * 0.08**0.25), 2 * acosh(3)]
ACCEPTANCE = Known(
    {"kind": "acceptance", "groups": ["mu1", "mu2"], "pt": 20.0, "eta": 2.8},
    {
        "pair.log_ratio_pt": [log(0.4), log(0.08) / 4, log(1 / 2)],
        "mu2.eta": [1 - acosh(4) + 3 / 4 * REACHES[0], -2.8 + REACHES[1] / 2, acosh(3) / 2],
    },
    {"pair.inside_log_ratio_pt": [0, -log(3), 0], "mu2.inside_eta": [log(3), 0, log(3)]},
    [
        log(4 * 16 / 3 / log(1 / 0.16) / REACHES[0]),
        log(16 / 3 * 4 / log(1 / 0.08) / REACHES[1]),
        log(4 * 16 / 3 / log(4) / REACHES[2]),
    ],
    {
        "pair.mass": [100, 100, 80],
        "pair.acoplanarity": [0, -1 / 2, 0],
        "mu1.eta": [1, -2, 0],
    },
)
MASSLESS = Known(
    {"kind": "pair", "groups": ["photon1", "photon2"]},
    {"photon1.pt": [3, 4, 2], "photon2.pt": [12, 4, 5], "photon2.phi": [1 - pi, 1 + pi / 2, -3]},
    {
        # 2 pT1 pT2 (cosh Δη - cos Δφ): 72 (1 + 1); 32 cosh log 4, which is 17/8; 20 (1 - cos 6).
        "pair.mass": [12, sqrt(68), sqrt(20 * (1 - cos(6)))],
        "pair.acoplanarity": [0, -1 / 2, 1 - 6 / pi],
        "pair.log_ratio_pt": [log(4), 0, log(5 / 2)],
    },
    # M grows as λ if both pT do.
    [
        log(12 / (36 * pi)),
        log(sqrt(68) / (16 * pi)),
        log(sqrt(20 * (1 - cos(6))) / (10 * pi)),
    ],
    {
        "photon1.eta": [0, log(2), 1],
        "photon2.eta": [0, -log(2), 1],
        "photon1.phi": [1, 1, 3],
    },
)
# Masses of 5 and 9: momenta of 12 and 12, then 12 and 40, have energies of 13 and 15, 13 and 41.
# cosh log 3 = 5/3 makes 40 of pT = 24, and sinh log 3 = 4/3.
HEAVY = Known(
    {"kind": "pair", "groups": ["light", "heavy"], "name": "x"},
    {"light.pt": [12, 12, 12], "heavy.pt": [12, 40, 24], "heavy.phi": [pi / 2, 0, pi / 4]},
    {
        "x.mass": [28, sqrt(25 + 81 + 2 * 13 * 41), sqrt(25 + 81 + 2 * (13 * 41 - 12 * 24))],
        "x.acoplanarity": [0, -1 / 2, -1],
        "x.log_ratio_pt": [0, log(40 / 12), log(2)],
    },
    # M dM = (p1² E2/E1 + p2² E1/E2 - 2 p1·p2) d log λ.
    [
        log((144 * 15 / 13 + 144 * 13 / 15 + 288) / 28 / (144 * pi)),
        log((144 * 41 / 13 + 1600 * 13 / 41) / sqrt(1172) / (480 * pi)),
        log((144 * 41 / 13 + 1600 * 13 / 41 - 2 * 288) / sqrt(596) / (288 * pi)),
    ],
    {
        "light.eta": [0, 0, 0],
        "heavy.eta": [0, 0, log(3)],
        "light.phi": [-pi / 2, -pi / 2, pi / 4],
    },
)
# Numbers that are spread evenly over (0, 1): F(x) = x, and beyond 1/10 from an end the rest is
# 1/20 from there in the mean.
EVENLY = {"x": [(k + 1 / 2) / 2000 for k in range(2000)]}
IN_TAILS = [1 / 2, 9 / 10 + log(4) / 20, 1 / 10 - log(10) / 20]  # 1/40 lies above, 1/100 below
SCORES = [0.0, NormalDist().inv_cdf(1 - 1 / 40), NormalDist().inv_cdf(1 / 100)]
DENSITIES = [1, 20 / 40, 20 / 100]

STEPS_BY_HAND: dict[str, list[Known]] = {
    "acceptance": [ACCEPTANCE],
    "atoms": [
        Known(  # shares of 1/6, 5/6 and 3/6; elsewhere numbers are spread evenly over (0, 4)
            {"kind": "atoms", "fields": ["x"], "at": [-999.0, 9.0]},
            {"x": [-999, 3, 9]},
            {"atom_x": [-log(5), log(5), 0], "free_x": [2, 3, 2]},
            # The noise has the entropy log 4, less what the first and last number lie inside by.
            [
                2 - log(3) + 3 * THIRD + log(4) + 2 * log(3 / 4) / 1000,
                2 - log(3) + 3 * THIRD,
                2 - log(3) - 6 * THIRD + log(4) + 2 * log(3 / 4) / 1000,
            ],
            learned={"x": [-999, 9, 9, *(4 * x for x in EVENLY["x"])]},
        )
    ],
    "angle": [
        Known(
            {"kind": "angle", "fields": ["x"]},
            {"x": [-pi / 2, pi / 4, 3 * pi / 4]},
            {"turn_x": [-1 / 2, 1 / 4, 3 / 4]},
            [-log(pi)] * 3,
        ),
        Known(
            {"kind": "angle", "fields": ["x"], "low": 0.0},
            {"x": [3 * pi / 2, pi / 4, 7 * pi / 4]},
            {"turn_x": [-1 / 2, 1 / 4, -1 / 4]},
            [-log(pi)] * 3,
        ),
    ],
    "breakup": [
        Known(  # p* of (E, E') = (5, 5), (7, 5), (4, 4), E' of a mass of 3, and M the sum
            {"kind": "breakup", "parent": "M", "product": "m", "other": 3.0},
            {"m": [3, sqrt(33), 3]},
            {"breakup_m": [4, 4, sqrt(7)]},
            [log(3 / 8), log(5 * sqrt(33) / 48), log(3 / 2 / sqrt(7))],
            {"M": [10, 12, 8]},
        )
    ],
    "category": [
        Known(
            {"kind": "category", "fields": ["x"], "levels": 3},
            {"x": [0, 2, 1]},
            {"is_0_x": [1, 0, 0], "is_1_x": [0, 0, 1], "is_2_x": [0, 1, 0]},
        )
    ],
    "dequantise": [
        Known(  # (k + 1/2)/4 = 1/8, 3/8 and 7/8
            {"kind": "dequantise", "fields": ["x"], "levels": 4},
            {"x": [0, 1, 3]},
            {"level_x": [-log(7), log(3 / 5), log(7)]},
            [2 - log(4) + 4 * QUARTER, 2 - log(4) - 4 * QUARTER, 2 - log(4) + 4 * QUARTER],
        )
    ],
    "difference": [
        Known(
            {"kind": "difference", "field": "x", "to": "c"},
            {"x": [7, -2, 0.5]},
            {"shift_x": [-3, 1, 0.75]},
            beside={"c": [10, -3, -0.25]},
        )
    ],
    "dis-kinematic": DIS_KINEMATIC,
    "dis-lightcone": [LIGHT_CONE],
    "electron-response": [RESPONSE],
    "fraction": [
        Known(
            {"kind": "fraction", "fields": ["x"]},
            {"x": [2.25, 3, -0.25]},
            {"whole_x": [2, 3, -1], "fraction_x": [0.25, 0, 0.75]},
        )
    ],
    "gap": [
        Known(
            {"kind": "gap", "field": "x", "below": "c"},
            {"x": [7, 9.5, -5]},
            {"log_gap_x": [log(3), -log(2), log(25)]},
            [-log(3), log(2), -log(25)],
            {"c": [10, 10, 20]},
        )
    ],
    "gaussian-dequantise": [
        Known(
            {"kind": "gaussian-dequantise", "fields": ["x"]},
            {"x": [0, 3, -1]},
            {"blurred_x": [0, 3, -1]},
        )
    ],
    "interval": [
        Known(  # shares of 3/4, 1/2 and 1/4; d logit = d share / share (1 - share)
            {"kind": "interval", "fields": ["x"], "low": 1.0, "high": 5.0},
            {"x": [4, 3, 2]},
            {"logit_x": [log(3), 0, -log(3)]},
            [-log(4 * 3 / 16), -log(4 * 1 / 4), -log(4 * 3 / 16)],
        )
    ],
    "min-max": [
        Known(  # of an interval of 4 from 1: twice the share, less one
            {"kind": "min-max", "fields": ["x"], "low": 1.0, "high": 5.0},
            {"x": [4, 1, 6]},
            {"minmax_x": [0.5, -1, 1.5]},
            [-log(2), -log(2), -log(2)],
        )
    ],
    "logarithm": [
        Known(
            {"kind": "logarithm", "fields": ["x"], "above": 1.0},
            {"x": [1 + E, 2, 1.5]},
            {"log_x": [1, 0, -log(2)]},
            [-1, 0, log(2)],
        )
    ],
    "mass-shell": [
        Known(
            {"kind": "mass-shell", "group": "electron"},
            {"electron.energy": [85, 85, sqrt(84**2 + 5**2)]},
            {},
            beside={name: SCATTERED[name] for name in ELECTRON[:3]},
        )
    ],
    "ordered": [
        Known(  # z = x - 1: (e, e/2), (8, 2), (1, 3/4); d logit(z2/z1) = dz2 / z2 (1 - z2/z1)
            {"kind": "ordered", "fields": ["x", "w"], "above": 1.0},
            {"x": [1 + E, 9, 2], "w": [1 + E / 2, 3, 7 / 4]},
            {"ordered_x": [1, log(8), 0], "ordered_w": [0, -log(3), log(3)]},
            [-1 - log(E / 4), -log(8) - log(2 * 3 / 4), -log(3 / 4 * 1 / 4)],
        )
    ],
    "mass": [
        Known(  # p = p_T cosh η, and cosh asinh 12/5 = 13/5; an electron here has 84 GeV
            {"kind": "mass", "groups": ["jet", "electron"]},
            {"jet.energy": [5, 13 / 4, 85], "electron.energy": [85, 85, 91]},
            {"jet.mass": [4, 5 / 4, 84]},
            [log(5 / 4), log(13 / 5), log(85 / 84)],  # dm/dE = E/m
            beside={
                "jet.pt": [3, 3, 5],
                "jet.eta": [0, 0, asinh(12 / 5)],
                "electron.pt": [5, 13, 35],
                "electron.eta": [asinh(-12 / 5), 0, 0],
            },
        )
    ],
    "pair": [MASSLESS, HEAVY],
    "pion-pair": [PION_PAIR],
    "pixels": [
        Known(
            {"kind": "pixels", "fields": ["x"], "scale": 2.0, "threshold": 0.1},
            {"x": [0, 2, 2 * (E - 1)]},
            {"log1p_x": [0, log(2), 1]},
            [-log(2), -log(4), -log(2 * E)],
        )
    ],
    "quantile": [
        Known(
            {"kind": "quantile", "fields": ["x"], "tail": 0.1},
            {"x": IN_TAILS},
            {"quantile_x": SCORES},
            [log(f) + log(2 * pi) / 2 + y**2 / 2 for f, y in zip(DENSITIES, SCORES, strict=True)],
            learned=EVENLY,
        ),
        Known(
            {"kind": "quantile", "fields": ["x"], "tail": 0.1, "to": "uniform"},
            {"x": IN_TAILS},
            {"quantile_x": [0, 1 - 2 / 40, 2 / 100 - 1]},
            [log(2 * f) for f in DENSITIES],
            learned=EVENLY,
        ),
    ],
    "ratio": [
        Known(
            {"kind": "ratio", "field": "x", "to": "c"},
            {"x": [20, 5, 3 * E]},
            {"log_ratio_x": [log(2), -log(2), 1]},
            [-log(20), -log(5), -log(3) - 1],
            {"c": [10, 10, 3]},
        )
    ],
    "reflection": [
        Known(
            {"kind": "reflection", "by": "x", "fields": ["w"]},
            {"x": [2, -3, -0.5], "w": [1, 4, -6]},
            {"folded_x": [2, 3, 0.5], "side_x": [1 / 2, -1 / 2, -1 / 2], "folded_w": [1, -4, 6]},
        )
    ],
    "rotation": ROTATIONS,
    "scaled": [
        Known(
            {"kind": "scaled", "fields": ["x"]},
            {"x": [0, 2, 10]},
            {"scaled_x": [0, 0.4, 2]},
            [-log(5)] * 3,
            learned={"x": [0, 5, 1, 3]},
        ),
        Known(
            {"kind": "scaled", "fields": ["x"], "scale": 2.0},
            {"x": [0, 2, 3]},
            {"scaled_x": [0, 1, 1.5]},
            [-log(2)] * 3,
            learned={"x": [0, 5, 1, 3]},
        ),
    ],
    "spike": [
        Known(  # logit 1/4 and 3/4; the logarithms 1 and 5 have the mean 3 and the deviation 2
            {"kind": "spike", "fields": ["x"]},
            {"x": [0, E, 1]},
            {"has_x": [-log(3), log(3), log(3)], "log_x": [3, 1, 0]},
            # 2 - log 2 of two levels; a normal number of this deviation has the entropy
            # log(2 √(2πe)).
            [2 - log(2) + log(2 * sqrt(2 * pi * E)), 2 - log(2) - 1, 2 - log(2)],
            learned={"x": [0, E, E**5, 0]},
        ),
        Known(
            {"kind": "spike", "fields": ["x"], "at": -1.0, "above": 1.0},
            {"x": [-1, 1 + E, 1.5]},
            {"has_x": [-log(3), log(3), log(3)], "log_x": [2, 1, -log(2)]},
            [2 - log(2) + log(sqrt(2 * pi * E)), 2 - log(2) - 1, 2 - log(2) + log(2)],
            learned={"x": [-1, 1 + E, 1 + E**3]},
        ),
    ],
    "spherical": [
        Known(
            {"kind": "spherical", "group": "electron"},
            SCATTERED,
            {
                "electron.momentum": P,
                "electron.theta": [atan2(5, 12), atan2(5, -12), pi / 2],
                "electron.phi": AZIMUTH,
            },
            # d³p = p² sin θ dp dθ dφ = p pT dp dθ dφ.
            [-log(pi * p * pt) for p, pt in zip(P, PT, strict=True)],
        )
    ],
    "transverse": [
        Known(
            {"kind": "transverse", "group": "electron"},
            {name: SCATTERED[name] for name in ELECTRON[:3]},
            {
                "electron.pt": PT,
                "electron.eta": [asinh(12 / 5), asinh(-12 / 5), 0],
                "electron.phi": [pi * turn for turn in AZIMUTH],
            },
            # d³p = pT dpT dφ dpz, dpz = pT cosh η dη = p dη.
            [-log(p * pt) for p, pt in zip(P, PT, strict=True)],
        )
    ],
    "unary": [
        Known(
            {"kind": "unary", "fields": ["x"], "most": 3},
            {"x": [0, 2, 3]},
            {"at_least_1_x": [0, 1, 1], "at_least_2_x": [0, 1, 1], "at_least_3_x": [0, 0, 1]},
        )
    ],
    "uniform-dequantise": [
        Known(
            {"kind": "uniform-dequantise", "fields": ["x"]},
            {"x": [0, 3, -1]},
            {"spread_x": [0.5, 3.5, -0.5]},
        )
    ],
    "values": [
        Known(
            {"kind": "values", "fields": ["x"], "values": [-1.0, 0.5, 13.0]},
            {"x": [13, -1, 0.5]},
            {"place_x": [2, 0, 1]},
        )
    ],
    "zero-suppressed": [
        Known(  # a half-normal number of this deviation has the entropy log(3 √(πe/2))
            {"kind": "zero-suppressed", "fields": ["x"], "threshold": 2.0, "sigma": 3.0},
            {"x": [0, 2, 2 * E]},
            {"log_x": [-3 * 0.6744897501960817, 0, 1]},
            [log(3 * sqrt(pi * E / 2)), -log(2), -log(2 * E)],
        )
    ],
}


def tensors(columns: Columns) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}


def built(known: Known) -> Step:
    columns = {name: Quantity() for name in (*known.given, *known.beside)}
    masses = {"electron": 84.0, "photon1": 0.0, "photon2": 0.0, "light": 5.0, "heavy": 9.0}
    groups = {name: Group(mass=mass) for name, mass in masses.items()}
    step = STEPS.parse(known.config).build(Layout(columns, groups))
    if step.learns:
        learned = tensors(known.learned)
        [n] = {len(column) for column in learned.values()}
        step.learn([Events(learned, {}, torch.ones(n).double())])
    return step


def assert_known(found: Mapping[str, torch.Tensor], expected: Columns) -> None:
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(list(values), rel=1e-9, abs=1e-9), name


def test_every_registered_step_has_values_by_hand() -> None:
    # Those of objects and of whole images are in files of their own.
    elsewhere = {"count", "shares", "slots", "symmetric-square", "typed-slots", "without"}
    assert set(STEPS_BY_HAND) == set(STEPS) - elsewhere


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(known, id=f"{kind} {i}")
        for kind, cases in STEPS_BY_HAND.items()
        for i, known in enumerate(cases)
    ],
)
class TestSteps:
    def test_features(self, known: Known) -> None:
        assert_known(built(known).encode(tensors({**known.given, **known.beside})), known.made)

    def test_events(self, known: Known) -> None:
        assert_known(built(known).decode(tensors({**known.made, **known.beside})), known.given)

    def test_jacobian(self, known: Known) -> None:
        events = Events(tensors({**known.given, **known.beside}), {}, torch.ones(3).double())
        assert built(known).log_abs_det(events).tolist() == pytest.approx(list(known.slope))

    def test_view(self, known: Known) -> None:
        assert_known(built(known).view(tensors({**known.made, **known.beside})), known.seen)


def test_angles_are_moved_into_one_turn() -> None:
    step = built(STEPS_BY_HAND["angle"][0])
    assert step.encode(tensors({"x": [3 * pi / 2]}))["turn_x"].item() == pytest.approx(-1 / 2)
    assert step.decode(tensors({"turn_x": [1.5]}))["x"].item() == pytest.approx(-pi / 2)


@pytest.mark.parametrize(("low", "outside"), [(-pi, [0, 0, 1, 1, 0]), (0.0, [1, 0, 0, 1, 0])])
def test_degrees_are_no_angles(low: float, outside: list[int]) -> None:
    """Of -1, 1, 4 and 90; π in single precision is a little more than π."""
    single = torch.tensor(pi).item()
    assert single > pi
    step = STEPS.parse({"kind": "angle", "fields": ["x"], "low": low}).build(
        Layout({"x": Quantity()}, {})
    )
    events = Events(tensors({"x": [-1, 1, 4, 90, single]}), {}, torch.ones(5))
    assert step.outside(events).tolist() == [bool(mark) for mark in outside]


SEEN_ELECTRON = electron((3, 4, 12, 13), (4, -3, -12, 13), (-6, 8, 24, 26))
PX, PY, PZ, ENERGY = SEEN_ELECTRON.values()
T_PZ = [log(38), log(62), log(26)]  # log(E_b - pz), E_b = 50 GeV
SEEN_PT = [5, 5, 10]
COT_THETA = [12 / 5, -12 / 5, 24 / 10]
FAT_GAN = [PX, PY, T_PZ, SEEN_PT, ENERGY, PZ, COT_THETA]
SPHERICAL = [
    [log(37), log(37), log(24)],  # log(E_b - p)
    [logit(atan2(a, b) / pi) for a, b in ((5, 12), (5, -12), (10, 24))],
    [atan2(4, 3) / pi, atan2(-3, 4) / pi, atan2(8, -6) / pi],
    PX,
    PY,
    PZ,
    SEEN_PT,
    ENERGY,
    COT_THETA,
]
SIX_TURNS = [complex(x, y) ** 6 / abs(complex(x, y)) ** 6 for x, y in ((3, 4), (4, -3), (-6, 8))]
COMPONENTS = [PHOTOPRODUCED[f"{name}.p{axis}"] for name in ("p", "pip", "pim") for axis in "xyz"]

# In order, what the critic sees of each recipe whose view has expressions; those that are not here
# see what FAT-GAN's does, and `-paper` what the recipe without it does.
SEEN: dict[str, list[Sequence[float]]] = {
    "fatgan": FAT_GAN,
    "cfatgan": [*FAT_GAN, [12, -12, -48], [36, -48, -144], [48, 36, 192]],  # px py, px pz, py pz
    "fatgan-spherical": SPHERICAL,
    "fatgan-clas": [*SPHERICAL, [z.real for z in SIX_TURNS], [z.imag for z in SIX_TURNS]],
    "fatgan-photoproduction": [*COMPONENTS, *PAIR_MASSES],
}


def recipes_with_expressions() -> list[str]:
    views = {name: RunConfig.load(name).features.view for name in known_names("tuning")}
    return [name for name, view in views.items() if any("(" in quantity for quantity in view)]


@pytest.mark.parametrize("recipe", recipes_with_expressions())
def test_what_a_recipes_critic_sees(recipe: str) -> None:
    photoproduced = recipe.endswith("photoproduction")
    schema = DatasetSpec.load("gamma-p-to-p-pi-pi").schema_ if photoproduced else SCHEMA
    columns = {**PHOTOPRODUCED, **PION_PAIR.beside} if photoproduced else SEEN_ELECTRON
    events = Events(tensors({**beams(50, 50, 50), **columns}), {}, torch.ones(3).double())
    feature_map = RunConfig.load(recipe).features.build(schema, {})  # which scales nothing yet
    batch = feature_map.encode(events, noise=Noise(torch.device("cpu")))
    seen = feature_map.view(batch.x.double(), batch.condition.double())
    known = SEEN.get(recipe.removesuffix("-paper"), FAT_GAN)
    expected = torch.tensor(known, dtype=torch.float64)
    torch.testing.assert_close(seen.T, expected, rtol=1e-5, atol=1e-5)
