"""Fully connected networks, which see vectors as they are."""

from typing import Annotated, Literal

import torch
from pydantic import Field as Option
from pydantic import PositiveInt
from torch import Tensor, nn

from mleg_ray.models.networks.base import NETWORKS, Network, NetworkConfig
from mleg_ray.space import Space


class MLP(Network):
    """A fully connected network that sees its input and the conditions side by side."""

    def __init__(self, config: "MLPConfig", n_in: int, n_conditions: int, n_out: int) -> None:
        super().__init__()
        self._sees_condition = n_conditions > 0
        self.net = config.layers(n_in + n_conditions, n_out)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, n_in) under condition (B, c) to (B, n_out); one of no conditions sees none."""
        result: Tensor = self.net(self._seen(x, condition))
        return result

    @property
    def depth(self) -> int:
        """The number of hidden layers."""
        return len(self.net) - 1

    def hidden(self, x: Tensor, condition: Tensor, layer: int) -> Tensor:
        """Return what hidden layer number `layer`, from 1 to `depth`, makes of it: (B, width)."""
        result: Tensor = self.net[:layer](self._seen(x, condition))
        return result

    def _seen(self, x: Tensor, condition: Tensor) -> Tensor:
        return torch.cat([x, condition], dim=1) if self._sees_condition else x


class Residual(nn.Module):
    """x -> x + f(x)."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Return x + f(x), shape of x."""
        result: Tensor = x + self.block(x)
        return result


@NETWORKS.register
class MLPConfig(NetworkConfig):
    """Configuration of `MLP`: hidden widths, activation, dropout, residual blocks.

    `negative_slope` is that of LeakyReLU; SiLU is smooth, as a velocity field wants it. With
    `residual`, every hidden layer that keeps its width adds its input to its output (He et al.,
    arXiv:1512.03385).
    """

    kind: Literal["mlp"] = "mlp"
    widths: Annotated[tuple[PositiveInt, ...], Option(min_length=1)]
    activation: Literal["leaky-relu", "silu"] = "leaky-relu"
    negative_slope: float = Option(0.2, ge=0)
    dropout: float = Option(0.0, ge=0, lt=1)
    residual: bool = False

    def build(self, seen: Space, conditions: int, out: Space) -> MLP:
        """Build the network with freshly drawn weights."""
        return MLP(self, seen.width, conditions, out.width)

    def layers(self, n_in: int, n_out: int) -> nn.Sequential:
        """Build the layers (B, n_in) -> (B, n_out), the last of which is linear."""
        layers: list[nn.Module] = []
        for width in self.widths:
            block = self._block(n_in, width)
            layers.append(Residual(block) if self.residual and width == n_in else block)
            n_in = width
        return nn.Sequential(*layers, nn.Linear(n_in, n_out))

    def _block(self, n_in: int, n_out: int) -> nn.Sequential:
        silu = self.activation == "silu"
        activation = nn.SiLU() if silu else nn.LeakyReLU(self.negative_slope)
        layers: list[nn.Module] = [nn.Linear(n_in, n_out), activation]
        if self.dropout > 0:
            layers.append(nn.Dropout(self.dropout))
        return nn.Sequential(*layers)
