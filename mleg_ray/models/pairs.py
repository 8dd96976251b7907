"""Where the second of two objects is, told by the mass of both.

Heavy particles show as peaks of masses. Of two massless objects at ΔE = Δη and Δφ of each other

    m² = 2 p_T1 p_T2 D,    D = A + B,    A = cosh Δη - 1,    B = 1 - cos Δφ,

and a network that makes η and φ one after the other cannot make a peak of m, which is a curve in
their plane. So the second object's η and φ become log m², and where on the curve of that mass the
object lies: the turn ±asin(√w)/π, w = 1 - B / min(D, 2), with the sign of Δη, and mirrored if Δφ is
below zero. D < 2 is a closed curve about the first object; larger D are two, at either side.

If η has limits, so has D, and curves have gaps. The logarithm is bent, so that the largest D lies
at infinity, and the two arcs that are left of a curve, those of either sign of Δφ, become half of
the circle each. So nothing is made beyond the limits.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mleg_ray.space import wrapped

LEAST = 1e-12  # of what logarithms and roots are taken of
WIDEST = 50.0  # Δη in the place of infinite ones, so that numbers are finite


class Direction(NamedTuple):
    """Transverse momenta in GeV, pseudorapidities, and azimuths in half turns: all (N,)."""

    pt: Tensor
    pseudorapidity: Tensor
    turn: Tensor


class MassCurve(NamedTuple):
    """Where a second object is by the mass of a pair: `log_mass2`, bent, and `place`; both (N,).

    `place` is in half turns. The mass squared is in GeV².
    """

    log_mass2: Tensor
    place: Tensor


class Pair:
    """Pairs by their `first` objects and the second's p_T; |η| of the second is in `limits`."""

    def __init__(self, first: Direction, pt: Tensor, limits: tuple[Tensor, Tensor]) -> None:
        self._first = first
        self._log_scale = (2 * first.pt * pt).log()
        below, above = ((limit - first.pseudorapidity).clamp(-WIDEST, WIDEST) for limit in limits)
        self._most_below, self._most_above = _above_one(below), _above_one(above)  # of A
        self._most = torch.maximum(self._most_below, self._most_above) + 2  # of D

    def curve(self, pseudorapidity: Tensor, turn: Tensor) -> tuple[MassCurve, Tensor]:
        """Return where second objects (N,) are, and log |d(log_mass2, place)/d(η, turn)| (N,)."""
        delta = pseudorapidity - self._first.pseudorapidity
        angle = math.pi * wrapped(turn - self._first.turn)
        a, b = _above_one(delta).clamp(min=LEAST), 2 * (angle / 2).sin().square().clamp(min=LEAST)
        d = a + b
        middle, length = self._arcs(d)
        side = (_angle(1 - b / d.clamp(max=2)) * delta.sign() - middle) / length
        share = (d / self._most).square()
        bent = self._log_scale + d.log() - torch.log1p(-share)
        place = wrapped(torch.where(angle < 0, 1 - side, side))
        # Of the curve, of the bend, and of the gaps.
        log_slope = ((a + 2) * torch.maximum(a, 2 - b)).log() / 2 - (2 * d).log()
        log_slope = log_slope + torch.log1p(share) - torch.log1p(-share) - length.log()
        return MassCurve(bent, place), log_slope

    def directions(self, at: MassCurve) -> tuple[Tensor, Tensor]:
        """Return η and azimuths in half turns (N,) of second objects: the inverse of `curve`."""
        straight = (at.log_mass2 - self._log_scale).exp()  # D / (1 - (D / most)²)
        d = 2 * straight / (1 + (1 + 4 * (straight / self._most).square()).sqrt())
        middle, length = self._arcs(d)
        mirrored = at.place.abs() > 0.5
        side = torch.where(mirrored, wrapped(1 - at.place), at.place) * length + middle
        b = d.clamp(max=2) * (math.pi * side).cos().square()
        delta = 2 * ((d - b).clamp(min=0) / 2).sqrt().asinh() * side.sign()
        angle = 2 * (b / 2).clamp(max=1).sqrt().asin() / math.pi
        turn = self._first.turn + torch.where(mirrored, -angle, angle)
        return self._first.pseudorapidity + delta, wrapped(turn)

    def _arcs(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """Return the middle and the length, in half turns, of what limits leave of a half."""
        below, above = (
            _angle(1 - (d - most) / d.clamp(max=2)) for most in (self._most_below, self._most_above)
        )
        return (above - below) / 2, (above + below).clamp(min=LEAST)


def _above_one(delta: Tensor) -> Tensor:
    """Return cosh Δη - 1."""
    return 2 * (delta / 2).sinh().square()


def _angle(share: Tensor) -> Tensor:
    """Return asin √w in half turns, 0 to 1/2, of shares w that are at most 1."""
    return share.clamp(0, 1).sqrt().asin() / math.pi
