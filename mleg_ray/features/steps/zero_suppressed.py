"""Signals of which a detector keeps those above a threshold."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.features.steps.base import STEPS
from mleg_ray.features.steps.dequantise import Spread
from mleg_ray.randomness import Noise

MEDIAN = 0.6744897501960817  # of |ε|


@STEPS.register
class ZeroSuppressed(Spread):
    """log(x/`threshold`) of a signal, and -σ|ε| of one that was suppressed, a zero.

    ε is standard normal noise and σ is `sigma`, so suppressed signals lie on the other side of the
    threshold, as if reflected by it: a density has no point there, and no gap. Back, what lies
    below the threshold is 0. The likelihood of what is made bounds that of the signals from below,
    in the mean over ε, as which `log_slope` enters it. Signals between 0 and the threshold, in the
    field's unit, and those below 0 are outside, and count as suppressed.
    """

    kind: Literal["zero-suppressed"] = "zero-suppressed"
    prefix: ClassVar[str] = "log"
    threshold: PositiveFloat
    sigma: PositiveFloat = 1.0

    def change(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return the logarithm, and of what is suppressed that of the median |ε|."""
        return self.spread(x.double(), torch.full_like(x, MEDIAN, dtype=torch.float64))

    def restore(self, y: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return x, 0 of what lies below the threshold."""
        return torch.where(y < 0, 0.0, self.threshold * y.exp())

    def log_slope(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return -log x, and of what is suppressed the entropy of σ|ε|, log(σ √(πe/2))."""
        x = x.double()
        return torch.where(
            x < self.threshold,
            (1 + math.log(math.pi / 2)) / 2 + math.log(self.sigma),
            -x.clamp(min=self.threshold).log(),
        )

    def beyond(self, x: Tensor, columns: Mapping[str, Tensor]) -> Tensor:
        """Return where x is neither 0 nor a signal."""
        return (x != 0) & (x < self.threshold)

    def draw(self, noise: Noise, n: int, width: int) -> Tensor:
        """Return ε."""
        return noise.normal(n, width)

    def spread(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Return log(x/threshold), or -σ|ε|."""
        x = x.double()
        signal = (x.clamp(min=self.threshold) / self.threshold).log()
        return torch.where(x < self.threshold, -self.sigma * drawn.abs(), signal)
