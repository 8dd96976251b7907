"""Momenta by what is transverse to the beam."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.events import Events, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Step,
    StepConfig,
    per_event,
    require_columns,
)
from mleg_ray.physics.kinematics import (
    azimuth,
    momentum,
    pseudorapidity,
    transverse_momentum,
)


class Transverse(Step):
    """(p_T, η, φ) of momenta (px, py, pz), φ in radians: as a hadron collider's detectors see them.

    Momenta along the beam, of which η and φ do not exist, count as outside.
    """

    def __init__(self, config: "TransverseConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = members(config.group, "px", "py", "pz")
        require_columns(self.reads, layout)
        self._names = members(config.group, "pt", "eta", "phi")
        self.writes = dict.fromkeys(self._names, layout.columns[self.reads[0]])

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return p_T, η and φ."""
        px, py, pz = (columns[name] for name in self.reads)
        parts = (transverse_momentum(px, py), pseudorapidity(px, py, pz), azimuth(px, py))
        return dict(zip(self._names, parts, strict=True))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return px, py and pz."""
        pt, eta, phi = (columns[name] for name in self._names)
        return dict(zip(self.reads, (pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()), strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of d³p = p_T p dp_T dη dφ."""
        px, py, pz = (before.columns[name] for name in self.reads)
        volume = transverse_momentum(px, py).log() + momentum(px, py, pz).log()
        return per_event(-volume, self.reads[0], before)

    def outside(self, before: Events) -> Tensor:
        """Return which events have a momentum along the beam."""
        px, py = (before.columns[name] for name in self.reads[:2])
        return per_event((px == 0) & (py == 0), self.reads[0], before) > 0


@STEPS.register
class TransverseConfig(StepConfig):
    """Configuration of `Transverse`: the `group` with px, py and pz."""

    step: ClassVar = Transverse
    kind: Literal["transverse"] = "transverse"
    group: str
