"""The contract of every generative model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.events import Events
from mleg_ray.features import FeatureMap
from mleg_ray.features.field import FieldMap
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.models.networks import NETWORKS, NetworkConfig
from mleg_ray.models.splines import Levels
from mleg_ray.randomness import Noise
from mleg_ray.space import Space

# Of features in single precision; a network's activations may take a hundred times as much.
GENERATED = AtOnce(4 * MIB)
AnyNetwork = SerializeAsAny[Annotated[NetworkConfig, NETWORKS.chosen()]]


class Spaces(NamedTuple):
    """The layouts that a model must know: of features, of conditions, and of what critics see.

    `levels` are the features that are dequantised whole numbers, by position, as the fitted map
    has them; `presence` tells when a feature is more than noise, see `FeatureMap`; `fields` are
    how fields become features that steps change by themselves, by field, and `orders` are the
    fields in whose order objects are, by group. An event has `rows` of the features: one, but of a
    group's objects many.
    """

    features: Space
    condition: Space
    view: Space
    levels: Mapping[int, Levels] = {}
    presence: Mapping[int, tuple[tuple[int, int], ...]] = {}
    rows: int = 1
    fields: Mapping[str, FieldMap] = {}
    orders: Mapping[str, str] = {}

    @staticmethod
    def of(feature_map: FeatureMap) -> "Spaces":
        """Return those of a feature map."""
        mean, std = feature_map.feature_mean.tolist(), feature_map.feature_std.tolist()
        levels = {
            place: Levels(number, mean[place], std[place])
            for place, number in feature_map.levels.items()
        }
        return Spaces(
            feature_map.space,
            feature_map.condition_space,
            feature_map.view_space,
            levels,
            feature_map.presence,
            fields=feature_map.field_maps(),
            orders=feature_map.orders(),
        )


class Model(nn.Module, ABC):
    """A generative model of features: float32 tensors (B, n) under conditions (B, c).

    Attributes:
        noise_space: the layout of what `decode` takes.
        has_density: whether it has a `log_prob` of features (B, n) under conditions (B, c).
        kept: how many rows of the train split it keeps, of which it draws; none if what it draws
            is plain noise of that layout.
        remembers: whether `remember` keeps anything.
    """

    noise_space: Space
    has_density: bool = False
    kept: int = 0
    remembers: bool = False

    @property
    def draws_noise(self) -> bool:
        """Whether `draw` gives plain noise, so that another model can learn this one's map."""
        return not self.kept

    def log_prob(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return the log density (B,) of features (B, n) under conditions (B, c).

        Raises:
            NotImplementedError: the model has none.
        """
        raise NotImplementedError(type(self).__name__)

    def players(self) -> Mapping[str, nn.Module]:
        """Return what is optimised apart, by name, all weights together: the submodules."""
        return dict(self.named_children())

    @abstractmethod
    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map what was drawn (n, d) under `condition` (n, c) to features (n, features)."""

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return noise (n, d) on the generator's device."""
        return self.noise_space.draw(n, generator)

    def draw_of(self, rows: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return what is drawn (n, d) of these of the rows that are `kept`, by their numbers (n,).

        Raises:
            NotImplementedError: the model keeps none.
        """
        raise NotImplementedError(type(self).__name__)

    def sample(self, n: int, condition: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return n generated feature vectors (n, features) for `condition` (n, c)."""
        return self.decode(self.draw(n, generator=generator), condition)

    def remember(
        self, features: Tensor, condition: Tensor, present: Mapping[str, Tensor] = {}
    ) -> None:
        """Keep what sampling needs of the train split (most models: nothing).

        Rows count alike: they stand as often as the weights of their events ask. `present` (n, K)
        tells which objects of each group there are.
        """


def generate(
    model: Model, feature_map: FeatureMap, given: Events, *, generator: torch.Generator
) -> Events:
    """Generate one physical event under the conditions of each that is given.

    Args:
        model: the model, on any device.
        feature_map: its map, on the same device.
        given: events (n) on that device that have the conditions, and maybe nothing else.
        generator: the only source of randomness; of that device.

    Returns:
        Events (n) with the fields, in the schema's units, and the conditions and weights given.
    """
    made = []
    for part in given.split(GENERATED.of(feature_map.space.nbytes)):
        features = model.sample(len(part), feature_map.condition(part), generator=generator)
        made.append(feature_map.decode(features, part))
    return Events.concatenate(made)


def log_density(model: Model, feature_map: FeatureMap, events: Events, *, noise: Noise) -> Tensor:
    """Return the log density (n,) of physical events under their conditions, per unit of fields.

    For a momentum that is per GeV³, its energy left out. It is -inf outside the domain of the map.
    `noise` is for what the map's steps need.

    Raises:
        NotImplementedError: the model has none.
    """
    batch = feature_map.encode(events, noise=noise)
    return model.log_prob(batch.x, batch.condition) + feature_map.log_abs_det(events)


class ModelConfig(Config):
    """Base of the `[run.model]` tables."""

    kind: str

    @property
    @abstractmethod
    def players(self) -> tuple[str, ...]:
        """The names of the model's players."""

    @abstractmethod
    def build(self, spaces: Spaces) -> Model:
        """Build the model with freshly drawn weights; `ConfigError` if a network does not fit."""


MODELS: Registry[ModelConfig] = Registry("model")
