"""Events turned about the beam, into the frame of one of their particles."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    prefixed,
    require_columns,
)
from mleg_ray.physics.kinematics import azimuth, transverse_momentum
from mleg_ray.space import wrapped


class Rotation(Step):
    """The transverse momentum of one particle, `along`, lies along +x; other `groups` turn with it.

    A momentum (px, py) leaves `turned_px` and `turned_py`, an azimuth φ `turned_phi`, in radians;
    of `along` itself p_T is left, and no azimuth. What is not turned stays as it was. A generated
    p_T below zero points the other way; `logarithm` keeps it above.

    The angle of the turn is left as `turn`, in half turns on the circle. Where beams and detector
    look the same from all sides, and all of the event is turned, it is uniform and independent of
    everything else: a model that draws it so has the symmetry exactly, and learns nothing of it.

    A `dropped` angle is not left: every generated event has `along` at φ = 0. The density is then
    that of events whose angle is uniform. Hashemi et al., arXiv:1901.05282, drop that of the softer
    muon and turn the other with it, but not the missing momentum.

    A particle along the beam, which has no azimuth, counts as outside.
    """

    def __init__(self, config: "RotationConfig", layout: Layout) -> None:
        super().__init__()
        if config.along in config.groups:
            raise ConfigError(f"'{config.along}' lies along x; leave it out of groups")
        self._own = _transverse(config.along, layout)
        first = layout.columns[self._own[0]]
        if first.shape:
            raise ConfigError(f"'{config.along}' has a varying number of objects; name a particle")
        self._cartesian = len(self._own) == 2
        [self._pt, self._turn] = members(config.along, "pt", "turn")
        self._kept = config.angle == "feature"
        self._turned = [_transverse(group, layout) for group in config.groups]
        if not (self._cartesian or self._kept or self._turned):
            raise ConfigError("groups: nothing turns with an azimuth that is dropped; name some")
        self.reads = (*self._own, *(name for names in self._turned for name in names))
        self.writes = {self._pt: first} if self._cartesian else {}
        if self._kept:
            self.writes[self._turn] = Quantity(circle=True, varies=first.varies)
        for names in self._turned:
            self.writes |= {prefixed(name, "turned"): layout.columns[name] for name in names}

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the event as seen along the particle, and the angle of the turn."""
        own = [columns[name] for name in self._own]
        angle = azimuth(*own) if self._cartesian else own[0]
        made = {self._pt: transverse_momentum(*own)} if self._cartesian else {}
        if self._kept:
            made[self._turn] = wrapped(angle / math.pi)
        for names in self._turned:
            turned = _turned([columns[name] for name in names], -angle)
            made |= {prefixed(n, "turned"): part for n, part in zip(names, turned, strict=True)}
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the event turned back, or left where the particle lies along +x."""
        if self._kept:
            angle = math.pi * wrapped(columns[self._turn])
        else:
            anything = columns[next(iter(self.writes))]
            angle = anything.new_zeros(len(anything))
        own = [angle]
        if self._cartesian:
            own = [columns[self._pt] * direction for direction in (angle.cos(), angle.sin())]
        made = dict(zip(self._own, own, strict=True))
        for names in self._turned:
            parts = [columns[prefixed(name, "turned")] for name in names]
            made |= dict(zip(names, _turned(parts, angle), strict=True))
        return made

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of dpx dpy = p_T dp_T dφ; a turn changes no volume."""
        own = [before.columns[name] for name in self._own]
        level = before.weight.new_full((len(before),), -math.log(math.pi))
        if not self._kept:  # uniform over two half turns
            level = level - math.log(2)
        return level - transverse_momentum(*own).log() if self._cartesian else level

    def outside(self, before: Events) -> Tensor:
        """Return which events have a particle without an azimuth."""
        if not self._cartesian:
            return super().outside(before)
        px, py = (before.columns[name] for name in self._own)
        return (px == 0) & (py == 0)


def _transverse(group: str, layout: Layout) -> tuple[str, ...]:
    """Return the columns that tell how a group lies about the beam: px and py, or φ."""
    cartesian, polar = members(group, "px", "py"), members(group, "phi")
    names = polar if polar[0] in layout.columns else cartesian
    require_columns(names, layout)
    return names


def _turned(parts: list[Tensor], angle: Tensor) -> list[Tensor]:
    """Return (px, py) or φ, of events (B,) or their objects (B, K), turned by an angle (B,)."""
    angle = angle.view(-1, *[1] * (parts[0].ndim - 1))
    if len(parts) == 1:
        return [math.pi * wrapped((parts[0] + angle) / math.pi)]
    px, py = parts
    return [px * angle.cos() - py * angle.sin(), px * angle.sin() + py * angle.cos()]


@STEPS.register
class RotationConfig(StepConfig):
    """Configuration of `Rotation`: the particle, the `groups` that turn with it, and its angle."""

    step: ClassVar = Rotation
    kind: Literal["rotation"] = "rotation"
    along: str
    groups: tuple[str, ...] = ()
    angle: Literal["feature", "dropped"] = "feature"
