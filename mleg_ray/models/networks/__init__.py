"""Networks: one module a kind, entered in `NETWORKS` on import."""

from mleg_ray.models.networks import branches, conv, conv_layers, mlp, sets
from mleg_ray.models.networks.base import NETWORKS, Network, NetworkConfig

__all__ = ["NETWORKS", "Network", "NetworkConfig"]
