"""Objectives of autoencoders: reconstruction, and codes like the prior's."""

from abc import abstractmethod
from typing import ClassVar, Literal, Self

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.models.heads import Reduction
from mleg_ray.models.vae import Autoencoder
from mleg_ray.objectives.base import OBJECTIVES, Loss, Objective, Seen, Traits
from mleg_ray.objectives.discrepancy import Bandwidths, mmd2, sliced_wasserstein2
from mleg_ray.randomness import Noise

Coded = tuple[Tensor, Tensor, dict[str, Tensor]]


class Autoencoding(Objective):
    """L = E_w[R] + what the codes cost; R is how far what is decoded is from the features.

    By `reconstruction` that is summed over features, or its mean is taken part by part; see
    `Heads.error`.
    """

    traits: ClassVar[Traits] = Traits({"autoencoder": 1}, reconstructs=True)
    reconstruction: Reduction = "sum"

    def loss(
        self, player: str, model: Autoencoder, seen: Seen, batch: Batch, *, noise: Noise
    ) -> Loss:
        """Return the loss of the one player, `autoencoder`, and its parts."""
        code, cost, parts = self.coded(model, batch, noise)
        decoded = model.decoded(code, batch.condition)
        error = model.error(decoded, batch.x, batch.condition, self.reconstruction)
        reconstruction = (batch.weight * error).mean()
        total = self.share * reconstruction + cost
        parts = {"reconstruction": reconstruction, **parts}
        return Loss(total, parts, model.read(decoded))

    @property
    def share(self) -> float:
        """What the reconstruction counts for."""
        return 1.0

    @abstractmethod
    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return the codes (B, latent) of a batch, what they cost, and of what that is made."""


@OBJECTIVES.register
class Variational(Autoencoding):
    """The codes cost β E_w[KL].

    β = 1 with a decoder of variance 1/2 is the evidence lower bound (Kingma & Welling,
    arXiv:1312.6114, eq. 10); β != 1: Higgins et al., ICLR 2017, eq. 4. The KL is summed over the
    numbers of a code, or by `divergence` their mean taken. Beside the mean of n squared errors a
    sum is that of a decoder of variance nβ/2; where that is one or more, features of variance one
    are not worth a code, and all codes are empty. In the `convex` form the reconstruction counts
    for 1 - β.
    """

    kind: Literal["beta-vae"] = "beta-vae"
    beta: NonNegativeFloat
    divergence: Reduction = "sum"
    convex: bool = False

    @model_validator(mode="after")
    def _shares_are_positive(self) -> Self:
        if self.convex and self.beta > 1:
            raise ValueError(
                f"beta: the convex form (1 - β) R + β KL would reward errors at β = {self.beta:g}; "
                "choose at most 1, or leave `convex` out"
            )
        return self

    @property
    def share(self) -> float:
        """What the reconstruction counts for: 1 - β in the convex form."""
        return 1 - self.beta if self.convex else 1.0

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return codes that are drawn, and their KL divergence from the prior."""
        share = 1 / model.latent_dim if self.divergence == "mean" else 1.0
        return _drawn(self.beta, share, model, batch, noise)


@OBJECTIVES.register
class AlphaVariational(Autoencoding):
    """Reconstruction error alone; the noise α on the code belongs to the model."""

    kind: Literal["alpha-vae"] = "alpha-vae"

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
        """Return codes that are drawn; the α-VAE's KL vanishes."""
        return _drawn(0.0, 1.0, model, batch, noise)


def _drawn(beta: float, share: float, model: Autoencoder, batch: Batch, noise: Noise) -> Coded:
    draws = noise.normal(len(batch), model.latent_dim)
    code, divergence = model.code(batch.x, batch.condition, draws)
    kl = share * (batch.weight * divergence).mean()
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
