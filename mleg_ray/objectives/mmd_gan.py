"""The MMD-GAN: a critic that embeds events where a kernel tells real from generated best."""

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from mleg_ray.objectives.adversarial import Adversarial, Parts, Views
from mleg_ray.objectives.base import OBJECTIVES, ObjectiveConfig, Setting
from mleg_ray.objectives.discrepancy import mean_kernel, mmd2
from mleg_ray.objectives.wasserstein import points_between, slopes
from mleg_ray.randomness import Noise


class MMDGAN(Adversarial):
    """The generator minimises MMD²(h(x), h(x̃)), the critic h maximises it.

    Source: Li et al., arXiv:1705.08584, eq. 4, without its autoencoder; instead of clipped weights
    the gradient of the witness f(·) = E[k(h(·), h(x))] - E[k(h(·), h(x̃))] is drawn to one between
    real and generated views (Bińkowski et al., arXiv:1801.01401, eq. 6).
    """

    def __init__(self, config: "MMDGANConfig") -> None:
        super().__init__(config, couples_events=True)
        self._bandwidths = config.bandwidths
        self._penalty = config.gradient_penalty

    def critic_loss(self, critic: nn.Module, views: Views, noise: Noise) -> tuple[Tensor, Parts]:
        """Return minus the discrepancy of the embedded views, plus λ times the penalty."""
        real, fake = (critic(view, views.condition) for view in (views.real, views.fake))
        discrepancy = self._mmd2(real, fake, views)
        between = points_between(views, noise)
        embedded, w = critic(between, views.condition), views.weight
        ones = torch.ones_like(w)
        # A sum over the points between: each one's gradient is that of its own witness.
        witness = len(w) * (
            mean_kernel(embedded, real, ones, w, self._bandwidths)
            - mean_kernel(embedded, fake, ones, w, self._bandwidths)
        )
        penalty = views.mean((slopes(witness, between) - 1).square())
        parts = {"discrepancy": discrepancy, "gradient_penalty": penalty}
        return self._penalty * penalty - discrepancy, parts

    def generator_loss(self, critic: nn.Module, views: Views) -> tuple[Tensor, Parts]:
        """Return the discrepancy of the embedded views."""
        real, fake = (critic(view, views.condition) for view in (views.real, views.fake))
        discrepancy = self._mmd2(real, fake, views)
        return discrepancy, {"adversarial": discrepancy}

    def _mmd2(self, real: Tensor, fake: Tensor, views: Views) -> Tensor:
        return mmd2(real, fake, views.weight, views.weight, self._bandwidths)


@OBJECTIVES.register
class MMDGANConfig(ObjectiveConfig):
    """Configuration of `MMDGAN`: critic updates, the kernel's widths σ and λ."""

    kind: Literal["mmd-gan"] = "mmd-gan"
    critic_updates: PositiveInt
    bandwidths: Annotated[tuple[PositiveFloat, ...], Option(min_length=1)]
    gradient_penalty: NonNegativeFloat

    @property
    def schedule(self) -> Mapping[str, int]:
        """Moves of the critic before each one of the generator."""
        return {"embedding": self.critic_updates, "generator": 1}

    def build(self, setting: Setting) -> MMDGAN:
        """Build the objective."""
        return MMDGAN(self)
