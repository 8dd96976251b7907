"""Two particles by the invariant mass of both."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, group_of, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    mass_of,
    require_columns,
)
from mleg_ray.features.steps.elementwise import LEAST
from mleg_ray.space import wrapped

RESOLUTION = 1e-6  # how near to the mass of two particles at rest, relative or in GeV


class Pair(Step):
    """The mass M of two particles and how they balance each other, in place of p_T1, p_T2 and φ2.

    They leave, of a pair by the name `pair`,

        pair.mass = M,   pair.acoplanarity = φ2/π - φ1/π - 1,   pair.log_ratio_pt = log p_T2/p_T1,

    the acoplanarity on the circle in half turns: π - |Δφ| is π times its size, and its sign tells
    on which side they miss each other. A resonance is then a peak of one number, which no network
    has to make of six. η1, η2 and φ1 stay; momenta in px, py and pz come from `transverse` before.
    With masses m1 and m2 of the groups and E² = p_T² cosh² η + m²,

        M² = m1² + m2² + 2 [E1 E2 - p_T1 p_T2 (sinh η1 sinh η2 + cos Δφ)],

    which is 2 p_T1 p_T2 (cosh Δη - cos Δφ) of massless particles; at a known ratio of p_T it is a
    quadratic equation of p_T1² with one positive solution for every M > m1 + m2. Masses below,
    which a network may make, are moved there: use `logarithm` above that or `interval`.
    """

    def __init__(self, config: "PairConfig", layout: Layout) -> None:
        super().__init__()
        first, second = config.groups
        if first == second:
            raise ConfigError(f"groups: '{first}' is no pair with itself")
        self.reads = (f"{first}.pt", f"{second}.pt", f"{second}.phi")
        self.uses = (f"{first}.eta", f"{second}.eta", f"{first}.phi")
        require_columns((*self.reads, *self.uses), layout)
        if shaped := [name for name in self.reads if layout.columns[name].shape]:
            raise ConfigError(f"'{group_of(shaped[0])}' has a varying number of objects")
        m1, m2 = self._masses = mass_of(first, layout), mass_of(second, layout)
        self._least = max(m1 * m2 * (1 + RESOLUTION), RESOLUTION**2)  # of (M² - m1² - m2²)/2
        self._names = members(config.name, "mass", "acoplanarity", "log_ratio_pt")
        self.writes = {name: Quantity(circle=name == self._names[1]) for name in self._names}

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the mass, the acoplanarity and the ratio."""
        pt1, pt2, phi2 = self._inside(columns)
        pair = self._kinematics(pt1, pt2, phi2, columns)
        m1, m2 = self._masses
        # E1 E2 - p1 p2, without cancellation.
        squares = (m1 * pair.p2).square() + (m2 * pair.p1).square() + (m1 * m2) ** 2
        more = squares / (pair.e1 * pair.e2 + pair.p1 * pair.p2)
        mass = (m1**2 + m2**2 + 2 * (more + pt1 * pt2 * pair.opening)).sqrt()
        turns = wrapped((phi2 - columns[self.uses[2]]) / math.pi - 1)
        return dict(zip(self._names, (mass, turns, pt2.log() - pt1.log()), strict=True))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return both p_T and the second azimuth."""
        mass, turns, log_ratio = (columns[name] for name in self._names)
        eta1, eta2, phi1 = (columns[name] for name in self.uses)
        phi2 = math.pi * wrapped(phi1 / math.pi + turns + 1)
        ratio = log_ratio.exp()
        m1, m2 = self._masses
        # E1 E2 = A + T p1 p2: with P = p_T1² it is a P² + b P + c = 0.
        product = ((mass.square() - m1**2 - m2**2) / 2).clamp(min=self._least)
        both, opening = ratio * eta1.cosh() * eta2.cosh(), ratio * _opening(eta1, eta2, phi2 - phi1)
        along = both - opening
        a = opening * (both + along)
        b = (m2 * eta1.cosh()).square() + (m1 * ratio * eta2.cosh()).square() - 2 * product * along
        c = (m1 * m2) ** 2 - product.square()
        root = (b.square() - 4 * a * c).sqrt()
        # One of the two forms of the solution does not cancel.
        square = torch.where(b < 0, (root - b) / (2 * a), -2 * c / (root + b.clamp(min=0)))
        pt1 = square.sqrt()
        return dict(zip(self.reads, (pt1, ratio * pt1, phi2), strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of dM d(Δφ/π) d log(p_T2/p_T1).

        At a given ratio M dM = [(p1 E2 - p2 E1)²/(E1 E2) + 2 p_T1 p_T2 (cosh Δη - cos Δφ)] d log λ
        if both p_T grow by a factor λ.
        """
        pt1, pt2, phi2 = self._inside(before.columns)
        pair = self._kinematics(pt1, pt2, phi2, before.columns)
        unequal = (pair.p1 * pair.e2 - pair.p2 * pair.e1).square() / (pair.e1 * pair.e2)
        grows = unequal + 2 * pt1 * pt2 * pair.opening
        mass = self.encode(before.columns)[self._names[0]]
        return (grows / mass).log() - pt1.log() - pt2.log() - math.log(math.pi)

    def outside(self, before: Events) -> Tensor:
        """Return which events have a particle without p_T, or two that are at rest together."""
        pt1, pt2 = (before.columns[name] for name in self.reads[:2])
        mass = self.encode(before.columns)[self._names[0]]
        at_rest = (mass.square() - sum(m**2 for m in self._masses)) / 2 <= self._least
        return (pt1 <= LEAST) | (pt2 <= LEAST) | at_rest

    def _inside(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        pt1, pt2, phi2 = (columns[name] for name in self.reads)
        return pt1.clamp(min=LEAST), pt2.clamp(min=LEAST), phi2

    def _kinematics(
        self, pt1: Tensor, pt2: Tensor, phi2: Tensor, columns: Mapping[str, Tensor]
    ) -> "_Kinematics":
        eta1, eta2, phi1 = (columns[name] for name in self.uses)
        p1, p2 = pt1 * eta1.cosh(), pt2 * eta2.cosh()
        e1, e2 = ((p.square() + m**2).sqrt() for p, m in zip((p1, p2), self._masses, strict=True))
        return _Kinematics(p1, p2, e1, e2, _opening(eta1, eta2, phi2 - phi1))


class _Kinematics(NamedTuple):
    """Momenta, energies, and cosh Δη - cos Δφ, each (B,)."""

    p1: Tensor
    p2: Tensor
    e1: Tensor
    e2: Tensor
    opening: Tensor


def _opening(eta1: Tensor, eta2: Tensor, dphi: Tensor) -> Tensor:
    """Return cosh Δη - cos Δφ, without cancellation, and above zero."""
    opening = 2 * ((eta1 - eta2) / 2).sinh().square() + 2 * (dphi / 2).sin().square()
    return opening.clamp(min=LEAST)


@STEPS.register
class PairConfig(StepConfig):
    """Configuration of `Pair`: the two `groups`, with pt, eta and phi, and the pair's `name`."""

    step: ClassVar = Pair
    kind: Literal["pair"] = "pair"
    groups: tuple[str, str]
    name: str = Option(default="pair", pattern=r"^[A-Za-z_]\w*$")
