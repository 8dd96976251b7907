"""Unfolding: a generator of true events that is taught by measured ones."""

import math
from abc import ABC
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import PositiveInt, SerializeAsAny
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema, Group, group_of
from mleg_ray.models.base import log_density
from mleg_ray.models.flow import Flow
from mleg_ray.models.gan import GAN
from mleg_ray.objectives.adversarial import ScoreAdversarial
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Teacher, Traits
from mleg_ray.randomness import Noise
from mleg_ray.space import Space

IMPOSSIBLE = -1e3  # the log density of an event outside the domain, of which logarithms are taken
LEAST_LOG_LIKELIHOOD = -50.0  # of a measured event that none of its proposals explains


class ThroughResponse(Objective, ABC):
    """What objectives share that see a generator's events as a detector measures them.

    The generator's events are those at the vertex; a frozen generator of the detector's response is
    the run's teacher. The data are measured events: fields of the same names, at detector level.
    """

    def require_teacher(self, teacher: Teacher, schema: EventSchema, noise: Space) -> None:
        """Raise `ConfigError` unless the teacher measures true events of the dataset's fields."""
        truth = teacher.schema.truth
        if not truth:
            raise ConfigError(
                "teacher: no condition of it is the true value of a field; name a detector's "
                "generator, such as the recipe response-electrons"
            )
        lacking = [name for name in schema.event if name not in teacher.schema.event]
        if lacking:
            raise ConfigError(
                f"teacher: measures {', '.join(teacher.schema.event)}; not {', '.join(lacking)}"
            )
        units = {field.name: field.unit for field in teacher.schema.fields}
        for ours in schema.fields:
            if ours.role == "event" and units[ours.name] != ours.unit:
                raise ConfigError(
                    f"teacher: measures {ours.name} in {units[ours.name]}; the dataset has it in "
                    f"{ours.unit}"
                )
        for group in dict.fromkeys(map(group_of, schema.event)):
            known, wanted = (s.groups.get(group, Group()).pdg_id for s in (teacher.schema, schema))
            if None not in (known, wanted) and known != wanted:
                raise ConfigError(
                    f"teacher: its {group} is PDG {known}, of another reaction than the dataset's, "
                    f"PDG {wanted}"
                )
        for name in teacher.schema.conditions:
            if truth.get(name) not in schema.event and name not in schema.conditions:
                field = (
                    f"neither a field '{truth[name]}' to be generated nor"
                    if name in truth
                    else "not"
                )
                raise ConfigError(
                    f"teacher: needs '{name}', but the dataset has {field} that condition"
                )
        assert teacher.noise_space  # raises for a teacher without noise

    def observed(self, events: Events, *, generator: torch.Generator) -> Events:
        """Return the folded events."""
        return self._folded(events, self._response.noise_space.draw(len(events), generator))

    def _folded(self, vertex: Events, draws: Tensor) -> Events:
        measured = self._response.decode(draws, Events(self._true(vertex), {}, vertex.weight))
        fields = {name: measured.columns[name] for name in self._setting.schema.event}
        return vertex.replacing((), fields)

    def _true(self, vertex: Events) -> dict[str, Tensor]:
        """Return the conditions of the response that these events at the vertex are."""
        schema = self._response.schema
        return {n: vertex.columns[schema.truth.get(n, n)].double() for n in schema.conditions}

    @property
    def _response(self) -> Teacher:
        assert self._setting.teacher
        return self._setting.teacher


@OBJECTIVES.register
class Unfolding(ThroughResponse):
    """Any `adversary`, whose critic sees generated events as a detector would measure them.

    The response's gradient teaches the generator. Source: the vertex-level generator (MLEG) of
    Alanazi, Machine Learning-Based Event Generator, Old Dominion University 2022, ch. 7.
    """

    kind: Literal["unfolding"] = "unfolding"
    adversary: SerializeAsAny[Annotated[ScoreAdversarial, OBJECTIVES.chosen()]]

    @property
    def traits(self) -> Traits:
        """The adversary's; its teacher learned pairs of events at the vertex and as measured."""
        return self.adversary.traits._replace(needs_teacher=True, teacher_has_own_dataset=True)

    def loss(self, player: str, model: GAN, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the adversary's loss, of folded events."""
        return self.adversary.loss(player, model, seen, batch, noise=noise, measured=self._measured)

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring the weights back to where the adversary wants them."""
        self.adversary.constrain(player, module)

    def _measured(self, features: Tensor, condition: Tensor, noise: Noise) -> Tensor:
        """Return the features of the folded events, (B, n)."""
        draws = self._response.noise_space.draw_from(noise, len(features))
        own = self._setting.feature_map
        vertex = own.decode(features, own.given(condition))
        return own.encode(self._folded(vertex, draws), noise=noise).x


@OBJECTIVES.register
class UnfoldingLikelihood(ThroughResponse):
    """Maximum likelihood of measured events m, of which the true ones v are not known.

        L = -E_w[log ∫ R(m|v) p(v) dv],

    with the density p of the generator, a flow, and R of the response. K `proposals` v ~ R(·|m), as
    if m were measured once more, estimate the integral:

        ∫ R(m|v) p(v) dv ≈ 1/K Σ_k p(v_k) R(m|v_k) / R(v_k|m).

    It is unbiased for every response, and precise where a detector distorts neighbours alike; its
    logarithm is a lower bound, of which the gap falls like 1/K: a spectrum that is narrower than
    the resolution, or ends within it, needs many. K times the minibatch is what a step costs, and
    many proposals for few events serve better than the reverse. Nothing is assumed of the spectrum
    but what the feature map and the flow's smoothness say. Sources: Vandegar et al.,
    arXiv:2011.05836, eq. 4 (empirical Bayes), and Burda et al., arXiv:1509.00519, eq. 8 (the
    bound).
    """

    kind: Literal["unfolding-likelihood"] = "unfolding-likelihood"
    proposals: PositiveInt = 64
    traits: ClassVar[Traits] = Traits(
        {"flow": 1}, needs_teacher=True, teacher_has_own_dataset=True, takes_features=False
    )

    def require_teacher(self, teacher: Teacher, schema: EventSchema, noise: Space) -> None:
        """Raise `ConfigError` unless the teacher measures such events and has a density."""
        super().require_teacher(teacher, schema, noise)
        if not teacher.has_density:
            raise ConfigError(
                "teacher: has no density of what is measured; name a flow, such as the recipe "
                "response-flow"
            )

    def loss(self, player: str, model: Flow, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss of the one player, `flow`."""
        own, k = self._setting.feature_map, self.proposals
        with torch.no_grad():
            columns = dict(zip(self._setting.schema.event, batch.x.double().T, strict=True))
            given = own.given(batch.condition)
            measured = given.replacing((), columns).repeat(k)
            vertex = self._folded(
                measured, self._response.noise_space.draw_from(noise, len(measured))
            )
            ratio = self._response_density(measured, vertex)
            ratio = ratio - self._response_density(vertex, measured)
        density = log_density(model, own, vertex, noise=noise)
        possible = torch.where(density.isinf(), IMPOSSIBLE, density) + ratio
        log_likelihood = possible.view(k, -1).logsumexp(dim=0) - math.log(k)
        bounded = log_likelihood.clamp(min=LEAST_LOG_LIKELIHOOD)
        return Loss(-(batch.weight * bounded).mean(), {})

    def _response_density(self, measured: Events, vertex: Events) -> Tensor:
        """Return log R(measured|vertex), (B,)."""
        fields = {name: measured.columns[name] for name in self._setting.schema.event}
        return self._response.log_density(
            Events({**fields, **self._true(vertex)}, {}, vertex.weight)
        )
