"""Masses in the place of energies, of particles by p_T, pseudorapidity and azimuth."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.events import Events, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    per_event,
    require_columns,
)
from mleg_ray.physics.kinematics import LEAST_MASS, OFF_SHELL, momentum_at


class Mass(Step):
    """m = √(E² - p²), p = p_T cosh η, in the place of the energy E of each of some groups.

    Whatever a mass is made of, the energy that comes back is no less than the momentum. A mass
    below zero comes back as none, so that a continuous distribution can have massless particles.

    Masses that rounding hides, below 3/1000 of the energy, are zero: they change the energy by less
    than 5e-6 of it. A particle that has E < p beyond that counts as outside. A group of a declared
    mass leaves none: its energy follows from the momentum, and particles of another mass count as
    outside.
    """

    def __init__(self, config: "MassConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = tuple(name for group in config.groups for name in members(group, "energy"))
        self.uses = tuple(name for group in config.groups for name in members(group, "pt", "eta"))
        require_columns((*self.reads, *self.uses), layout)
        declared = {group: layout.groups.get(group) for group in config.groups}
        self._masses = {name: group.mass if group else None for name, group in declared.items()}
        self.writes = {
            f"{group}.mass": Quantity(layout.columns[f"{group}.energy"].shape)
            for group, mass in self._masses.items()
            if mass is None
        }

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the masses that are not declared."""
        made = {}
        for name in self.writes:
            group = name.rpartition(".")[0]
            energy, p = columns[f"{group}.energy"].double(), self._momentum(group, columns)
            mass = ((energy - p) * (energy + p)).clamp(min=0).sqrt()
            made[name] = torch.where(mass < LEAST_MASS * energy, 0.0, mass)
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the energies."""
        made = {}
        for group, declared in self._masses.items():
            p = self._momentum(group, columns)
            mass = columns[f"{group}.mass"] if declared is None else torch.full_like(p, declared)
            made[f"{group}.energy"] = torch.hypot(p, mass.clamp(min=0))
        return made

    def log_abs_det(self, before: Events) -> Tensor:
        """Return Σ log dm/dE = Σ log E/m over present particles of no declared mass.

        A mass that is hidden by rounding counts as the smallest that is not.
        """
        total = before.weight.new_zeros(len(before))
        for name, mass in self.encode(before.columns).items():
            source = f"{name.rpartition('.')[0]}.energy"
            energy = before.columns[source].double()
            slope = -(mass / energy).clamp(min=LEAST_MASS).log()
            total = total + per_event(slope, source, before)
        return total

    def outside(self, before: Events) -> Tensor:
        """Return which events have a particle off its shell, or of an energy below its momentum."""
        outside = super().outside(before)
        for group, declared in self._masses.items():
            source = f"{group}.energy"
            energy, p = before.columns[source].double(), self._momentum(group, before.columns)
            off = p - energy
            if declared is not None:
                off = (energy - torch.hypot(p, torch.full_like(p, declared))).abs()
            outside = outside | (per_event(off > OFF_SHELL * energy, source, before) > 0)
        return outside

    def _momentum(self, group: str, columns: Mapping[str, Tensor]) -> Tensor:
        pt, eta = (columns[name].double() for name in members(group, "pt", "eta"))
        return momentum_at(pt, eta)


@STEPS.register
class MassConfig(StepConfig):
    """Configuration of `Mass`: the `groups`, each with pt, eta and energy."""

    step: ClassVar = Mass
    kind: Literal["mass"] = "mass"
    groups: Annotated[tuple[str, ...], Option(min_length=1)]
