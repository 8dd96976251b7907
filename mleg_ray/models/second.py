"""The density of the second object of a group, whose place may be told by the mass of both."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from mleg_ray.features.field import FieldMap
from mleg_ray.models.base import Spaces
from mleg_ray.models.chain import Below, Chain, Turned
from mleg_ray.models.fields import FieldMaps
from mleg_ray.models.pairs import Direction, MassCurve, Pair
from mleg_ray.models.splines import Circle, Line, Monotone
from mleg_ray.space import replaced

SPREAD = 1.6  # of log m²: a spline must reach masses a hundred times the usual
LEAST = 1e-15  # of probabilities of noise
MORE = 3  # times the bins of other numbers has a mass: it has peaks


class Second(nn.Module):
    """What is learned of a group's second objects: they come of the same particle, or do not.

    If both are of one particle, a chain of their own has their numbers, but the mass of the two in
    the place of η, and the place on the curve of that mass in that of φ: see
    `mleg_ray.models.pairs`. If not, they are objects like all others, which balance those before.
    Their density is that of the mixture, whose shares depend on what is known.
    """

    there: Tensor

    def __init__(
        self, maps: Mapping[str, Monotone], group: str, spaces: Spaces, width: int, hidden: int
    ) -> None:
        """Build one with freshly drawn weights; `ConfigError` if steps mix what it must know."""
        super().__init__()
        self._names = [f"{group}.{name}" for name in ("pt", "eta", "phi")]
        self.fields = FieldMaps(self._names, spaces, "pairs")
        self.pt, self.eta, self.phi = (
            list(maps).index(self.fields[name].feature.removeprefix(f"{group}."))
            for name in self._names
        )
        own = list(maps.values())
        azimuth = own[self.phi]
        assert isinstance(azimuth, Circle)
        own[self.eta] = Line(MORE * azimuth.bins)
        self.chain = Chain(own, width, hidden)
        self.share = nn.Linear(width, 1)
        there = [f"{group}.{name}" in spaces.features.positions for name in maps]
        self.register_buffer("there", torch.tensor(there), persistent=False)

    def after(self, first: Tensor, others: Chain | Turned) -> "After":
        """Return the density behind first objects (N, f), where `others` is that of all others."""
        pt, eta, _ = (self.fields[name] for name in self._names)
        return After(self, first.double(), pt, eta, others)


class After(NamedTuple):
    """p(x | known, first) of second objects x (N, f), as that of a `Chain` is called."""

    second: Second
    first: Tensor
    pt_map: FieldMap
    eta_map: FieldMap
    others: Chain | Turned

    def log_prob(self, known: Tensor, x: Tensor, below: Below | None = None) -> Tensor:
        """Return log p(x | ...) of all numbers in the place of p_T's, and zeros (N, f)."""
        logit = self.second.share(known)[:, 0]
        both = [
            torch.where(self.second.there, logs, 0.0).sum(dim=1)
            for logs in (self._of_mass(known, x, below), self.others.log_prob(known, x, below))
        ]
        log_prob = torch.logaddexp(logsigmoid(logit) + both[0], logsigmoid(-logit) + both[1])
        return replaced(torch.zeros_like(x), {self.second.pt: log_prob})

    def _of_mass(self, known: Tensor, x: Tensor, below: Below | None) -> Tensor:
        """Return log p(x_i | ...) (N, f) of objects that are of the first one's particle."""
        eta = self.eta_map.restore(x[:, self.second.eta].double())
        at, log_slope = self._pair(x).curve(eta, x[:, self.second.phi].double())
        own = self._replaced(x, (at.log_mass2 - self._usual()) / SPREAD, at.place)
        log_slope = log_slope - self.eta_map.log_slope(eta) - math.log(SPREAD)
        logs = self.second.chain.log_prob(known, own, below)
        return logs + self._replaced(torch.zeros_like(x), log_slope, torch.zeros_like(log_slope))

    def decode(
        self,
        known: Tensor,
        noise: Tensor,
        below: Below | None = None,
        present: Tensor | None = None,
    ) -> Tensor:
        """Return the objects (N, f) that noise (N, f) becomes.

        The noise of p_T tells also which of both they are: u < share, then u over it.
        """
        share = self.second.share(known)[:, 0].double().sigmoid().clamp(LEAST, 1 - LEAST)
        u = torch.special.ndtr(noise[:, self.second.pt].double())
        of = u < share
        u = torch.where(of, u / share, (u - share) / (1 - share)).clamp(LEAST, 1 - LEAST)
        noise = replaced(noise, {self.second.pt: torch.special.ndtri(u)})
        made = self._mass_decoded(known, noise, below, present)
        return torch.where(of[:, None], made, self.others.decode(known, noise, below, present))

    def _mass_decoded(
        self, known: Tensor, noise: Tensor, below: Below | None, present: Tensor | None
    ) -> Tensor:
        """Return objects (N, f) of the first one's particle."""
        own = self.second.chain.decode(known, noise, below, present)
        log_mass2 = SPREAD * own[:, self.second.eta].double() + self._usual()
        at = MassCurve(log_mass2, own[:, self.second.phi].double())
        eta, turn = self._pair(own).directions(at)
        return self._replaced(own, self.eta_map.change(eta), turn)

    def _pair(self, x: Tensor) -> Pair:
        """Return the pairs that second objects (N, f) of such p_T make."""
        pt, eta, phi = (
            self.first[:, i] for i in (self.second.pt, self.second.eta, self.second.phi)
        )
        first = Direction(self.pt_map.restore(pt), self.eta_map.restore(eta), phi)
        end = self.first.new_tensor(torch.inf)
        limits = self.eta_map.restore(-end), self.eta_map.restore(end)
        return Pair(first, self.pt_map.restore(x[:, self.second.pt].double()), limits)

    def _usual(self) -> Tensor:
        """Return log m² of two objects of the usual p_T at a right angle: there splines begin."""
        return (2 * self.pt_map.restore(self.first.new_zeros(())).square()).log()

    def _replaced(self, x: Tensor, eta: Tensor, phi: Tensor) -> Tensor:
        """Return objects (N, f) with others in the places of η and φ."""
        return replaced(x, {self.second.eta: eta, self.second.phi: phi})
