"""Numbers that stay below a given one."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.features.steps.base import STEPS, Layout, StepConfig
from mleg_ray.features.steps.elementwise import Elementwise


class Gap(Elementwise):
    """log(c - x) with a condition c that x cannot exceed: the edge lies at minus infinity.

    FAT-GAN's T(pz) = log(E_b - pz) is one (Alanazi et al., arXiv:2001.11103, sec. 3). What lies
    within `resolution` of c, or beyond it by the rounding of printed numbers, is moved to that
    distance below it.
    """

    prefix: ClassVar[str] = "log_gap"

    def __init__(self, field: str, below: str, resolution: float, layout: Layout) -> None:
        super().__init__((field,), layout, (below,))
        self._resolution = resolution

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log(c - x)."""
        return (columns[self.uses[0]] - x).clamp(min=self._resolution).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return c - e^y."""
        return columns[self.uses[0]] - y.exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log(c - x)."""
        return -(columns[self.uses[0]] - x).log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is no less than c by the resolution."""
        return columns[self.uses[0]] - x < self._resolution


@STEPS.register
class GapConfig(StepConfig):
    """Configuration of `Gap`; `resolution` in the field's unit."""

    kind: Literal["gap"] = "gap"
    field: str
    below: str
    resolution: PositiveFloat = 1e-6

    def build(self, layout: Layout) -> Gap:
        """Build the step."""
        return Gap(self.field, self.below, self.resolution, layout)
