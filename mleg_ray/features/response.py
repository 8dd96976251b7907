"""What a detector makes of an electron: its measured momentum relative to the true one."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from mleg_ray.events import EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig
from mleg_ray.physics.kinematics import azimuth, momentum, polar_angle

FIELDS = ("px", "py", "pz", "energy")
VERTEX = ("vertex_px", "vertex_py", "vertex_pz")


class ElectronResponseMap(FeatureMap):
    """(log p/p_v, θ - θ_v, φ - φ_v) of a measured electron, given the one at the vertex.

    Events are the measured (px, py, pz, energy), conditions the vertex's (vertex_px, vertex_py,
    vertex_pz), in GeV; both are massless. Networks see the vertex as log p_v, logit(θ_v/π), cos φ_v
    and sin φ_v. A detector changes all of these little: in absolute momenta a network would have to
    be as precise as the detector only to let an electron be.
    """

    def __init__(self, schema: EventSchema, fixed: Mapping[str, float]) -> None:
        schema.require((*FIELDS, *VERTEX), by=type(self).__name__)
        super().__init__(schema, fixed, n_features=3, n_augmented=3, n_conditions=4)
        self._columns = [schema.event.index(name) for name in FIELDS]
        self._order = sorted(range(4), key=lambda i: self._columns[i])
        self._vertex = [schema.conditions.index(name) for name in VERTEX]

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        p, theta, phi = _spherical(*(events[:, i] for i in self._columns[:3]))
        p_v, theta_v, phi_v = self._at_vertex(context)
        turned = torch.remainder(phi - phi_v + math.pi, 2 * math.pi) - math.pi
        return torch.stack([(p / p_v).log(), theta - theta_v, turned], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        p_v, theta_v, phi_v = self._at_vertex(context)
        log_ratio, tilt, turn = raw.unbind(1)
        p, theta, phi = p_v * log_ratio.exp(), theta_v + tilt, phi_v + turn
        pt = p * theta.sin()
        columns = (pt * phi.cos(), pt * phi.sin(), p * theta.cos(), p)
        return torch.stack([columns[i] for i in self._order]).T

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        return raw

    def _condition(self, context: Tensor) -> Tensor:
        p, theta, phi = self._at_vertex(context)
        share = (theta / math.pi).logit(eps=1e-12 if context.dtype == torch.float64 else 1e-6)
        return torch.stack([p.log(), share, phi.cos(), phi.sin()], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        # d³p = p³ sin θ d(log p) dθ dφ.
        p, theta, _ = _spherical(*(events[:, i] for i in self._columns[:3]))
        return -3 * p.log() - theta.sin().log()

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        return torch.zeros(len(events), dtype=torch.bool, device=events.device)

    def _at_vertex(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return _spherical(*(context[:, i] for i in self._vertex))


def _spherical(px: Tensor, py: Tensor, pz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return momentum(px, py, pz), polar_angle(px, py, pz), azimuth(px, py)


@FEATURE_MAPS.register
class ElectronResponseMapConfig(FeatureMapConfig):
    """Configuration of `ElectronResponseMap`."""

    kind: Literal["electron-response"] = "electron-response"

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> ElectronResponseMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return ElectronResponseMap(schema, conditions)
