"""The scattered electron of e p -> e' X by its light-cone momenta."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.events import Events, four_momentum, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    require_columns,
)
from mleg_ray.physics.dis import BEAM_ENERGY
from mleg_ray.physics.kinematics import azimuth, minus_momentum, momentum


class DISLightCone(Step):
    """(ν1, ν2, φ/π) with ν1 = ln(E' - pz) = ln(Q²/2E_e) and ν2 = ln(2E_e - E' - pz) = ln(2E_e y).

    No generated event has Q² <= 0 or y <= 0; one with y > 1 is no electron: its E' is below zero or
    off the mass shell. A critic may see px, py, pz and log pT too. Source: the vertex-level
    generator of Alanazi, Machine Learning-Based Event Generator, Old Dominion University 2022.
    Events with y below `resolution`, or along the beam, are moved inside.
    """

    def __init__(self, config: "DISLightConeConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = four_momentum(config.group)
        self._beam = config.electron_beam
        self.uses = (self._beam,)
        require_columns((*self.reads, *self.uses), layout)
        self._nu1, self._nu2, self._phi = members(config.group, "nu1", "nu2", "phi")
        self.shows = members(config.group, "px", "py", "pz", "log_pt")
        self.writes = {
            self._nu1: Quantity(),
            self._nu2: Quantity(),
            self._phi: Quantity(circle=True),
        }
        self._resolution = config.resolution

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ν1, ν2 and φ/π."""
        px, py = (columns[name] for name in self.reads[:2])
        minus, lost = (part.clamp(min=self._least(columns)) for part in self._parts(columns))
        return {self._nu1: minus.log(), self._nu2: lost.log(), self._phi: azimuth(px, py) / math.pi}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return px, py, pz and the energy."""
        minus = columns[self._nu1].exp()
        plus = 2 * columns[self._beam] - columns[self._nu2].exp()
        pt = (plus * minus).clamp(min=1e-12).sqrt()
        phi = math.pi * columns[self._phi]
        parts = (pt * phi.cos(), pt * phi.sin(), (plus - minus) / 2, (plus + minus) / 2)
        return dict(zip(self.reads, parts, strict=True))

    def view(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return px, py, pz and log pT."""
        px, py, pz, _ = self.decode(columns).values()
        pt = (px.square() + py.square() + 1e-12).sqrt()  # with a gradient at the origin too
        return dict(zip(self.shows, (px, py, pz, pt.log()), strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of (ν1, ν2, φ/π) by the momentum."""
        # d³p = (E'/2) dQ² dy dφ, where dQ²/Q² = dν1 and dy/y = dν2.
        px, py, pz = (before.columns[name] for name in self.reads[:3])
        minus, lost = self._parts(before.columns)
        volume = momentum(px, py, pz) / 2 * minus * lost  # Q² y = (E' - pz)(2E_e - E' - pz)
        return -(volume * math.pi).log()

    def outside(self, before: Events) -> Tensor:
        """Return which electrons have Q² or y below the resolution."""
        minus, lost = self._parts(before.columns)
        least = self._least(before.columns)
        return (minus < least) | (lost < least)

    def _least(self, columns: Mapping[str, Tensor]) -> Tensor:
        return columns[self._beam] * self._resolution

    def _parts(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return E' - pz and 2E_e - E' - pz, GeV."""
        px, py, pz = (columns[name] for name in self.reads[:3])
        lost = 2 * columns[self._beam] - momentum(px, py, pz) - pz
        return minus_momentum(px, py, pz), lost


@STEPS.register
class DISLightConeConfig(StepConfig):
    """Configuration of `DISLightCone`; `electron_beam` names the condition E_e, GeV.

    `resolution` is relative to it.
    """

    step: ClassVar = DISLightCone
    kind: Literal["dis-lightcone"] = "dis-lightcone"
    group: str = "electron"
    electron_beam: str = BEAM_ENERGY
    resolution: PositiveFloat = 1e-9
