"""Objectives of Wasserstein autoencoders: reconstruction, and codes like the prior's."""

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field as Option
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.models.vae import Autoencoder
from mleg_ray.objectives.base import OBJECTIVES, Setting
from mleg_ray.objectives.discrepancy import mmd2, sliced_wasserstein2
from mleg_ray.objectives.variational import Autoencoding, AutoencodingConfig, Costs
from mleg_ray.randomness import Noise


class WassersteinAutoencoding(Autoencoding):
    """The codes cost λ D(codes, N(0, 1)), with a discrepancy D of the whole minibatch."""

    def __init__(self, config: "WassersteinAutoencodingConfig") -> None:
        super().__init__(config, config.discrepancy_weight, couples_events=True)

    def coded(self, model: Autoencoder, batch: Batch, noise: Noise) -> tuple[Tensor, Costs]:
        """Return codes without noise, and their discrepancy from the prior."""
        code = model.latent(batch.x, batch.condition)
        prior = noise.normal(len(batch), model.latent_dim)
        return code, {"discrepancy": self.discrepancy(prior, code, batch.weight, noise)}

    @abstractmethod
    def discrepancy(self, prior: Tensor, code: Tensor, weight: Tensor, noise: Noise) -> Tensor:
        """Return D between draws of the prior and the codes, (B, latent), of weights (B,)."""


class MMDAutoencoding(WassersteinAutoencoding):
    """WAE-MMD: D is MMD² (Tolstikhin et al., arXiv:1711.01558, algorithm 2)."""

    def __init__(self, config: "MMDAutoencodingConfig") -> None:
        super().__init__(config)
        self._bandwidths = config.bandwidths

    def discrepancy(self, prior: Tensor, code: Tensor, weight: Tensor, noise: Noise) -> Tensor:
        """Return MMD² with Gaussian kernels."""
        return mmd2(code, prior, weight, weight.new_ones(len(prior)), self._bandwidths)


class SlicedAutoencoding(WassersteinAutoencoding):
    """SWAE: D is the squared sliced Wasserstein distance (Kolouri et al., arXiv:1804.01947)."""

    def __init__(self, config: "SlicedAutoencodingConfig") -> None:
        super().__init__(config)
        self._directions = config.directions

    def discrepancy(self, prior: Tensor, code: Tensor, weight: Tensor, noise: Noise) -> Tensor:
        """Return SW² over random directions."""
        directions = noise.normal(self._directions, code.shape[1])
        return sliced_wasserstein2(prior, code, weight, directions)


class WassersteinAutoencodingConfig(AutoencodingConfig):
    """What both configure: λ."""

    discrepancy_weight: PositiveFloat


@OBJECTIVES.register
class MMDAutoencodingConfig(WassersteinAutoencodingConfig):
    """Configuration of `MMDAutoencoding`: λ and the kernel's widths σ."""

    kind: Literal["wae-mmd"] = "wae-mmd"
    bandwidths: Annotated[tuple[PositiveFloat, ...], Option(min_length=1)]

    def build(self, setting: Setting) -> MMDAutoencoding:
        """Build the objective."""
        return MMDAutoencoding(self)


@OBJECTIVES.register
class SlicedAutoencodingConfig(WassersteinAutoencodingConfig):
    """Configuration of `SlicedAutoencoding`: λ and the number of directions."""

    kind: Literal["swae"] = "swae"
    directions: PositiveInt = 64

    def build(self, setting: Setting) -> SlicedAutoencoding:
        """Build the objective."""
        return SlicedAutoencoding(self)
