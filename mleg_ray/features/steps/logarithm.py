"""Logarithms of numbers above an edge."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import FiniteFloat
from torch import Tensor

from mleg_ray.features.steps.base import LEAST, STEPS, Layout
from mleg_ray.features.steps.elementwise import Elementwise, FieldsConfig


class Logarithm(Elementwise):
    """log(x - above), of what lies above an edge and spans orders of magnitude."""

    prefix: ClassVar[str] = "log"

    def __init__(self, fields: tuple[str, ...], above: float, layout: Layout) -> None:
        super().__init__(fields, layout)
        self._above = above

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log(x - above)."""
        return (x - self._above).clamp(min=LEAST).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return above + e^y."""
        return self._above + y.exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log(x - above)."""
        return -(x - self._above).log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is not above the edge."""
        return x - self._above <= LEAST


@STEPS.register
class LogarithmConfig(FieldsConfig):
    """Configuration of `Logarithm`; the edge `above` in the fields' unit."""

    kind: Literal["logarithm"] = "logarithm"
    above: FiniteFloat = 0.0

    def build(self, layout: Layout) -> Logarithm:
        """Build the step."""
        return Logarithm(self.fields, self.above, layout)
