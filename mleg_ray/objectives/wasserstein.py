"""Adversaries by the Wasserstein distance: a critic that may not rise faster than one."""

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from mleg_ray.objectives.adversarial import ScoreAdversarial
from mleg_ray.objectives.base import OBJECTIVES, Loss, Views
from mleg_ray.randomness import Noise


class Wasserstein(ScoreAdversarial):
    """Critic: E_w[D(x̃)] - E_w[D(x)] plus what keeps its slope bounded; generator: -E_w[D(x̃)].

    Source: Arjovsky et al., arXiv:1701.07875, eq. 2 and 3.
    """

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return minus the estimated distance, plus the penalty on slopes."""
        penalty = self.penalty(critic, views, noise)
        real, fake = (critic(view, views.condition) for view in (views.real, views.fake))
        distance = views.mean(real) - views.mean(fake)
        return Loss(penalty.value - distance, {"wasserstein": distance} | penalty.parts)

    def cost(self, scores: Tensor) -> Tensor:
        """Return -D(x̃)."""
        return -scores

    def penalty(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return what is added to the critic's loss: nothing."""
        return Loss(views.weight.new_zeros(()), {})


@OBJECTIVES.register
class WassersteinGP(Wasserstein):
    """WGAN with gradient penalty, λ E_w[(|∇D(x̂)| - 1)²], of the weight λ = `gradient_penalty`.

    x̂ is uniform on the line between a real and a generated view (Gulrajani et al.,
    arXiv:1704.00028, eq. 3). One-sided, only slopes above one are penalised (sec. 4; Petzka et al.,
    arXiv:1709.08894, eq. 8).
    """

    kind: Literal["wgan-gp"] = "wgan-gp"
    gradient_penalty: NonNegativeFloat
    one_sided: bool = False

    def penalty(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the gradient penalty."""
        between = points_between(views, noise)
        excess = slopes(critic(between, views.condition), between) - 1
        if self.one_sided:
            excess = excess.clamp(min=0)
        penalty = views.mean(excess.square())
        return Loss(self.gradient_penalty * penalty, {"gradient_penalty": penalty})


@OBJECTIVES.register
class WassersteinClipped(Wasserstein):
    """WGAN whose critic's weights are clipped to [-c, c] after each of its moves; c is `clip`.

    Source: Arjovsky et al., arXiv:1701.07875, algorithm 1.
    """

    kind: Literal["wgan-clipped"] = "wgan-clipped"
    clip: PositiveFloat = 0.01

    def constrain(self, player: str, module: nn.Module) -> None:
        """Clip the critic's weights."""
        if player == "critic":
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.clamp_(-self.clip, self.clip)


def points_between(views: Views, noise: Noise) -> Tensor:
    """Return points (B, views), each uniform on the line between a real and a generated view."""
    share = noise.uniform(len(views.weight), 1)
    return torch.lerp(views.real, views.fake, share).requires_grad_()


def slopes(scores: Tensor, points: Tensor) -> Tensor:
    """Return the norm of each event's gradient of its score, (B, 1); differentiable."""
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    norm: Tensor = gradient.norm(dim=1, keepdim=True)
    return norm
