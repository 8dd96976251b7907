"""Convolutional networks whose every layer is declared: kernel, stride, padding and norm."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field as Option
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.base import NETWORKS, Network
from mleg_ray.models.networks.blocks import BlocksConfig, Chain, OutputConfig, side_by_side
from mleg_ray.models.networks.conv import Size, by_size, channels_of
from mleg_ray.models.networks.structured import divided
from mleg_ray.space import Space

PIXEL = (1, 1)


class ConvLayer(Config):
    """One convolution: its square `kernel`, `stride` and `padding`, in pixels.

    A plain one makes ⌊(n + 2 padding - kernel) / stride⌋ + 1 pixels of n; a transposed one
    (n - 1) stride - 2 padding + kernel. With `normed` the network's norm follows.
    """

    kernel: PositiveInt
    stride: PositiveInt = 1
    padding: NonNegativeInt = 0
    normed: bool = False

    def size(self, size: Size, transposed: bool) -> Size:
        """Return the size of the maps that it makes; below one where it makes none."""
        rows, columns = (self._pixels(n, transposed) for n in size)
        return rows, columns

    def _pixels(self, n: int, transposed: bool) -> int:
        if transposed:
            return (n - 1) * self.stride - 2 * self.padding + self.kernel
        return (n + 2 * self.padding - self.kernel) // self.stride + 1


class ConvLayers(Network):
    """Images -> numbers, each the mean of its last map; or numbers -> images, layer by layer.

    Numbers that images are made of are a map of one pixel; those seen beside images are channels
    that are constant, and so are the conditions in either, unless they modulate each layer.
    """

    def __init__(
        self, config: "ConvLayersConfig", seen: Space, conditions: int, out: Space, makes: bool
    ) -> None:
        super().__init__()
        self._seen, self._out, self._conditions = seen, out, conditions
        self._concatenates, self._makes = config.side_by_side(conditions) > 0, makes
        numbers, images = divided(seen)
        self._numbers, self._images = tuple(numbers.parts), tuple(images.parts)
        n = numbers.width + channels_of(images) + config.side_by_side(conditions)
        last = channels_of(out) if makes else out.width
        self.layers = nn.ModuleList()
        for layer, width in zip(config.layers, config.channels, strict=False):
            convolution = config.convolution(layer, n, width, makes)
            norm = config.norm_of(width) if layer.normed else []
            block = config.block(convolution, *norm, channels=width, conditions=conditions)
            self.layers.append(block)
            n = width
        convolution = config.convolution(config.layers[-1], n, last, makes)
        self.layers.append(Chain(convolution, *config.output_layers()))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, seen) under condition (B, c) to (B, out); one of no conditions sees none."""
        made = self._maps(x, condition, len(self.layers))
        return made.flatten(1) if self._makes else made.mean(dim=(2, 3))

    @property
    def depth(self) -> int:
        """The number of hidden layers: all convolutions but the last."""
        return len(self.layers) - 1

    def hidden(self, x: Tensor, condition: Tensor, layer: int) -> Tensor:
        """Return what hidden layer number `layer`, from 1 to `depth`, makes of it: (B, width)."""
        return self._maps(x, condition, layer).flatten(1)

    def _maps(self, x: Tensor, condition: Tensor, layers: int) -> Tensor:
        """Return the maps (B, C, H, W) that the first so many layers make."""
        condition = condition[:, : self._conditions]
        views = self._seen.split(x)
        images = [views[name] for name in self._images]
        beside = [views[name] for name in self._numbers]
        if self._concatenates:
            beside.append(condition)
        size = images[0].shape[2:] if images else PIXEL
        constant = [numbers[:, :, None, None].expand(-1, -1, *size) for numbers in beside]
        maps = side_by_side(*images, *constant)
        for layer in self.layers[:layers]:
            maps = layer(maps, condition)
        return maps


@NETWORKS.register
class ConvLayersConfig(BlocksConfig, OutputConfig):
    """Configuration of `ConvLayers`: critics that see images, or generators that make them.

    `layers` are the convolutions in their order, transposed where images are made; `channels` are
    those of all layers but the last, which makes what is asked for. Images of one size are stacked
    as channels. As in DCGAN (Radford et al., arXiv:1511.06434), `norm` is batch normalisation
    (Ioffe & Szegedy, arXiv:1502.03167), by which a minibatch's events see each other in training,
    and none does in sampling; or that of all maps of an event (`layer`, Ba et al.,
    arXiv:1607.06450), by which they never do, as the gradient penalty of each event by itself
    wants it (Gulrajani et al., arXiv:1704.00028, sec. 4).
    """

    kind: Literal["conv-layers"] = "conv-layers"
    layers: Annotated[tuple[ConvLayer, ...], Option(min_length=2)]
    channels: tuple[PositiveInt, ...]
    norm: Literal["batch", "layer"] = "batch"

    @model_validator(mode="after")
    def _channels_are_those_of_layers(self) -> Self:
        if len(self.channels) != len(self.layers) - 1:
            raise ValueError(
                f"channels: there are {len(self.channels)} for {len(self.layers)} layers; give one "
                "for each but the last, which makes what is asked for"
            )
        if self.layers[-1].normed:
            raise ValueError("layers: the last one makes what is asked for; leave `normed` out")
        return self

    def build(self, seen: Space, conditions: int, out: Space) -> ConvLayers:
        """Build the network with freshly drawn weights.

        Raises:
            ConfigError: images are neither seen nor made, or both, or of several sizes; or the
                layers do not fit their size.
        """
        self.require_input(seen, conditions)
        images = {**divided(seen)[1].parts, **divided(out)[1].parts}
        makes = bool(divided(out)[1].parts)
        if any(len(part.shape) != 3 for part in images.values()):
            raise ConfigError(f"kind: '{self.kind}' takes images and numbers; set 'sets' or 'mlp'")
        if bool(divided(seen)[1].parts) == makes or (makes and divided(out)[0].parts):
            raise ConfigError(
                f"kind: '{self.kind}' sees images and makes numbers, or sees numbers and makes "
                "images; set 'conv' or 'mlp'"
            )
        sizes = list(by_size(Space(images)))
        if len(sizes) > 1:
            told = " and ".join(_told(size) for size in sizes)
            raise ConfigError(f"kind: '{self.kind}' takes images of one size, not {told}")
        self._require_fit(sizes[0], makes, next(iter(images)))
        return ConvLayers(self, seen, conditions, out, makes)

    def _require_fit(self, image: Size, makes: bool, name: str) -> None:
        """Raise `ConfigError` unless the layers lead to an image, or from it to a pixel or more."""
        sizes = [PIXEL if makes else image]
        for number, layer in enumerate(self.layers):
            made = layer.size(sizes[-1], makes)
            if min(made) < 1:
                raise ConfigError(
                    f"layers.{number}: kernel {layer.kernel}, stride {layer.stride} and padding "
                    f"{layer.padding} leave nothing of maps of {_told(sizes[-1])}; those of part "
                    f"'{name}' are {_steps(sizes)}"
                )
            sizes.append(made)
        if makes and sizes[-1] != image:
            raise ConfigError(
                f"layers.{len(self.layers) - 1}: makes {_told(sizes[-1])} and part '{name}' is "
                f"{_told(image)}; the maps are {_steps(sizes)}"
            )

    def convolution(self, layer: ConvLayer, n_in: int, n_out: int, transposed: bool) -> nn.Module:
        """Return a convolution with freshly drawn weights; a batch norm has its own offset."""
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        bias = not (layer.normed and self.norm == "batch")
        return kind(n_in, n_out, layer.kernel, layer.stride, layer.padding, bias=bias)

    def norm_of(self, width: int) -> list[nn.Module]:
        """Return the norm of so many channels."""
        return [nn.BatchNorm2d(width) if self.norm == "batch" else nn.GroupNorm(1, width)]


def _told(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _steps(sizes: Sequence[Size]) -> str:
    return " -> ".join(_told(size) for size in sizes)
