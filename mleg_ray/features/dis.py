"""Feature maps of the scattered electron in e p -> e' X."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor
from torch.nn.functional import logsigmoid

from mleg_ray.events import EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig
from mleg_ray.physics import dis
from mleg_ray.physics.kinematics import azimuth, minus_momentum, momentum


class ScatteredElectronMap(FeatureMap):
    """What the maps of the scattered electron share: fields, columns and the beam energy.

    Events are (px, py, pz, energy) in GeV. The electron is taken to be massless, so the three
    momentum components carry all information and `energy` is |p| of the generated momentum.
    """

    def __init__(
        self, schema: EventSchema, fixed: Mapping[str, float], n_features: int, n_augmented: int
    ) -> None:
        schema.require(("px", "py", "pz", "energy", "beam_energy"), by=type(self).__name__)
        super().__init__(schema, fixed, n_features, n_augmented)
        self._columns = [schema.event.index(name) for name in ("px", "py", "pz", "energy")]
        self._order = sorted(range(4), key=lambda i: self._columns[i])
        self._beam = schema.conditions.index("beam_energy")

    def _momentum(self, events: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        px, py, pz = (events[:, i] for i in self._columns[:3])
        return px, py, pz

    def _events(self, px: Tensor, py: Tensor, pz: Tensor, energy: Tensor) -> Tensor:
        columns = (px, py, pz, energy)
        return torch.stack([columns[i] for i in self._order]).T  # each column in one piece

    def _beam_energy(self, context: Tensor) -> Tensor:
        return context[:, self._beam]

    def _condition(self, context: Tensor) -> Tensor:
        # Spectra scale with the beam energy: equal ratios, not equal differences, are alike.
        return context[:, self.varying].log()


class CartesianMap(ScatteredElectronMap):
    """FAT-GAN's own features: (px, py, T) with T = log(E_b - pz).

    T puts the edge pz = E_b at minus infinity, so no generated event crosses it; E <= E_b is not
    promised. The critic also sees pT, E, pz and pz/pT. Source: Alanazi et al., arXiv:2001.11103,
    sec. 3. Events within `resolution` (GeV) of the edge or beyond it, by the rounding of printed
    numbers, are moved to that distance inside and counted in `outside_fraction`.
    """

    def __init__(self, schema: EventSchema, fixed: Mapping[str, float], resolution: float) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=7)
        self._resolution = resolution

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, _ = self._momentum(events)
        gap = self._gap(events, context).clamp(min=self._resolution)
        return torch.stack([px, py, gap.log()], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz = self._unpack(raw, context)
        return self._events(px, py, pz, momentum(px, py, pz))

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        px, py, pz = self._unpack(raw, context)
        pt = torch.sqrt(px.square() + py.square() + 1e-12)  # smooth at the origin
        extras = torch.stack([pt, torch.sqrt(pt.square() + pz.square()), pz, pz / pt], dim=1)
        return torch.cat([raw, extras], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        return -self._gap(events, context).log()

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        return self._gap(events, context) < self._resolution

    def _gap(self, events: Tensor, context: Tensor) -> Tensor:
        return self._beam_energy(context) - self._momentum(events)[2]

    def _unpack(self, raw: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        px, py, t = raw.unbind(1)
        return px, py, self._beam_energy(context) - t.exp()


class KinematicMap(ScatteredElectronMap):
    """Edge-free coordinates: every boundary of the phase space lies at infinity.

    With s = 4 E_b², the inelasticity y and τ = Q²/s,

        u1 = log((Q² - Q²_min) / (1 - τ)),   u2 = logit((y - τ) / (1 - τ)),   u3 = φ / π.

    Q²_min < Q² < s and τ < y < 1 (that is 0 < x_bj < 1) follow for any real (u1, u2); then
    E_b - E' = E_b (1 - τ) sigmoid(u2) > 0. For Q² much smaller than s, u1 is log(Q² - Q²_min) and
    does not move with the beam energy. It is FAT-GAN's T(pz) carried through to all edges. The
    critic sees u1, u2, cos φ, sin φ, log pT, px, py, log(E_b - pz) and log(E_b - E').

    Events outside the domain are mirrored at the edge they crossed, then kept `resolution` away
    from it: those moved below Q²_min by radiation after the generator's cut, and those a rounding
    beyond x_bj = 1 or y = 1. None is lost, weights stay, and no spike arises at an edge; their
    share of the train split is `outside_fraction`. Such events are not generated again.
    """

    periodic = (2,)

    def __init__(
        self, schema: EventSchema, fixed: Mapping[str, float], q2_min: float, resolution: float
    ) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=9)
        self._q2_min = q2_min
        self._resolution = resolution

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, _ = self._momentum(events)
        s = dis.mandelstam_s(self._beam_energy(context))
        q2, fraction, rest = self._invariants(events, context)
        excess = (q2 - self._q2_min).abs().clamp(min=self._q2_min * self._resolution)
        tau = ((self._q2_min + excess) / s).clamp(max=1 - self._resolution)
        u1 = excess.log() - torch.log1p(-tau)
        mirrored = torch.where(rest < 0, 1 + rest, fraction.abs())
        mirrored = mirrored.clamp(self._resolution, 1 - self._resolution)
        # `rest` is 1 - fraction, computed without cancellation.
        complement = torch.where((rest < 0) | (fraction < 0), 1 - mirrored, rest)
        u2 = mirrored.log() - complement.clamp(min=self._resolution).log()
        return torch.stack([u1, u2, azimuth(px, py) / math.pi], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        _, u2, phi = raw.unbind(1)
        beam = self._beam_energy(context)
        q2, log_rest = self._scattering(raw, context)
        minus = q2 / (2 * beam)  # E' - pz'
        plus = 2 * beam * (log_rest + logsigmoid(-u2)).exp()  # E' + pz' = 2 E_b (1 - y)
        pt = (plus * minus).sqrt()
        angle = math.pi * phi
        return self._events(
            pt * angle.cos(), pt * angle.sin(), (plus - minus) / 2, (plus + minus) / 2
        )

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        u1, u2, phi = raw.unbind(1)
        log_beam = self._beam_energy(context).log()
        q2, log_rest = self._scattering(raw, context)
        log_minus = q2.log() - math.log(2) - log_beam
        log_pt = (log_minus + math.log(2) + log_beam + log_rest + logsigmoid(-u2)) / 2
        pt = log_pt.exp()
        cos, sin = (math.pi * phi).cos(), (math.pi * phi).sin()
        log_energy_gap = log_beam + log_rest + logsigmoid(u2)  # log(E_b - E')
        log_pz_gap = torch.logaddexp(log_energy_gap, log_minus)  # E_b - pz = (E_b - E') + (E' - pz)
        extras = (cos, sin, log_pt, pt * cos, pt * sin, log_pz_gap, log_energy_gap)
        return torch.stack([u1, u2, *extras], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        # d³p = (E'/2) dQ² dy dφ for a massless electron.
        s = dis.mandelstam_s(self._beam_energy(context))
        q2, fraction, rest = self._invariants(events, context)
        energy = momentum(*self._momentum(events))
        log_du1_dq2 = (1 / (q2 - self._q2_min) + 1 / (s - q2)).log()
        log_du2_dy = -(fraction.log() + rest.log() + torch.log1p(-q2 / s))
        return log_du1_dq2 + log_du2_dy + math.log(2 / math.pi) - energy.log()

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        q2, fraction, rest = self._invariants(events, context)
        inside = (q2 >= self._q2_min * (1 + self._resolution)) & (fraction >= self._resolution)
        return ~(inside & (rest >= self._resolution))

    def _invariants(self, events: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Q², (y - τ)/(1 - τ) and its complement (1 - y)/(1 - τ), each (B,)."""
        beam = self._beam_energy(context)
        px, py, pz = self._momentum(events)
        minus = minus_momentum(px, py, pz)
        q2 = 2 * beam * minus
        one_minus_tau = (1 - q2 / dis.mandelstam_s(beam)).clamp(min=self._resolution)
        plus = minus_momentum(px, py, -pz)
        rest = plus / (2 * beam) / one_minus_tau
        # y - τ = (E_b - E')/E_b: the energy that the electron lost.
        fraction = (beam - momentum(px, py, pz)) / beam / one_minus_tau
        return q2, fraction, rest

    def _scattering(self, raw: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return Q² and log(1 - τ), each (B,); u1 -> Q² = (e^u1 + Q²_min) / (1 + e^u1 / s)."""
        log_s = dis.mandelstam_s(self._beam_energy(context)).log()
        u1 = raw[:, 0]
        # log(1 + e^u1 / s); torch's softplus turns linear at 20 and would lose nine digits there.
        log_denominator = torch.logaddexp(u1 - log_s, torch.zeros_like(u1))
        q2 = (torch.logaddexp(u1, u1.new_tensor(math.log(self._q2_min))) - log_denominator).exp()
        # 1 - τ = (1 - Q²_min/s) / (1 + e^u1 / s)
        return q2, torch.log1p(-self._q2_min * (-log_s).exp()) - log_denominator


@FEATURE_MAPS.register
class CartesianMapConfig(FeatureMapConfig):
    """Configuration of `CartesianMap`; `resolution` in GeV."""

    kind: Literal["dis-cartesian"] = "dis-cartesian"
    resolution: PositiveFloat = 1e-6

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> CartesianMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return CartesianMap(schema, conditions, self.resolution)


@FEATURE_MAPS.register
class KinematicMapConfig(FeatureMapConfig):
    """Configuration of `KinematicMap`; `q2_min` in GeV², `resolution` relative."""

    kind: Literal["dis-kinematic"] = "dis-kinematic"
    q2_min: PositiveFloat = 2.0
    resolution: PositiveFloat = 1e-7

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> KinematicMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return KinematicMap(schema, conditions, self.q2_min, self.resolution)
