"""The contract of every generative model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mleg_ray.config import Config, Registry


class Widths(NamedTuple):
    """What a model must know of its feature map."""

    features: int
    conditions: int
    augmented: int


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


class ModelConfig(Config):
    """Base of the `[run.model]` tables."""

    kind: str

    def build(self, widths: Widths) -> Model:
        """Build the model with freshly drawn weights."""
        raise NotImplementedError


MODELS: Registry[ModelConfig] = Registry("model")
