"""Pixels of images: mostly empty, and over orders of magnitude where they are not."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.features.steps.base import STEPS, Layout
from mleg_ray.features.steps.elementwise import Elementwise, FieldsConfig


class Pixels(Elementwise):
    """log(1 + x/scale) of pixels x >= 0; what comes out below `threshold` is empty.

    An empty pixel is 0 and stays so. Pixels below zero count as outside.
    """

    prefix: ClassVar[str] = "log1p"

    def __init__(self, config: "PixelsConfig", layout: Layout) -> None:
        super().__init__(config.fields, layout)
        self._scale, self._threshold = config.scale, config.threshold

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return log(1 + x/scale)."""
        return torch.log1p(x.clamp(min=0) / self._scale)

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x, 0 if it is below the threshold."""
        x = self._scale * torch.expm1(y)
        return torch.where(x < self._threshold, 0.0, x)

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log(1 + x/scale) - log scale."""
        return -torch.log1p(x / self._scale) - math.log(self._scale)

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is below zero."""
        return x < 0


@STEPS.register
class PixelsConfig(FieldsConfig):
    """Configuration of `Pixels`, both numbers in the field's unit."""

    kind: Literal["pixels"] = "pixels"
    scale: PositiveFloat
    threshold: PositiveFloat

    def build(self, layout: Layout) -> Pixels:
        """Build the step."""
        return Pixels(self, layout)
