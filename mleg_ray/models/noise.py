"""The shape of noise: which numbers are normal, and which are angles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from mleg_ray.randomness import Noise


@dataclass(frozen=True)
class NoiseShape:
    """Indices of the numbers on the line, which are normal, and of angles, uniform in (-1, 1)."""

    line: tuple[int, ...]
    circle: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.line)} numbers and {len(self.circle)} angles"

    @classmethod
    def of_features(cls, features: int, periodic: tuple[int, ...]) -> Self:
        """Return noise of the features' own shape: what flows start from."""
        return cls(tuple(i for i in range(features) if i not in periodic), periodic)

    @classmethod
    def normal(cls, width: int, angles: int = 0) -> Self:
        """Return `width` normal numbers, and angles behind them: what GANs start from."""
        return cls(tuple(range(width)), tuple(range(width, width + angles)))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return noise (n, width) on the generator's device."""
        device = generator.device
        normal = torch.randn(n, len(self.line), generator=generator, device=device)
        uniform = torch.rand(n, len(self.circle), generator=generator, device=device)
        return self.of(normal, uniform)

    def draw_from(self, noise: Noise, n: int) -> Tensor:
        """Return noise (n, width) of the stream of a training."""
        return self.of(noise.normal(n, len(self.line)), noise.uniform(n, len(self.circle)))

    def of(self, normal: Tensor, uniform: Tensor) -> Tensor:
        """Return noise (n, width) made of normal numbers and numbers uniform in [0, 1)."""
        return self.join(normal, 2 * uniform - 1)

    def split(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return the columns on the line (n, lines) and the angles (n, circles)."""
        return _columns(numbers, self.line), _columns(numbers, self.circle)

    def join(self, line: Tensor, circle: Tensor) -> Tensor:
        """Return columns in their own order, (n, width); the inverse of `split`."""
        order = (*self.line, *self.circle)
        together = torch.cat([line, circle], dim=1)
        return _columns(together, tuple(order.index(i) for i in range(len(order))))

    def seamless(self, numbers: Tensor, harmonics: Sequence[int] = (1,)) -> Tensor:
        """Return numbers (n, width) as a network should see them: each angle φ as cos kφ, sin kφ.

        The width is that of `seamless_width`; k runs over the `harmonics`.
        """
        line, circle = self.split(numbers)
        angles = [k * torch.pi * circle for k in harmonics]
        return torch.cat([line, *(f(angle) for angle in angles for f in (torch.cos, torch.sin))], 1)

    def seamless_width(self, harmonics: Sequence[int] = (1,)) -> int:
        """Return the width of what `seamless` returns."""
        return len(self.line) + 2 * len(self.circle) * len(harmonics)


def _columns(numbers: Tensor, chosen: tuple[int, ...]) -> Tensor:
    """Return some columns; a view, which costs nothing, if they are neighbours in order."""
    first = chosen[0] if chosen else 0
    if chosen == tuple(range(first, first + len(chosen))):
        return numbers[:, first : first + len(chosen)]
    return numbers[:, list(chosen)]


def wrapped(half_turns: Tensor) -> Tensor:
    """Return angles in half turns, of any shape, moved into [-1, 1)."""
    return torch.remainder(half_turns + 1, 2) - 1
