"""Angles around a circle."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.features.steps.base import STEPS, Layout
from mleg_ray.features.steps.elementwise import Elementwise, FieldsConfig
from mleg_ray.space import wrapped


class Angle(Elementwise):
    """φ/π of an angle in radians: where it turns over, at π, there is no seam."""

    prefix: ClassVar[str] = "turn"
    circle: ClassVar[bool] = True

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the angle in half turns."""
        return wrapped(x / math.pi)

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the angle in [-π, π)."""
        return math.pi * wrapped(y)

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log π."""
        return x.new_full(x.shape, -math.log(math.pi))


@STEPS.register
class AngleConfig(FieldsConfig):
    """Configuration of `Angle`."""

    kind: Literal["angle"] = "angle"

    def build(self, layout: Layout) -> Angle:
        """Build the step."""
        return Angle(self.fields, layout)
