"""Generative adversarial networks: a generator and a critic."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from mleg_ray.config import inside
from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, AnyNetwork, Model, ModelConfig, Spaces
from mleg_ray.space import Space, wrapped


class GAN(Model):
    """Generator: noise -> features; critic: augmented features -> numbers for each event.

    Source: FAT-GAN, Alanazi et al., arXiv:2001.11103; conditional form: both networks see the
    standardised conditions, or the generator alone. With `noise_harmonics` the generator turns a
    uniform angle φ for each feature angle and sees it as cos kφ and sin kφ: an even azimuth is what
    it starts from, and no part of the circle is left out where holes divide it. With `even_angles`
    that uniform angle is the feature itself, and the generator neither sees nor turns it: of beams
    and a detector that look the same from all sides an azimuth is not learned but drawn.
    """

    def __init__(self, config: "AdversariesConfig", spaces: Spaces) -> None:
        super().__init__()
        self._names = config.players
        self._features = spaces.features
        self._harmonics = config.noise_harmonics
        self._even = config.even_angles
        angles = len(spaces.features.circle) if self._harmonics or self._even else 0
        self.noise_space = Space.numbers(config.noise_dim, angles)
        n, seen = spaces.condition.width, self.noise_space.seamless_width(self._harmonics)
        with inside("generator"):
            made = Space.numbers(len(spaces.features.line)) if self._even else spaces.features
            self.generator = config.generator.build(Space.numbers(seen), n, made)
        judged = n if config.conditional_critic else 0
        with inside("critic"):
            out = Space.numbers(config.critic_outputs)
            self.critic = config.critic.build(spaces.view, judged, out)

    def players(self) -> Mapping[str, nn.Module]:
        """Return the generator and the critic, by the names that objectives know."""
        return dict(zip(self._names, (self.generator, self.critic), strict=True))

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (n, d) under `condition` (n, C) to features (n, features)."""
        seen = self.noise_space.seamless(noise, self._harmonics)
        out: Tensor = self.generator(seen, condition)
        _, uniform = self.noise_space.divide(noise)
        if not uniform.shape[1]:
            return out
        if self._even:
            return self._features.join(out, uniform)
        line, angle = self._features.divide(out)
        return self._features.join(line, wrapped(uniform + angle))


class AdversariesConfig(ModelConfig):
    """What all `GAN`s configure: the width of the normal noise and the two networks.

    A generator without noise, `noise_dim = 0`, maps each event's conditions to one event. Without
    `conditional_critic` only the distribution of all events together is compared.
    `noise_harmonics` adds a uniform angle for each feature that is an angle, which the generator
    turns: [1] is its cosine and sine, [1, 6] also tells where in one of six sectors it is. With
    `even_angles` features that are angles are drawn evenly instead, whatever the others are.
    """

    players: ClassVar[tuple[str, ...]] = ("generator", "critic")
    noise_dim: NonNegativeInt
    noise_harmonics: tuple[PositiveInt, ...] = ()
    even_angles: bool = False
    generator: AnyNetwork
    critic: AnyNetwork
    conditional_critic: bool = True

    @property
    def critic_outputs(self) -> int:
        """How many numbers the critic gives each event: one score."""
        return 1

    def build(self, spaces: Spaces) -> GAN:
        """Build the model with freshly drawn weights.

        Raises:
            ConfigError: the generator would see no noise that it is to see.
        """
        if self.noise_harmonics and self.even_angles:
            raise ConfigError("even_angles: nothing turns them; leave noise_harmonics out")
        for key in ("noise_harmonics", "even_angles"):
            if getattr(self, key) and not spaces.features.circle:
                raise ConfigError(f"{key}: no feature is an angle; leave it out")
        if self.noise_dim == spaces.condition.width == 0 and not self.noise_harmonics:
            raise ConfigError(
                "noise_dim: 0 leaves the generator without any input, as no condition of the "
                "dataset varies; give it noise"
            )
        return GAN(self, spaces)


@MODELS.register
class GANConfig(AdversariesConfig):
    """Configuration of a `GAN` whose critic gives each event one score."""

    kind: Literal["gan"] = "gan"


@MODELS.register
class EmbeddingGANConfig(AdversariesConfig):
    """Configuration of a `GAN` whose critic embeds events in `embedding` dimensions."""

    players: ClassVar[tuple[str, ...]] = ("generator", "embedding")
    kind: Literal["embedding-gan"] = "embedding-gan"
    embedding: PositiveInt

    @property
    def critic_outputs(self) -> int:
        """The dimensions of the embedding."""
        return self.embedding
