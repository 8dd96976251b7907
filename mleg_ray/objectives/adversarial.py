"""What adversarial objectives share, and those whose critic is a classifier."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import softplus

from mleg_ray.events import Batch
from mleg_ray.models.gan import GAN
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Traits, Views
from mleg_ray.objectives.discrepancy import Bandwidths, mmd2
from mleg_ray.randomness import Noise


class Adversarial(Objective):
    """A critic tells generated from real events; the generator moves to where it cannot."""

    critic: ClassVar[str] = "critic"  # the player
    critic_updates: PositiveInt

    @property
    def traits(self) -> Traits:
        """The critic moves so many times before each move of the generator."""
        return Traits({self.critic: self.critic_updates, "generator": 1})

    def loss(
        self,
        player: str,
        model: GAN,
        seen: Seen,
        batch: Batch,
        *,
        noise: Noise,
        measured: Callable[[Tensor, Tensor, Noise], Tensor] = lambda features, *_: features,
    ) -> Loss:
        """Return the loss of the critic or the `generator`, and its parts.

        `measured` is what of generated features (B, n), under conditions (B, c), is compared with
        data: these, unless they are seen through a detector.
        """
        condition = batch.condition
        draws = model.noise_space.draw_from(noise, len(batch))
        with torch.set_grad_enabled(player == "generator"):
            generated = measured(model.decode(draws, condition), condition, noise)
            fake = seen.view(generated, condition)
        with torch.no_grad():
            real = seen.view(batch.x, condition)
        views = Views(real, fake, condition, batch.weight)
        if player != "generator":
            return self.critic_loss(model.critic, views, noise)
        return self.generator_loss(model.critic, views)._replace(made=lambda: views)

    @abstractmethod
    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the critic's loss."""

    @abstractmethod
    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return the generator's loss."""


class ScoreAdversarial(Adversarial):
    """Adversaries by one score D(x) for each event, joined by η·MMD² for the generator.

    The discrepancy, with the weight η and the kernel's widths σ, is FAT-GAN's (arXiv:2001.11103,
    eq. 4); any score-based loss can have it.
    """

    mmd_weight: NonNegativeFloat = 0.0
    mmd_bandwidths: Bandwidths = (1.0,)

    @property
    def traits(self) -> Traits:
        """An MMD couples the events."""
        return super().traits._replace(couples_events=self.mmd_weight > 0)

    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return what the generator's scores cost, plus η·MMD²."""
        score = views.mean(self.cost(critic(views.fake, views.condition)))
        if self.mmd_weight == 0:
            return Loss(score, {"adversarial": score})
        w = views.weight
        discrepancy = mmd2(views.real, views.fake, w, w, self.mmd_bandwidths)
        parts = {"adversarial": score, "mmd2": discrepancy}
        return Loss(score + self.mmd_weight * discrepancy, parts)

    @abstractmethod
    def cost(self, scores: Tensor) -> Tensor:
        """Return what generated events with these scores (B, 1) cost the generator, (B, 1)."""


@OBJECTIVES.register
class Vanilla(ScoreAdversarial):
    """The first GAN: the critic's score is the log-odds that an event is real.

    Critic: -E_w[log σ(D(x))] - E_w[log(1 - σ(D(x̃)))] (Goodfellow et al., arXiv:1406.2661, eq. 1).
    Generator: -E_w[log σ(D(x̃))], which does not saturate (sec. 3).
    """

    kind: Literal["vanilla-gan"] = "vanilla-gan"

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the cross entropy and its two parts."""
        real = views.mean(softplus(-critic(views.real, views.condition)))
        fake = views.mean(softplus(critic(views.fake, views.condition)))
        return Loss(real + fake, {"on_real": real, "on_generated": fake})

    def cost(self, scores: Tensor) -> Tensor:
        """Return -log σ(D(x̃))."""
        return softplus(-scores)


@OBJECTIVES.register
class LeastSquares(ScoreAdversarial):
    """LSGAN: the critic's score is drawn to b on real events and to a on generated ones.

    Critic: E_w[(D(x) - b)²]/2 + E_w[(D(x̃) - a)²]/2; generator: E_w[(D(x̃) - c)²]/2 (Mao et al.,
    arXiv:1611.04076, eq. 2). With b - c = 1 and b - a = 2 the generator minimises Pearson's χ²
    between p + p̃ and 2 p̃ (eq. 8).
    """

    kind: Literal["lsgan"] = "lsgan"
    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return the squared distances from b and a."""
        real = views.mean((critic(views.real, views.condition) - self.b).square()) / 2
        fake = views.mean((critic(views.fake, views.condition) - self.a).square()) / 2
        return Loss(real + fake, {"on_real": real, "on_generated": fake})

    def cost(self, scores: Tensor) -> Tensor:
        """Return (D(x̃) - c)²/2."""
        return (scores - self.c).square() / 2
