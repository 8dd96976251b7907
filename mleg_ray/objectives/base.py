"""The contract of what a family minimises."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.randomness import Noise
from mleg_ray.space import Space


class Teacher(Protocol):
    """A trained model that maps noise to physical events, from which another learns."""

    @property
    def schema(self) -> EventSchema:
        """The fields of its events, and its conditions."""
        ...

    @property
    def noise_space(self) -> Space:
        """The layout of its noise."""
        ...

    def decode(self, noise: Tensor, given: Events) -> Events:
        """Return the events that noise (n, d) becomes under the conditions of those given."""
        ...


class Objective(ABC):
    """Losses of a model's players, and how often each moves in one training step.

    Losses are means over the minibatch of weight x loss, with weights of mean one over the train
    split: linear in the events, so the mean over workers is the loss of the joint minibatch. One
    that `couples_events`, as discrepancies of whole minibatches do, is not linear.
    """

    couples_events: bool = False
    schedule: Mapping[str, int]

    def require_teacher(  # noqa: B027 - most objectives have no teacher
        self, teacher: Teacher, schema: EventSchema, model: Model
    ) -> None:
        """Raise `ConfigError` unless the teacher fits the dataset's schema and the run's model."""

    def learn_from(  # noqa: B027
        self,
        teacher: Teacher,
        schema: EventSchema,
        feature_map: FeatureMap,
        conditions: Mapping[str, tuple[float, float]],
        seed: int,
    ) -> None:
        """Take what is needed of the run's teacher, before the first step.

        `schema` is that of the run's dataset, `conditions` are the ranges of its train split.
        """

    def observed(self, events: Events, *, generator: torch.Generator) -> Events:
        """Return what of generated physical events is compared with data: these."""
        return events

    @abstractmethod
    def loss(
        self, player: str, model: Model, feature_map: FeatureMap, batch: Batch, *, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss that `player` minimises and its named parts, for the record.

        `batch` holds features (B, n), conditions as networks see them (B, c) and weights (B,).
        """

    def constrain(self, player: str, module: nn.Module) -> None:  # noqa: B027 - most do not
        """Bring the player's weights back to where they may be, after each of its moves."""


class ObjectiveConfig(Config):
    """Base of the `[run.objective]` tables.

    It trains any model that has the players which its objective moves. A teacher that is named by
    its recipe was trained on the run's own dataset, or, with `teacher_has_own_dataset`, on its
    recipe's.
    """

    needs_teacher: ClassVar[bool] = False
    teacher_has_own_dataset: ClassVar[bool] = False
    kind: str

    @abstractmethod
    def build(self) -> Objective:
        """Build the objective."""


OBJECTIVES: Registry[ObjectiveConfig] = Registry("objective")
