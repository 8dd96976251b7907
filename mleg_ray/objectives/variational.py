"""Objectives of autoencoders."""

from collections.abc import Callable, Mapping
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


class Variational(Objective[Autoencoder]):
    """L = E_w[|x - x̂|²] + β E_w[KL]: the squared error is summed over features.

    β = 1 with a decoder of variance 1/2 is the evidence lower bound (Kingma & Welling,
    arXiv:1312.6114, eq. 10); β != 1: Higgins et al., ICLR 2017, eq. 4. The α-VAE's KL vanishes, so
    its configuration has no β.
    """

    def __init__(self, config: "AutoencodingConfig", beta: float) -> None:
        super().__init__(config)
        self._beta = beta

    def loss(
        self, player: str, model: Autoencoder, seen: Seen, batch: Batch, *, noise: Noise
    ) -> Loss:
        """Return the loss of the one player, `autoencoder`, and its parts."""
        condition = batch.condition
        draws = noise.normal(len(batch), model.latent_dim)
        code, kl = model.code(batch.x, condition, draws)
        decoded = model.decode(code, condition)
        reconstruction = squared_error(decoded, batch)
        divergence = (batch.weight * kl).mean()
        parts = {"reconstruction": reconstruction, "kl": divergence}
        return Loss(reconstruction + self._beta * divergence, parts, made(decoded, seen, batch))


def made(decoded: Tensor, seen: Seen, batch: Batch) -> Callable[[], Made]:
    """Return what gives the views of decoded and real events."""

    def views() -> Made:
        fake, real = (seen.view(x, batch.condition) for x in (decoded, batch.x))
        return Made(fake, real, batch.weight)

    return views


def squared_error(decoded: Tensor, batch: Batch) -> Tensor:
    """Return E_w[|x - x̂|²], summed over the features (B, n_features)."""
    return (batch.weight * (decoded - batch.x).square().sum(dim=1)).mean()


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
        return Variational(self, beta=0.0)
