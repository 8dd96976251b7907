"""Objects as numbers of the event, in places that may be empty."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import FiniteFloat
from torch import Tensor

from mleg_ray.events import Events
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Step,
    StepConfig,
    objects_of,
    require_columns,
)
from mleg_ray.randomness import Noise


class Slots(Step):
    """The K places of a group's objects as numbers of the event: `jet.pt_1` ... `jet.pt_K`.

    An absent object's numbers are zero. Back, the objects are those whose number of the group's
    order, a jet's p_T, is `above` a threshold. So have Hashemi et al., arXiv:1901.05282, app. A,
    five leading jets, and a network must learn a spike at zero and an edge; `count` tells how many
    objects there are instead. As zeros have no density, `log_abs_det` is that of present objects.

    An object that is not above the threshold, and would be lost, counts as outside.
    """

    def __init__(self, config: "SlotsConfig", layout: Layout) -> None:
        super().__init__()
        self.group = group = config.group
        self._above = config.above
        self.reads = objects_of(group, layout)
        self._key = f"{group}.{layout.groups[group].ordered_by}"
        require_columns((self._key,), layout)
        [most] = layout.columns[self._key].shape
        self._places = {
            name: tuple(f"{name}_{place}" for place in range(1, most + 1)) for name in self.reads
        }
        self.writes = {new: Quantity() for names in self._places.values() for new in names}

    def forward(self, events: Events, *, noise: Noise) -> Events:
        """Return the events with numbers in the place of objects."""
        made = super().forward(events, noise=noise)
        present = {name: there for name, there in made.present.items() if name != self.group}
        return Events(made.columns, present, made.weight)

    def inverse(self, events: Events) -> Events:
        """Return the events with objects, the first ones, in their order."""
        made = super().inverse(events)
        present = {**made.present, self.group: made.columns[self._key] > self._above}
        return Events(made.columns, present, made.weight)

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each place's number."""
        made: dict[str, Tensor] = {}
        for name, places in self._places.items():
            made |= dict(zip(places, columns[name].unbind(dim=1), strict=True))
        return made

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the objects' numbers (B, K), the largest first.

        What is no object comes last; the feature map sets it to zero.
        """
        rows = {
            name: torch.stack([columns[place] for place in places], dim=1)
            for name, places in self._places.items()
        }
        order = rows[self._key].argsort(dim=1, descending=True, stable=True)
        return {name: values.gather(1, order) for name, values in rows.items()}

    def log_abs_det(self, before: Events) -> Tensor:
        """Return 0: present objects' numbers stay as they are."""
        return before.weight.new_zeros(len(before))

    def outside(self, before: Events) -> Tensor:
        """Return which events have an object that is not above the threshold."""
        lost = before.present[self.group] & (before.columns[self._key] <= self._above)
        return lost.any(dim=1)


@STEPS.register
class SlotsConfig(StepConfig):
    """Configuration of `Slots`: the group, and the number `above` which an object is one.

    That is in the unit of the field by which the group is ordered.
    """

    step: ClassVar = Slots
    kind: Literal["slots"] = "slots"
    group: str
    above: FiniteFloat = Option(default=0.0, ge=0)
