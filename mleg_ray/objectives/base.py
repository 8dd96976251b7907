"""The contract of what a family minimises."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model, ModelConfig
from mleg_ray.randomness import Noise


class Teacher(Protocol):
    """A trained model whose deterministic map another learns, in physical space."""

    def pairs(self, context: Tensor, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return noise (n, d) and the events (n, n_fields) it becomes under conditions (n, C)."""
        ...


class Objective(ABC):
    """Losses of a model's players, and how often each moves in one training step.

    Losses are means over the minibatch of weight x loss, with weights of mean one over the train
    split: linear in the events, so the mean over workers is the loss of the joint minibatch. One
    that `couples_events`, as discrepancies of whole minibatches do, is not linear.
    """

    couples_events: bool = False
    schedule: Mapping[str, int]

    def learn_from(  # noqa: B027 - most objectives have no teacher
        self,
        teacher: Teacher,
        feature_map: FeatureMap,
        conditions: Mapping[str, tuple[float, float]],
        seed: int,
    ) -> None:
        """Take what is needed of the run's teacher, before the first step.

        `conditions` are the ranges of the train split.
        """

    @abstractmethod
    def loss(
        self, player: str, model: Model, feature_map: FeatureMap, batch: Batch, *, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss that `player` minimises and its named parts, for the record.

        `batch` holds float32 features (B, n_features), the physical conditions (B, C) and the
        weights (B,).
        """

    def constrain(self, player: str, module: nn.Module) -> None:  # noqa: B027 - most do not
        """Bring the player's weights back to where they may be, after each of its moves."""


class ObjectiveConfig(Config):
    """Base of the `[run.objective]` tables; `trains` is the family of models it knows."""

    trains: ClassVar[type[ModelConfig]]
    needs_teacher: ClassVar[bool] = False
    kind: str

    @abstractmethod
    def build(self) -> Objective:
        """Build the objective."""


OBJECTIVES: Registry[ObjectiveConfig] = Registry("objective")
