"""The scattered electron in e p -> e' X: what its maps share, and the map without edges."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, Self

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Batch, EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig
from mleg_ray.physics import dis
from mleg_ray.physics.kinematics import azimuth, minus_momentum, momentum

TINY = 1e-30  # keeps logarithms of what vanishes at an edge finite in single precision
FAR = 60.0  # beyond it a coordinate is at its edge, and its exponential near single precision's


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


class KinematicMap(ScatteredElectronMap):
    """Edge-free coordinates: every boundary of the phase space lies at infinity.

    With s = 4 E_b² and τ = Q²/s, the smallest x that Q² allows,

        u1 = log((Q² - Q²_min) / (1 - τ)),   u2 = logit(log x_bj / log τ),   u3 = φ / π.

    Q²_min < Q² < s, τ < x_bj < 1 and E' < E_b follow for any real (u1, u2). For Q² much smaller
    than s, u1 is log(Q² - Q²_min); structure functions are nearly flat in log x, which u2 measures
    in units of its range: so neither moves much with the beam energy, and a conditional model can
    reach energies that it has not seen. It is FAT-GAN's T(pz) carried through to all edges. The
    critic sees u1, u2, cos φ, sin φ, log pT, px, py, log(E_b - pz) and log(E_b - E').

    A generator's cut x s > m̂²_min is an edge that showers and primordial kT smear: the density
    falls steeply there, but not to zero. With x_m = m̂²_min/s > τ, the odds o = log x / log(τ/x)
    and their value o_m at x_m,

        u2 = log(o log τ / log x_m) - log ρ(1 - o/o_m),   ρ(r) = (r + √(r² + 4 δ²)) / 2.

    Above the edge ρ is r and u2 is logit(log x / log x_m), as if it were sharp; within δ of it ρ is
    smooth, and the events beyond it have their place.

    Events outside the domain are mirrored at the edge they crossed, then kept `resolution` away
    from it: those moved below Q²_min by radiation, and those a rounding beyond x_bj = 1. None is
    lost, weights stay, and no spike arises at an edge; their share of the train split is
    `outside_fraction`. Such events are not generated again.
    """

    periodic = (2,)

    def __init__(
        self,
        schema: EventSchema,
        fixed: Mapping[str, float],
        q2_min: float,
        m_hat_min: float,
        m_hat_smearing: float,
        resolution: float,
    ) -> None:
        super().__init__(schema, fixed, n_features=3, n_augmented=9)
        self._q2_min = q2_min
        self._m2_min = m_hat_min**2
        self._smearing = m_hat_smearing
        self._resolution = resolution

    def fit(self, batches: Iterable[Batch]) -> Self:
        """Learn the statistics, see `FeatureMap.fit`.

        Raises:
            ConfigError: no event of some beam energy can lie above the edge.
            DataError: see `FeatureMap.fit`.
        """
        return super().fit(self._with_room(batch) for batch in batches)

    def _with_room(self, batch: Batch) -> Batch:
        beam = self._beam_energy(batch.context).min()
        if self._m2_min >= (s := dis.mandelstam_s(beam)):
            raise ConfigError(
                f"features.m_hat_min: {math.sqrt(self._m2_min):g} GeV is no less than √s, "
                f"{s.sqrt():g} GeV at the beam energy {beam:g} GeV of the dataset; choose less"
            )
        return batch

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        px, py, _ = self._momentum(events)
        s = dis.mandelstam_s(self._beam_energy(context))
        q2, fraction, rest, span = self._position(events, context)
        excess = (q2 - self._q2_min).abs().clamp(min=self._q2_min * self._resolution)
        tau = ((self._q2_min + excess) / s).clamp(max=1 - self._resolution)
        u1 = excess.log() - torch.log1p(-tau)
        mirrored = torch.where(rest < 0, 1 + rest, fraction.abs())
        mirrored = mirrored.clamp(self._resolution, 1 - self._resolution)
        # `rest` is 1 - fraction, computed without cancellation.
        complement = torch.where((rest < 0) | (fraction < 0), 1 - mirrored, rest)
        log_odds = mirrored.log() - complement.clamp(min=self._resolution).log()
        u2 = log_odds
        if self._m2_min:
            share, past = self._edge(span, s.log())
            r = 1 - log_odds.exp() * past
            u2 = log_odds - share.log() - math.log(self._smearing)
            u2 = u2 - torch.asinh(r / (2 * self._smearing))
        return torch.stack([u1, u2, azimuth(px, py) / math.pi], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        beam = self._beam_energy(context)
        q2, log_y, _ = self._scattering(raw, context)
        minus = q2 / (2 * beam)  # E' - pz'
        plus = -2 * beam * torch.expm1(log_y)  # E' + pz' = 2 E_b (1 - y)
        pt = (plus * minus).sqrt()
        angle = math.pi * raw[:, 2]
        return self._events(
            pt * angle.cos(), pt * angle.sin(), (plus - minus) / 2, (plus + minus) / 2
        )

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        u1, u2, phi = raw.unbind(1)
        log_beam = self._beam_energy(context).log()
        q2, log_y, log_1_over_x = self._scattering(raw, context)
        log_q2 = q2.log()
        log_s = math.log(4) + 2 * log_beam
        log_pt = (log_q2 + (-torch.expm1(log_y)).clamp(min=TINY).log()) / 2
        pt = log_pt.exp()
        cos, sin = (math.pi * phi).cos(), (math.pi * phi).sin()
        # E_b - E' = E_b (y - τ) = E_b τ (1/x - 1)
        log_gap_of_x = torch.expm1(log_1_over_x).clamp(min=TINY).log()
        log_energy_gap = log_beam + log_q2 - log_s + log_gap_of_x
        log_minus = log_q2 - math.log(2) - log_beam
        log_pz_gap = torch.logaddexp(log_energy_gap, log_minus)  # E_b - pz = (E_b - E') + (E' - pz)
        extras = (cos, sin, log_pt, pt * cos, pt * sin, log_pz_gap, log_energy_gap)
        return torch.stack([u1, u2, *extras], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        # d³p = (E'/2) dQ² dy dφ for a massless electron.
        s = dis.mandelstam_s(self._beam_energy(context))
        q2, fraction, rest, span = self._position(events, context)
        energy = momentum(*self._momentum(events))
        log_du1_dq2 = (1 / (q2 - self._q2_min) + 1 / (s - q2)).log()
        log_y = -rest * span
        log_du2_dy = -(fraction.log() + rest.log() + span.log() + log_y)
        if self._m2_min:
            _, past = self._edge(span, s.log())
            beyond = fraction / rest * past
            log_du2_dy = log_du2_dy + torch.log1p(
                beyond / ((1 - beyond).square() + 4 * self._smearing**2).sqrt()
            )
        return log_du1_dq2 + log_du2_dy + math.log(2 / math.pi) - energy.log()

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        q2, fraction, rest, _ = self._position(events, context)
        inside = (q2 >= self._q2_min * (1 + self._resolution)) & (fraction >= self._resolution)
        return ~(inside & (rest >= self._resolution))

    def _position(self, events: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return Q², log x / log τ, its complement log y / log τ, and -log τ, each (B,)."""
        beam = self._beam_energy(context)
        px, py, pz = self._momentum(events)
        s = dis.mandelstam_s(beam)
        q2 = dis.q2(px, py, pz, beam)
        # 1/x - 1 = (y - τ)/τ, where y - τ = (E_b - E')/E_b: the energy that the electron lost.
        lost = (beam - momentum(px, py, pz)) / beam * s / q2
        log_1_over_x = torch.log1p(lost.clamp(min=self._resolution - 1))
        log_y = torch.log1p(-minus_momentum(px, py, -pz) / (2 * beam))
        span = (s.log() - q2.log()).clamp(min=self._resolution)
        return q2, log_1_over_x / span, -log_y / span, span

    def _scattering(self, raw: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Q², log y and log 1/x, each (B,); Q² = (e^u1 + Q²_min) / (1 + e^u1 / s)."""
        s = dis.mandelstam_s(self._beam_energy(context))
        excess, odds = raw[:, 0].clamp(max=FAR).exp(), raw[:, 1].clamp(max=FAR).exp()
        q2 = (excess + self._q2_min) / (1 + excess / s)
        span = (s / q2).log().clamp(min=0)
        if self._m2_min:
            # With o = odds ρ, ρ solves ρ - δ²/ρ = 1 - o/o_m.
            share, past = self._edge(span, s.log())
            odds = share * odds
            one_plus_k = 1 + past * odds
            odds = odds * (1 + (1 + 4 * self._smearing**2 * one_plus_k).sqrt()) / (2 * one_plus_k)
        rest = 1 / (1 + odds)
        return q2, -rest * span, odds * rest * span

    def _edge(self, span: Tensor, log_s: Tensor) -> tuple[Tensor, Tensor]:
        """Return log x_m / log τ, at most 1, and 1/o_m, at least 0, each (B,)."""
        span = span.clamp(min=self._resolution)
        to_edge = (log_s - math.log(self._m2_min)).clamp(min=self._resolution)
        to_edge = torch.minimum(to_edge, span)
        return to_edge / span, (span - to_edge) / to_edge


@FEATURE_MAPS.register
class KinematicMapConfig(FeatureMapConfig):
    """Configuration of `KinematicMap`: a generator's cuts, Q² > `q2_min` and x s > `m_hat_min`².

    `q2_min` in GeV², `m_hat_min` in GeV, its smearing δ in relative odds, `resolution` relative.
    """

    kind: Literal["dis-kinematic"] = "dis-kinematic"
    q2_min: PositiveFloat = 2.0
    m_hat_min: NonNegativeFloat = 0.0
    m_hat_smearing: PositiveFloat = 0.02
    resolution: PositiveFloat = 1e-7

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> KinematicMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return KinematicMap(
            schema,
            conditions,
            self.q2_min,
            self.m_hat_min,
            self.m_hat_smearing,
            self.resolution,
        )
