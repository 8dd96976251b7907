"""Objectives of autoencoders."""

from typing import Literal

from pydantic import NonNegativeFloat
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model
from mleg_ray.models.vae import Autoencoder
from mleg_ray.objectives.base import OBJECTIVES, Objective, ObjectiveConfig
from mleg_ray.randomness import Noise


class Variational(Objective):
    """L = E_w[|x - x̂|²] + β E_w[KL]: the squared error is summed over features.

    β = 1 with unit decoder variance 1/2 is the evidence lower bound (Kingma & Welling,
    arXiv:1312.6114, eq. 10); β != 1: Higgins et al., ICLR 2017, eq. 4. The α-VAE's KL vanishes, so
    its configuration has no β.
    """

    def __init__(self, beta: float) -> None:
        self._beta = beta
        self.schedule = {"autoencoder": 1}

    def loss(
        self, player: str, model: Model, feature_map: FeatureMap, batch: Batch, *, noise: Noise
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of the one player, `autoencoder`, and its parts."""
        assert isinstance(model, Autoencoder)
        condition = batch.condition
        draws = noise.normal(len(batch), model.latent_dim)
        code, kl = model.code(batch.x, condition, draws)
        reconstruction = squared_error(model.decode(code, condition), batch)
        divergence = (batch.weight * kl).mean()
        parts = {"reconstruction": reconstruction, "kl": divergence}
        return reconstruction + self._beta * divergence, parts


def squared_error(decoded: Tensor, batch: Batch) -> Tensor:
    """Return E_w[|x - x̂|²], summed over the features (B, n_features)."""
    return (batch.weight * (decoded - batch.x).square().sum(dim=1)).mean()


@OBJECTIVES.register
class BetaConfig(ObjectiveConfig):
    """Reconstruction error plus β times the KL divergence from the prior."""

    kind: Literal["beta-vae"] = "beta-vae"
    beta: NonNegativeFloat

    def build(self) -> Variational:
        """Build the objective."""
        return Variational(self.beta)


@OBJECTIVES.register
class AlphaConfig(ObjectiveConfig):
    """Reconstruction error alone; the noise α on the code belongs to the model."""

    kind: Literal["alpha-vae"] = "alpha-vae"

    def build(self) -> Variational:
        """Build the objective."""
        return Variational(beta=0.0)
