"""Logarithms of positive numbers."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.features.steps.base import LEAST, STEPS, Layout
from mleg_ray.features.steps.elementwise import Elementwise, FieldsConfig


class Logarithm(Elementwise):
    """log x, of what is positive and spans orders of magnitude."""

    prefix: ClassVar[str] = "log"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log x."""
        return x.clamp(min=LEAST).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return e^y."""
        return y.exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log x."""
        return -x.log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is not positive."""
        return x <= LEAST


@STEPS.register
class LogarithmConfig(FieldsConfig):
    """Configuration of `Logarithm`."""

    kind: Literal["logarithm"] = "logarithm"

    def build(self, layout: Layout) -> Logarithm:
        """Build the step."""
        return Logarithm(self.fields, layout)
