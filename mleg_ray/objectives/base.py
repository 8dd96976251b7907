"""The contract of what a family minimises."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

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


class Seen(Protocol):
    """What an objective must know of the features: what a critic sees of them."""

    view_space: Space
    mean_log_abs_det: Tensor

    def view(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return what a critic sees of features x (B, n), (B, v); see `FeatureMap.view`."""
        ...


class Made(NamedTuple):
    """What a critic sees of B generated and B real events, (B, v), and their weights (B,)."""

    fake: Tensor
    real: Tensor
    weight: Tensor


class Loss(NamedTuple):
    """The loss that a player minimises, its named parts for the record, and what it has made.

    `made` is called by whoever compares more of the same events; None where nothing is generated.
    """

    value: Tensor
    parts: dict[str, Tensor]
    made: Callable[[], Made] | None = None


class Objective(ABC):
    """Losses of a model's players, and how often each moves in one training step.

    Losses are means over the minibatch of weight x loss, with weights of mean one over the train
    split: linear in the events, so the mean over workers is the loss of the joint minibatch. One
    that `couples_events`, as discrepancies of whole minibatches do, is not linear.
    """

    couples_events: bool = False
    reconstructs: bool = False
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
    def loss(self, player: str, model: Model, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss that `player` minimises.

        `batch` holds features (B, n), conditions as networks see them (B, c) and weights (B,).
        """

    def require(self, view: Space) -> None:  # noqa: B027 - most ask for no column
        """Raise `ConfigError` unless a critic's view has the columns that are asked for."""

    def constrain(self, player: str, module: nn.Module) -> None:  # noqa: B027 - most do not
        """Bring the player's weights back to where they may be, after each of its moves."""


class ObjectiveConfig(Config):
    """Base of the `[run.objective]` tables.

    It trains any model that has the players which its objective moves. A teacher that is named by
    its recipe was trained on the run's own dataset, unless it has its own.
    """

    kind: str

    @property
    def needs_teacher(self) -> bool:
        """Whether a run names a teacher."""
        return False

    @property
    def teacher_has_own_dataset(self) -> bool:
        """Whether that was trained on the dataset of its own recipe."""
        return False

    @abstractmethod
    def build(self) -> Objective:
        """Build the objective."""


OBJECTIVES: Registry[ObjectiveConfig] = Registry("objective")
