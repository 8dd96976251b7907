"""Noise of the features' own shape: what flows start from, and students of flows."""

import torch
from torch import Tensor

from mleg_ray.models.base import Widths


class FeatureNoise:
    """One number for each feature: normal for those on the line, uniform in (-1, 1) for angles.

    Attributes:
        line, circle: the indices of the features of both kinds.
    """

    def __init__(self, widths: Widths) -> None:
        self.circle = list(widths.periodic)
        self.line = [i for i in range(widths.features) if i not in widths.periodic]

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return noise (n, features) on the generator's device."""
        device = generator.device
        normal = torch.randn(n, len(self.line), generator=generator, device=device)
        uniform = torch.rand(n, len(self.circle), generator=generator, device=device)
        return self.join(normal, 2 * uniform - 1)

    def split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns on the line (n, lines) and the angles (n, circles)."""
        return features[:, self.line], features[:, self.circle]

    def join(self, line: Tensor, circle: Tensor) -> Tensor:
        """Return columns in the features' order, (n, features); the inverse of `split`."""
        together = line.new_empty(len(line), len(self.line) + len(self.circle))
        together[:, self.line] = line
        together[:, self.circle] = circle
        return together
