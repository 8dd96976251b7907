"""Regression: what must come out right in numbers that have a name."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field as Option
from pydantic import PositiveFloat, model_validator
from torch import Tensor, nn

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.objectives.base import (
    OBJECTIVES,
    AnyObjective,
    Loss,
    Objective,
    Seen,
    Setting,
    Teacher,
    Traits,
)
from mleg_ray.randomness import Noise
from mleg_ray.space import Space

SQUARED = "squared-error"
TRAIN_SPLIT = "train-split"


class Term(Config):
    """What is compared of a named quantity, standardised by the train split, with a `weight` λ.

    The quantity is a number of the critic's view or one that is `measured` beside it; as it is
    standardised, one weight serves any of them. `mean` and `width` compare the weighted mean and
    standard deviation of the minibatch's generated events, squared, with those of its real ones or,
    `to` the train split, with that's: zero and one. `squared-error` compares each event with the
    one that it was made of, by a model that reconstructs.
    """

    column: str
    weight: PositiveFloat
    match: Annotated[tuple[Literal["mean", "width", "squared-error"], ...], Option(min_length=1)]
    to: Literal["minibatch", "train-split"] = "minibatch"

    @model_validator(mode="after")
    def _has_moments_to_compare(self) -> Self:
        if self.to == TRAIN_SPLIT and SQUARED in self.match:
            raise ValueError(
                f"to: '{TRAIN_SPLIT}' has a mean and a width; match '{SQUARED}' compares the "
                "events of a minibatch"
            )
        return self


@OBJECTIVES.register
class Regression(Objective):
    """L = L₀ + Σ λ_k [(μ - μ̂)² + (σ - σ̂)²], or λ_k E_w (v - v̂)², of named quantities v.

    L₀ is the loss of any objective, which it is added `to`, whose player makes events: of a GAN's
    generator these are the mass terms of Hashemi et al., arXiv:1901.05282, sec. 4, eq. 2, whose c
    of (GeV)⁻² is λ over the variance of the true masses, in GeV².
    """

    kind: Literal["regression"] = "regression"
    to: AnyObjective
    terms: Annotated[tuple[Term, ...], Option(min_length=1)]

    @model_validator(mode="after")
    def _compares_what_is_made(self) -> Self:
        if any(SQUARED in term.match for term in self.terms) and not self.to.traits.reconstructs:
            raise ConfigError(
                f"terms: match '{SQUARED}' compares an event with the one it was made of; kind "
                f"'{self.to.kind}' makes no event again, take mean and width"
            )
        return self

    @property
    def traits(self) -> Traits:
        """The objective's; moments of the minibatch couple its events."""
        moments = any({"mean", "width"} & set(term.match) for term in self.terms)
        traits = self.to.traits
        return traits._replace(couples_events=traits.couples_events or moments)

    def require(self, quantities: Sequence[str]) -> None:
        """Raise `ConfigError` unless the features have each column."""
        self.to.require(quantities)
        for i, term in enumerate(self.terms):
            if term.column not in quantities:
                raise ConfigError(
                    f"objective.terms.{i}.column: there is no '{term.column}'; there are "
                    f"{', '.join(quantities) or 'no numbers'}; name it in features.view or, unseen "
                    "by a critic, in features.measured"
                )

    def require_teacher(self, teacher: Teacher, schema: EventSchema, noise: Space) -> None:
        """Raise `ConfigError` unless the teacher fits the objective."""
        self.to.require_teacher(teacher, schema, noise)

    def bind(self, setting: Setting) -> Self:
        """Return the objective of one run, and so of that which it is added to."""
        return super().bind(setting).model_copy(update={"to": self.to.bind(setting)})

    def loss(self, player: str, model: Any, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:  # noqa: ANN401 - the objective's
        """Return the objective's loss, and the terms of a player that makes events."""
        loss = self.to.loss(player, model, seen, batch, noise=noise)
        if loss.made is None:
            return loss
        fake = seen.quantities(loss.made, batch.condition)
        real: Mapping[str, Tensor] = {}
        if any(term.to != TRAIN_SPLIT for term in self.terms):
            real = seen.quantities(batch.x, batch.condition)
        total, parts = loss.value, dict(loss.parts)
        for term in self.terms:
            for match in term.match:
                true = None if term.to == TRAIN_SPLIT else real[term.column]
                value = difference(match, fake[term.column], true, batch.weight)
                parts[f"{match} of {term.column}"] = value
                total = total + term.weight * value
        return Loss(total, parts, loss.made)

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring the weights back to where the objective wants them."""
        self.to.constrain(player, module)

    def observed(self, events: Events, *, generator: torch.Generator) -> Events:
        """Return what the objective compares with data."""
        return self.to.observed(events, generator=generator)


def difference(match: str, fake: Tensor, real: Tensor | None, weight: Tensor) -> Tensor:
    """Return (μ - μ̂)² or (σ - σ̂)² of numbers (B,) of weights (B,), or E_w (v - v̂)²; see `Term`.

    Without real numbers the moments are compared with those of a standardised one.
    """
    if match == SQUARED:
        assert real is not None
        return (weight * (fake - real).square()).mean()
    moment, standard = (_mean, 0.0) if match == "mean" else (_width, 1.0)
    true = standard if real is None else moment(real, weight)
    return (moment(fake, weight) - true).square()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (weight * values).sum() / weight.sum()


def _width(values: Tensor, weight: Tensor) -> Tensor:
    variance = _mean((values - _mean(values, weight)).square(), weight)
    return variance.clamp(min=1e-12).sqrt()  # negative weights may leave none
