"""Transverse momenta of objects, and missing momentum as what balances them but for a soft term.

All that a detector sees adds up to nearly nothing across the beam: an object is likely opposite to
the sum of those before it, and missing momentum E is minus the sum of all, but for what belongs to
none of them. This soft term, s = E + Σ p_T, is some 20 GeV however hard the objects are. A network
that makes azimuths and E themselves must add up momenta to such a precision, and its errors broaden
a steep tail. So azimuths are measured from that of the sum before, and log |s| and the angle of s
from that of Σ p_T are what is learned in place of E's.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mleg_ray.models.base import Spaces
from mleg_ray.models.fields import FieldMaps
from mleg_ray.space import Part, replaced, wrapped

LEAST = 1e-12  # GeV, of a soft term
TOLD = 4  # numbers


class Before(NamedTuple):
    """Of the momenta before an object, the `vector` sum, complex, and the `scalar` one, in GeV."""

    vector: Tensor
    scalar: Tensor

    @staticmethod
    def each(momenta: Tensor) -> "Before":
        """Return the sums (B, T) before each of the momenta (B, T)."""
        vector, scalar = (each.cumsum(dim=1) - each for each in (momenta, momenta.abs()))
        return Before(vector, scalar)

    @staticmethod
    def nothing(events: int, device: torch.device) -> "Before":
        """Return the sums of no momenta."""
        scalar = torch.zeros(events, dtype=torch.float64, device=device)
        return Before(torch.zeros_like(scalar, dtype=torch.complex128), scalar)

    def of(self, rows: slice | Tensor | tuple[Tensor, ...]) -> "Before":
        """Return those of some rows."""
        return Before(self.vector[rows], self.scalar[rows])

    def then(self, momenta: Tensor) -> "Before":
        """Return the sums with a momentum more for each of the first events."""
        n = len(momenta)
        more = ((self.vector, momenta), (self.scalar, momenta.abs()))
        return Before(*(torch.cat([each[:n] + own, each[n:]]) for each, own in more))

    @property
    def turn(self) -> Tensor:
        """The azimuth of the vector sum, in half turns."""
        return self.vector.angle() / math.pi


class Balance(nn.Module):
    """The momenta of objects, and the features with those of a soft term for missing momentum's.

    Momenta p_T exp(iφ) are complex numbers in GeV. Those of missing momentum stand among the
    features in the places `pt` and `phi`; of objects, the features are in the order of `numbers`.
    """

    def __init__(
        self, missing: str, groups: Mapping[str, Part], numbers: Iterable[str], spaces: Spaces
    ) -> None:
        """Build one; `ConfigError` if steps mix a transverse momentum or an azimuth."""
        super().__init__()
        names = [f"{name}.{field}" for name in (missing, *groups) for field in ("pt", "phi")]
        self.fields = FieldMaps(names, spaces, "balance")
        self._missing, self._pts = names[0], names[2::2]
        self.pt, self.phi = (
            spaces.features.positions[self.fields[name].feature][0] for name in names[:2]
        )
        order = list(numbers)
        own = [order.index(self.fields[name].feature.split(".")[-1]) for name in names[2:]]
        self._numbers = list(zip(own[::2], own[1::2], strict=True))

    def momenta(self, x: Tensor, group: Tensor) -> Tensor:
        """Return the momenta (...) of objects (..., f) of groups (...)."""
        x = x.double()
        result = torch.zeros(group.shape, dtype=torch.complex128, device=x.device)
        for i, (name, (pt, phi)) in enumerate(zip(self._pts, self._numbers, strict=True)):
            own = torch.polar(self.fields[name].restore(x[..., pt]), math.pi * x[..., phi])
            result = torch.where(group == i, own, result)
        return result

    def told(self, before: Before, turn: Tensor) -> Tensor:
        """Return what networks are told (N, 4) of the momenta before, over the usual missing one.

        They are log(1 + size) of the vector and of the scalar sum, and the vector's direction as
        seen from an azimuth `turn` (N,) in half turns.
        """
        usual = self._usual()
        sizes = [torch.log1p(size / usual) for size in (before.vector.abs(), before.scalar)]
        angle = before.vector.angle() - math.pi * turn
        return torch.stack([*sizes, angle.cos(), angle.sin()], dim=1)

    def forward(self, features: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, n) with log |s| and its angle, and log |det| (B,) of the change.

        log |s| is over the usual missing momentum, the angle in half turns from that of the `total`
        momentum (B,) of objects.
        """
        x, missing = features.double(), self.fields[self._missing]
        size = missing.restore(x[:, self.pt])
        soft = torch.polar(size, math.pi * x[:, self.phi]) + total
        log_size = soft.abs().clamp(min=LEAST).log()
        log_slope = size.log() - 2 * log_size - missing.log_slope(size)
        made = self._replaced(
            features, log_size - self._usual().log(), soft.angle() - total.angle()
        )
        return made, log_slope.to(features)

    def inverse(self, features: Tensor, total: Tensor) -> Tensor:
        """Return features (B, n) with those of missing momentum."""
        x = features.double()
        size = x[:, self.pt].exp() * self._usual()
        missing = torch.polar(size, math.pi * x[:, self.phi] + total.angle()) - total
        return self._replaced(
            features, self.fields[self._missing].change(missing.abs()), missing.angle()
        )

    def _usual(self) -> Tensor:
        """Return the missing momentum, in GeV, whose feature is 0."""
        missing = self.fields[self._missing]
        return missing.restore(torch.zeros_like(missing.mean))

    def _replaced(self, features: Tensor, size: Tensor, radians: Tensor) -> Tensor:
        return replaced(features, {self.pt: size, self.phi: wrapped(radians / math.pi)})
