"""Networks that see the parts of a space in their shapes: an encoder, a dense trunk, a decoder."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pydantic import PositiveInt
from torch import Tensor, nn

from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.base import Network
from mleg_ray.models.networks.blocks import BlocksConfig, side_by_side
from mleg_ray.space import Space

Layers = list[list[Tensor]]
AnyStructured = TypeVar("AnyStructured", bound="StructuredConfig")


class Encoded(NamedTuple):
    """What an encoder makes of B events.

    `vector` (B, width) is for the trunk, `layers` are the activations (B, ...) of each hidden
    layer, and `parts` is what a decoder of the same parts may join to its own, by their key.
    """

    vector: Tensor
    layers: Layers
    parts: Mapping[str, Sequence[Tensor]]


class Encoder(nn.Module):
    """Structured parts -> a vector of `width` numbers, through `depth` hidden layers."""

    width: int
    depth: int

    @abstractmethod
    def forward(self, views: Mapping[str, Tensor], condition: Tensor) -> Encoded:
        """Encode the parts (B, *shape) by name, under condition (B, c)."""


class Decoder(nn.Module):
    """A vector -> structured parts, through `depth` hidden layers."""

    depth: int

    @abstractmethod
    def forward(
        self, trunk: Tensor, encoded: Encoded, condition: Tensor
    ) -> tuple[dict[str, Tensor], Layers]:
        """Return the parts (B, width) by name that a vector stands for, and the hidden layers."""


class Structured(Network):
    """An encoder of the structured parts, a dense trunk and a decoder of structured parts.

    The trunk sees the encoder's vector, the seen numbers and the conditions. What it makes becomes
    numbers by a linear layer, and structured parts by the decoder. Numbers that are seen beside
    structured parts are conditions of the encoder and the decoder as well. The encoder is built of
    its parts and the number of conditions; the decoder of its parts, the width of what the trunk
    makes, the encoder's parts and the number of conditions.
    """

    def __init__(
        self,
        config: AnyStructured,
        encoder: Callable[[AnyStructured, Space, int], Encoder],
        decoder: Callable[[AnyStructured, Space, int, Space, int], Decoder],
        seen: Space,
        conditions: int,
        out: Space,
    ) -> None:
        super().__init__()
        self._seen, self._out, self._conditions = seen, out, conditions
        self._concatenates = config.side_by_side(conditions) > 0
        numbers, parts = divided(seen)
        numbers_out, parts_out = divided(out)
        self._numbers, self._numbers_out = tuple(numbers.parts), numbers_out
        context = conditions + (numbers.width if parts.parts else 0)
        self.encoder = encoder(config, parts, context) if parts.parts else None
        n = numbers.width + config.side_by_side(conditions)
        n += self.encoder.width if self.encoder else 0
        self.trunk = nn.ModuleList()
        for width in config.head:
            self.trunk.append(config.dense(n, width, context))
            n = width
        self.numbers = nn.Linear(n, numbers_out.width) if numbers_out.parts else None
        self.decoder = decoder(config, parts_out, n, parts, context) if parts_out.parts else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, seen) under condition (B, c) to (B, out); one of no conditions sees none."""
        return self._run(x, condition)[0]

    @property
    def depth(self) -> int:
        """The number of hidden layers, those of encoder, trunk and decoder in this order."""
        ends = (self.encoder, self.decoder)
        return len(self.trunk) + sum(end.depth for end in ends if end is not None)

    def hidden(self, x: Tensor, condition: Tensor, layer: int) -> Tensor:
        """Return what hidden layer number `layer`, from 1 to `depth`, makes of it: (B, width)."""
        _, layers = self._run(x, condition)
        return side_by_side(*(part.flatten(1) for part in layers[layer - 1]))

    def _run(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Layers]:
        """Return what is made (B, out), and the activations of each hidden layer."""
        views = self._seen.split(x)
        condition = condition[:, : self._conditions]
        numbers = [views[name] for name in self._numbers]
        context, encoded = condition, Encoded(x[:, :0], [], {})
        if self.encoder is not None:
            context = side_by_side(*numbers, condition)
            encoded = self.encoder(views, context)
        trunk = side_by_side(encoded.vector, *numbers, *([condition] if self._concatenates else []))
        layers = list(encoded.layers)
        for block in self.trunk:
            trunk = block(trunk, context)
            layers.append([trunk])
        made: dict[str, Tensor] = {}
        if self.numbers is not None:
            made |= self._numbers_out.split(self.numbers(trunk))
        if self.decoder is not None:
            parts, decoded = self.decoder(trunk, encoded, context)
            made |= parts
            layers += decoded
        return side_by_side(*(made[name] for name in self._out.parts)), layers


class StructuredConfig(BlocksConfig):
    """What all `Structured` networks configure: `head` are the hidden widths of the trunk."""

    head: tuple[PositiveInt, ...] = ()

    def require_parts(self, seen: Space, out: Space, rank: int, what: str) -> None:
        """Raise `ConfigError` if a part is neither numbers nor of `rank`, or none of it."""
        ranks = set()
        for name, part in (*seen.parts.items(), *out.parts.items()):
            if len(part.shape) not in (1, rank):
                raise ConfigError(
                    f"kind: '{self.kind}' takes {what} and numbers, and part '{name}' has shape "
                    f"{part.shape}; set {' or '.join(TAKES[len(part.shape)])}"
                )
            ranks.add(len(part.shape))
        if rank not in ranks:
            raise ConfigError(
                f"kind: '{self.kind}' is for {what}, and the network sees and makes numbers only; "
                "set 'mlp'"
            )


# What a part may be by the rank of its shape, and which kinds take it.
TAKES = {1: ("'mlp'",), 2: ("'sets'", "'mlp'"), 3: ("'conv'", "'mlp'")}


def divided(space: Space) -> tuple[Space, Space]:
    """Return the parts of a space that are numbers, and those that have a structure."""
    numbers = [name for name, part in space.parts.items() if len(part.shape) == 1]
    return space.of(numbers), space.of([name for name in space.parts if name not in numbers])
