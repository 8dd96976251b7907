"""The MMD-GAN: a critic that embeds events where a kernel tells real from generated best."""

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from mleg_ray.objectives.adversarial import Adversarial
from mleg_ray.objectives.base import OBJECTIVES, Loss, Traits, Views
from mleg_ray.objectives.discrepancy import Bandwidths, mean_kernel, mmd2
from mleg_ray.objectives.wasserstein import points_between, slopes
from mleg_ray.randomness import Noise


@OBJECTIVES.register
class MMDGAN(Adversarial):
    """The generator minimises MMD²(h(x), h(x̃)), the critic h maximises it.

    Source: Li et al., arXiv:1705.08584, eq. 4, without its autoencoder, with kernels of the
    `bandwidths` σ. Instead of clipped weights the gradient of the witness
    f(·) = E[k(h(·), h(x))] - E[k(h(·), h(x̃))] is drawn to one between real and generated views, by
    λ = `gradient_penalty` (Bińkowski et al., arXiv:1801.01401, eq. 6).
    """

    critic: ClassVar[str] = "embedding"
    kind: Literal["mmd-gan"] = "mmd-gan"
    bandwidths: Bandwidths
    gradient_penalty: NonNegativeFloat

    @property
    def traits(self) -> Traits:
        """Events are coupled."""
        return super().traits._replace(couples_events=True)

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> Loss:
        """Return minus the discrepancy of the embedded views, plus λ times the penalty."""
        real, fake, discrepancy = self._embedded(critic, views)
        between = points_between(views, noise)
        embedded, w = critic(between, views.condition), views.weight
        ones = torch.ones_like(w)
        # A sum over the points between: each one's gradient is that of its own witness.
        witness = len(w) * (
            mean_kernel(embedded, real, ones, w, self.bandwidths)
            - mean_kernel(embedded, fake, ones, w, self.bandwidths)
        )
        penalty = views.mean((slopes(witness, between) - 1).square())
        parts = {"discrepancy": discrepancy, "gradient_penalty": penalty}
        return Loss(self.gradient_penalty * penalty - discrepancy, parts)

    def generator_loss(self, critic: nn.Module, views: Views) -> Loss:
        """Return the discrepancy of the embedded views."""
        *_, discrepancy = self._embedded(critic, views)
        return Loss(discrepancy, {"adversarial": discrepancy})

    def _embedded(self, critic: nn.Module, views: Views) -> tuple[Tensor, Tensor, Tensor]:
        """Return the embedded views, real and generated, and their MMD²."""
        real, fake = (critic(view, views.condition) for view in (views.real, views.fake))
        return real, fake, mmd2(real, fake, views.weight, views.weight, self.bandwidths)
