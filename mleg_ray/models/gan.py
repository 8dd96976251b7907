"""Generative adversarial networks: a generator and a critic."""

from collections.abc import Mapping
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from mleg_ray.models.base import MODELS, ModelConfig, NoiseMap, Widths
from mleg_ray.models.nets import Conditional, MLPConfig
from mleg_ray.models.noise import NoiseShape


class GAN(NoiseMap):
    """Generator: noise -> features; critic: augmented features -> one number per event.

    Source: FAT-GAN, Alanazi et al., arXiv:2001.11103; conditional form: both networks see the
    standardised conditions.
    """

    def __init__(self, config: "GANConfig", widths: Widths) -> None:
        super().__init__()
        self.noise_shape = NoiseShape.normal(config.noise_dim)
        n = widths.conditions
        self.generator = Conditional(config.generator, config.noise_dim, n, widths.features)
        self.critic = Conditional(config.critic, widths.augmented, n, 1)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the generator and the critic."""
        return {"generator": self.generator, "critic": self.critic}

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, noise_dim) under `condition` (n, C) to features (n, features)."""
        features: Tensor = self.generator(noise, condition)
        return features


@MODELS.register
class GANConfig(ModelConfig):
    """Configuration of `GAN`: width of the normal noise and the two networks."""

    kind: Literal["gan"] = "gan"
    noise_dim: PositiveInt
    generator: MLPConfig
    critic: MLPConfig

    def build(self, widths: Widths) -> GAN:
        """Build the model with freshly drawn weights."""
        return GAN(self, widths)
