"""Generative adversarial networks: a generator and a critic."""

from collections.abc import Mapping
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, ModelConfig, NoiseMap, Widths
from mleg_ray.models.nets import Conditional, MLPConfig
from mleg_ray.models.noise import NoiseShape


class GAN(NoiseMap):
    """Generator: noise -> features; critic: augmented features -> numbers for each event.

    Source: FAT-GAN, Alanazi et al., arXiv:2001.11103; conditional form: both networks see the
    standardised conditions, or the generator alone.
    """

    def __init__(self, config: "AdversariesConfig", widths: Widths, critic_outputs: int) -> None:
        super().__init__()
        self.noise_shape = NoiseShape.normal(config.noise_dim)
        n = widths.conditions
        self.generator = Conditional(config.generator, config.noise_dim, n, widths.features)
        seen = n if config.conditional_critic else 0
        self.critic = Conditional(config.critic, widths.augmented, seen, critic_outputs)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the generator and the critic."""
        return {"generator": self.generator, "critic": self.critic}

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, noise_dim) under `condition` (n, C) to features (n, features)."""
        features: Tensor = self.generator(noise, condition)
        return features


class AdversariesConfig(ModelConfig):
    """What all `GAN`s configure: the width of the normal noise and the two networks.

    A generator without noise, `noise_dim = 0`, maps each event's conditions to one event. Without
    `conditional_critic` only the distribution of all events together is compared.
    """

    noise_dim: NonNegativeInt
    generator: MLPConfig
    critic: MLPConfig
    conditional_critic: bool = True

    def require_input(self, widths: Widths) -> None:
        """Raise `ConfigError` if the generator would see neither noise nor conditions."""
        if self.noise_dim == widths.conditions == 0:
            raise ConfigError(
                "model.noise_dim: 0 leaves the generator without any input, as no condition of the "
                "dataset varies; give it noise"
            )


@MODELS.register
class GANConfig(AdversariesConfig):
    """Configuration of a `GAN` whose critic gives each event one score."""

    kind: Literal["gan"] = "gan"

    def build(self, widths: Widths) -> GAN:
        """Build the model with freshly drawn weights."""
        self.require_input(widths)
        return GAN(self, widths, critic_outputs=1)


@MODELS.register
class EmbeddingGANConfig(AdversariesConfig):
    """Configuration of a `GAN` whose critic embeds events in `embedding` dimensions."""

    kind: Literal["embedding-gan"] = "embedding-gan"
    embedding: PositiveInt

    def build(self, widths: Widths) -> GAN:
        """Build the model with freshly drawn weights."""
        self.require_input(widths)
        return GAN(self, widths, critic_outputs=self.embedding)
