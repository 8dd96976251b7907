"""Densities of a few numbers, one after the other, each of a monotone map of noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, silu

from mleg_ray.models.splines import Circle, Levels, Monotone
from mleg_ray.space import replaced, wrapped

LEAST_DESCENT = 1e-6  # from an object to the next, of a standardised feature: more is rounding


class Chain(nn.Module):
    """p(x | known) = Π_i p(x_i | x_1 ... x_(i-1), known) of a few numbers, each of a monotone map.

    What is known, (N, width), passes a layer beside itself. Then each number has a layer of
    `hidden` units of its own, which sees also what is before, angles as cosine and sine, whole
    numbers as one of their levels; its output shapes the map.
    """

    level_mean: Tensor
    level_std: Tensor

    def __init__(self, maps: Sequence[Monotone], width: int, hidden: int) -> None:
        super().__init__()
        self.maps = tuple(maps)
        self._hidden = hidden
        # What is learned of the train split travels in the checkpoint.
        mean = [one.mean if isinstance(one, Levels) else 0.0 for one in maps]
        std = [one.std if isinstance(one, Levels) else 1.0 for one in maps]
        self.register_buffer("level_mean", torch.tensor(mean))
        self.register_buffer("level_std", torch.tensor(std))
        later = range(len(maps) - 1, -1, -1)
        self.beside = nn.Linear(width, width)
        self.given = nn.Linear(width, hidden * len(maps))
        # What each number tells all those behind it.
        self.tells = nn.ModuleList(
            nn.Linear(seen_width(one), hidden * behind, bias=False)
            for one, behind in zip(maps, later, strict=True)
            if behind
        )
        self.out = nn.ModuleList(nn.Linear(hidden, one.width) for one in maps)
        for layer in self.out:  # at first hardly more than noise
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight, std=0.1 / math.sqrt(hidden))
            nn.init.zeros_(layer.bias)

    def log_prob(self, known: Tensor, x: Tensor, below: "Below | None" = None) -> Tensor:
        """Return log p(x_i | ...) (N, m) of numbers x (N, m)."""
        logs = []
        waiting = self._begun(known)
        for i in range(len(self.maps)):
            one = self._map(i)
            raw, waiting = self._raw(i, waiting)
            own = x[:, i]
            waiting = self._told(i, waiting, own)
            if below is not None and i == below.number:
                own, log_slope = below.descent(own)
                logs.append(one.log_prob(raw, own) + log_slope)
            else:
                logs.append(one.log_prob(raw, own))
        return torch.stack(logs, dim=1)

    def decode(
        self,
        known: Tensor,
        noise: Tensor,
        below: "Below | None" = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Return the numbers (N, m) that noise (N, m) becomes, 0 where none is `present` (N, m)."""
        made = []
        waiting = self._begun(known)
        for i in range(len(self.maps)):
            one = self._map(i)
            raw, waiting = self._raw(i, waiting)
            own = one.decode(raw, noise[:, i])
            if below is not None and i == below.number:
                own = below.descended(own)
            if present is not None:
                own = torch.where(present[:, i], own, 0.0)
            waiting = self._told(i, waiting, own)
            made.append(own)
        return torch.stack(made, dim=1)

    def level(self, i: int, x: Tensor) -> Tensor:
        """Return the whole number (N,) of number i, which has levels."""
        own = self._map(i)
        assert isinstance(own, Levels)
        return own.level(x)

    def _map(self, i: int) -> Monotone:
        own = self.maps[i]
        if isinstance(own, Levels):
            return Levels(own.number, self.level_mean[i], self.level_std[i])
        return own

    def _begun(self, known: Tensor) -> Tensor:
        h = silu(known)
        begun: Tensor = self.given(h + silu(self.beside(h)))
        return begun

    def _raw(self, i: int, waiting: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameters (N, p) of map i, and what waits for those behind it."""
        own, later = waiting[:, : self._hidden], waiting[:, self._hidden :]
        out = self.out[i]
        assert isinstance(out, nn.Linear)
        # Parameters first in memory, as splines are quickest.
        return torch.addmm(out.bias[:, None], out.weight, silu(own).T).T, later

    def _told(self, i: int, waiting: Tensor, x: Tensor) -> Tensor:
        if i == len(self.maps) - 1:
            return waiting
        told: Tensor = self.tells[i](seen(self._map(i), x))
        return waiting + told


class Turned(NamedTuple):
    """A chain whose number `number`, an angle, is measured from others (N,) in half turns."""

    chain: Chain
    number: int
    turn: Tensor

    def log_prob(self, known: Tensor, x: Tensor, below: "Below | None" = None) -> Tensor:
        """Return log p(x_i | ...) (N, m); see `Chain`."""
        return self.chain.log_prob(known, self._turned(x, -self.turn), below)

    def decode(
        self,
        known: Tensor,
        noise: Tensor,
        below: "Below | None" = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Return the numbers (N, m) that noise (N, m) becomes; see `Chain`."""
        return self._turned(self.chain.decode(known, noise, below, present), self.turn)

    def _turned(self, x: Tensor, turn: Tensor) -> Tensor:
        return replaced(x, {self.number: wrapped(x[:, self.number] + turn.to(x))})


class Below(NamedTuple):
    """Number `number` of a chain lies below a limit where it is `bound`: x = limit - e^y; (N,)."""

    number: int
    limit: Tensor
    bound: Tensor

    def descent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (N,), of which the chain has a map, and log |dy/dx|."""
        y = (self.limit - x).clamp(min=LEAST_DESCENT).log()
        return torch.where(self.bound, y, x), torch.where(self.bound, -y, 0.0)

    def descended(self, y: Tensor) -> Tensor:
        """Return x (N,)."""
        return torch.where(self.bound, self.limit - y.exp(), y)

    def of(self, rows: Tensor) -> "Below":
        """Return that of some rows, by a mask (N,)."""
        return Below(self.number, self.limit[rows], self.bound[rows])


def seen(one: Monotone, x: Tensor) -> Tensor:
    """Return a number (N,) as networks see it, (N, s): angles without a seam, levels one by one."""
    if isinstance(one, Circle):
        return torch.stack([(math.pi * x).cos(), (math.pi * x).sin()], dim=1)
    if isinstance(one, Levels):
        return one_hot(one.level(x), one.number).to(x)
    return x[:, None]


def seen_width(one: Monotone) -> int:
    """Return s of `seen`."""
    if isinstance(one, Levels):
        return one.number
    return 2 if isinstance(one, Circle) else 1
