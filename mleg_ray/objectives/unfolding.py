"""Unfolding: a generator of true events that is taught by measured ones."""

from typing import Annotated, Literal

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, Events, EventSchema
from mleg_ray.models.gan import GAN
from mleg_ray.objectives.adversarial import ScoreAdversarial
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Teacher, Traits
from mleg_ray.randomness import Noise
from mleg_ray.space import Space


@OBJECTIVES.register
class Unfolding(Objective):
    """Any `adversary`, whose critic sees generated events as a detector would measure them.

    The generator's events are those at the vertex; a frozen generator of the detector's response,
    the run's teacher, folds them before the critic, and its gradient teaches the generator. The
    data are measured events: fields of the same names, at detector level. Source: the vertex-level
    generator (MLEG) of Alanazi, Machine Learning-Based Event Generator, Old Dominion University
    2022, ch. 6.
    """

    kind: Literal["unfolding"] = "unfolding"
    adversary: SerializeAsAny[Annotated[ScoreAdversarial, OBJECTIVES.chosen()]]

    @property
    def traits(self) -> Traits:
        """The adversary's; its teacher learned pairs of events at the vertex and as measured."""
        return self.adversary.traits._replace(needs_teacher=True, teacher_has_own_dataset=True)

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

    def loss(self, player: str, model: GAN, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the adversary's loss, of folded events."""
        return self.adversary.loss(player, model, seen, batch, noise=noise, measured=self._measured)

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring the weights back to where the adversary wants them."""
        self.adversary.constrain(player, module)

    def observed(self, events: Events, *, generator: torch.Generator) -> Events:
        """Return the folded events."""
        return self._folded(events, self._response.noise_space.draw(len(events), generator))

    def _measured(self, features: Tensor, condition: Tensor, noise: Noise) -> Tensor:
        """Return the features of the folded events, (B, n)."""
        draws = self._response.noise_space.draw_from(noise, len(features))
        own = self._setting.feature_map
        vertex = own.decode(features, own.given(condition))
        return own.encode(self._folded(vertex, draws), noise=noise).x

    def _folded(self, vertex: Events, draws: Tensor) -> Events:
        schema = self._response.schema
        known = vertex.columns
        given = {n: known[schema.truth.get(n, n)].double() for n in schema.conditions}
        measured = self._response.decode(draws, Events(given, {}, vertex.weight))
        fields = {name: measured.columns[name] for name in self._setting.schema.event}
        return vertex.replacing((), fields)

    @property
    def _response(self) -> Teacher:
        assert self._setting.teacher
        return self._setting.teacher
