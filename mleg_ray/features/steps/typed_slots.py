"""Objects of one group or several as numbers of the event, in a fixed number of slots."""

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Regrouping,
    StepConfig,
    objects_of,
)
from mleg_ray.randomness import Noise

NONE = "none"


class TypedSlots(Regrouping):
    """The objects of `groups`, one behind the other, as `slot1.pt`, `slot2.pt` ... of the event.

    A slot tells what it holds by ones and zeros: `slot1.is_jet`, `slot1.is_muon`, and `is_none`
    where there are several groups; a single group has the bit `is_jet` alone. The groups come in
    their order, their objects in that of the event; then come empty slots, whose numbers are zero.

    Back, a slot holds what its largest number tells, with a single group an object if the bit is
    above 1/2. Events with more objects than slots count as outside, and lose the last ones; objects
    beyond what their group has room for are lost on the way back.
    """

    def __init__(self, config: "TypedSlotsConfig", layout: Layout) -> None:
        super().__init__()
        self._groups, self._most = config.groups, config.most
        own = {group: objects_of(group, layout) for group in config.groups}
        self._fields = [name.partition(".")[2] for name in own[self._groups[0]]]
        for group, names in own.items():
            if unlike := {name.partition(".")[2] for name in names} ^ set(self._fields):
                raise ConfigError(
                    f"'{min(unlike)}' is a field of either '{group}' or '{self._groups[0]}'; "
                    "objects that share slots have the same fields"
                )
        self._places = {group: layout.columns[names[0]].shape[0] for group, names in own.items()}
        self.reads = tuple(name for names in own.values() for name in names)
        self._kinds = [*self._groups, NONE] if len(self._groups) > 1 else list(self._groups)
        self._slots = [f"{config.name}{k}" for k in range(1, self._most + 1)]
        if clash := [slot for slot in self._slots if slot in layout.groups]:
            raise ConfigError(f"name: '{clash[0]}' is a group already; choose another")
        self.writes = {}
        for slot in self._slots:
            self.writes |= {f"{slot}.{field}": Quantity() for field in self._fields}
            kinds = {f"{slot}.is_{kind}": Quantity(category=slot) for kind in self._kinds}
            self.writes |= kinds

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Fill the slots."""
        present = torch.cat([events.present[group] for group in self._groups], dim=1)
        kind = torch.cat(
            [torch.full_like(events.present[g], k, dtype=torch.long) for k, g in self._numbered], 1
        )
        present, order = _first(present, self._most)
        made: dict[str, Tensor] = {}
        for field in self._fields:
            values = torch.cat([events.columns[f"{group}.{field}"] for group in self._groups], 1)
            made |= self._spread(field, torch.where(present, values.gather(1, order), 0).double())
        kind = torch.where(present, kind.gather(1, order), len(self._groups))
        for k, name in enumerate(self._kinds):
            made |= self._spread(f"is_{name}", (kind == k).to(events.weight))
        return events.replacing(self.reads, {name: made[name] for name in self.writes})

    def inverse(self, events: Events) -> Events:
        """Give the objects back to their groups, and tell which there are."""
        told = torch.stack([self._gathered(f"is_{kind}", events) for kind in self._kinds])
        kind = told.argmax(dim=0) if len(self._kinds) > 1 else (told[0] <= 0.5).long()
        columns: dict[str, Tensor] = {}
        present = dict(events.present)
        for k, group in self._numbered:
            there, order = _first(kind == k, self._places[group])
            beyond = (0, self._places[group] - there.shape[1])
            present[group] = torch.nn.functional.pad(there, beyond)
            for field in self._fields:
                values = self._gathered(field, events).gather(1, order)
                kept = torch.where(there, values, 0)
                columns[f"{group}.{field}"] = torch.nn.functional.pad(kept, beyond)
        made = events.replacing(self.writes, columns)
        return Events(made.columns, present, made.weight)

    @property
    def _numbered(self) -> list[tuple[int, str]]:
        return list(enumerate(self._groups))

    def _spread(self, field: str, values: Tensor) -> dict[str, Tensor]:
        """Return values (B, most) as a column (B,) of each slot; missing ones are zero."""
        short = self._most - values.shape[1]
        values = torch.nn.functional.pad(values, (0, short))
        named = (f"{slot}.{field}" for slot in self._slots)
        return dict(zip(named, values.unbind(1), strict=True))

    def _gathered(self, field: str, events: Events) -> Tensor:
        return torch.stack([events.columns[f"{slot}.{field}"] for slot in self._slots], dim=1)

    def outside(self, before: Events) -> Tensor:
        """Return which events have more objects than slots."""
        number = sum(before.present[group].sum(dim=1) for group in self._groups)
        return torch.as_tensor(number) > self._most


def _first(there: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return of marks (B, K) the marked ones first, in their order, up to `most`; and their place.

    Both have the shape (B, min(K, most)).
    """
    order = torch.argsort(~there, dim=1, stable=True)[:, :most]
    return there.gather(1, order), order


@STEPS.register
class TypedSlotsConfig(StepConfig):
    """Configuration of `TypedSlots`: the `groups`, how many slots at `most`, and their `name`."""

    step: ClassVar = TypedSlots
    kind: Literal["typed-slots"] = "typed-slots"
    groups: Annotated[tuple[str, ...], Option(min_length=1)]
    most: PositiveInt
    name: Annotated[str, Option(pattern=r"^[A-Za-z_]\w*$")] = "slot"
