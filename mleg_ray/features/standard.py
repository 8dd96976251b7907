"""Features of any dataset: its fields as they are."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig
from mleg_ray.physics.kinematics import energy
from mleg_ray.physics.observables import evaluate

LEAST = 1e-30  # what a logarithm is taken of at least
OFF_SHELL = 1e-4  # of the energy: more is no rounding
MOMENTUM = ("px", "py", "pz")


class StandardMap(FeatureMap):
    """Each event field, its logarithm, or its distance from a condition, is one feature.

    `logarithms` names fields and conditions that are positive. `differences` names for a field the
    condition it is compared with, both after their logarithms: what a detector changes, say. The
    critic also sees the `augmented` expressions (see `mleg_ray.physics.observables`) of physical
    fields and conditions: invariant masses, say. For each particle X of `masses` the energy
    X_energy is no feature: it follows from X_px, X_py, X_pz and the mass. Events with a number that
    has no logarithm, or a particle of another mass, count as outside.
    """

    def __init__(
        self, schema: EventSchema, fixed: Mapping[str, float], config: "StandardMapConfig"
    ) -> None:
        energies = [f"{particle}_energy" for particle in config.masses]
        names = [name for name in schema.event if name not in energies]
        super().__init__(schema, fixed, len(names), len(names) + len(config.augmented))
        self._schema = schema
        self._names = names
        self._fields = [schema.event.index(name) for name in names]
        self._masses = config.masses
        self._logs = [name in config.logarithms for name in names]
        self._condition_logs = [name in config.logarithms for name in schema.conditions]
        self._base = [
            schema.conditions.index(config.differences[name])
            if name in config.differences
            else None
            for name in names
        ]
        self._augmented = config.augmented

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        base = self._bases(context)
        return torch.stack(
            [
                (column.clamp(min=LEAST).log() if log else column) - zero
                for column, log, zero in zip(
                    events[:, self._fields].unbind(1), self._logs, base, strict=True
                )
            ],
            dim=1,
        )

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        base = self._bases(context)
        shifted = [column + zero for column, zero in zip(raw.unbind(1), base, strict=True)]
        columns = {
            name: column.exp() if log else column
            for name, column, log in zip(self._names, shifted, self._logs, strict=True)
        }
        columns |= self._energies(columns)
        return torch.stack([columns[name] for name in self._schema.event]).T

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        if not self._augmented:
            return raw
        events = self._decode(raw, context)
        columns = self._schema.columns(Batch(events, context.to(raw.dtype), raw[:, 0]))
        extras = [evaluate(expression, columns) for expression in self._augmented]
        return torch.cat([raw, torch.stack(extras, dim=1)], dim=1)

    def _condition(self, context: Tensor) -> Tensor:
        return (
            torch.stack([self._on_scale(context, i) for i in self.varying], dim=1)
            if self.varying
            else context[:, :0]
        )

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        return -self._logged(events).log().sum(dim=1)

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        outside = (self._logged(events) <= LEAST).any(dim=1)
        columns = dict(zip(self._schema.event, events.unbind(1), strict=True))
        for name, expected in self._energies(columns).items():
            outside = outside | ((columns[name] - expected).abs() > OFF_SHELL * expected)
        return outside

    def _logged(self, events: Tensor) -> Tensor:
        """Return the fields of which a logarithm is taken, (B, their number)."""
        return events[:, [i for i, log in zip(self._fields, self._logs, strict=True) if log]]

    def _energies(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return √(p² + m²) (B,) of the particles of `masses`, by field."""
        energies = {}
        for particle, mass in self._masses.items():
            px, py, pz = (columns[f"{particle}_{part}"] for part in MOMENTUM)
            energies[f"{particle}_energy"] = energy(px, py, pz, mass)
        return energies

    def _bases(self, context: Tensor) -> list[Tensor]:
        """Return what is subtracted from each field, (B,)."""
        zero = context.new_zeros(len(context))
        return [zero if i is None else self._on_scale(context, i) for i in self._base]

    def _on_scale(self, context: Tensor, i: int) -> Tensor:
        column = context[:, i]
        return column.clamp(min=LEAST).log() if self._condition_logs[i] else column


@FEATURE_MAPS.register
class StandardMapConfig(FeatureMapConfig):
    """Configuration of `StandardMap`; `masses` in GeV, by particle."""

    kind: Literal["standard"] = "standard"
    logarithms: tuple[str, ...] = ()
    differences: dict[str, str] = {}
    augmented: tuple[str, ...] = ()
    masses: dict[str, NonNegativeFloat] = {}

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> StandardMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it names."""
        schema.require(self.logarithms, by="features.logarithms")
        for field, condition in self.differences.items():
            if field not in schema.event or condition not in schema.conditions:
                raise ConfigError(
                    f"features.differences.{field}: '{condition}' is taken from '{field}', so that "
                    f"must be a condition, of {', '.join(schema.conditions) or 'none'}, and this "
                    f"an event field, of {', '.join(schema.event)}"
                )
        for particle in self.masses:
            fields = [f"{particle}_{part}" for part in (*MOMENTUM, "energy")]
            schema.require(fields, by=f"features.masses.{particle}")
            if fields[-1] in (*self.logarithms, *self.differences):
                raise ConfigError(
                    f"features.masses.{particle}: {fields[-1]} follows from the momentum, and is "
                    "no feature; take it out of logarithms and differences"
                )
        names = (*schema.event, *schema.conditions)
        columns = dict.fromkeys(names, torch.ones(1, dtype=torch.float64))
        for expression in self.augmented:
            evaluate(expression, columns)
        return StandardMap(schema, conditions, self)
