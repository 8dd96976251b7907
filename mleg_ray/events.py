"""Events in memory: what a field means, and a batch of them."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError

VERTEX = "vertex_"  # begins the name of a condition that is a true value, the field's without it
Role = Literal["event", "condition", "weight", "label"]
Unit = Literal["GeV", "MeV", "TeV", "rad", "deg", "cm", "mm", "1"]


class Field(Config):
    """One number of an event: its name, unit ("1" if none), role, stored precision and meaning.

    Roles: `event` is generated, `condition` is given to the generator (a beam energy), `weight` is
    the event's statistical weight, which may be negative. A `label` tells where a true event is
    from; no model ever sees it, and no generated event has one.
    """

    name: str
    unit: Unit = "1"
    role: Role = "event"
    dtype: Literal["float32", "float64"] = "float32"
    description: str = ""


def stored_fields(fields: Iterable[Field], fixed: Container[str | None]) -> tuple[Field, ...]:
    """Return the fields that are columns of shards: all but the conditions that are `fixed`.

    Those have one value in the whole dataset, or in each of its partitions.
    """
    return tuple(field for field in fields if field.name not in fixed)


def unlabelled(fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return the fields that generated events have too: all but the labels."""
    return tuple(field for field in fields if field.role != "label")


class EventSchema:
    """The fields of a dataset, by role, in the order of a `Batch`'s columns.

    `vertex` are the conditions that are true values: a detector's generator has some.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields = tuple(fields)
        self.event = tuple(field.name for field in self.fields if field.role == "event")
        self.conditions = tuple(field.name for field in self.fields if field.role == "condition")
        self.labels = tuple(field.name for field in self.fields if field.role == "label")
        weights = tuple(field.name for field in self.fields if field.role == "weight")
        names = [field.name for field in self.fields]
        if len(set(names)) < len(names):
            raise ConfigError(f"fields: names must differ: {', '.join(names)}")
        if not self.event:
            raise ConfigError("fields: at least one field needs role = 'event'")
        if len(weights) > 1:
            raise ConfigError(f"fields: one weight at most, not {', '.join(weights)}")
        self.weight = weights[0] if weights else None
        self.vertex = tuple(name for name in self.conditions if name.startswith(VERTEX))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventSchema) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def varying(self, fixed: Container[str]) -> tuple[str, ...]:
        """Return the conditions that differ from event to event: all but the `fixed` ones."""
        return tuple(name for name in self.conditions if name not in fixed)

    def columns(self, batch: "Batch") -> dict[str, Tensor]:
        """Return the batch's event fields and conditions by name, each of shape (B,)."""
        columns = {name: batch.x[:, i] for i, name in enumerate(self.event)}
        columns |= {name: batch.context[:, i] for i, name in enumerate(self.conditions)}
        return columns

    def require(self, names: Iterable[str], by: str) -> None:
        """Raise `ConfigError` unless every name is an event field or a condition."""
        missing = [name for name in names if name not in (*self.event, *self.conditions)]
        if missing:
            raise ConfigError(
                f"{by} needs the fields {', '.join(missing)}; "
                f"the dataset has {', '.join((*self.event, *self.conditions))}"
            )


@dataclass(frozen=True)
class Batch:
    """B events: `x` (B, ...) numbers to generate, `context` (B, C) conditions, `weight` (B,).

    In physical space `x` has the schema's event fields as float64 columns; a feature map turns it
    into features. Conditions and weights, also negative ones, travel with the events everywhere.
    """

    x: Tensor
    context: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return len(self.weight)

    def __getitem__(self, rows: Any) -> "Batch":  # noqa: ANN401 - whatever indexes a tensor's rows
        return Batch(self.x[rows], self.context[rows], self.weight[rows])

    def to(self, *args: Any, **kwargs: Any) -> "Batch":  # noqa: ANN401 - as Tensor.to
        """Return the batch on another device or with another dtype, as `Tensor.to`."""
        return Batch(
            self.x.to(*args, **kwargs),
            self.context.to(*args, **kwargs),
            self.weight.to(*args, **kwargs),
        )

    @property
    def nbytes(self) -> int:
        """The memory the tensors take, in bytes."""
        return self.x.nbytes + self.context.nbytes + self.weight.nbytes

    @staticmethod
    def concatenate(batches: Iterable["Batch"]) -> "Batch":
        """Join batches, in order, into one."""
        parts = list(batches)
        return Batch(
            torch.cat([part.x for part in parts]),
            torch.cat([part.context for part in parts]),
            torch.cat([part.weight for part in parts]),
        )

    @staticmethod
    def from_columns(
        schema: EventSchema, columns: Mapping[str, Tensor], conditions: Mapping[str, float]
    ) -> "Batch":
        """Build a batch from named columns; `conditions` fills those that are not columns."""
        n = len(columns[schema.event[0]])
        x = torch.stack([columns[name].double() for name in schema.event]).T
        fixed = {
            name: torch.full((n,), value, dtype=torch.float64) for name, value in conditions.items()
        }
        given = {**fixed, **columns}
        context = [given[name].double() for name in schema.conditions]
        weight = columns[schema.weight].double() if schema.weight else torch.ones(n).double()
        empty = torch.empty(n, 0, dtype=torch.float64)
        return Batch(x, torch.stack(context, dim=1) if context else empty, weight)
