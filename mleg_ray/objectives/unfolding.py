"""Unfolding: a generator of true events that is taught by measured ones."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import SerializeAsAny
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.events import VERTEX, EventSchema
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.models.gan import GANConfig
from mleg_ray.objectives.adversarial import Adversarial, Parts, ScoreConfig, Views
from mleg_ray.objectives.base import OBJECTIVES, ObjectiveConfig, Teacher
from mleg_ray.randomness import Noise


class Unfolding(Adversarial):
    """Any `adversary`, whose critic sees generated events as a detector would measure them.

    The generator's events are those at the vertex; a frozen generator of the detector's response,
    the run's teacher, folds them before the critic, and its gradient teaches the generator. The
    data are measured events: fields of the same names, at detector level. Source: the vertex-level
    generator (MLEG) of Alanazi, Machine Learning-Based Event Generator, Old Dominion University
    2022, ch. 6.
    """

    def __init__(self, adversary: Adversarial) -> None:
        super().__init__(adversary.schedule["critic"])
        self._adversary = adversary
        self.couples_events = adversary.couples_events

    def require_teacher(self, teacher: Teacher, schema: EventSchema, model: Model) -> None:
        """Raise `ConfigError` unless the teacher measures true events of the dataset's fields."""
        if not teacher.schema.vertex:
            raise ConfigError(
                f"teacher: no condition of it is a true value, as {VERTEX}{schema.event[0]} would "
                "be; name a detector's generator, such as the recipe response-electrons"
            )
        lacking = [name for name in schema.event if name not in teacher.schema.event]
        if lacking:
            raise ConfigError(
                f"teacher: measures {', '.join(teacher.schema.event)}; not {', '.join(lacking)}"
            )
        for name in teacher.schema.conditions:
            if name.removeprefix(VERTEX) not in schema.event and name not in schema.conditions:
                raise ConfigError(
                    f"teacher: needs '{name}', but the dataset has neither a field "
                    f"'{name.removeprefix(VERTEX)}' to be generated nor that condition"
                )
        assert teacher.noise_shape  # raises for a teacher without noise

    def learn_from(
        self,
        teacher: Teacher,
        schema: EventSchema,
        feature_map: FeatureMap,
        conditions: Mapping[str, tuple[float, float]],
        seed: int,
    ) -> None:
        """Keep the teacher."""
        self._response, self._schema = teacher, schema
        self._order = [teacher.schema.event.index(name) for name in schema.event]

    def measured(
        self, features: Tensor, feature_map: FeatureMap, context: Tensor, noise: Noise
    ) -> Tensor:
        """Return the features of the folded events, (B, n_features)."""
        draws = self._response.noise_shape.draw_from(noise, len(features))
        folded = self._folded(feature_map.inverse(features, context), context, draws)
        result: Tensor = feature_map(folded, context.double()).float()
        return result

    def observed(self, events: Tensor, context: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the folded events (n, n_fields)."""
        return self._folded(
            events, context, self._response.noise_shape.draw(len(events), generator)
        )

    def _folded(self, vertex: Tensor, context: Tensor, draws: Tensor) -> Tensor:
        own, known = (
            self._schema,
            dict(zip(self._schema.conditions, context.unbind(1), strict=True)),
        )
        known |= {VERTEX + name: vertex[:, i] for i, name in enumerate(own.event)}
        conditions = [known[name].double() for name in self._response.schema.conditions]
        measured: Tensor = self._response.decode(draws, torch.stack(conditions, dim=1))
        return measured[:, self._order]

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> tuple[Tensor, Parts]:
        """Return the adversary's loss of the critic and its parts."""
        return self._adversary.critic_loss(critic, views, noise)

    def generator_loss(self, critic: nn.Module, views: Views) -> tuple[Tensor, Parts]:
        """Return the adversary's loss of the generator and its parts."""
        return self._adversary.generator_loss(critic, views)

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring the weights back to where the adversary wants them."""
        self._adversary.constrain(player, module)


@OBJECTIVES.register
class UnfoldingConfig(ObjectiveConfig):
    """Configuration of `Unfolding`: the adversary's own `[run.objective.adversary]` table."""

    trains = GANConfig
    needs_teacher: ClassVar[bool] = True
    teacher_has_own_dataset: ClassVar[bool] = True
    kind: Literal["unfolding"] = "unfolding"
    adversary: SerializeAsAny[Annotated[ScoreConfig, OBJECTIVES.chosen()]]

    def build(self) -> Unfolding:
        """Build the objective; `Unfolding.learn_from` must follow."""
        return Unfolding(self.adversary.build())
