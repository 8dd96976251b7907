"""The objective of a model made of models: each part's own."""

from typing import Literal, Self

import torch
from pydantic import Field as Option
from pydantic import model_validator
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.models.parts import JOINT, Parts
from mleg_ray.objectives.base import (
    OBJECTIVES,
    AnyObjective,
    Loss,
    Objective,
    Seen,
    Setting,
    Traits,
)
from mleg_ray.randomness import Noise
from mleg_ray.space import Space


class SeenPart:
    """A part's features as its critic sees them: angles without a seam."""

    mean_log_abs_det = torch.zeros(())

    def __init__(self, features: Space) -> None:
        self._features = features
        self._names = tuple(
            name
            for part in features.parts.values()
            if len(part.shape) == 1  # pixels have no names
            for i, name in enumerate(part.names)
            if i not in part.circle
        )

    def view(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return features x (B, n) as a critic sees them, (B, v)."""
        return self._features.seamless(x)

    def quantities(self, x: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """Return the features that are no angles (B,) by name."""
        line, _ = self._features.divide(x)
        return dict(zip(self._names, line.unbind(dim=1), strict=False))


def counted(rows: Batch) -> Batch:
    """Return the rows whose weight is not zero, with weights of which any mean is as before.

    Of a group hardly an event has an object of, most are absent, and cost as much as others. To
    know them a GPU would be waited for: there all are kept.
    """
    if rows.weight.device.type != "cpu" or not rows.weight.any():
        return rows
    some = rows[rows.weight != 0]
    return some.weighted(some.weight * (len(some) / len(rows)))


@OBJECTIVES.register
class PartsObjective(Objective):
    """Each part's objective, by its name, under the true values of what the part is given.

    It sees the part's own rows: events, or objects.
    """

    kind: Literal["parts"] = "parts"
    parts: dict[str, AnyObjective] = Option(min_length=1)

    @model_validator(mode="after")
    def _learn_alone(self) -> Self:
        if taught := [name for name, one in self.parts.items() if one.traits.needs_teacher]:
            raise ConfigError(f"parts.{taught[0]}: a part's objective cannot have a teacher")
        return self

    @property
    def traits(self) -> Traits:
        """Those of all parts, each player's name behind its part's."""
        traits = {name: one.traits for name, one in self.parts.items()}
        schedule = {
            f"{name}{JOINT}{player}": times
            for name, its in traits.items()
            for player, times in its.schedule.items()
        }
        return Traits(schedule, any(its.couples_events for its in traits.values()))

    def bind(self, setting: Setting) -> Self:
        """Return the objective of one run, and so of its parts."""
        parts = {name: one.bind(setting) for name, one in self.parts.items()}
        return super().bind(setting).model_copy(update={"parts": parts})

    def loss(self, player: str, model: Parts, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss of a part's player, its parts named after the part."""
        name, _, own = player.partition(JOINT)
        present = self._setting.feature_map.shares_present(batch.x)
        rows = counted(model.batch_of(name, batch, present))
        part = SeenPart(model.spaces[name].features)
        loss = self.parts[name].loss(own, model.model_of(name), part, rows, noise=noise)
        return Loss(loss.value, {f"{name}{JOINT}{key}": v for key, v in loss.parts.items()})

    def constrain(self, player: str, module: nn.Module) -> None:
        """Bring a part's player's weights back to where its objective wants them."""
        name, _, own = player.partition(JOINT)
        self.parts[name].constrain(own, module)
