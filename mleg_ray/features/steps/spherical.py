"""Momenta in spherical coordinates."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.events import Events, four_momentum, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    per_event,
    require_columns,
)
from mleg_ray.physics.kinematics import azimuth, momentum, polar_angle


class Spherical(Step):
    """(p, θ, φ/π) of the momentum of a massless particle, whose energy is p.

    A generated p may be below zero; so is then the energy, which lies off the mass shell. Momenta
    along the beam, whose azimuth nobody knows, count as outside.
    """

    def __init__(self, config: "SphericalConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = four_momentum(config.group)
        require_columns(self.reads, layout)
        self._momentum, self._theta, self._phi = members(config.group, "momentum", "theta", "phi")
        plain = layout.columns[self.reads[0]]
        self.writes = {
            self._momentum: plain,
            self._theta: plain,
            self._phi: Quantity(plain.shape, circle=True, varies=plain.varies),
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return p, θ and φ/π."""
        px, py, pz = (columns[name] for name in self.reads[:3])
        return {
            self._momentum: momentum(px, py, pz),
            self._theta: polar_angle(px, py, pz),
            self._phi: azimuth(px, py) / math.pi,
        }

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return px, py, pz and the energy."""
        p, theta = columns[self._momentum], columns[self._theta]
        phi = math.pi * columns[self._phi]
        pt = p * theta.sin()
        parts = (pt * phi.cos(), pt * phi.sin(), p * theta.cos(), p)
        return dict(zip(self.reads, parts, strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of d³p = p² sin θ dp dθ dφ."""
        px, py, pz = (before.columns[name] for name in self.reads[:3])
        volume = 2 * momentum(px, py, pz).log() + polar_angle(px, py, pz).sin().log()
        return per_event(-volume - math.log(math.pi), self.reads[0], before)

    def outside(self, before: Events) -> Tensor:
        """Return which events have a momentum along the beam."""
        px, py = (before.columns[name] for name in self.reads[:2])
        return per_event((px == 0) & (py == 0), self.reads[0], before) > 0


@STEPS.register
class SphericalConfig(StepConfig):
    """Configuration of `Spherical`: the `group` with px, py, pz and energy."""

    step: ClassVar = Spherical
    kind: Literal["spherical"] = "spherical"
    group: str
