"""Objectives of autoencoders."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.models.vae import Autoencoder
from mleg_ray.objectives.base import (
    OBJECTIVES,
    Loss,
    Made,
    Objective,
    ObjectiveConfig,
    Seen,
    Setting,
)
from mleg_ray.randomness import Noise

Costs = dict[str, Tensor]


class Autoencoding(Objective[Autoencoder]):
    """L = E_w[|x - x̂|²] + λ·(what the codes cost): the squared error is summed over features."""

    def __init__(
        self, config: "AutoencodingConfig", weight: float, *, couples_events: bool = False
    ) -> None:
        super().__init__(config, couples_events=couples_events)
        self._weight = weight

    def loss(
        self, player: str, model: Autoencoder, seen: Seen, batch: Batch, *, noise: Noise
    ) -> Loss:
        """Return the loss of the one player, `autoencoder`, and its parts."""
        code, costs = self.coded(model, batch, noise)
        decoded = model.decode(code, batch.condition)
        reconstruction = (batch.weight * (decoded - batch.x).square().sum(dim=1)).mean()

        def made() -> Made:
            fake, real = (seen.view(x, batch.condition) for x in (decoded, batch.x))
            return Made(fake, real, batch.weight)

        loss = reconstruction + self._weight * sum(costs.values())
        return Loss(loss, {"reconstruction": reconstruction, **costs}, made)

    @abstractmethod
    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> tuple[Tensor, Costs]:
        """Return the codes (B, latent) of a batch, and what they cost, by name."""


class Variational(Autoencoding):
    """The codes cost β E_w[KL].

    β = 1 with a decoder of variance 1/2 is the evidence lower bound (Kingma & Welling,
    arXiv:1312.6114, eq. 10); β != 1: Higgins et al., ICLR 2017, eq. 4. The α-VAE's KL vanishes, so
    its configuration has no β.
    """

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> tuple[Tensor, Costs]:
        """Return codes that are drawn, and their KL divergence from the prior."""
        draws = noise.normal(len(batch), model.latent_dim)
        code, kl = model.code(batch.x, batch.condition, draws)
        return code, {"kl": (batch.weight * kl).mean()}


class AutoencodingConfig(ObjectiveConfig):
    """What the objectives of autoencoders have in common."""

    schedule: ClassVar[Mapping[str, int]] = {"autoencoder": 1}
    reconstructs: ClassVar[bool] = True


@OBJECTIVES.register
class BetaConfig(AutoencodingConfig):
    """Reconstruction error plus β times the KL divergence from the prior."""

    kind: Literal["beta-vae"] = "beta-vae"
    beta: NonNegativeFloat

    def build(self, setting: Setting) -> Variational:
        """Build the objective."""
        return Variational(self, self.beta)


@OBJECTIVES.register
class AlphaConfig(AutoencodingConfig):
    """Reconstruction error alone; the noise α on the code belongs to the model."""

    kind: Literal["alpha-vae"] = "alpha-vae"

    def build(self, setting: Setting) -> Variational:
        """Build the objective."""
        return Variational(self, 0.0)
