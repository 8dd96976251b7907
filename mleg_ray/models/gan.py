"""Generative adversarial networks: a generator and a critic."""

from collections.abc import Mapping
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, ModelConfig, NoiseMap, Widths
from mleg_ray.models.nets import Conditional, MLPConfig
from mleg_ray.models.noise import NoiseShape, wrapped


class GAN(NoiseMap):
    """Generator: noise -> features; critic: augmented features -> numbers for each event.

    Source: FAT-GAN, Alanazi et al., arXiv:2001.11103; conditional form: both networks see the
    standardised conditions, or the generator alone. With `noise_harmonics` the generator turns a
    uniform angle φ for each feature angle and sees it as cos kφ and sin kφ: an even azimuth is what
    it starts from, and no part of the circle is left out where holes divide it.
    """

    def __init__(self, config: "AdversariesConfig", widths: Widths, critic_outputs: int) -> None:
        super().__init__()
        self._features = NoiseShape.of_features(widths.features, widths.periodic)
        self._harmonics = config.noise_harmonics
        angles = len(widths.periodic) if self._harmonics else 0
        self.noise_shape = NoiseShape.normal(config.noise_dim, angles)
        n, n_in = widths.conditions, self.noise_shape.seamless_width(self._harmonics)
        self.generator = Conditional(config.generator, n_in, n, widths.features)
        seen = n if config.conditional_critic else 0
        self.critic = Conditional(config.critic, widths.augmented, seen, critic_outputs)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the generator and the critic."""
        return {"generator": self.generator, "critic": self.critic}

    def seen(self, noise: Tensor) -> Tensor:
        """Return noise (n, d) as the generator sees it, angles as their harmonics."""
        return self.noise_shape.seamless(noise, self._harmonics)

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, d) under `condition` (n, C) to features (n, features)."""
        out: Tensor = self.generator(self.seen(noise), condition)
        _, turned = self.noise_shape.split(noise)
        if not turned.shape[1]:
            return out
        line, angle = self._features.split(out)
        return self._features.join(line, wrapped(turned + angle))


class AdversariesConfig(ModelConfig):
    """What all `GAN`s configure: the width of the normal noise and the two networks.

    A generator without noise, `noise_dim = 0`, maps each event's conditions to one event. Without
    `conditional_critic` only the distribution of all events together is compared.
    `noise_harmonics` adds a uniform angle for each feature that is an angle, which the generator
    turns: [1] is its cosine and sine, [1, 6] also tells where in one of six sectors it is.
    """

    noise_dim: NonNegativeInt
    noise_harmonics: tuple[PositiveInt, ...] = ()
    generator: MLPConfig
    critic: MLPConfig
    conditional_critic: bool = True

    def require_input(self, widths: Widths) -> None:
        """Raise `ConfigError` if the generator would see no noise that it is to see."""
        if self.noise_harmonics and not widths.periodic:
            raise ConfigError(
                "model.noise_harmonics: no feature of features.kind is an angle; leave it out"
            )
        if self.noise_dim == widths.conditions == 0 and not self.noise_harmonics:
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
