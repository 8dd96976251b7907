"""The student of another model: one small network that learned where noise goes."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from mleg_ray.models.base import MODELS, ModelConfig, NoiseMap, Widths
from mleg_ray.models.nets import Conditional, MLPConfig
from mleg_ray.models.noise import FeatureNoise


class Student(NoiseMap):
    """Noise of the features' shape -> features, in one pass.

    The network sees an angle's noise as cosine and sine and returns the angle to turn by, so
    neither noise nor features have a seam.
    """

    def __init__(self, config: "StudentConfig", widths: Widths) -> None:
        super().__init__()
        self._noise = FeatureNoise(widths)
        n_in = len(self._noise.line) + 2 * len(self._noise.circle)
        self.student = Conditional(config.network, n_in, widths.conditions, widths.features)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the student."""
        return {"student": self.student}

    def noise(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return noise (n, features): normal for the line, uniform in (-1, 1) for angles."""
        return self._noise.draw(n, generator)

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, features) under `condition` (n, C) to features (n, features)."""
        line, circle = self._noise.split(noise)
        angle = math.pi * circle
        out = self.student(torch.cat([line, angle.cos(), angle.sin()], dim=1), condition)
        line, turn = self._noise.split(out)
        return self._noise.join(line, torch.remainder(circle + turn + 1, 2) - 1)

    def distance(self, features: Tensor, others: Tensor) -> Tensor:
        """Return squared distances (n,) between features (n, features), along circles 2(1 - cos).

        Angles are in half turns, so a small difference d counts (π d)².
        """
        (a, angle_a), (b, angle_b) = self._noise.split(features), self._noise.split(others)
        turns = 2 * (1 - (math.pi * (angle_a - angle_b)).cos())
        return (a - b).square().sum(dim=1) + turns.sum(dim=1)


@MODELS.register
class StudentConfig(ModelConfig):
    """Configuration of `Student`: its network."""

    kind: Literal["student"] = "student"
    network: MLPConfig

    def build(self, widths: Widths) -> Student:
        """Build the model with freshly drawn weights."""
        return Student(self, widths)
