"""The contract of every generative model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.features import FeatureMap
from mleg_ray.models.noise import NoiseShape


class Widths(NamedTuple):
    """What a model must know of its feature map."""

    features: int
    conditions: int
    augmented: int
    periodic: tuple[int, ...] = ()


class Model(nn.Module, ABC):
    """A generative model of features: float32 tensors (B, features) under conditions (B, C)."""

    @abstractmethod
    def players(self) -> Mapping[str, nn.Module]:
        """Return the parts that are optimised apart, by name; together they hold all weights."""

    @abstractmethod
    def sample(self, n: int, condition: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return n generated feature vectors (n, features) for `condition` (n, C)."""

    def remember(self, features: Tensor, condition: Tensor) -> None:
        """Keep what sampling needs of the train split (most models: nothing)."""


class NoiseMap(Model):
    """A model that maps noise to features deterministically, so that another can learn its map."""

    noise_shape: NoiseShape

    def noise(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return noise (n, d) on the generator's device."""
        return self.noise_shape.draw(n, generator)

    @abstractmethod
    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, d) under `condition` (n, C) to features (n, features)."""

    def sample(self, n: int, condition: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return n generated feature vectors (n, features) for `condition` (n, C)."""
        return self.decode(self.noise(n, generator=generator), condition)


def generate(
    model: Model, feature_map: FeatureMap, context: Tensor, *, generator: torch.Generator
) -> Tensor:
    """Generate one physical event for each row of conditions.

    Args:
        model: the model, on any device.
        feature_map: its map, on the same device.
        context: physical conditions (n, C), float64, on that device.
        generator: the only source of randomness; of that device.

    Returns:
        Events (n, n_fields), float64, in the schema's order and units.
    """
    condition = feature_map.condition(context).float()
    features = model.sample(len(context), condition, generator=generator)
    return feature_map.inverse(features, context)


class ModelConfig(Config):
    """Base of the `[run.model]` tables."""

    kind: str

    @abstractmethod
    def build(self, widths: Widths) -> Model:
        """Build the model with freshly drawn weights."""


MODELS: Registry[ModelConfig] = Registry("model")
