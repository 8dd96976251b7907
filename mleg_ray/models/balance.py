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

from mleg_ray.errors import ConfigError
from mleg_ray.features.field import FieldMap
from mleg_ray.models.base import Spaces
from mleg_ray.space import Part, wrapped

LEAST = 1e-12  # GeV, of a soft term


class Balance(nn.Module):
    """The features with those of a soft term in the places of missing momentum's.

    Those places are `pt` and `phi`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, missing: str, groups: Mapping[str, Part], spaces: Spaces) -> None:
        """Build one; `ConfigError` if steps mix a transverse momentum or an azimuth."""
        super().__init__()
        pts = [f"{name}.pt" for name in (missing, *groups)]
        phis = [f"{name}.phi" for name in (missing, *groups)]
        if mixed := [name for name in (*pts, *phis) if name not in spaces.fields]:
            raise ConfigError(
                f"balance: '{mixed[0]}' must be a field that steps change by itself, such as "
                "'logarithm' and 'angle'"
            )
        maps = [spaces.fields[name] for name in pts]
        places = spaces.features.positions
        angles = [places[spaces.fields[name].feature] for name in phis]
        for name, (first, *_) in zip(phis, angles, strict=True):
            if first not in spaces.features.circle:
                raise ConfigError(f"balance: '{name}' must be a feature by step 'angle'")
        (self.pt,), (self.phi,) = places[maps[0].feature], angles[0]
        self._maps = maps
        self._places = [
            (list(places[one.feature]), list(turns))
            for one, turns in zip(maps[1:], angles[1:], strict=True)
        ]
        # What is learned of the train split travels in the checkpoint.
        self.register_buffer("mean", torch.stack([one.mean for one in maps]))
        self.register_buffer("std", torch.stack([one.std for one in maps]))

    def forward(self, features: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, n) with log |s| and its angle, and log |det| (B,) of the change.

        log |s| is over the usual missing momentum, the angle in half turns. `counts` (B, G) are the
        numbers of objects.
        """
        x = features.double()
        seen, missing = self._seen(x, counts), self._map(0)
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
        return self._replaced(features, self._map(0).change(missing.abs()), missing.angle())

    def _seen(self, x: Tensor, counts: Tensor) -> Tensor:
        """Return Σ p_T exp(iφ) (B,) of objects."""
        seen = x.new_zeros(len(x), dtype=torch.complex128)
        for i, (pts, turns) in enumerate(self._places):
            there = torch.arange(len(pts), device=x.device) < counts[:, i, None]
            pt = torch.where(there, self._map(i + 1).restore(x[:, pts]), 0.0)
            seen = seen + torch.polar(pt, math.pi * x[:, turns]).sum(dim=1)
        return seen

    def _map(self, i: int) -> FieldMap:
        return self._maps[i]._replace(mean=self.mean[i], std=self.std[i])

    def _usual(self) -> Tensor:
        return self._map(0).restore(torch.zeros_like(self.mean[0])).log()

    def _replaced(self, features: Tensor, size: Tensor, radians: Tensor) -> Tensor:
        result = features.clone()
        result[:, self.pt] = size.to(features)
        result[:, self.phi] = wrapped(radians / math.pi).to(features)
        return result
