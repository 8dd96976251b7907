"""Convolutional networks, which see images as they are."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field as Option
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.base import NETWORKS
from mleg_ray.models.networks.blocks import Chain, Residual, side_by_side
from mleg_ray.models.networks.structured import (
    Decoder,
    Encoded,
    Encoder,
    Layers,
    Structured,
    StructuredConfig,
)
from mleg_ray.space import Space

Size = tuple[int, int]
CHANNELS_OF_A_GROUP = 16


class SameConv(nn.Conv2d):
    """A convolution of maps (B, C, H, W) to (B, C', ⌈H / stride⌉, ⌈W / stride⌉), of any kernel.

    Zeros surround the map; where their number is odd, one more stands below and at the right.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(n_in, n_out, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        rows, columns = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:])
        if rows % 2 or columns % 2:
            around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
            return functional.conv2d(functional.pad(x, around), self.weight, self.bias, stride)
        padding = (rows // 2, columns // 2)
        return functional.conv2d(x, self.weight, self.bias, stride, padding)


class Crop(nn.Module):
    """Maps (B, C, H, W) -> their upper left corner (B, C, *size)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self._rows, self._columns = size

    def forward(self, x: Tensor) -> Tensor:
        """Cut maps."""
        return x[:, :, : self._rows, : self._columns]


class ConvBranch(nn.Module):
    """Maps (B, C, *size) -> the maps of each stage, the coarsest last."""

    def __init__(self, config: "ConvConfig", channels: int, conditions: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self._concatenates = config.side_by_side(conditions) > 0
        n = channels + config.side_by_side(conditions)
        stem = [config.stem] if config.stem else []
        for k, width in enumerate((*stem, *config.channels)):
            first = k < len(stem)
            layer = SameConv(n, width, config.kernel) if first else config.halving(n, width)
            self.stages.append(config.stage(layer, width, conditions, normed=k > 0))
            n = width

    def forward(self, maps: Tensor, condition: Tensor) -> list[Tensor]:
        """Run through all stages; conditions (B, c) are seen as channels that are constant."""
        if self._concatenates:
            constant = condition[:, :, None, None].expand(-1, -1, *maps.shape[2:])
            maps = torch.cat([maps, constant], dim=1)
        made = []
        for stage in self.stages:
            maps = stage(maps, condition)
            made.append(maps)
        return made


class UpBranch(nn.Module):
    """A vector -> maps (B, C, *size), from the coarsest stage to the finest.

    With `joined`, each stage also sees the maps of the encoder's stage of the same size.
    """

    def __init__(
        self,
        config: "ConvConfig",
        trunk: int,
        channels: int,
        size: Size,
        conditions: int,
        joined: bool,
    ) -> None:
        super().__init__()
        *sizes, (rows, columns) = config.sizes(size)
        n = config.channels[-1]
        start = nn.Sequential(
            nn.Linear(trunk, n * rows * columns), nn.Unflatten(1, (n, rows, columns))
        )
        self.stages = nn.ModuleList([config.stage(start, n, conditions)])
        seen = 1 + joined
        widths = (config.stem or channels, *config.channels[:-1])
        for k in reversed(range(len(widths))):
            up = config.doubling(seen * n, widths[k], sizes[k])
            n = widths[k]
            if k > 0 or config.stem:
                self.stages.append(config.stage(up, n, conditions))
            else:
                self.last: nn.Module = up
        if config.stem:
            self.last = SameConv(seen * n, channels, config.kernel)

    def forward(
        self, trunk: Tensor, joined: Sequence[Tensor], condition: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the maps, and those of each stage."""
        first, *others = self.stages
        maps = first(trunk, condition)
        made = [maps]
        *beside, last = [[same] for same in reversed(joined)] or [[] for _ in self.stages]
        for stage, same in zip(others, beside, strict=True):
            maps = stage(side_by_side(maps, *same), condition)
            made.append(maps)
        result: Tensor = self.last(side_by_side(maps, *last))
        return result, made


class ConvEncoder(Encoder):
    """Images of each size by a `ConvBranch` of their own, and the coarsest maps side by side."""

    def __init__(self, config: "ConvConfig", parts: Space, conditions: int) -> None:
        super().__init__()
        self._groups = by_size(parts)
        self.branches = nn.ModuleList(
            ConvBranch(config, channels_of(group), conditions) for group in self._groups.values()
        )
        coarsest = (config.sizes(size)[-1] for size in self._groups)
        self.width = config.channels[-1] * sum(rows * columns for rows, columns in coarsest)
        self.depth = len(config.channels) + (config.stem > 0)

    def forward(self, views: Mapping[str, Tensor], condition: Tensor) -> Encoded:
        """Encode images (B, C, H, W) by name, under condition (B, c)."""
        made = {
            str(size): branch(side_by_side(*(views[name] for name in group.parts)), condition)
            for (size, group), branch in zip(self._groups.items(), self.branches, strict=True)
        }
        layers = [list(layer) for layer in zip(*made.values(), strict=True)]
        return Encoded(side_by_side(*(maps.flatten(1) for maps in layers[-1])), layers, made)


class ConvDecoder(Decoder):
    """Images of each size by an `UpBranch` of their own.

    Images of a size that is also seen are joined to the encoder's maps, stage by stage, as in a
    U-Net (Ronneberger et al., arXiv:1505.04597).
    """

    def __init__(
        self, config: "ConvConfig", parts: Space, trunk: int, seen: Space, conditions: int
    ) -> None:
        super().__init__()
        self._groups = by_size(parts)
        known = by_size(seen)
        self.branches = nn.ModuleList(
            UpBranch(config, trunk, channels_of(group), size, conditions, joined=size in known)
            for size, group in self._groups.items()
        )
        self.depth = len(config.channels) + (config.stem > 0)

    def forward(
        self, trunk: Tensor, encoded: Encoded, condition: Tensor
    ) -> tuple[dict[str, Tensor], Layers]:
        """Return images (B, C·H·W) by name, and the maps of each stage."""
        images: dict[str, Tensor] = {}
        layers: Layers = [[] for _ in range(self.depth)]
        for (size, group), branch in zip(self._groups.items(), self.branches, strict=True):
            maps, stages = branch(trunk, encoded.parts.get(str(size), ()), condition)
            widths = [part.width for part in group.parts.values()]
            images |= zip(group.parts, maps.flatten(1).split(widths, dim=1), strict=True)
            for layer, made in zip(layers, stages, strict=True):
                layer.append(made)
        return images, layers


@NETWORKS.register
class ConvConfig(StructuredConfig):
    """Configuration of convolutional networks: generators, critics, encoders, decoders of images.

    Images that are seen are halved stage by stage (rounded up), until the trunk sees them as a
    vector; images that are made are doubled stage by stage from what the trunk makes. `channels`
    are those of the stages, the finest first, whatever the direction. The first stage halves the
    image itself and the last makes it, as in DCGAN (Radford et al., arXiv:1511.06434); with a
    `stem`, one more convolution of so many channels stands at the full resolution. Images of the
    same size are stacked as channels.

    `down` is a convolution of stride two, or one and the average or maximum of 2 x 2; `up` a
    transposed convolution, or one of pixels that are repeated (`nearest`) or interpolated
    (`bilinear`), or one whose channels become pixels (`pixel-shuffle`, Shi et al.,
    arXiv:1609.05158). `residual` convolutions follow each, which add their input to their output.

    `norm` is that of an event's maps: in groups of 16 channels where the width is a multiple of it
    (Wu & He, arXiv:1803.08494), or of all together (Ba et al., arXiv:1607.06450). No event sees
    another. As in DCGAN, the layer that sees the image has none and that which makes it neither.
    """

    kind: Literal["conv"] = "conv"
    channels: Annotated[tuple[PositiveInt, ...], Option(min_length=1)]
    stem: NonNegativeInt = 0
    kernel: PositiveInt = 3
    down: Literal["strided", "average", "max"] = "strided"
    up: Literal["nearest", "bilinear", "transposed", "pixel-shuffle"] = "nearest"
    norm: Literal["group", "layer", "none"] = "group"
    residual: NonNegativeInt = 0

    def build(self, seen: Space, conditions: int, out: Space) -> Structured:
        """Build the network with freshly drawn weights.

        Raises:
            ConfigError: a part is neither an image nor numbers, no part is an image, or one is too
                small for so many stages.
        """
        self.require_input(seen, conditions)
        self.require_parts(seen, out, rank=3, what="images")
        for name, part in (*seen.parts.items(), *out.parts.items()):
            if len(part.shape) < 3:
                continue
            _, rows, columns = part.shape
            stages = (max(rows, columns) - 1).bit_length()
            if len(self.channels) > stages:
                raise ConfigError(
                    f"channels: {len(self.channels)} stages halve part '{name}' of {rows} x "
                    f"{columns} below a pixel; give at most {stages}"
                )
        return Structured(self, ConvEncoder, ConvDecoder, seen, conditions, out)

    def sizes(self, size: Size) -> list[Size]:
        """Return the sizes of an image's maps, from itself to the coarsest: halves, rounded up."""
        sizes = [size]
        for _ in self.channels:
            rows, columns = sizes[-1]
            sizes.append((-(-rows // 2), -(-columns // 2)))
        return sizes

    def stage(self, layer: nn.Module, width: int, conditions: int, normed: bool = True) -> Chain:
        """Return a layer that ends in so many channels, its block and residual convolutions."""
        layers = [layer, *self._norm(width)] if normed else [layer]
        stage = self.block(*layers, channels=width, conditions=conditions)
        for _ in range(self.residual):
            conv = SameConv(width, width, self.kernel)
            layers = [conv, *self._norm(width)]
            stage.append(Residual(self.block(*layers, channels=width, conditions=conditions)))
        return stage

    def halving(self, n_in: int, n_out: int) -> nn.Module:
        """Return the layer (B, n_in, H, W) -> (B, n_out, ⌈H / 2⌉, ⌈W / 2⌉)."""
        if self.down == "strided":
            return SameConv(n_in, n_out, self.kernel, stride=2)
        pool = nn.AvgPool2d if self.down == "average" else nn.MaxPool2d
        return nn.Sequential(SameConv(n_in, n_out, self.kernel), pool(2, ceil_mode=True))

    def doubling(self, n_in: int, n_out: int, size: Size) -> nn.Module:
        """Return the layer (B, n_in, h, w) -> (B, n_out, *size); of doubles, or one less."""
        k = self.kernel
        if self.up == "transposed":
            layers: list[nn.Module] = [
                nn.ConvTranspose2d(n_in, n_out, k, 2, (k - 1) // 2, output_padding=k % 2)
            ]
        elif self.up == "pixel-shuffle":
            layers = [SameConv(n_in, 4 * n_out, k), nn.PixelShuffle(2)]
        else:
            layers = [nn.Upsample(scale_factor=2, mode=self.up), SameConv(n_in, n_out, k)]
        return nn.Sequential(*layers, Crop(size))

    def _norm(self, width: int) -> list[nn.Module]:
        if self.norm == "none":
            return []
        grouped = self.norm == "group" and width % CHANNELS_OF_A_GROUP == 0
        return [nn.GroupNorm(width // CHANNELS_OF_A_GROUP if grouped else 1, width)]


def by_size(parts: Space) -> dict[Size, Space]:
    """Return the image parts (C, H, W) of each size (H, W), in the order of the space."""
    names: dict[Size, list[str]] = {}
    for name, part in parts.parts.items():
        _, rows, columns = part.shape
        names.setdefault((rows, columns), []).append(name)
    return {size: parts.of(group) for size, group in names.items()}


def channels_of(group: Space) -> int:
    """Return how many channels images have together."""
    return sum(part.shape[0] for part in group.parts.values())
