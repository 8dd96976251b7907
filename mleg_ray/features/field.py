"""One field that steps change by itself, and the feature that it becomes."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from mleg_ray.features.steps import Step
from mleg_ray.features.steps.elementwise import Elementwise, Function

NONE: Mapping[str, Tensor] = {}  # of other columns, which functions of one field do not need


class FieldMap(NamedTuple):
    """x = (f(v) - mean) / std of a field's values v: `functions` of steps, one after the other.

    `feature` is the name of what it becomes. Values and features are in double precision.
    """

    feature: str
    functions: tuple[Function, ...]
    mean: Tensor = torch.zeros((), dtype=torch.float64)
    std: Tensor = torch.ones((), dtype=torch.float64)

    @classmethod
    def through(cls, chain: Sequence[Step], field: str) -> Self | None:
        """Return the map by a chain of steps, not standardised; none if it mixes the field."""
        functions = []
        for step in chain:
            if field not in step.reads:
                continue
            if not isinstance(step, Elementwise) or step.uses or step.f.spreads:
                return None
            functions.append(step.f)
            [field] = (new for new, old in step.made.items() if old == field)
        return cls(field, tuple(functions))

    def change(self, value: Tensor) -> Tensor:
        """Return the feature (...) of values (...)."""
        for f in self.functions:
            value = f.change(value, NONE)
        return (value - self.mean) / self.std

    def restore(self, x: Tensor) -> Tensor:
        """Return the values (...) of the feature (...)."""
        value = x * self.std + self.mean
        for f in reversed(self.functions):
            value = f.restore(value, NONE)
        return value

    def is_odd(self, value: float) -> bool:
        """Tell whether values v and -v become x and -x before x is standardised."""
        before = self._replace(mean=torch.zeros_like(self.mean), std=torch.ones_like(self.std))
        above, below = before.change(self.mean.new_tensor([value, -value])).tolist()
        return math.isclose(above, -below, rel_tol=1e-9)

    def log_slope(self, value: Tensor) -> Tensor:
        """Return log |dx/dv| (...) at values v (...)."""
        total = -self.std.log().expand_as(value)
        for f in self.functions:
            total = total + f.log_slope(value, NONE)
            value = f.change(value, NONE)
        return total
