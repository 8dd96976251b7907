"""The student of another model: one small network that learned where noise goes."""

import math
from typing import ClassVar, Literal

from pydantic import PositiveInt
from torch import Tensor

from mleg_ray.config import inside
from mleg_ray.models.base import MODELS, AnyNetwork, Model, ModelConfig, Spaces
from mleg_ray.space import Space, wrapped


class Student(Model):
    """Its teacher's noise -> features, in one pass.

    The network sees noise angles as cosine and sine. If the noise has the features' own shape, it
    returns the angle by which each feature angle is turned away from its noise, so neither noise
    nor features have a seam.
    """

    def __init__(self, config: "StudentConfig", spaces: Spaces) -> None:
        super().__init__()
        self._features = self.noise_space = spaces.features
        self._turns = config.noise_dim is None
        if config.noise_dim is not None:
            self.noise_space = Space.numbers(config.noise_dim)
        seen = Space.numbers(self.noise_space.seamless_width())
        with inside("network"):
            self.student = config.network.build(seen, spaces.condition.width, spaces.features)

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, d) under `condition` (n, C) to features (n, features)."""
        out = self.student(self.noise_space.seamless(noise), condition)
        line, angle = self._features.divide(out)
        if self._turns:
            angle = angle + self._features.divide(noise)[1]
        return self._features.join(line, wrapped(angle))

    def distance(self, features: Tensor, others: Tensor) -> Tensor:
        """Return squared distances (n,) between features (n, features), along circles 2(1 - cos).

        Angles are in half turns, so a small difference d counts (π d)².
        """
        (a, angle_a), (b, angle_b) = self._features.divide(features), self._features.divide(others)
        turns = 2 * (1 - (math.pi * (angle_a - angle_b)).cos())
        return (a - b).square().sum(dim=1) + turns.sum(dim=1)


@MODELS.register
class StudentConfig(ModelConfig):
    """Configuration of `Student`: its network, and its teacher's noise.

    `noise_dim` is that of a GAN; a flow's noise has the features' own shape, which is meant by
    leaving it out.
    """

    players: ClassVar[tuple[str, ...]] = ("student",)
    kind: Literal["student"] = "student"
    network: AnyNetwork
    noise_dim: PositiveInt | None = None

    def build(self, spaces: Spaces) -> Student:
        """Build the model with freshly drawn weights."""
        return Student(self, spaces)
