"""Features of any dataset: its fields as they are."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig
from mleg_ray.physics.observables import evaluate

LEAST = 1e-30  # what a logarithm is taken of at least


class StandardMap(FeatureMap):
    """Each event field, its logarithm, or its distance from a condition, is one feature.

    `logarithms` names fields and conditions that are positive. `differences` names for a field the
    condition it is compared with, both after their logarithms: what a detector changes, say. The
    critic also sees the `augmented` expressions (see `mleg_ray.physics.observables`) of physical
    fields and conditions: invariant masses, say. Events with a number that has no logarithm count
    as outside.
    """

    def __init__(
        self, schema: EventSchema, fixed: Mapping[str, float], config: "StandardMapConfig"
    ) -> None:
        n = len(schema.event)
        super().__init__(schema, fixed, n, n + len(config.augmented))
        self._schema = schema
        self._logs = [name in config.logarithms for name in schema.event]
        self._condition_logs = [name in config.logarithms for name in schema.conditions]
        self._base = [
            schema.conditions.index(config.differences[name])
            if name in config.differences
            else None
            for name in schema.event
        ]
        self._augmented = config.augmented

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        base = self._bases(context)
        return torch.stack(
            [
                (column.clamp(min=LEAST).log() if log else column) - zero
                for column, log, zero in zip(events.unbind(1), self._logs, base, strict=True)
            ],
            dim=1,
        )

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        base = self._bases(context)
        shifted = [column + zero for column, zero in zip(raw.unbind(1), base, strict=True)]
        columns = [
            column.exp() if log else column for column, log in zip(shifted, self._logs, strict=True)
        ]
        return torch.stack(columns).T

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
        return -events[:, self._logs].log().sum(dim=1)

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        return (events[:, self._logs] <= LEAST).any(dim=1)

    def _bases(self, context: Tensor) -> list[Tensor]:
        """Return what is subtracted from each field, (B,)."""
        zero = context.new_zeros(len(context))
        return [zero if i is None else self._on_scale(context, i) for i in self._base]

    def _on_scale(self, context: Tensor, i: int) -> Tensor:
        column = context[:, i]
        return column.clamp(min=LEAST).log() if self._condition_logs[i] else column


@FEATURE_MAPS.register
class StandardMapConfig(FeatureMapConfig):
    """Configuration of `StandardMap`."""

    kind: Literal["standard"] = "standard"
    logarithms: tuple[str, ...] = ()
    differences: dict[str, str] = {}
    augmented: tuple[str, ...] = ()

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
        names = (*schema.event, *schema.conditions)
        columns = dict.fromkeys(names, torch.ones(1, dtype=torch.float64))
        for expression in self.augmented:
            evaluate(expression, columns)
        return StandardMap(schema, conditions, self)
