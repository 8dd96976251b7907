"""Fully connected networks, which see vectors as they are."""

from typing import Annotated, Literal

from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from mleg_ray.models.networks.base import NETWORKS, Network
from mleg_ray.models.networks.blocks import (
    Activation,
    BlocksConfig,
    Chain,
    OutputConfig,
    Residual,
    side_by_side,
)
from mleg_ray.space import Space


class MLP(Network):
    """A fully connected network that sees its input and the conditions side by side, or by FiLM."""

    def __init__(self, config: "MLPConfig", n_in: int, n_conditions: int, n_out: int) -> None:
        super().__init__()
        beside = config.side_by_side(n_conditions)
        self._concatenates = beside > 0
        self.net, n = Chain(), n_in + beside
        for layer, width in enumerate(config.widths):
            block = config.dense(n, width, n_conditions, first=layer == 0)
            self.net.append(Residual(block) if config.residual and width == n else block)
            n = width
        self._hidden = len(self.net)
        self.net.extend([config.linear(n, n_out), *config.output_layers()])

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, n_in) under condition (B, c) to (B, n_out); one of no conditions sees none."""
        result: Tensor = self.net(self._seen(x, condition), condition)
        return result

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return self._hidden

    def hidden(self, x: Tensor, condition: Tensor, layer: int) -> Tensor:
        """Return what hidden layer number `layer`, from 1 to `depth`, makes of it: (B, width)."""
        result: Tensor = self.net[:layer](self._seen(x, condition), condition)
        return result

    def _seen(self, x: Tensor, condition: Tensor) -> Tensor:
        return side_by_side(x, condition) if self._concatenates else x


@NETWORKS.register
class MLPConfig(BlocksConfig, OutputConfig):
    """Configuration of `MLP`: hidden widths and residual blocks, beside those of all networks.

    The first hidden layer may have another activation than the others, `first_activation`.

    With `residual`, every hidden layer that keeps its width adds its input to its output (He et
    al., arXiv:1512.03385). `initial` says how weights are drawn: as PyTorch does it, uniform up to
    1/√n of n inputs, biases too, or uniform up to √(6/(n + m)) with m outputs and biases of zero
    (Glorot & Bengio, AISTATS 2010, eq. 16), as Keras does it.
    """

    kind: Literal["mlp"] = "mlp"
    widths: Annotated[tuple[PositiveInt, ...], Option(min_length=1)]
    first_activation: Activation | None = None
    residual: bool = False
    initial: Literal["pytorch", "glorot"] = "pytorch"

    def linear(self, n_in: int, n_out: int) -> nn.Linear:
        """Return a linear layer with freshly drawn weights."""
        layer = nn.Linear(n_in, n_out)
        if self.initial == "glorot":
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        return layer

    def dense(self, n_in: int, n_out: int, conditions: int, first: bool = False) -> Chain:
        """Return a fully connected block (B, n_in) -> (B, n_out)."""
        activation = self.first_activation if first else None
        linear = self.linear(n_in, n_out)
        return self.block(linear, channels=n_out, conditions=conditions, activation=activation)

    def build(self, seen: Space, conditions: int, out: Space) -> MLP:
        """Build the network with freshly drawn weights.

        Raises:
            ConfigError: there is nothing to see, or to modulate.
        """
        self.require_input(seen, conditions)
        return MLP(self, seen.width, conditions, out.width)
