"""Networks with a branch for each part that they see and for each that they make."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from mleg_ray.config import suggest
from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.base import NETWORKS, Network
from mleg_ray.models.networks.blocks import BlocksConfig, Chain, side_by_side
from mleg_ray.space import Space

Widths = tuple[PositiveInt, ...]


class Normalised(nn.Sequential):
    """A linear layer and batch normalisation (Ioffe & Szegedy, arXiv:1502.03167), no activation."""

    def __init__(self, n_in: int, n_out: int) -> None:
        # The normalisation has an offset of its own.
        super().__init__(nn.Linear(n_in, n_out, bias=False), BatchNorm(n_out))


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation; a single row has no deviation, and is given the running one."""

    def forward(self, x: Tensor) -> Tensor:
        """Return numbers (B, n), normalised."""
        if len(x) > 1:
            return super().forward(x)
        return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class Branches(Network):
    """Dense layers for some of the parts seen, a dense trunk, dense layers for parts that are made.

    All parts are vectors here, whatever their shape. The trunk sees what the branches make, the
    parts that have none as they are, and the conditions. Each part that is made ends in a linear
    layer of its own.
    """

    def __init__(self, config: "BranchesConfig", seen: Space, conditions: int, out: Space) -> None:
        super().__init__()
        self._seen, self._out, self._conditions = seen, out, conditions
        self._concatenates = config.side_by_side(conditions) > 0

        def layers(n: int, widths: Iterable[int]) -> tuple[nn.ModuleList, int]:
            made = nn.ModuleList()
            for width in widths:
                made.append(config.dense(n, width, conditions))
                n = width
            return made, n

        n = config.side_by_side(conditions)
        self.inputs = nn.ModuleList()
        for name, part in seen.parts.items():
            branch, width = layers(part.width, config.inputs.get(name, ()))
            self.inputs.append(branch)
            n += width
        self.trunk, n = layers(n, config.head)
        if config.normalised:
            self.trunk.append(Normalised(n, config.normalised))
            n = config.normalised
        self.outputs, self.made = nn.ModuleList(), nn.ModuleList()
        for name, part in out.parts.items():
            branch, width = layers(n, config.outputs.get(name, ()))
            self.outputs.append(branch)
            self.made.append(nn.Linear(width, part.width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, seen) under condition (B, c) to (B, out); one of no conditions sees none."""
        return self._run(x, condition)[0]

    @property
    def depth(self) -> int:
        """The number of hidden layers: of the deepest branch in, the trunk, the deepest out."""
        return _deepest(self.inputs) + len(self.trunk) + _deepest(self.outputs)

    def hidden(self, x: Tensor, condition: Tensor, layer: int) -> Tensor:
        """Return what hidden layer number `layer`, from 1 to `depth`, makes of it: (B, width).

        Of branches side by side these are all of them; a short one stands with its last layer.
        """
        return self._run(x, condition)[1][layer - 1]

    def _run(self, x: Tensor, condition: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what is made (B, out), and the activations of each hidden layer."""
        condition = condition[:, : self._conditions]
        parts = [x[:, where] for where in self._seen.where.values()]
        ends, hidden = _through(self.inputs, parts, condition)
        trunk = side_by_side(*ends, *([condition] if self._concatenates else []))
        for block in self.trunk:
            trunk = block(trunk, condition) if isinstance(block, Chain) else block(trunk)
            hidden.append(trunk)
        ends, layers = _through(self.outputs, [trunk] * len(self.outputs), condition)
        made = [last(end) for last, end in zip(self.made, ends, strict=True)]
        return side_by_side(*made), hidden + layers


def _deepest(branches: nn.ModuleList) -> int:
    return max((len(_blocks(branch)) for branch in branches), default=0)


def _blocks(branch: nn.Module) -> list[nn.Module]:
    return list(branch.children())


def _through(
    branches: nn.ModuleList, parts: Sequence[Tensor], condition: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Return where parts (B, n) end behind their branches, and all branches layer by layer."""
    apart: list[list[Tensor]] = []
    for branch, part in zip(branches, parts, strict=True):
        layers = [part]
        for block in _blocks(branch):
            layers.append(block(layers[-1], condition))
        apart.append(layers)
    depth = _deepest(branches)
    side = [
        torch.cat([layers[min(k, len(layers) - 1)] for layers in apart], dim=1)
        for k in range(1, depth + 1)
    ]
    return [layers[-1] for layers in apart], side


@NETWORKS.register
class BranchesConfig(BlocksConfig):
    """Configuration of `Branches`: hidden widths by part, and those of the trunk, `head`.

    `inputs` and `outputs` name parts of what is seen and made; others have no layers of their own.
    A part without structure, such as a code, is called `noise`. With `normalised`, the trunk ends
    in so many numbers of a linear layer with batch normalisation.
    """

    kind: Literal["branches"] = "branches"
    inputs: Mapping[str, Widths] = {}
    head: Widths = ()
    outputs: Mapping[str, Widths] = {}
    normalised: PositiveInt | None = None

    def build(self, seen: Space, conditions: int, out: Space) -> Branches:
        """Build the network with freshly drawn weights.

        Raises:
            ConfigError: a branch is of no part, there is no hidden layer, or nothing to see.
        """
        self.require_input(seen, conditions)
        for key, named, space in (("inputs", self.inputs, seen), ("outputs", self.outputs, out)):
            for name in named:
                if name not in space.parts:
                    known = list(space.parts)
                    raise ConfigError(
                        f"{key}: there is no part '{name}'{suggest(name, known)}; those are "
                        f"{', '.join(known)}"
                    )
        network = Branches(self, seen, conditions, out)
        if network.depth == 0:
            raise ConfigError("head: the network has no hidden layer; give it one")
        return network
