"""The contract of what a family minimises."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol, Self

import torch
from pydantic import PrivateAttr, SerializeAsAny
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.features import FeatureMap
from mleg_ray.randomness import Noise
from mleg_ray.space import Space


class Teacher(Protocol):
    """A trained model that maps noise to physical events, from which another learns."""

    @property
    def schema(self) -> EventSchema:
        """The fields of its events, and its conditions."""

    @property
    def noise_space(self) -> Space:
        """The layout of its noise."""

    @property
    def has_density(self) -> bool:
        """Whether it tells the density of its events."""

    def decode(self, noise: Tensor, given: Events) -> Events:
        """Return the events that noise (n, d) becomes under the conditions of those given."""

    def log_density(self, events: Events) -> Tensor:
        """Return the log density (n,) of events under their conditions."""


class Seen(Protocol):
    """What an objective must know of the features: what a critic sees of them, what has a name."""

    mean_log_abs_det: Tensor

    def view(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return what a critic sees of features x (B, n), (B, v); see `FeatureMap.view`."""

    def quantities(self, x: Tensor, condition: Tensor) -> Mapping[str, Tensor]:
        """Return the numbers (B,) of features that have a name; see `FeatureMap.quantities`."""


class Views(NamedTuple):
    """What a critic sees of B real and B generated events, (B, v), and what goes with them.

    A generated event takes the `condition` (B, c) and the `weight` (B,) of the real one beside it.
    So do the `others`, of an objective that compares several generated events of a condition.
    """

    real: Tensor
    fake: Tensor
    condition: Tensor
    weight: Tensor
    others: tuple[Tensor, ...] = ()

    def mean(self, values: Tensor) -> Tensor:
        """Return the weighted mean of one number (B, 1) for each event."""
        return (self.weight * values.squeeze(1)).mean()


class Loss(NamedTuple):
    """The loss that a player minimises, its named parts for the record, and what it has made.

    `made` are features (B, n), one event for each of the minibatch, of which others may compare
    more; None where nothing is generated.
    """

    value: Tensor
    parts: dict[str, Tensor]
    made: Tensor | None = None


@dataclass(frozen=True)
class Setting:
    """What an objective may need of its run, known before the first step.

    `schema` is that of the run's dataset, `feature_map` is fitted, on the device of the training,
    `conditions` are the smallest and largest values in the train split, and `teacher` is the run's,
    which each objective that `needs_teacher` finds there.
    """

    schema: EventSchema
    feature_map: FeatureMap
    conditions: Mapping[str, tuple[float, float]]
    seed: int
    teacher: Teacher | None = None


class Traits(NamedTuple):
    """What is known of an objective before its run.

    Attributes:
        schedule: how often each player moves in one training step; any model that has these players
            can be trained.
        couples_events: whether a loss is of the minibatch as a whole, as discrepancies are: it is
            not the mean of what workers, or replicas side by side, have of their own events.
        reconstructs: whether the player makes again the very events that it sees.
        needs_teacher: whether the run names a teacher.
        teacher_has_own_dataset: whether a teacher that is named by its recipe was not trained on
            the run's dataset.
        takes_features: whether minibatches are features; else they are the events' own fields,
            which may lie anywhere, see `FeatureMap.fields`.
    """

    schedule: Mapping[str, int]
    couples_events: bool = False
    reconstructs: bool = False
    needs_teacher: bool = False
    teacher_has_own_dataset: bool = False
    takes_features: bool = True

    def encode(self, feature_map: FeatureMap, events: Events, *, noise: Noise) -> Batch:
        """Return physical events as a minibatch of the objective has them."""
        if self.takes_features:
            return feature_map.encode(events, noise=noise)
        return feature_map.fields(events)


class Objective(Config):
    """Base of the `[run.objective]` tables: parameters, and the losses of a model's players.

    Losses are means over the minibatch of weight x loss, with weights of mean one over the train
    split: linear in the events, so the mean over workers is the loss of the joint minibatch, unless
    they couple its events.
    """

    kind: str
    _setting: Setting = PrivateAttr()

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """What is known of it before its run."""

    def require(self, quantities: Sequence[str]) -> None:
        """Raise `ConfigError` unless the features have the quantities that are asked for."""

    def require_teacher(self, teacher: Teacher, schema: EventSchema, noise: Space) -> None:
        """Raise `ConfigError` unless the teacher fits the run's dataset and its model's noise."""

    def bind(self, setting: Setting) -> Self:
        """Return the objective of one run, which knows its setting."""
        bound = self.model_copy()
        bound._setting = setting
        return bound

    @abstractmethod
    def loss(self, player: str, model: Any, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:  # noqa: ANN401 - the family's own
        """Return the loss that `player` minimises on a minibatch."""

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring the player's weights back to where they may be, after each of its moves."""

    def observed(self, events: Events, *, generator: torch.Generator) -> Events:
        """Return what of generated physical events is compared with data: these."""
        return events


OBJECTIVES: Registry[Objective] = Registry("objective")
AnyObjective = SerializeAsAny[Annotated[Objective, OBJECTIVES.chosen()]]
