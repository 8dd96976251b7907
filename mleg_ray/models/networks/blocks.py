"""The blocks of which networks are made: layers that may be modulated by conditions."""

from typing import Literal

import torch
from pydantic import Field as Option
from torch import Tensor, nn

from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.models.networks.base import NetworkConfig
from mleg_ray.space import Space

Activation = Literal["leaky-relu", "relu", "silu"]


class Modulated(nn.Module):
    """A module that sees conditions beside its input: `forward(x, condition)`."""


class FiLM(Modulated):
    """h -> γ(c)·h + β(c), one γ and β a channel; both are linear in c, and begin as 1 and 0.

    Source: Perez et al., arXiv:1709.07871, eq. 1 and 2, with γ as 1 + Δγ (sec. 7.2).
    """

    def __init__(self, conditions: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(conditions, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, channels, ...) under condition (B, conditions) to the shape of x."""
        both: Tensor = self.linear(condition)
        scale, shift = both.view(len(x), 2, -1, *[1] * (x.dim() - 2)).unbind(1)
        return x + scale * x + shift


class Chain(Modulated, nn.Sequential):
    """Modules one after the other, of which those that are `Modulated` see the conditions."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map x (B, ...) under condition (B, c); none is needed if no `FiLM` is among them."""
        for module in self:
            x = module(x, condition) if isinstance(module, Modulated) else module(x)
        return x


class Residual(Modulated):
    """x -> x + f(x); He et al., arXiv:1512.03385, eq. 1."""

    def __init__(self, block: Chain) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return x + f(x), shape of x."""
        result: Tensor = x + self.block(x, condition)
        return result


class OutputConfig(Config):
    """What networks configure whose last layer may end in a function of each number.

    A `sigmoid` keeps what is made within (0, 1), a `tanh` within (-1, 1); a `leaky-relu` of the
    small slope `output_slope` draws what is below zero towards it.
    """

    output: Literal["linear", "sigmoid", "tanh", "leaky-relu"] = "linear"
    output_slope: float = Option(0.01, ge=0)

    def output_layers(self) -> list[nn.Module]:
        """Return what follows the last layer: nothing, or the function."""
        functions: dict[str, nn.Module] = {
            "sigmoid": nn.Sigmoid(),
            "tanh": nn.Tanh(),
            "leaky-relu": nn.LeakyReLU(self.output_slope),
        }
        return [functions[self.output]] if self.output in functions else []


class BlocksConfig(NetworkConfig):
    """What all networks of blocks configure: conditions, activation, dropout.

    Conditions are seen side by side with the input (`concatenate`), or each hidden layer's channels
    are scaled and shifted by them, before the activation (`film`, see `FiLM`). `negative_slope` is
    that of LeakyReLU; SiLU is smooth, as a velocity field wants it.
    """

    conditioning: Literal["concatenate", "film"] = "concatenate"
    activation: Activation = "leaky-relu"
    negative_slope: float = Option(0.2, ge=0)
    dropout: float = Option(0.0, ge=0, lt=1)

    def require_input(self, seen: Space, conditions: int) -> None:
        """Raise `ConfigError` if nothing would be seen side by side."""
        if seen.width + conditions == 0:
            raise ConfigError("kind: the network would see no number and no condition at all")
        if seen.width + self.side_by_side(conditions) == 0:
            raise ConfigError(
                "conditioning: 'film' scales what is made of other input, and there is none; give "
                "the network noise, or set 'concatenate'"
            )

    def side_by_side(self, conditions: int) -> int:
        """Return how many of so many conditions are seen beside the input: all, or none."""
        return conditions if self.conditioning == "concatenate" else 0

    def film(self, conditions: int, channels: int) -> list[nn.Module]:
        """Return what modulates so many channels: one `FiLM`, or nothing."""
        modulated = self.conditioning == "film" and conditions > 0
        return [FiLM(conditions, channels)] if modulated else []

    def block(
        self,
        *layers: nn.Module,
        channels: int,
        conditions: int,
        activation: Activation | None = None,
    ) -> Chain:
        """Return layers that end in so many channels, their modulation, activation and dropout.

        The activation is the network's, unless this block has its own.
        """
        function = self._function(activation or self.activation)
        after: list[nn.Module] = [*self.film(conditions, channels), function]
        if self.dropout > 0:
            after.append(nn.Dropout(self.dropout))
        return Chain(*layers, *after)

    def dense(self, n_in: int, n_out: int, conditions: int) -> Chain:
        """Return a fully connected block (B, n_in) -> (B, n_out)."""
        return self.block(nn.Linear(n_in, n_out), channels=n_out, conditions=conditions)

    def _function(self, activation: Activation) -> nn.Module:
        if activation == "leaky-relu":
            return nn.LeakyReLU(self.negative_slope)
        return nn.SiLU() if activation == "silu" else nn.ReLU()


def side_by_side(*parts: Tensor) -> Tensor:
    """Return tensors (B, n_i, ...) as one (B, Σ n_i, ...); a single one costs nothing."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
