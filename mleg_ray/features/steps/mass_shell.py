"""Energies that follow from momenta."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.events import Events, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Step,
    StepConfig,
    mass_of,
    per_event,
    require_columns,
)
from mleg_ray.physics.kinematics import OFF_SHELL, energy


class MassShell(Step):
    """E = √(p² + m²) of a group's particle, of the group's mass: the energy is no feature.

    Events with a particle of another mass count as outside, where the momentum is kept.
    """

    def __init__(self, config: "MassShellConfig", layout: Layout) -> None:
        super().__init__()
        group = config.group
        self.reads = members(group, "energy")
        self.uses = members(group, "px", "py", "pz")
        require_columns((*self.uses, *self.reads), layout)
        self.writes = {}
        self._mass = mass_of(group, layout)

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the energy."""
        px, py, pz = (columns[name] for name in self.uses)
        return {self.reads[0]: energy(px, py, pz, self._mass)}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: the energy is not free."""
        return before.weight.new_zeros(len(before))

    def outside(self, before: Events) -> Tensor:
        """Return which events have a particle off its mass shell."""
        [name] = self.reads
        expected = self.decode(before.columns)[name]
        off = (before.columns[name] - expected).abs() > OFF_SHELL * expected
        return per_event(off, name, before) > 0


@STEPS.register
class MassShellConfig(StepConfig):
    """Configuration of `MassShell`: the `group` with px, py, pz and energy."""

    step: ClassVar = MassShell
    kind: Literal["mass-shell"] = "mass-shell"
    group: str
