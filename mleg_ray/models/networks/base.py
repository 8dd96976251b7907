"""The contract of every network: from one space to another, under conditions."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mleg_ray.config import Config, Registry
from mleg_ray.space import Space


class Network(nn.Module, ABC):
    """A map of vectors (B, seen.width), under conditions (B, c), to vectors (B, out.width).

    What cares for the structure of a vector asks its space for views of its parts.
    """

    @abstractmethod
    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map x (B, seen.width) under condition (B, c) to (B, out.width)."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """The number of hidden layers."""

    @abstractmethod
    def hidden(self, x: Tensor, condition: Tensor, layer: int) -> Tensor:
        """Return what hidden layer number `layer`, from 1 to `depth`, makes of it: (B, width)."""


class NetworkConfig(Config):
    """Base of the tables of networks."""

    kind: str

    @abstractmethod
    def build(self, seen: Space, conditions: int, out: Space) -> Network:
        """Build the network with freshly drawn weights; it sees so many `conditions`.

        Raises:
            ConfigError: it cannot take the shape of a part of `seen`, or make one of `out`.
        """


NETWORKS: Registry[NetworkConfig] = Registry("network", default="mlp")
