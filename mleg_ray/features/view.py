"""What a critic sees of features: named quantities, and parts as they are."""

import itertools
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mleg_ray.definitions import evaluate
from mleg_ray.errors import ConfigError
from mleg_ray.events import Events
from mleg_ray.features.steps import Step
from mleg_ray.space import Part, Space

EVERYTHING = "*"
NUMBERS = "event"


class View:
    """Named numbers of features, differentiable.

    Each of `names` is a feature, a quantity that a step shows, a field, an expression of any of
    these (see `mleg_ray.definitions.expressions`), or `*`: all features that are numbers, angles as
    cosine and sine, and all that the steps show. Objects and images are seen as they are.

    As few steps as can be are undone: what lies near an edge loses precision on the way back.
    """

    def __init__(
        self,
        names: Sequence[str],
        space: Space,
        steps: Sequence[Step],
        example: Events,
    ) -> None:
        """Find the quantities, and try them on features and conditions of any events.

        Raises:
            ConfigError: one cannot be computed, or is not one number an event.
        """
        self._steps = tuple(steps)
        line: list[str] = []
        circle: list[str] = []
        for part in space.parts.values():
            if len(part.shape) == 1:
                for position, name in enumerate(part.names):
                    (circle if position in part.circle else line).append(name)
        self._angles = {
            f"{label} {name}": (name, function)
            for name in circle
            for label, function in (("cos", torch.cos), ("sin", torch.sin))
        }
        everything = (*line, *self._angles, *(name for step in steps for name in step.shows))
        chosen = (everything if given == EVERYTHING else (given,) for given in names)
        self.names = tuple(dict.fromkeys(itertools.chain.from_iterable(chosen)))
        structured = {name: part for name, part in space.parts.items() if len(part.shape) > 1}
        numbers = {NUMBERS: Part((len(self.names),), self.names)} if self.names else {}
        self.space = Space(numbers | structured)
        self._undone = self._fewest(example)
        for name, value in self.numbers(example).items():
            if value.shape != (len(example),):
                raise ConfigError(f"features.view: '{name}' is not one number an event")

    def _fewest(self, events: Events) -> int:
        """Return how many steps must be undone for all quantities to be known."""
        for undone in range(len(self._steps) + 1):
            self._undone = undone
            try:
                self.numbers(events)
            except ConfigError as error:
                fault = error
            else:
                return undone
        raise ConfigError(f"features.view: {fault}")

    def numbers(self, features: Events) -> dict[str, Tensor]:
        """Return the quantities (B,) by name.

        The columns of `features` are those that the steps left, and the physical conditions.
        """
        known = dict(features.columns)
        known |= {
            label: function(math.pi * known[name])
            for label, (name, function) in self._angles.items()
        }
        events = features
        for k, step in enumerate(reversed(self._steps)):
            if not set(step.shows).isdisjoint(self.names):
                known |= step.view(events.columns)
            if k == self._undone:
                break
            events = step.inverse(events)
            known = {**events.columns, **known}
        return {name: _quantity(name, known) for name in self.names}


def _quantity(name: str, known: Mapping[str, Tensor]) -> Tensor:
    if name in known:
        return known[name]
    if "(" not in name and "." not in name:
        raise ConfigError(f"there is no '{name}'; there are {', '.join(sorted(known))}")
    return evaluate(name, known)
