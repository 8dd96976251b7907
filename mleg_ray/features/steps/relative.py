"""Numbers relative to others that are given: differences, and logarithms of ratios."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.features.steps.base import LEAST, STEPS, Layout, StepConfig
from mleg_ray.features.steps.elementwise import Elementwise


class Difference(Elementwise):
    """x - c with a condition c: what a detector adds to a true value, say."""

    prefix: ClassVar[str] = "shift"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x - c."""
        return x - columns[self.uses[0]]

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return y + c."""
        return y + columns[self.uses[0]]

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return 0."""
        return x.new_zeros(x.shape)


class Ratio(Elementwise):
    """log x/c with a condition c; both are positive."""

    prefix: ClassVar[str] = "log_ratio"

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log x/c."""
        return x.clamp(min=LEAST).log() - columns[self.uses[0]].clamp(min=LEAST).log()

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return c e^y."""
        return (y + columns[self.uses[0]].clamp(min=LEAST).log()).exp()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log x."""
        return -x.log()

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x or c is not positive."""
        return (x <= LEAST) | (columns[self.uses[0]] <= LEAST)


class RelativeConfig(StepConfig):
    """A field and the condition `to` which it is relative."""

    field: str
    to: str

    def require(self, layout: Layout) -> None:
        """Raise `ConfigError` unless both have the same shape."""
        shapes = {layout.columns[n].shape for n in (self.field, self.to) if n in layout.columns}
        if len(shapes) > 1:
            raise ConfigError(f"{self.field} and {self.to} differ in shape")


@STEPS.register
class DifferenceConfig(RelativeConfig):
    """Configuration of `Difference`."""

    kind: Literal["difference"] = "difference"

    def build(self, layout: Layout) -> Difference:
        """Build the step."""
        self.require(layout)
        return Difference((self.field,), layout, (self.to,))


@STEPS.register
class RatioConfig(RelativeConfig):
    """Configuration of `Ratio`."""

    kind: Literal["ratio"] = "ratio"

    def build(self, layout: Layout) -> Ratio:
        """Build the step."""
        self.require(layout)
        return Ratio((self.field,), layout, (self.to,))
