"""Sparse images, halved again and again: which half has the energy, and what share of it."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, pad

from mleg_ray.config import inside
from mleg_ray.errors import ConfigError
from mleg_ray.models.base import MODELS, AnyNetwork, Model, ModelConfig, Spaces
from mleg_ray.space import Space

Shape = tuple[int, int, int]  # layers, rows, columns
LEAST_SHARE = 1e-6  # of the image, which a network tells from nothing
SCALE = 5.0  # of logarithms, so that networks see numbers of order one
FIRST, SECOND, BOTH = range(3)  # of two halves, those that have energy
NARROWEST = -5.0  # logarithm of a logistic distribution's scale
SMALLEST = 1e-6  # distance of noise from its ends, as single precision can tell


class Halves(NamedTuple):
    """A halving of all blocks of an image along an axis: the shapes before and after."""

    axis: int
    blocks: Shape
    halves: Shape


class BlockNetwork(nn.Module):
    """What it says of a block (N, 3 + 3 components): outcomes, and a mixture of shares.

    It is told the number (N,) of the block, of `blocks`, those around it (N, 39), and conditions.
    """

    def __init__(self, config: "HalvingConfig", blocks: int, conditions: int) -> None:
        super().__init__()
        self.place = nn.Embedding(blocks, config.place)
        seen = Space.numbers(27 + 12 + config.place)
        out = Space.numbers(3 + 3 * config.components)
        self.network = config.network.build(seen, conditions, out)

    def forward(self, places: Tensor, around: Tensor, condition: Tensor) -> Tensor:
        """Return what the network says of blocks."""
        seen = torch.cat([around, self.place(places)], dim=1)
        said: Tensor = self.network(seen, condition)
        return said


class Halving(Model):
    """p(image) = Π over halved blocks of p(which halves have energy) p(share of the first).

    An image (layers, rows, columns) of shares, which sum to 1, is one block. Blocks are halved
    along the layers until each is of one, then along rows and columns by turns, until each is a
    cell; halves of an odd number differ by one. What a block has is divided among its halves, so
    the sum is exact at all scales, and a block of nothing stays so. All images of a scale, sums
    over blocks, are a pyramid, of which the density is factorised scale by scale (Reed et al.,
    arXiv:1703.03664).

    Each halving has a network. Of a block that has energy it is told the place, the energies of the
    3 x 3 x 3 blocks around it, and, as layers are halved one after the other, those of the halves
    around its own in the layer before. It says the probabilities that the first half, the second or
    both have the energy, and a mixture of logistic distributions of logit f, f the share of the
    first.

    The density is that of the shares of all hits but one, which follows from them, times the
    probability of which cells are hit.
    """

    has_density = True

    def __init__(self, config: "HalvingConfig", spaces: Spaces) -> None:
        super().__init__()
        [(name, part)] = spaces.features.parts.items()
        if not part.shares:
            raise ConfigError(
                f"kind: '{name}' is no image of shares of its sum; the step 'shares' makes one"
            )
        layers, rows, columns = part.shape
        self._shape = (layers, rows, columns)
        self._halvings = tuple(halvings(self._shape))
        blocks = [math.prod(one.blocks) for one in self._halvings]
        self.noise_space = Space.numbers(0, angles=sum(blocks))
        with inside("network"):
            self.flow = nn.ModuleList(
                BlockNetwork(config, n, spaces.condition.width) for n in blocks
            )

    def log_prob(self, features: Tensor, condition: Tensor) -> Tensor:
        """Return the log density (B,) of images (B, cells) under conditions (B, C)."""
        image = features.view(-1, *self._shape)
        total = features.new_zeros(len(features))
        for number, (axis, shape, smaller) in enumerate(self._halvings):
            blocks, halves = summed(image, shape), summed(image, smaller)
            seen = _seen(blocks)
            for layer in self._layers(axis, shape):
                at = _hit(blocks, layer)
                raw = self._told(number, layer, at, seen, halves, condition)
                first, second = _halves_of(at, axis, halves)
                which = torch.where(second == 0, FIRST, torch.where(first == 0, SECOND, BOTH))
                log_p = _outcomes(raw, at, axis, smaller).log_softmax(dim=1)
                total = total.index_add(0, at[0], log_p.gather(1, which[:, None]).squeeze(1))
                both = which == BOTH
                a, b = first[both].log(), second[both].log()
                # Per share of the image: d logit f / d first = (first + second) / first second.
                slope = torch.logaddexp(a, b) - a - b
                density = _log_density(raw[both, 3:], a - b) + slope
                total = total.index_add(0, at[0][both], density)
        return total

    def decode(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Map noise (B, blocks), uniform in [-1, 1), to images (B, cells)."""
        blocks, start = noise.new_ones(len(noise), 1, 1, 1), 0
        for number, (axis, shape, smaller) in enumerate(self._halvings):
            seen, halves = _seen(blocks), noise.new_zeros(len(noise), *smaller)
            for layer in self._layers(axis, shape):
                at = _hit(blocks, layer)
                raw = self._told(number, layer, at, seen, halves, condition)
                uniform = (noise[at[0], start + _flat(at, shape)] + 1) / 2
                which, rest = _chosen(_outcomes(raw, at, axis, smaller).softmax(dim=1), uniform)
                share = _share(raw[:, 3:], rest)
                share = torch.where(which == BOTH, share, (which == FIRST).to(share))
                energy = blocks[at]
                for half, part in enumerate((share, 1 - share)):
                    place = [*at]
                    place[axis + 1] = (2 * at[axis + 1] + half).clamp(max=smaller[axis] - 1)
                    halves.index_put_(tuple(place), energy * part, accumulate=True)
            blocks, start = halves, start + math.prod(shape)
        return blocks.reshape(len(noise), -1)

    def _layers(self, axis: int, shape: Shape) -> Iterator[slice]:
        """Yield what is halved at once: all blocks along layers, else one layer after the other."""
        if axis == 0:
            yield slice(0, shape[0])
        else:
            yield from (slice(layer, layer + 1) for layer in range(shape[0]))

    def _told(
        self,
        number: int,
        layer: slice,
        at: tuple[Tensor, ...],
        blocks: Tensor,
        halves: Tensor,
        condition: Tensor,
    ) -> Tensor:
        """Return what a halving's network says (N, out) of the blocks `at` event and place (N,).

        `blocks` are as networks see them, `halves` are energies, of layers before.
        """
        axis, shape, _ = self._halvings[number]
        event, z, row, column = at
        around = _around(blocks, event, (z - 1, row - 1, column - 1), (3, 3, 3))
        before = around.new_zeros(len(around), 12)
        if axis and layer.start:
            known = _seen(halves[:, layer.start - 1 : layer.start])
            if axis == 1:
                corner, window = (z - layer.start, 2 * row - 1, column - 1), (1, 4, 3)
            else:
                corner, window = (z - layer.start, row - 1, 2 * column - 1), (1, 3, 4)
            before = _around(known, event, corner, window)
        places = _flat(at, shape)
        numbers = torch.cat([around, before], dim=1)
        said: Tensor = self.flow[number](places, numbers, condition[event])
        return said


@MODELS.register
class HalvingConfig(ModelConfig):
    """Configuration of `Halving`: the network of each halving, of which none shares weights.

    A block's place is told as so many learned numbers; the mixture has so many `components`.
    """

    players: ClassVar[tuple[str, ...]] = ("flow",)
    kind: Literal["halving"] = "halving"
    network: AnyNetwork
    place: PositiveInt = 8
    components: Annotated[int, Option(ge=1)] = 4

    def build(self, spaces: Spaces) -> Halving:
        """Build the model with freshly drawn weights; `ConfigError` unless it is one of shares."""
        return Halving(self, spaces)


def halvings(shape: Shape) -> list[Halves]:
    """Return the halvings of an image, from one block to cells.

    Backwards, neighbours are put together in pairs along the longer of rows and columns, until
    there is one block in each layer, and then along the layers.

    >>> [(one.axis, one.halves) for one in halvings((3, 2, 4))]
    [(0, (2, 1, 1)), (0, (3, 1, 1)), (2, (3, 1, 2)), (1, (3, 2, 2)), (2, (3, 2, 4))]
    """
    backwards: list[Halves] = []
    while max(shape) > 1:
        layers, rows, columns = halves = shape
        if max(rows, columns) == 1:
            axis, shape = 0, (_pairs(layers), 1, 1)
        elif rows >= columns:
            axis, shape = 1, (layers, _pairs(rows), columns)
        else:
            axis, shape = 2, (layers, rows, _pairs(columns))
        backwards.append(Halves(axis, shape, halves))
    return backwards[::-1]


def summed(image: Tensor, shape: Shape) -> Tensor:
    """Return the sums (B, *shape) over the blocks of an image (B, *its shape), see `halvings`."""
    for axis, n in enumerate(shape, start=1):
        while image.shape[axis] > n:
            if image.shape[axis] % 2:
                image = pad(image, [0, 0] * (3 - axis) + [0, 1])
            before, after = image.shape[:axis], image.shape[axis + 1 :]
            image = image.reshape(*before, -1, 2, *after).sum(dim=axis + 1)
    return image


def _pairs(n: int) -> int:
    return -(-n // 2)


def _hit(blocks: Tensor, layer: slice) -> tuple[Tensor, ...]:
    """Return event, layer, row and column (N,) of the blocks of some layers that have energy."""
    event, z, row, column = blocks[:, layer].nonzero(as_tuple=True)
    return event, z + layer.start, row, column


def _flat(at: tuple[Tensor, ...], shape: Shape) -> Tensor:
    """Return the numbers (N,) of blocks of an image of this shape."""
    _, z, row, column = at
    return (z * shape[1] + row) * shape[2] + column


def _seen(blocks: Tensor) -> Tensor:
    """Return what networks see of energies (B, layers, rows, columns), with zeros around them."""
    return pad(torch.log1p(blocks / LEAST_SHARE) / SCALE, [1, 2] * 3)


def _around(
    seen: Tensor, event: Tensor, corner: tuple[Tensor, Tensor, Tensor], window: Shape
) -> Tensor:
    """Return a window of what `_seen` returns (N, its size), from the corner's place (N,) on."""
    _, depth, height, width = seen.shape
    z, row, column = (place + 1 for place in corner)
    first = ((event * depth + z) * height + row) * width + column
    steps = [torch.arange(n, device=seen.device) for n in window]
    away = ((steps[0][:, None, None] * height + steps[1][:, None]) * width + steps[2]).flatten()
    return seen.flatten()[first[:, None] + away]


def _halves_of(at: tuple[Tensor, ...], axis: int, halves: Tensor) -> tuple[Tensor, Tensor]:
    """Return the energies (N,) of both halves of blocks; one beyond the image has none."""
    event, *block = at
    both = []
    for half in (0, 1):
        place = list(block)
        place[axis] = 2 * block[axis] + half
        inside = place[axis] < halves.shape[axis + 1]
        place[axis] = place[axis].clamp(max=halves.shape[axis + 1] - 1)
        both.append(halves[(event, *place)] * inside)
    return both[0], both[1]


def _outcomes(raw: Tensor, at: tuple[Tensor, ...], axis: int, halves: Shape) -> Tensor:
    """Return logits (N, 3) of which halves have energy; the last of an odd number is alone."""
    alone = 2 * at[axis + 1] + 1 >= halves[axis]
    return raw[:, :3].masked_fill(alone[:, None] & raw.new_tensor([0, 1, 1]).bool(), -math.inf)


def _mixture(raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, means and logarithms of scales (N, K) of logistic distributions."""
    logits, mean, log_scale = raw.chunk(3, dim=1)
    return logits, mean, log_scale.clamp(min=NARROWEST)


def _log_density(raw: Tensor, x: Tensor) -> Tensor:
    """Return the log density (N,) of numbers (N,): of each, -z - log s - 2 log(1 + exp -z)."""
    logits, mean, log_scale = _mixture(raw)
    z = (x[:, None] - mean) * (-log_scale).exp()
    logistic = logsigmoid(z) + logsigmoid(-z) - log_scale
    return torch.logsumexp(logits.log_softmax(dim=1) + logistic, dim=1)


def _chosen(p: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Return which of probabilities (N, k) a uniform number (N,) chooses, and one that is left.

    Where the number lies between the sums of probabilities is uniform again, and independent.
    """
    above = p.cumsum(dim=1)
    which = (above[:, :-1] <= uniform[:, None]).sum(dim=1, keepdim=True)
    own = p.gather(1, which).squeeze(1)
    rest = 1 - (above.gather(1, which).squeeze(1) - uniform) / own
    return which.squeeze(1), rest.clamp(SMALLEST, 1 - SMALLEST)


def _share(raw: Tensor, uniform: Tensor) -> Tensor:
    """Return the share (N,) of the first half that a uniform number (N,) becomes."""
    logits, mean, log_scale = _mixture(raw)
    which, rest = _chosen(logits.softmax(dim=1), uniform)
    own, scale = (x.gather(1, which[:, None]).squeeze(1) for x in (mean, log_scale.exp()))
    return (own + scale * rest.logit()).sigmoid()
