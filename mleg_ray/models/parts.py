"""A model made of models: each part of the features by its own, given others."""

import graphlib
import itertools
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
PLACE = "place"  # of an object among those of its event, which it may be given


class Parts(Model):
    """p(features | c) = Π p(part | c, given parts), a chain of models of parts of the space.

    A model may make parts of several names together. A part of objects (K, f) has a model of one
    object: its K rows are drawn alike and apart, under the same given numbers, so its objects are
    independent of each other but for these. Rows of objects that are absent have no weight. Objects
    that are given to another part are seen with the noise in the place of the absent ones; give
    their number too. An object that is given its `place` k of K is told it as k ones and zeros.

    Models that draw of rows of the train split draw those of one event, all of them: objects are
    perturbed apart, and still are of one event. In the place of an absent one they keep another
    event's object of the same place, or of any, if none has it.
    """

    def __init__(self, config: "PartsConfig", spaces: Spaces) -> None:
        super().__init__()
        self._space = spaces.features
        self._made = {name: config.parts[name].made(name) for name in config.order}
        modelled, known = sorted(itertools.chain(*self._made.values())), set(spaces.features.parts)
        if modelled != sorted(known):
            raise ConfigError(
                f"parts: the features have the parts {', '.join(sorted(known))}; models are "
                f"given of {', '.join(modelled)}"
            )
        self._given = {name: config.parts[name].given for name in config.order}
        self._rows = {name: self._rows_of(name) for name in config.order}
        self.spaces = {name: self._spaces_of(name, spaces) for name in config.order}
        if kept := [name for name in config.order if hasattr(nn.ModuleDict, name)]:
            raise ConfigError(
                f"parts: PyTorch has no place for a part called '{kept[0]}'; choose another "
                "name for the group, the image or the entry of features.parts"
            )
        self.models = nn.ModuleDict()
        noise: dict[str, Part] = {}
        for name in config.order:
            with inside(f"parts.{name}.model"):
                self.models[name] = model = config.parts[name].model.build(self.spaces[name])
            own, rows = model.noise_space, self._rows[name]
            shape = (own.width,) if rows == 1 else (rows, own.width)
            noise[name] = Part(shape, circle=own.circle)
        events = {name: self.model_of(name).kept // self._rows[name] for name in config.order}
        numbers = {number for number in events.values() if number}
        if len(numbers) > 1:
            raise ConfigError(
                "parts: models that draw of the same train events keep as many, and these "
                f"{', '.join(f'{number:,} ({name})' for name, number in events.items() if number)}"
            )
        self.kept = max(numbers, default=0)
        self.remembers = any(self.model_of(name).remembers for name in config.order)
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
        events = torch.zeros(n, dtype=torch.long, device=generator.device)
        if self.kept:
            events = torch.randint(self.kept, (n,), generator=generator, device=generator.device)
        return self.draw_of(events, generator=generator)

    def draw_of(self, rows: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return what all models draw (n, d), of these events (n,) those that keep some."""
        drawn = []
        for name in self.spaces:
            model, k = self.model_of(name), self._rows[name]
            own = (k * rows[:, None] + torch.arange(k, device=rows.device)).flatten()
            noise = (
                model.draw_of(own, generator=generator)
                if model.kept
                else model.draw(len(own), generator=generator)
            )
            drawn.append(noise.reshape(len(rows), -1))
        return torch.cat(drawn, dim=1)

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, d) under `condition` (n, c) to features (n, features), part by part."""
        made: dict[str, Tensor] = {}
        for name, where in self.noise_space.where.items():
            own = noise[:, where].reshape(len(noise) * self._rows[name], -1)
            x = self.model_of(name).decode(own, self._seen(made, name, condition))
            made |= self._space.of(self._made[name]).flat(x.reshape(len(noise), -1))
        return torch.cat([made[name] for name in self._space.parts], dim=1)

    def batch_of(self, name: str, batch: Batch, present: Mapping[str, Tensor]) -> Batch:
        """Return the rows of a part: events, or objects, absent ones with the weight zero.

        `present` (B, K) tells, of parts of objects, what is there, as a share of the mean number of
        objects over all K: so rows have a mean weight of one again.
        """
        x, condition = self._rows_and_given(name, batch.x, batch.condition)
        if name not in present:
            return Batch(x, condition, batch.weight)
        return Batch(x, condition, (batch.weight[:, None] * present[name]).flatten())

    def remember(
        self, features: Tensor, condition: Tensor, present: Mapping[str, Tensor] = {}
    ) -> None:
        """Let each part's model keep what it needs of the train split."""
        for name, rows in self._rows.items():
            model = self.model_of(name)
            if rows == 1 or model.kept:
                x, given = self._rows_and_given(name, features, condition)
                if name in present:
                    x = replaced(x.reshape(len(features), rows, -1), present[name]).flatten(0, 1)
                model.remember(x, given)

    def _rows_and_given(
        self, name: str, features: Tensor, condition: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the rows (n * K, f) of what a model makes, and what these are given."""
        parts = self._space.flat(features)
        x = torch.cat([parts[part] for part in self._made[name]], dim=1)
        return x.reshape(len(x) * self._rows[name], -1), self._seen(parts, name, condition)

    def _seen(self, parts: Mapping[str, Tensor], name: str, condition: Tensor) -> Tensor:
        """Return what the rows of a part are given, (n * K, c)."""
        rows = self._rows[name]
        given = [self._space.of([other]).seamless(parts[other]) for other in self._parts(name)]
        seen = torch.cat([condition, *given], dim=1).repeat_interleave(rows, dim=0)
        if PLACE not in self._given[name]:
            return seen
        places = torch.ones(rows, rows, device=seen.device).tril()
        return torch.cat([seen, places.repeat(len(condition), 1)], dim=1)

    def _parts(self, name: str) -> list[str]:
        """Return the parts that a part is given."""
        return [other for other in self._given[name] if other != PLACE]

    def _rows_of(self, name: str) -> int:
        """Return how many rows an event has of a part: its objects, one of anything else."""
        [part, *beside] = (self._space.parts[own] for own in self._made[name])
        if beside and any(len(one.shape) > 1 for one in (part, *beside)):
            raise ConfigError(
                f"parts.{name}.beside: parts of objects and images have models of their own"
            )
        if len(part.shape) == 2:
            return part.shape[0]
        if PLACE in self._given[name]:
            raise ConfigError(f"parts.{name}.given: only objects have a '{PLACE}'")
        return 1

    def _spaces_of(self, name: str, spaces: Spaces) -> Spaces:
        rows = self._rows[name]
        parts = {own: self._space.parts[own] for own in self._made[name]}
        if rows > 1:
            parts = {own: replace(part, shape=part.shape[1:]) for own, part in parts.items()}
        features = Space(parts)
        condition = dict(spaces.condition.parts) if spaces.condition.width else {}
        for other in self._parts(name):
            space = self._space.of([other])
            seamless = Part((space.seamless_width(),))
            condition[other] = seamless if space.circle else space.parts[other]
        if PLACE in self._given[name]:
            condition[PLACE] = Part((rows,), classes=tuple((k,) for k in range(rows)))
        view = Space({name: Part((features.seamless_width(),))}) if features.circle else features
        starts = ((self._space.where[own].start, part.width) for own, part in parts.items())
        own = itertools.chain(*(range(start, start + width) for start, width in starts))
        new = {old: position for position, old in enumerate(own)}
        levels = {new[i]: level for i, level in spaces.levels.items() if i in new}
        # Of an object that is absent there is no row: what a count tells is not asked here.
        presence = {
            new[i]: tuple((new[at], above) for at, above in told if at in new)
            for i, told in spaces.presence.items()
            if i in new and any(at in new for at, _ in told)
        }
        return Spaces(features, Space(condition), view, levels, presence, rows)


class PartConfig(Config):
    """A part's `[run.model.parts.NAME]` table: its model, and the parts which that is given.

    `beside` are parts of numbers of the event that the model makes together with its own. Objects
    may be given their `place` too.
    """

    given: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    model: SerializeAsAny[Annotated[ModelConfig, MODELS.chosen()]]

    def made(self, name: str) -> tuple[str, ...]:
        """Return the parts that the model of the part of this name makes."""
        return (name, *self.beside)


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
            known = (*self._owners, PLACE)
            if unknown := [other for other in part.given if other not in known]:
                raise ConfigError(
                    f"parts.{name}.given: there is no part '{unknown[0]}'; those are "
                    f"{', '.join(self._owners)}"
                )
        if PLACE in self._owners:
            raise ConfigError(
                f"parts.{PLACE}: that is what an object is given; choose another name"
            )
        assert self.order
        return self

    @property
    def _owners(self) -> dict[str, str]:
        """By whose model each part is made."""
        return {own: name for name, part in self.parts.items() for own in part.made(name)}

    @property
    def order(self) -> tuple[str, ...]:
        """The parts, each behind those that it is given; `ConfigError` if some wait for another."""
        graph = {
            name: [self._owners[other] for other in part.given if other != PLACE]
            for name, part in self.parts.items()
        }
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


def replaced(rows: Tensor, there: Tensor) -> Tensor:
    """Return objects (n, K, f) with others in the places of those that are not `there` (n, K).

    These are the present objects of the same place, one after the other; of any place, if no event
    has one there.
    """
    filled = rows.clone()
    for place in range(rows.shape[1]):
        absent = ~there[:, place]
        pool = rows[~absent, place] if not absent.all() else rows[there]
        if len(pool):
            filled[absent, place] = pool[torch.arange(int(absent.sum())) % len(pool)]
    return filled
