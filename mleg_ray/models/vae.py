"""Autoencoders: β-VAE and WAE with a normal prior, α-VAE with perturbed codes of events."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from mleg_ray.config import inside
from mleg_ray.models.base import MODELS, AnyNetwork, Model, ModelConfig, Spaces
from mleg_ray.models.heads import Heads, Reduction
from mleg_ray.space import Part, Space


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
        features, given = self.encoded(spaces)[:2]
        self._heads = Heads(features)
        n, parameters = given.width, self.numbers_per_code * config.latent_dim
        with inside("encoder"):
            encoder = config.encoder.build(features, n, Space.numbers(parameters))
        with inside("decoder"):
            decoder = config.decoder.build(code, n, features)
        self.autoencoder = nn.ModuleDict({"encoder": encoder, "decoder": decoder})

    @staticmethod
    def encoded(spaces: Spaces) -> Spaces:
        """Return the spaces of what is encoded, features, and of the conditions on it."""
        return spaces

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
        return self.read(self.decoded(noise, condition))

    def decoded(self, code: Tensor, condition: Tensor) -> Tensor:
        """Return what the decoder makes of a code, (B, features): classes by their logits."""
        made: Tensor = self.autoencoder["decoder"](code, condition)
        return made

    def read(self, made: Tensor) -> Tensor:
        """Return the features (B, features) of what the decoder made."""
        return self._heads.features(made)

    def error(
        self, made: Tensor, features: Tensor, condition: Tensor, reduction: Reduction
    ) -> Tensor:
        """Return how far what the decoder made is from features under conditions, (B,).

        See `Heads.error`.
        """
        return self._heads.error(made, features, reduction)


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


class Perturbing(Autoencoder):
    """Deterministic codes blurred by Gaussian noise of width α, which takes the place of the KL.

    Sampling draws rows of the train split with replacement (kept as a buffer, so the checkpoint
    needs nothing else) and perturbs their codes with the same α: an α that is too small gives back
    the training events, which `memorisation` must show. Source: R. Balanzá García, UPV master's
    thesis 2023, sec. 4.2.1.
    """

    remembers = True
    reference: Tensor

    def __init__(self, config: "PerturbingConfig", spaces: Spaces) -> None:
        super().__init__(config, spaces)
        self.alpha = config.alpha
        self.kept = config.reference_events * spaces.rows
        self.register_buffer("reference", torch.zeros(self.kept, spaces.features.width))

    def remember(
        self, features: Tensor, condition: Tensor, present: Mapping[str, Tensor] = {}
    ) -> None:
        """Keep the first rows, repeated if there are fewer."""
        self.reference.copy_(self._first(features))

    def _first(self, rows: Tensor) -> Tensor:
        return rows[torch.arange(self.kept) % len(rows)]

    def code(self, features: Tensor, condition: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return f(features) + α·noise (B, latent) and a vanishing KL term (B,)."""
        code = self.encode(features, condition) + self.alpha * noise
        return code, features.new_zeros(len(features))

    def draw(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Return what is drawn of n of the rows that are kept."""
        device = self.reference.device
        rows = torch.randint(self.kept, (n,), generator=generator, device=device)
        return self.draw_of(rows, generator=generator)

    def _noise(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(len(rows), self.latent_dim, generator=generator, device=rows.device)


class AlphaVAE(Perturbing):
    """The code of a row under its own conditions; the decoder is given those that are asked."""

    reference_condition: Tensor

    def __init__(self, config: "AlphaVAEConfig", spaces: Spaces) -> None:
        super().__init__(config, spaces)
        conditions = torch.zeros(self.kept, spaces.condition.width)
        self.register_buffer("reference_condition", conditions)

    def remember(
        self, features: Tensor, condition: Tensor, present: Mapping[str, Tensor] = {}
    ) -> None:
        """Keep the first rows and their conditions, repeated if there are fewer."""
        super().remember(features, condition, present)
        self.reference_condition.copy_(self._first(condition))

    def draw_of(self, rows: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the perturbed codes (n, latent) of rows that are kept."""
        noise = self._noise(rows, generator)
        code, _ = self.code(self.reference[rows], self.reference_condition[rows], noise)
        return code


class JointAlphaVAE(Perturbing):
    """The code of features and conditions together, of which the decoder makes both again.

    Sampling encodes the features of a row that is kept with the conditions that are asked, in the
    place of its own, and leaves out what the decoder makes of these. Networks see the parts of the
    conditions beside those of the features, by their names. Source: Balanzá García, sec. 7.4.
    """

    def __init__(self, config: "JointAlphaVAEConfig", spaces: Spaces) -> None:
        super().__init__(config, spaces)
        self._given = spaces.condition.width
        kept = Part((spaces.features.width,))
        self.noise_space = Space({"kept": kept, **self.noise_space.parts})

    @staticmethod
    def encoded(spaces: Spaces) -> Spaces:
        """Return the conditions and the features as features, under no conditions."""
        joint = Space({**spaces.condition.parts, **spaces.features.parts})
        return spaces._replace(features=joint, condition=Space.numbers(0))

    def encode(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return the code of features (B, n) and conditions (B, c), (B, latent)."""
        return super().encode(torch.cat([condition, features], dim=1), condition[:, :0])

    def decoded(self, code: Tensor, condition: Tensor) -> Tensor:
        """Return what the decoder makes of a code, conditions and features (B, c + n)."""
        return super().decoded(code, condition[:, :0])

    def read(self, made: Tensor) -> Tensor:
        """Return the features (B, n) among what the decoder made (B, c + n)."""
        return super().read(made)[:, self._given :]

    def error(
        self, made: Tensor, features: Tensor, condition: Tensor, reduction: Reduction
    ) -> Tensor:
        """Return how far conditions and features that the decoder made are from these, (B,)."""
        return super().error(made, torch.cat([condition, features], dim=1), condition, reduction)

    def draw_of(self, rows: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the features of rows that are kept, and noise: (n, features + latent)."""
        return torch.cat([self.reference[rows], self._noise(rows, generator)], dim=1)

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Return features (n, features) like those drawn, perturbed under these conditions."""
        kept, draws = self.noise_space.flat(noise).values()
        code, _ = self.code(kept, condition, draws)
        return super().decode(code, condition)


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


class PerturbingConfig(AutoencoderConfig):
    """What those of perturbed codes share: α, in code units, and how many events they keep."""

    alpha: PositiveFloat
    reference_events: PositiveInt = 20_000


@MODELS.register
class AlphaVAEConfig(PerturbingConfig):
    """Configuration of `AlphaVAE`."""

    kind: Literal["alpha-vae"] = "alpha-vae"

    def build(self, spaces: Spaces) -> AlphaVAE:
        """Build the model with freshly drawn weights."""
        return AlphaVAE(self, spaces)


@MODELS.register
class JointAlphaVAEConfig(PerturbingConfig):
    """Configuration of `JointAlphaVAE`."""

    kind: Literal["joint-alpha-vae"] = "joint-alpha-vae"

    def build(self, spaces: Spaces) -> JointAlphaVAE:
        """Build the model with freshly drawn weights."""
        return JointAlphaVAE(self, spaces)
