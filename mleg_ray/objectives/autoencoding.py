"""Objectives of autoencoders: reconstruction, and codes like the prior's."""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.models.vae import Autoencoder
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Traits
from mleg_ray.objectives.discrepancy import Bandwidths, mmd2, sliced_wasserstein2
from mleg_ray.randomness import Noise

Coded = tuple[Tensor, Tensor, dict[str, Tensor]]


class Autoencoding(Objective):
    """L = E_w[|x - x̂|²] + what the codes cost: the squared error is summed over features."""

    traits: ClassVar[Traits] = Traits({"autoencoder": 1}, reconstructs=True)

    def loss(
        self, player: str, model: Autoencoder, seen: Seen, batch: Batch, *, noise: Noise
    ) -> Loss:
        """Return the loss of the one player, `autoencoder`, and its parts."""
        code, cost, parts = self.coded(model, batch, noise)
        decoded = model.decode(code, batch.condition)
        reconstruction = (batch.weight * (decoded - batch.x).square().sum(dim=1)).mean()
        return Loss(reconstruction + cost, {"reconstruction": reconstruction, **parts}, decoded)

    @abstractmethod
    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return the codes (B, latent) of a batch, what they cost, and of what that is made."""


@OBJECTIVES.register
class Variational(Autoencoding):
    """The codes cost β E_w[KL].

    β = 1 with a decoder of variance 1/2 is the evidence lower bound (Kingma & Welling,
    arXiv:1312.6114, eq. 10); β != 1: Higgins et al., ICLR 2017, eq. 4.
    """

    kind: Literal["beta-vae"] = "beta-vae"
    beta: NonNegativeFloat

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return codes that are drawn, and their KL divergence from the prior."""
        return _drawn(self.beta, model, batch, noise)


@OBJECTIVES.register
class AlphaVariational(Autoencoding):
    """Reconstruction error alone; the noise α on the code belongs to the model."""

    kind: Literal["alpha-vae"] = "alpha-vae"

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return codes that are drawn; the α-VAE's KL vanishes."""
        return _drawn(0.0, model, batch, noise)


def _drawn(beta: float, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
    draws = noise.normal(len(batch), model.latent_dim)
    code, divergence = model.code(batch.x, batch.condition, draws)
    kl = (batch.weight * divergence).mean()
    return code, beta * kl, {"kl": kl}


class WassersteinAutoencoding(Autoencoding):
    """The codes cost λ D(codes, N(0, 1)), with a discrepancy D of the whole minibatch."""

    traits: ClassVar[Traits] = Autoencoding.traits._replace(couples_events=True)
    discrepancy_weight: PositiveFloat

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return codes without noise, and their discrepancy from the prior."""
        prior = noise.normal(len(batch), model.latent_dim)
        code, _ = model.code(batch.x, batch.condition, torch.zeros_like(prior))
        discrepancy = self.discrepancy(prior, code, batch.weight, noise)
        return code, self.discrepancy_weight * discrepancy, {"discrepancy": discrepancy}

    @abstractmethod
    def discrepancy(self, prior: Tensor, code: Tensor, weight: Tensor, noise: Noise) -> Tensor:
        """Return D between draws of the prior and the codes, (B, latent), of weights (B,)."""


@OBJECTIVES.register
class MMDAutoencoding(WassersteinAutoencoding):
    """WAE-MMD: D is MMD² (Tolstikhin et al., arXiv:1711.01558, algorithm 2)."""

    kind: Literal["wae-mmd"] = "wae-mmd"
    bandwidths: Bandwidths

    def discrepancy(self, prior: Tensor, code: Tensor, weight: Tensor, noise: Noise) -> Tensor:
        """Return MMD² with Gaussian kernels of the widths σ."""
        return mmd2(code, prior, weight, weight.new_ones(len(prior)), self.bandwidths)


@OBJECTIVES.register
class SlicedAutoencoding(WassersteinAutoencoding):
    """SWAE: D is the squared sliced Wasserstein distance (Kolouri et al., arXiv:1804.01947)."""

    kind: Literal["swae"] = "swae"
    directions: PositiveInt = 64

    def discrepancy(self, prior: Tensor, code: Tensor, weight: Tensor, noise: Noise) -> Tensor:
        """Return SW² over random directions."""
        directions = noise.normal(self.directions, code.shape[1])
        return sliced_wasserstein2(prior, code, weight, directions)
