"""A model made of models: each part of the features by its own, given others."""

import graphlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self, cast

import torch
from pydantic import Field as Option
from pydantic import SerializeAsAny, model_validator
from torch import Tensor, nn

from mleg_ray.config import Config, inside
from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.models.base import MODELS, Model, ModelConfig, Spaces
from mleg_ray.space import Part, Space

JOINT = "-"  # of a part's name and its player's


class Parts(Model):
    """p(features | c) = Π p(part | c, given parts), a chain of models of parts of the space.

    A part of objects (K, f) has a model of one object: its K rows are drawn alike and apart, under
    the same given numbers, so its objects are independent of each other but for these. Rows of
    objects that are absent have no weight. Objects that are given to another part are seen with
    the noise in the place of the absent ones; give their number too.
    """

    def __init__(self, config: "PartsConfig", spaces: Spaces) -> None:
        super().__init__()
        self._space = spaces.features
        modelled, known = set(config.parts), set(spaces.features.parts)
        if modelled != known:
            raise ConfigError(
                f"parts: the features have the parts {', '.join(sorted(known))}; models are "
                f"given of {', '.join(sorted(modelled))}"
            )
        self._given = {name: config.parts[name].given for name in config.order}
        self.spaces = {name: self._spaces_of(name, spaces) for name in config.order}
        if kept := [name for name in config.order if hasattr(nn.ModuleDict, name)]:
            raise ConfigError(
                f"parts: PyTorch has no place for a part called '{kept[0]}'; choose another "
                "name for the group, the image or the entry of features.parts"
            )
        self._rows = {name: _rows(part) for name, part in self._space.parts.items()}
        self.models = nn.ModuleDict()
        noise: dict[str, Part] = {}
        for name in config.order:
            with inside(f"parts.{name}.model"):
                self.models[name] = model = config.parts[name].model.build(self.spaces[name])
            own, rows = model.noise_space, self._rows[name]
            if rows > 1 and not model.draws_noise:
                raise ConfigError(
                    f"parts.{name}: a model that keeps events cannot be one of objects"
                )
            shape = (own.width,) if rows == 1 else (rows, own.width)
            noise[name] = Part(shape, circle=own.circle)
        self.draws_noise = all(self.model_of(name).draws_noise for name in config.order)
        self.noise_space = Space(noise)

    def model_of(self, name: str) -> Model:
        """Return the model of a part."""
        return cast(Model, self.models[name])

    def players(self) -> Mapping[str, nn.Module]:
        """Return the players of all parts' models, by the part's name and their own."""
        return {
            f"{name}{JOINT}{player}": module
            for name in self.spaces
            for player, module in self.model_of(name).players().items()
        }

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return what all models draw, one behind the other, (n, d)."""
        drawn = [
            self.model_of(name).draw(n * self._rows[name], generator=generator).reshape(n, -1)
            for name in self.spaces
        ]
        return torch.cat(drawn, dim=1)

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, d) under `condition` (n, c) to features (n, features), part by part."""
        made: dict[str, Tensor] = {}
        for name, where in self.noise_space.where.items():
            rows = self._rows[name]
            given = self._seen(made, name, condition).repeat_interleave(rows, dim=0)
            own = noise[:, where].reshape(len(noise) * rows, -1)
            made[name] = self.model_of(name).decode(own, given).reshape(len(noise), -1)
        return torch.cat([made[name] for name in self._space.parts], dim=1)

    def batch_of(self, name: str, batch: Batch, present: Mapping[str, Tensor]) -> Batch:
        """Return the rows of a part: events, or objects, absent ones with the weight zero.

        `present` (B, K) tells, of parts of objects, what is there, as a share of the mean number of
        objects over all K: so rows have a mean weight of one again.
        """
        parts = {part: batch.x[:, where] for part, where in self._space.where.items()}
        condition = self._seen(parts, name, batch.condition)
        rows = self._rows[name]
        if name not in present:
            return Batch(parts[name], condition, batch.weight)
        x = parts[name].reshape(len(batch) * rows, -1)
        weight = (batch.weight[:, None] * present[name]).flatten()
        return Batch(x, condition.repeat_interleave(rows, dim=0), weight)

    def remember(self, features: Tensor, condition: Tensor) -> None:
        """Let each part's model keep what it needs of the train split."""
        parts = {part: features[:, where] for part, where in self._space.where.items()}
        for name in self.spaces:
            if self._rows[name] == 1:
                own = self._seen(parts, name, condition)
                self.model_of(name).remember(parts[name], own)

    def _seen(self, parts: Mapping[str, Tensor], name: str, condition: Tensor) -> Tensor:
        given = [self._space.of([other]).seamless(parts[other]) for other in self._given[name]]
        return torch.cat([condition, *given], dim=1)

    def _spaces_of(self, name: str, spaces: Spaces) -> Spaces:
        part = self._space.parts[name]
        one = replace(part, shape=part.shape[1:]) if _rows(part) > 1 else part
        features = Space({name: one})
        width = spaces.condition.width + sum(
            self._space.of([other]).seamless_width() for other in self._given[name]
        )
        view = Space({name: Part((features.seamless_width(),))}) if one.circle else features
        start = self._space.where[name].start
        own = range(start, start + one.width)
        levels = {i - start: spaces.levels[i] for i in own if i in spaces.levels}
        # Of an object that is absent there is no row: what a count tells is not asked here.
        presence = {
            i - start: tuple((at - start, above) for at, above in told if at in own)
            for i, told in spaces.presence.items()
            if i in own and any(at in own for at, _ in told)
        }
        return Spaces(features, Space.numbers(width), view, levels, presence)


class PartConfig(Config):
    """A part's `[run.model.parts.NAME]` table: its model, and the parts which that is given."""

    given: tuple[str, ...] = ()
    model: SerializeAsAny[Annotated[ModelConfig, MODELS.chosen()]]


@MODELS.register
class PartsConfig(ModelConfig):
    """Configuration of `Parts`: a model for each part of the features, by the part's name."""

    kind: Literal["parts"] = "parts"
    parts: dict[str, PartConfig] = Option(min_length=1)

    @model_validator(mode="after")
    def _is_a_chain(self) -> Self:
        for name, part in self.parts.items():
            if any(JOINT in player for player in part.model.players):
                raise ConfigError(f"parts.{name}.model: a part has no parts; choose another kind")
            if unknown := [other for other in part.given if other not in self.parts]:
                raise ConfigError(
                    f"parts.{name}.given: there is no part '{unknown[0]}'; those are "
                    f"{', '.join(self.parts)}"
                )
        assert self.order
        return self

    @property
    def order(self) -> tuple[str, ...]:
        """The parts, each behind those that it is given; `ConfigError` if some wait for another."""
        graph = {name: part.given for name, part in self.parts.items()}
        try:
            return tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise ConfigError(
                f"parts: each is given the other: {' <- '.join(error.args[1])}"
            ) from None

    @property
    def players(self) -> tuple[str, ...]:
        """The players of all parts' models."""
        return tuple(
            f"{name}{JOINT}{player}"
            for name in self.order
            for player in self.parts[name].model.players
        )

    def build(self, spaces: Spaces) -> Parts:
        """Build the model with freshly drawn weights."""
        return Parts(self, spaces)


def _rows(part: Part) -> int:
    """Return how many rows an event has of a part: its objects, one of anything else."""
    return part.shape[0] if len(part.shape) == 2 else 1
