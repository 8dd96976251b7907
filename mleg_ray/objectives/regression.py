"""Regression: what must come out right in numbers that have a name."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat, SerializeAsAny, model_validator
from torch import Tensor, nn

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.features.view import NUMBERS
from mleg_ray.models import Model
from mleg_ray.objectives.base import (
    OBJECTIVES,
    Loss,
    Objective,
    ObjectiveConfig,
    Seen,
    Setting,
    Teacher,
)
from mleg_ray.randomness import Noise
from mleg_ray.space import Space


class Term(Config):
    """What is compared of a named number of the critic's view, standardised, with a `weight` λ.

    `mean` and `width` compare the weighted mean and standard deviation of the minibatch's generated
    events with those of its real ones, squared; `squared-error` each event with the one that it was
    made of, by a model that reconstructs.
    """

    column: str
    weight: PositiveFloat
    match: Annotated[tuple[Literal["mean", "width", "squared-error"], ...], Option(min_length=1)]


class Regression(Objective[Model]):
    """L = L₀ + Σ λ_k [(μ - μ̂)² + (σ - σ̂)²], or λ_k E_w (v - v̂)², of named numbers v of the view.

    L₀ is the loss of any objective whose player makes events: of a GAN's generator these are the
    mass terms of Hashemi et al., arXiv:1901.05282, sec. 3.2.
    """

    def __init__(self, config: "RegressionConfig", setting: Setting) -> None:
        self._objective = config.to.build(setting)
        self._terms = config.terms
        moments = any(match != "squared-error" for term in config.terms for match in term.match)
        super().__init__(config, couples_events=self._objective.couples_events or moments)

    def observed(self, events: Events, *, generator: torch.Generator) -> Events:
        """Return what the objective compares with data."""
        return self._objective.observed(events, generator=generator)

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring the weights back to where the objective wants them."""
        self._objective.constrain(player, module)

    def loss(self, player: str, model: Model, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the objective's loss, and the terms of a player that makes events."""
        loss = self._objective.loss(player, model, seen, batch, noise=noise)
        if loss.made is None:
            return loss
        fake, real, weight = loss.made()
        start = seen.view_space.where[NUMBERS].start
        names = seen.view_space.parts[NUMBERS].names
        total, parts = loss.value, dict(loss.parts)
        for term in self._terms:
            i = start + names.index(term.column)
            for match in term.match:
                value = MATCHES[match](fake[:, i], real[:, i], weight)
                parts[f"{match} of {term.column}"] = value
                total = total + term.weight * value
        return Loss(total, parts, loss.made)


def mean_difference(fake: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Return (μ - μ̂)² of numbers (B,) of weights (B,)."""
    return (_mean(fake, weight) - _mean(real, weight)).square()


def width_difference(fake: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Return (σ - σ̂)² of numbers (B,) of weights (B,)."""
    return (_width(fake, weight) - _width(real, weight)).square()


def squared_difference(fake: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Return E_w (v - v̂)² of numbers (B,) of weights (B,), which have a mean of one."""
    return (weight * (fake - real).square()).mean()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (weight * values).sum() / weight.sum()


def _width(values: Tensor, weight: Tensor) -> Tensor:
    variance = (weight * (values - _mean(values, weight)).square()).sum() / weight.sum()
    return variance.clamp(min=1e-12).sqrt()  # negative weights may leave none


MATCHES = {
    "mean": mean_difference,
    "width": width_difference,
    "squared-error": squared_difference,
}


@OBJECTIVES.register
class RegressionConfig(ObjectiveConfig):
    """Configuration of `Regression`: the objective that it is added `to`, and its terms."""

    kind: Literal["regression"] = "regression"
    to: SerializeAsAny[Annotated[ObjectiveConfig, OBJECTIVES.chosen()]]
    terms: Annotated[tuple[Term, ...], Option(min_length=1)]

    @model_validator(mode="after")
    def _compares_what_is_made(self) -> Self:
        squared = any("squared-error" in term.match for term in self.terms)
        if squared and not self.reconstructs:
            raise ConfigError(
                "terms: match 'squared-error' compares an event with the one it was made of; kind "
                f"'{self.to.kind}' makes no event again, take mean and width"
            )
        return self

    @property
    def schedule(self) -> Mapping[str, int]:
        """That of the objective."""
        return self.to.schedule

    @property
    def reconstructs(self) -> bool:
        """Whether the objective does."""
        return self.to.reconstructs

    @property
    def needs_teacher(self) -> bool:
        """Whether the objective has a teacher."""
        return self.to.needs_teacher

    @property
    def teacher_has_own_dataset(self) -> bool:
        """Whether the objective's teacher has a dataset of its own."""
        return self.to.teacher_has_own_dataset

    def require(self, view: Space) -> None:
        """Raise `ConfigError` unless the view has each column."""
        self.to.require(view)
        names = view.parts[NUMBERS].names if NUMBERS in view.parts else ()
        for i, term in enumerate(self.terms):
            if term.column not in names:
                raise ConfigError(
                    f"objective.terms.{i}.column: the critic's view has no '{term.column}'; it has "
                    f"{', '.join(names) or 'no numbers'}; name it in features.view"
                )

    def require_teacher(self, teacher: Teacher, schema: EventSchema, noise: Space) -> None:
        """Raise `ConfigError` unless the teacher fits the objective."""
        self.to.require_teacher(teacher, schema, noise)

    def build(self, setting: Setting) -> Regression:
        """Build the objective."""
        return Regression(self, setting)
