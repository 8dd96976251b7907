"""Generative adversarial networks: a generator and a critic."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from mleg_ray.models.base import MODELS, Model, ModelConfig, Widths
from mleg_ray.models.nets import Conditional, MLPConfig


class GAN(Model):
    """Generator: noise -> features; critic: augmented features -> one number per event.

    Source: FAT-GAN, Alanazi et al., arXiv:2001.11103; conditional form: both networks see the
    standardised conditions.
    """

    def __init__(self, config: "GANConfig", widths: Widths) -> None:
        super().__init__()
        self.noise_dim = config.noise_dim
        n = widths.conditions
        self.generator = Conditional(config.generator, config.noise_dim, n, widths.features)
        self.critic = Conditional(config.critic, widths.augmented, n, 1)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the generator and the critic."""
        return {"generator": self.generator, "critic": self.critic}

    def sample(self, n: int, condition: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return n generated feature vectors (n, features) for `condition` (n, C)."""
        noise = torch.randn(n, self.noise_dim, generator=generator, device=condition.device)
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
