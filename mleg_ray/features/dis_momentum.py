"""The scattered electron by its momentum, as FAT-GAN and its rivals generate it."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from mleg_ray.events import EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMapConfig
from mleg_ray.features.dis import ScatteredElectronMap
from mleg_ray.physics.kinematics import azimuth, minus_momentum, momentum, polar_angle


class DirectMap(ScatteredElectronMap):
    """DS-GAN's features: (px, py, pz) as they are, and nothing else for the critic.

    No edge is kept: what a network blurs crosses pz = E_b. Source: Alanazi et al.,
    arXiv:2001.11103, sec. 2, where it is the rival that fails.
    """

    def __init__(self, schema: EventSchema, fixed: Mapping[str, float]) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=3)

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        return torch.stack(self._momentum(events), dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz = raw.unbind(1)
        return self._events(px, py, pz, momentum(px, py, pz))

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        return raw

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        return events.new_zeros(len(events))

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        return torch.zeros(len(events), dtype=torch.bool, device=events.device)


class CartesianMap(ScatteredElectronMap):
    """FAT-GAN's own features: (px, py, T) with T = log(E_b - pz).

    T puts the edge pz = E_b at minus infinity, so no generated event crosses it; E <= E_b is not
    promised. The critic also sees pT, E, pz and pz/pT (Alanazi et al., arXiv:2001.11103, sec. 3)
    and, with `products`, px·py, px·pz and py·pz (cFAT-GAN, Velasco et al., ICMLA 2020). Events
    within `resolution` (GeV) of the edge or beyond it, by the rounding of printed numbers, are
    moved to that distance inside and counted in `outside_fraction`.
    """

    def __init__(
        self, schema: EventSchema, fixed: Mapping[str, float], resolution: float, products: bool
    ) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=10 if products else 7)
        self._resolution = resolution
        self._products = products

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, _ = self._momentum(events)
        gap = self._gap(events, context).clamp(min=self._resolution)
        return torch.stack([px, py, gap.log()], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz = self._unpack(raw, context)
        return self._events(px, py, pz, momentum(px, py, pz))

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz = self._unpack(raw, context)
        pt = _smooth_norm(px, py)
        extras = [pt, torch.sqrt(pt.square() + pz.square()), pz, pz / pt]
        if self._products:
            extras += [px * py, px * pz, py * pz]
        return torch.cat([raw, torch.stack(extras, dim=1)], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        return -self._gap(events, context).log()

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        return self._gap(events, context) < self._resolution

    def _gap(self, events: Tensor, context: Tensor) -> Tensor:
        return self._beam_energy(context) - self._momentum(events)[2]

    def _unpack(self, raw: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        px, py, t = raw.unbind(1)
        return px, py, self._beam_energy(context) - t.exp()


class SphericalMap(ScatteredElectronMap):
    """FAT-GAN in spherical coordinates: (log(E_b - E'), logit(θ/π), φ/π).

    No generated event has E' > E_b or θ outside (0, π); E' > 0 is not promised. The critic sees
    these, with the seam of φ at π, and px, py, pz, pT, E' and pz/pT, and with `sectors`, n of them,
    cos nφ and sin nφ: the holes between the sectors of a detector are then one place of its view.
    `energy` is E' as generated, so one below zero lies off the mass shell. Source: the variant of
    FAT-GAN in Alanazi, Machine Learning-Based Event Generator, Old Dominion University 2022; the
    sectors are an addition. Events within `resolution` (GeV) of E_b or beyond it, and those along
    the beam, are moved inside and counted.
    """

    periodic = (2,)

    def __init__(
        self,
        schema: EventSchema,
        fixed: Mapping[str, float],
        resolution: float,
        sectors: int | None,
    ) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=11 if sectors else 9)
        self._resolution = resolution
        self._sectors = sectors

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, pz = self._momentum(events)
        gap = self._gap(events, context).clamp(min=self._resolution)
        share = polar_angle(px, py, pz) / math.pi
        return torch.stack([gap.log(), share.logit(eps=1e-12), azimuth(px, py) / math.pi], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz, energy = self._unpack(raw, context)
        return self._events(px, py, pz, energy)

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz, energy = self._unpack(raw, context)
        pt = _smooth_norm(px, py)
        extras = [px, py, pz, pt, energy, pz / pt]
        if self._sectors:
            angle = self._sectors * math.pi * raw[:, 2]
            extras += [angle.cos(), angle.sin()]
        return torch.cat([raw, torch.stack(extras, dim=1)], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        # d³p = E'² sin θ dE' dθ dφ for a massless electron.
        px, py, pz = self._momentum(events)
        theta = polar_angle(px, py, pz)
        of_energy = -self._gap(events, context).log() - 2 * momentum(px, py, pz).log()
        of_theta = -(theta * (math.pi - theta) * theta.sin()).log()
        return of_energy + of_theta

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, _ = self._momentum(events)
        return (self._gap(events, context) < self._resolution) | ((px == 0) & (py == 0))

    def _gap(self, events: Tensor, context: Tensor) -> Tensor:
        return self._beam_energy(context) - momentum(*self._momentum(events))

    def _unpack(self, raw: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        t, u, half_turns = raw.unbind(1)
        energy = self._beam_energy(context) - t.exp()
        theta = math.pi * u.sigmoid()
        phi = math.pi * half_turns
        pt = energy * theta.sin()
        return pt * phi.cos(), pt * phi.sin(), energy * theta.cos(), energy


class LightConeMap(ScatteredElectronMap):
    """(ν1, ν2, φ/π) with ν1 = ln(E' - pz) = ln(Q²/2E_b) and ν2 = ln(2E_b - E' - pz) = ln(2E_b y).

    No generated event has Q² <= 0 or y <= 0; one with y > 1 is no electron: its E' is below zero or
    off the mass shell. The critic sees ν1, ν2, cos φ, sin φ, px, py, pz and log pT. Source: the
    vertex-level generator of Alanazi, Machine Learning-Based Event Generator, Old Dominion
    University 2022. Events with y below `resolution`, or along the beam, are moved inside.
    """

    periodic = (2,)

    def __init__(self, schema: EventSchema, fixed: Mapping[str, float], resolution: float) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=8)
        self._resolution = resolution

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, _ = self._momentum(events)
        minus, lost = (
            part.clamp(min=self._least(context)) for part in self._parts(events, context)
        )
        return torch.stack([minus.log(), lost.log(), azimuth(px, py) / math.pi], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        return self._events(*self._unpack(raw, context))

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        nu1, nu2, half_turns = raw.unbind(1)
        phi = math.pi * half_turns
        px, py, pz, _ = self._unpack(raw, context)
        pt = _smooth_norm(px, py)
        return torch.stack([nu1, nu2, phi.cos(), phi.sin(), px, py, pz, pt.log()], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        # d³p = (E'/2) dQ² dy dφ, where dQ²/Q² = dν1 and dy/y = dν2.
        px, py, pz = self._momentum(events)
        minus, lost = self._parts(events, context)
        volume = momentum(px, py, pz) / 2 * minus * lost  # Q² y = (E' - pz)(2E_b - E' - pz)
        return -(volume * math.pi).log()

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        minus, lost = self._parts(events, context)
        return (minus < self._least(context)) | (lost < self._least(context))

    def _least(self, context: Tensor) -> Tensor:
        return self._beam_energy(context) * self._resolution

    def _parts(self, events: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return E' - pz and 2E_b - E' - pz, GeV."""
        px, py, pz = self._momentum(events)
        lost = 2 * self._beam_energy(context) - momentum(px, py, pz) - pz
        return minus_momentum(px, py, pz), lost

    def _unpack(self, raw: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        nu1, nu2, half_turns = raw.unbind(1)
        minus = nu1.exp()
        plus = 2 * self._beam_energy(context) - nu2.exp()
        pt = (plus * minus).clamp(min=1e-12).sqrt()
        phi = math.pi * half_turns
        return pt * phi.cos(), pt * phi.sin(), (plus - minus) / 2, (plus + minus) / 2


def _smooth_norm(px: Tensor, py: Tensor) -> Tensor:
    """Return pT with a gradient at the origin too, GeV."""
    return torch.sqrt(px.square() + py.square() + 1e-12)


@FEATURE_MAPS.register
class DirectMapConfig(FeatureMapConfig):
    """Configuration of `DirectMap`."""

    kind: Literal["dis-direct"] = "dis-direct"

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> DirectMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return DirectMap(schema, conditions)


@FEATURE_MAPS.register
class CartesianMapConfig(FeatureMapConfig):
    """Configuration of `CartesianMap`; `resolution` in GeV."""

    kind: Literal["dis-cartesian"] = "dis-cartesian"
    resolution: PositiveFloat = 1e-6
    products: bool = False

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> CartesianMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return CartesianMap(schema, conditions, self.resolution, self.products)


@FEATURE_MAPS.register
class SphericalMapConfig(FeatureMapConfig):
    """Configuration of `SphericalMap`; `resolution` in GeV, `sectors` of the detector in φ."""

    kind: Literal["dis-spherical"] = "dis-spherical"
    resolution: PositiveFloat = 1e-6
    sectors: PositiveInt | None = None

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> SphericalMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return SphericalMap(schema, conditions, self.resolution, self.sectors)


@FEATURE_MAPS.register
class LightConeMapConfig(FeatureMapConfig):
    """Configuration of `LightConeMap`; `resolution` relative to the beam energy."""

    kind: Literal["dis-lightcone"] = "dis-lightcone"
    resolution: PositiveFloat = 1e-9

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> LightConeMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return LightConeMap(schema, conditions, self.resolution)
