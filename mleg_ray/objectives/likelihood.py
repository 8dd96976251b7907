"""Maximum likelihood, for models with a density."""

from typing import ClassVar, Literal, Self

import torch
from pydantic import PrivateAttr
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch
from mleg_ray.models.flow import Flow
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Setting, Traits
from mleg_ray.randomness import Noise

LEAST_LOG_PROB = -30.0
TRIED = 0.1  # a value, small beside all limits, at which steps show that they keep a mirror


@OBJECTIVES.register
class Likelihood(Objective):
    """L = -E_w[log p(features | condition)].

    An event of negative weight asks for less density where it lies. Its weighted loss stays an
    unbiased estimate, but has no lower bound as p goes to zero, so log p of such events counts down
    to `LEAST_LOG_PROB` only. The record has the loss also per d³p: `nll_physical` has the mean
    log-Jacobian of the feature map subtracted, so that runs of different maps compare.

    Where physics does not know an event from its mirror image, `mirrored` names what changes its
    sign, "eta" say for all fields "eta" and "....eta". Each step then sees each event as it is or
    as that mirror image, evenly at random, and each of several mirrors by itself: as if there were
    more events to learn from. Features are mirrored about the mean of the train split, which is
    zero but for its statistical error.
    """

    kind: Literal["likelihood"] = "likelihood"
    mirrored: tuple[str, ...] = ()
    _mirrors: list[list[int]] = PrivateAttr(default_factory=list)
    traits: ClassVar[Traits] = Traits({"flow": 1})

    def bind(self, setting: Setting) -> Self:
        """Return the objective of one run; `ConfigError` if its steps do not keep a mirror."""
        bound = super().bind(setting)
        bound._mirrors = [_places(name, setting) for name in self.mirrored]
        return bound

    def loss(self, player: str, model: Flow, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss of the one player, `flow`, and its parts."""
        log_prob = model.log_prob(self._at_random(batch.x, noise), batch.condition)
        bounded = torch.where(batch.weight < 0, log_prob.clamp(min=LEAST_LOG_PROB), log_prob)
        nll = -(batch.weight * bounded).mean()
        return Loss(nll, {"nll_physical": nll - seen.mean_log_abs_det.to(nll.dtype)})

    def _at_random(self, x: Tensor, noise: Noise) -> Tensor:
        """Return features (B, n) of events or of their mirror images."""
        if not self._mirrors:
            return x
        signs = torch.ones_like(x)
        drawn = noise.uniform(len(x), len(self._mirrors))
        for places, u in zip(self._mirrors, drawn.unbind(1), strict=True):
            signs[:, places] = torch.where(u < 1 / 2, -1.0, 1.0).to(x)[:, None]
        return x * signs


def _places(mirror: str, setting: Setting) -> list[int]:
    """Return where the features stand that change their signs."""
    fields = [name for name in setting.schema.event if name.split(".")[-1] == mirror]
    if not fields:
        raise ConfigError(f"objective.mirrored: no field is called '{mirror}' or '....{mirror}'")
    maps = setting.feature_map.field_maps()
    places: list[int] = []
    for field in fields:
        own = maps.get(field)
        if own is None or not own.is_odd(TRIED):
            raise ConfigError(
                f"objective.mirrored: '{field}' and minus '{field}' must become x and -x by steps "
                "that change it by itself, such as 'angle', and 'interval' between -high and high"
            )
        places += setting.feature_map.space.positions[own.feature]
    return places
