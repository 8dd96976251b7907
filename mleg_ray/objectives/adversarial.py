"""Adversarial objectives."""

from typing import Annotated, Literal

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.models.gan import GAN, GANConfig
from mleg_ray.objectives.base import OBJECTIVES, Objective, ObjectiveConfig
from mleg_ray.objectives.discrepancy import mmd2
from mleg_ray.randomness import Noise


class WassersteinGP(Objective):
    """WGAN with gradient penalty, plus η·MMD² for the generator.

    Critic: E_w[D(x̃)] - E_w[D(x)] + λ E_w[(|∇D(x̂)| - 1)²] with x̂ uniform on the line between a real
    and a generated view (Gulrajani et al., arXiv:1704.00028, eq. 3). Generator:
    -E_w[D(x̃)] + η MMD²(x, x̃) (FAT-GAN, arXiv:2001.11103, eq. 4). A generated event takes the
    conditions and the weight of the real one beside it.
    """

    def __init__(self, config: "WassersteinGPConfig") -> None:
        self._config = config
        self.schedule = {"critic": config.critic_updates, "generator": 1}
        self.couples_events = config.mmd_weight > 0

    def loss(
        self, player: str, model: Model, feature_map: FeatureMap, batch: Batch, *, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of `critic` or `generator` and its parts."""
        assert isinstance(model, GAN)
        condition = feature_map.condition(batch.context)
        draws = noise.normal(len(batch), len(model.noise_shape.line))
        if player == "critic":
            with torch.no_grad():
                fake = feature_map.augment(model.generator(draws, condition), batch.context)
                real = feature_map.augment(batch.x, batch.context)
            return self._critic_loss(model, real, fake, condition, batch.weight, noise)
        fake = feature_map.augment(model.generator(draws, condition), batch.context)
        score = -_mean(model.critic(fake, condition), batch.weight)
        if self._config.mmd_weight == 0:
            return score, {"adversarial": score}
        real = feature_map.augment(batch.x, batch.context)
        discrepancy = mmd2(real, fake, batch.weight, batch.weight, self._config.mmd_bandwidths)
        return score + self._config.mmd_weight * discrepancy, {
            "adversarial": score,
            "mmd2": discrepancy,
        }

    def _critic_loss(
        self, model: GAN, real: Tensor, fake: Tensor, condition: Tensor, w: Tensor, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        between = torch.lerp(real, fake, noise.uniform(len(w), 1)).requires_grad_()
        scores = model.critic(between, condition)
        (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
        penalty = (w * (gradient.norm(dim=1) - 1).square()).mean()
        distance = _mean(model.critic(real, condition), w) - _mean(model.critic(fake, condition), w)
        loss = -distance + self._config.gradient_penalty * penalty
        return loss, {"wasserstein": distance, "gradient_penalty": penalty}


def _mean(scores: Tensor, weight: Tensor) -> Tensor:
    return (weight * scores.squeeze(1)).mean()


@OBJECTIVES.register
class WassersteinGPConfig(ObjectiveConfig):
    """Configuration of `WassersteinGP`: λ, η, the MMD kernel's widths σ and critic updates."""

    trains = GANConfig
    kind: Literal["wgan-gp"] = "wgan-gp"
    gradient_penalty: NonNegativeFloat
    critic_updates: PositiveInt
    mmd_weight: NonNegativeFloat = 0.0
    mmd_bandwidths: Annotated[tuple[PositiveFloat, ...], Option(min_length=1)] = (1.0,)

    def build(self) -> WassersteinGP:
        """Build the objective."""
        return WassersteinGP(self)
