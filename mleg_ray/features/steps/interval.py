"""Numbers between two ends."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import FiniteFloat, PositiveFloat, model_validator
from torch import Tensor

from mleg_ray.features.steps.base import STEPS, Layout
from mleg_ray.features.steps.elementwise import Elementwise, FieldsConfig


class Interval(Elementwise):
    """logit((x - low) / (high - low)): both ends lie at infinity.

    What lies within `resolution` of an end, a share of the interval, is moved to that distance.
    """

    prefix: ClassVar[str] = "logit"

    def __init__(self, config: "IntervalConfig", layout: Layout) -> None:
        super().__init__(config.fields, layout)
        self._low, self._width = config.low, config.high - config.low
        self._resolution = config.resolution

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the logit."""
        return self._share(x).logit(eps=self._resolution)

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x."""
        return self._low + self._width * y.sigmoid()

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log share (1 - share), less the logarithm of the interval's length."""
        share = self._share(x)
        return -(share * (1 - share)).log() - math.log(self._width)

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is closer to an end than the resolution."""
        share = self._share(x)
        return (share < self._resolution) | (share > 1 - self._resolution)

    def _share(self, x: Tensor) -> Tensor:
        return (x - self._low) / self._width


@STEPS.register
class IntervalConfig(FieldsConfig):
    """Configuration of `Interval`: its ends, and how near they are resolved."""

    kind: Literal["interval"] = "interval"
    low: FiniteFloat = 0.0
    high: FiniteFloat
    resolution: PositiveFloat = 1e-12

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low, {self.low:g}, must be below high, {self.high:g}")
        return self

    def build(self, layout: Layout) -> Interval:
        """Build the step."""
        return Interval(self, layout)
