"""The contract of one invertible change of some columns of events."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field as Option
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, Group, group_of
from mleg_ray.randomness import Noise


@dataclass(frozen=True)
class Quantity:
    """What a column holds of one event: numbers of this `shape`; angles in half turns, or others.

    The objects of a group of up to K have the shape (K,). `varies` tells a condition that differs
    from event to event from one that does not. `levels` is how many whole numbers 0, 1, ... were
    spread evenly over all real ones; `given` names the column of levels at whose last one alone
    there is a number, and noise at the others. `category` is empty unless the column holds ones and
    zeros: among those of the same category one is 1, and one alone is a bit. `shares` tells that
    all are shares of their sum, and 0 means none.
    """

    shape: tuple[int, ...] = ()
    circle: bool = False
    varies: bool = True
    levels: int | None = None
    given: str | None = None
    category: str = ""
    shares: bool = False


@dataclass(frozen=True)
class Layout:
    """The columns that a step finds, and the groups of the dataset."""

    columns: Mapping[str, Quantity]
    groups: Mapping[str, Group]


class Step(nn.Module, ABC):
    """One change of the columns `reads` into the columns `writes`; all others pass.

    `forward` and `inverse` undo each other on the step's domain; `uses` are the columns that it
    needs beside those it changes, such as conditions, `shows` those of its `view`. What lies
    outside the domain is moved inside by `forward`. A step that `learns` takes its buffers from the
    train split's events, as the steps before it leave them, by `learn`.
    """

    reads: tuple[str, ...]
    uses: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    writes: Mapping[str, Quantity]
    learns: ClassVar[bool] = False

    def learn(self, chunks: Iterable[Events]) -> None:
        """Learn of events; `DataError` if nothing can be learned of them."""

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with the step's columns changed; `noise` is for what needs some."""
        return events.replacing(self.reads, self.encode(events.columns))

    def inverse(self, events: Events) -> Events:
        """Return the events with the columns as they were, float64 or that of the columns."""
        return events.replacing(self.writes, self.decode(events.columns))

    @abstractmethod
    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the columns `writes` of those `reads`; differentiable on the domain."""

    @abstractmethod
    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the columns `reads` of those `writes`; differentiable."""

    @abstractmethod
    def log_abs_det(self, before: Events) -> Tensor:
        """Return log |det d writes / d reads| (B,) of events before the step; it adds over steps.

        Of columns that follow from others, as an energy from momentum and mass, the latter count.
        """

    def outside(self, before: Events) -> Tensor:
        """Return a boolean tensor (B,): events outside the domain, which are moved inside."""
        return torch.zeros(len(before), dtype=torch.bool, device=before.weight.device)

    def view(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the columns `shows`, which a critic may see, (B,); differentiable.

        They are computed from the columns `writes`, with all their precision.
        """
        return {}

    def require(self, before: Events) -> None:
        """Raise `ConfigError` if the step's settings leave no room for events like these."""


class Regrouping(Step):
    """A step that moves numbers between objects and events, and changes none of them.

    Which objects there are decides what becomes of the columns, and columns alone do not tell.
    """

    @abstractmethod
    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with the step's columns changed."""

    @abstractmethod
    def inverse(self, events: Events) -> Events:
        """Return the events with the columns as they were, and which objects there are."""

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return nothing: `forward` must know which objects there are."""
        return {}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return nothing: `inverse` tells which objects there are."""
        return {}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: nothing continuous is changed."""
        return before.weight.new_zeros(len(before))


class StepConfig(Config):
    """Base of the entries of `[run.features] steps` and `conditions`: the settings of a `step`."""

    step: ClassVar[type[Step]]
    kind: str

    def build(self, layout: Layout) -> Step:
        """Build the step for this layout; `ConfigError` if a column that it needs is absent."""
        return self.step(self, layout)


STEPS: Registry[StepConfig] = Registry("step")

# A share within which an end counts as reached: below rounding its logit would be infinite.
Resolution = Annotated[float, Option(ge=1e-15, le=0.1)]


def require_columns(names: tuple[str, ...], layout: Layout) -> None:
    """Raise `ConfigError` unless all columns are there."""
    missing = [name for name in names if name not in layout.columns]
    if missing:
        known = ", ".join(layout.columns) or "none"
        raise ConfigError(f"needs {', '.join(missing)}; there are {known}")


def objects_of(group: str, layout: Layout) -> tuple[str, ...]:
    """Return the columns of a group's objects; `ConfigError` if it has not a varying number."""
    own = tuple(name for name in layout.columns if group_of(name) == group)
    if not own or not all(layout.columns[name].shape for name in own):
        known = {group_of(name) for name, q in layout.columns.items() if q.shape} - {"", group}
        raise ConfigError(
            f"no group '{group}' of a varying number of objects; there are "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    return own


def prefixed(name: str, prefix: str) -> str:
    """Return what is made of a column: "jet.log_pt" of "jet.pt", "log_met" of "met"."""
    group, part = group_of(name), name.rpartition(".")[2]
    return f"{group}.{prefix}_{part}" if group else f"{prefix}_{part}"


def mass_of(group: str, layout: Layout) -> float:
    """Return the mass of a group's particle, GeV; `ConfigError` if none is declared."""
    declared = layout.groups.get(group)
    if declared is None or declared.mass is None:
        raise ConfigError(
            f"group '{group}' has no mass; declare groups.{group}.mass in the dataset's definition"
        )
    return declared.mass


def numbers_of(name: str, events: Events) -> tuple[Tensor, Tensor]:
    """Return a column's numbers (m,), of present objects, and the weights (m,) of their events."""
    column = events.columns[name].double()
    present = events.present.get(group_of(name))
    if column.ndim == 1 or present is None:
        weight = events.weight.view(-1, *[1] * (column.ndim - 1)).expand(column.shape)
        return column.flatten(), weight.flatten()
    return column[present], events.weight[:, None].expand(present.shape)[present]


def no_levels(x: Tensor, last: int) -> Tensor:
    """Return which numbers x (...) are none of the whole numbers 0 ... `last`."""
    return (x != x.round()) | (x < 0) | (x > last)


def per_event(values: Tensor, name: str, events: Events) -> Tensor:
    """Return the sum (B,) over each event's numbers or marks of a column, of present objects."""
    if values.ndim == 1:
        return values
    present = events.present.get(group_of(name))
    if present is not None:
        values = torch.where(present, values, 0)
    return values.flatten(1).sum(dim=1)
