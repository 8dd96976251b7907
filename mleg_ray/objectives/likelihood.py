"""Maximum likelihood, for models with a density."""

from typing import ClassVar, Literal

import torch

from mleg_ray.events import Batch
from mleg_ray.models.flow import Flow
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Traits
from mleg_ray.randomness import Noise

LEAST_LOG_PROB = -30.0


@OBJECTIVES.register
class Likelihood(Objective):
    """L = -E_w[log p(features | condition)].

    An event of negative weight asks for less density where it lies. Its weighted loss stays an
    unbiased estimate, but has no lower bound as p goes to zero, so log p of such events counts down
    to `LEAST_LOG_PROB` only. The record has the loss also per d³p: `nll_physical` has the mean
    log-Jacobian of the feature map subtracted, so that runs of different maps compare.
    """

    kind: Literal["likelihood"] = "likelihood"
    traits: ClassVar[Traits] = Traits({"flow": 1})

    def loss(self, player: str, model: Flow, seen: Seen, batch: Batch, *, noise: Noise) -> Loss:
        """Return the loss of the one player, `flow`, and its parts."""
        log_prob = model.log_prob(batch.x, batch.condition)
        bounded = torch.where(batch.weight < 0, log_prob.clamp(min=LEAST_LOG_PROB), log_prob)
        nll = -(batch.weight * bounded).mean()
        return Loss(nll, {"nll_physical": nll - seen.mean_log_abs_det.to(nll.dtype)})
