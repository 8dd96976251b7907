"""What a detector makes of an electron: its measured momentum relative to the true one."""

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
    require_columns,
)
from mleg_ray.physics.kinematics import azimuth, momentum, polar_angle
from mleg_ray.space import wrapped


class ElectronResponse(Step):
    """(log p/p_v, θ - θ_v, φ - φ_v) of a measured electron, given the one at the vertex.

    Both are massless; φ - φ_v is small, so it lies on a line. A detector changes all of these
    little: in absolute momenta a network would have to be as precise as the detector only to let an
    electron be.
    """

    def __init__(self, config: "ElectronResponseConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = four_momentum(config.group)
        self.uses = members(config.true, "px", "py", "pz")
        require_columns((*self.reads, *self.uses), layout)
        self._names = members(config.group, "log_ratio_momentum", "shift_theta", "shift_phi")
        self.writes = {name: Quantity() for name in self._names}

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the three differences."""
        p, theta, phi = _spherical(columns, self.reads)
        p_v, theta_v, phi_v = _spherical(columns, self.uses)
        turned = math.pi * wrapped((phi - phi_v) / math.pi)
        return dict(zip(self._names, ((p / p_v).log(), theta - theta_v, turned), strict=True))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return px, py, pz and the energy."""
        p_v, theta_v, phi_v = _spherical(columns, self.uses)
        log_ratio, tilt, turn = (columns[name] for name in self._names)
        p, theta, phi = p_v * log_ratio.exp(), theta_v + tilt, phi_v + turn
        pt = p * theta.sin()
        parts = (pt * phi.cos(), pt * phi.sin(), p * theta.cos(), p)
        return dict(zip(self.reads, parts, strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of d³p = p³ sin θ d(log p) dθ dφ."""
        p, theta, _ = _spherical(before.columns, self.reads)
        return -3 * p.log() - theta.sin().log()


def _spherical(
    columns: Mapping[str, Tensor], names: tuple[str, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    px, py, pz = (columns[name] for name in names[:3])
    return momentum(px, py, pz), polar_angle(px, py, pz), azimuth(px, py)


@STEPS.register
class ElectronResponseConfig(StepConfig):
    """Configuration of `ElectronResponse`: the measured `group`, and that of its true values."""

    step: ClassVar = ElectronResponse
    kind: Literal["electron-response"] = "electron-response"
    group: str = "electron"
    true: str = "vertex"
