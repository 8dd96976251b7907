"""Autoencoders: β-VAE and WAE with a normal prior, α-VAE with perturbed codes of events."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from mleg_ray.config import inside
from mleg_ray.models.base import MODELS, AnyNetwork, Model, ModelConfig, Spaces
from mleg_ray.models.heads import Heads
from mleg_ray.space import Space


class Autoencoder(Model):
    """Encoder: features -> code; decoder: code -> features; one player.

    What the decoder makes is read by `Heads`. Codes are deterministic; all together are to be N(0,
    1), from which it is sampled. Source: Tolstikhin et al., arXiv:1711.01558.
    """

    numbers_per_code: ClassVar[int] = 1  # that the encoder makes, for each number of the code

    def __init__(self, config: "AutoencoderConfig", spaces: Spaces) -> None:
        super().__init__()
        self.latent_dim = config.latent_dim
        self.noise_space = code = Space.numbers(config.latent_dim)
        self.heads = Heads(spaces.features)
        n, parameters = spaces.condition.width, self.numbers_per_code * config.latent_dim
        with inside("encoder"):
            encoder = config.encoder.build(spaces.features, n, Space.numbers(parameters))
        with inside("decoder"):
            decoder = config.decoder.build(code, n, spaces.features)
        self.autoencoder = nn.ModuleDict({"encoder": encoder, "decoder": decoder})

    def code(self, features: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return a code (B, latent) drawn with standard normal `noise`, and its KL term (B,).

        This one has no use for noise, and no KL.
        """
        return self.encode(features, condition), features.new_zeros(len(features))

    def encode(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return what the encoder makes, (B, numbers_per_code * latent)."""
        parameters: Tensor = self.autoencoder["encoder"](features, condition)
        return parameters

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Return the features (B, features) that a code (B, latent) stands for.

        Of classes, these are probabilities.
        """
        return self.heads.features(self.decoded(noise, condition))

    def decoded(self, code: Tensor, condition: Tensor) -> Tensor:
        """Return what the decoder makes of a code, (B, features): classes by their logits."""
        made: Tensor = self.autoencoder["decoder"](code, condition)
        return made


class BetaVAE(Autoencoder):
    """Gaussian posterior, reparameterised.

    Sources: Kingma & Welling, arXiv:1312.6114, eq. 10; Higgins et al., β-VAE, ICLR 2017.
    """

    numbers_per_code: ClassVar[int] = 2  # μ and log σ²

    def code(self, features: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ + σ·noise (B, latent) and KL(N(μ, σ²) ‖ N(0, 1)) (B,)."""
        mean, log_variance = self.encode(features, condition).chunk(2, dim=1)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return mean + (0.5 * log_variance).exp() * noise, kl


class AlphaVAE(Autoencoder):
    """Deterministic code blurred by Gaussian noise of width α, which takes the place of the KL.

    Sampling draws events of the train split with replacement (kept as a buffer, so the checkpoint
    needs nothing else), encodes them and perturbs the codes with the same α: an α that is too
    small gives back the training events, which `memorisation` must show.
    """

    draws_noise = False
    reference: Tensor
    reference_condition: Tensor

    def __init__(self, config: "AlphaVAEConfig", spaces: Spaces) -> None:
        super().__init__(config, spaces)
        self.alpha = config.alpha
        n = config.reference_events
        self.register_buffer("reference", torch.zeros(n, spaces.features.width))
        self.register_buffer("reference_condition", torch.zeros(n, spaces.condition.width))

    def remember(self, features: Tensor, condition: Tensor) -> None:
        """Keep the first `reference_events` events, repeated if there are fewer."""
        rows = torch.arange(len(self.reference)) % len(features)
        self.reference.copy_(features[rows])
        self.reference_condition.copy_(condition[rows])

    def code(self, features: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(features) + α·noise (B, latent) and a vanishing KL term (B,)."""
        code = self.encode(features, condition) + self.alpha * noise
        return code, features.new_zeros(len(features))

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return perturbed codes (n, latent) of events that are kept."""
        device = self.reference.device
        rows = torch.randint(len(self.reference), (n,), generator=generator, device=device)
        noise = torch.randn(n, self.latent_dim, generator=generator, device=device)
        code, _ = self.code(self.reference[rows], self.reference_condition[rows], noise)
        return code


class AutoencoderConfig(ModelConfig):
    """What the autoencoders' configurations share."""

    players: ClassVar[tuple[str, ...]] = ("autoencoder",)
    latent_dim: PositiveInt
    encoder: AnyNetwork
    decoder: AnyNetwork


@MODELS.register
class BetaVAEConfig(AutoencoderConfig):
    """Configuration of `BetaVAE`; β itself belongs to the objective."""

    kind: Literal["beta-vae"] = "beta-vae"

    def build(self, spaces: Spaces) -> BetaVAE:
        """Build the model with freshly drawn weights."""
        return BetaVAE(self, spaces)


@MODELS.register
class WassersteinAutoencoderConfig(AutoencoderConfig):
    """Configuration of a plain `Autoencoder`; λ and D belong to the objective."""

    kind: Literal["wae"] = "wae"

    def build(self, spaces: Spaces) -> Autoencoder:
        """Build the model with freshly drawn weights."""
        return Autoencoder(self, spaces)


@MODELS.register
class AlphaVAEConfig(AutoencoderConfig):
    """Configuration of `AlphaVAE`: α is the width of the code noise, in code units."""

    kind: Literal["alpha-vae"] = "alpha-vae"
    alpha: PositiveFloat
    reference_events: PositiveInt = 20_000

    def build(self, spaces: Spaces) -> AlphaVAE:
        """Build the model with freshly drawn weights."""
        return AlphaVAE(self, spaces)
