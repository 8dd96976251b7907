"""Missing momentum as what balances all objects, but for a soft term.

It is minus the sum of all that a detector sees, so minus that of the objects but for what belongs
to none, s = E + Σ p_T: some 20 GeV, however hard the objects are. A network that makes E itself
must add up momenta to such a precision, and its errors broaden a steep tail. So log |s|, and the
angle of s from that of Σ p_T, are what is learned in place of E's.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mleg_ray.models.base import Spaces
from mleg_ray.models.fields import FieldMaps
from mleg_ray.space import Part, wrapped

LEAST = 1e-12  # GeV, of a soft term


class Balance(nn.Module):
    """The features with those of a soft term in the places of missing momentum's.

    Those places are `pt` and `phi`.
    """

    def __init__(self, missing: str, groups: Mapping[str, Part], spaces: Spaces) -> None:
        """Build one; `ConfigError` if steps mix a transverse momentum or an azimuth."""
        super().__init__()
        names = [f"{name}.{field}" for name in (missing, *groups) for field in ("pt", "phi")]
        self.fields = FieldMaps(names, spaces, "balance")
        self._missing, self._pts = names[0], names[2::2]
        places = [list(spaces.features.positions[self.fields[name].feature]) for name in names]
        (self.pt,), (self.phi,) = places[:2]
        self._places = list(zip(places[2::2], places[3::2], strict=True))

    def forward(self, features: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, n) with log |s| and its angle, and log |det| (B,) of the change.

        log |s| is over the usual missing momentum, the angle in half turns. `counts` (B, G) are the
        numbers of objects.
        """
        x = features.double()
        seen, missing = self._seen(x, counts), self.fields[self._missing]
        size = missing.restore(x[:, self.pt])
        soft = torch.polar(size, math.pi * x[:, self.phi]) + seen
        log_size = soft.abs().clamp(min=LEAST).log()
        log_slope = size.log() - 2 * log_size - missing.log_slope(size)
        made = self._replaced(features, log_size - self._usual(), soft.angle() - seen.angle())
        return made, log_slope.to(features)

    def inverse(self, features: Tensor, counts: Tensor) -> Tensor:
        """Return features (B, n) with those of missing momentum."""
        x = features.double()
        seen = self._seen(x, counts)
        size = (x[:, self.pt] + self._usual()).exp()
        missing = torch.polar(size, math.pi * x[:, self.phi] + seen.angle()) - seen
        return self._replaced(
            features, self.fields[self._missing].change(missing.abs()), missing.angle()
        )

    def _seen(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return Σ p_T exp(iφ) (B,) of objects."""
        seen = x.new_zeros(len(x), dtype=torch.complex128)
        for i, (name, (pts, turns)) in enumerate(zip(self._pts, self._places, strict=True)):
            there = torch.arange(len(pts), device=x.device) < counts[:, i, None]
            pt = torch.where(there, self.fields[name].restore(x[:, pts]), 0.0)
            seen = seen + torch.polar(pt, math.pi * x[:, turns]).sum(dim=1)
        return seen

    def _usual(self) -> Tensor:
        missing = self.fields[self._missing]
        return missing.restore(torch.zeros_like(missing.mean)).log()

    def _replaced(self, features: Tensor, size: Tensor, radians: Tensor) -> Tensor:
        result = features.clone()
        result[:, self.pt] = size.to(features)
        result[:, self.phi] = wrapped(radians / math.pi).to(features)
        return result
