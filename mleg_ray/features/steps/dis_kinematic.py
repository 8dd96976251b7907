"""The scattered electron of e p -> e' X in coordinates without edges."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from mleg_ray.errors import ConfigError
from mleg_ray.events import Events, four_momentum, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Resolution,
    Step,
    StepConfig,
    require_columns,
)
from mleg_ray.physics import dis
from mleg_ray.physics.dis import BEAM_ENERGY
from mleg_ray.physics.kinematics import azimuth, minus_momentum, momentum

TINY = 1e-30  # keeps logarithms of what vanishes at an edge finite in single precision
FAR = 60.0  # beyond it a coordinate is at its edge, and its exponential near single precision's


class DISKinematic(Step):
    """Edge-free coordinates: every boundary of the phase space lies at infinity.

    With s = 4 E_e E_p and τ = Q²/s, the smallest x that Q² allows,

        u1 = log((Q² - Q²_min) / (1 - τ)),   u2 = logit(log x_bj / log τ),   u3 = φ / π.

    Q²_min < Q² < s and τ < x_bj < 1 follow for any real (u1, u2), and with them, of beams of equal
    energy E_b, E' < E_b. For Q² much smaller than s, u1 is log(Q² - Q²_min); structure functions
    are nearly flat in log x, which u2 measures in units of its range: so neither moves much with
    the beam energy, and a conditional model can reach energies that it has not seen. It is
    FAT-GAN's T(pz) carried through to all edges. A critic may see log pT, px, py, log(E_e - pz) and
    log(E_e (y - τ)) too: the latter is log(E_b - E') of beams of equal energy, and of any beams
    4 E_p times its argument is W² less the proton's mass squared. The electron is massless.

    A generator's cut x s > m̂²_min is an edge that showers and primordial kT smear: the density
    falls steeply there, but not to zero. With x_m = m̂²_min/s > τ, the odds o = log x / log(τ/x)
    and their value o_m at x_m,

        u2 = log(o log τ / log x_m) - log ρ(1 - o/o_m),   ρ(r) = (r + √(r² + 4 δ²)) / 2.

    Above the edge ρ is r and u2 is logit(log x / log x_m), as if it were sharp; within δ of it ρ is
    smooth, and the events beyond it have their place.

    So does an edge of Q² that radiation smears, or the digits of a file: of o = τ/(1 - τ), with its
    value o_m at Q²_min,

        u1 = log(s - Q²_min) + log o + log ρ(1 - o_m/o),

    which is the first line's where the edge is sharp, and reaches down to Q² = 0.

    With a cut y > y_min, 1 - log y / log max(τ, y_min) stands for log x / log τ above: it is the
    same where the cut does not reach.

    Events outside the domain are mirrored at the edge they crossed, then kept `resolution` away
    from it: those below a sharp Q²_min, and those a rounding beyond x_bj = 1. None is lost, weights
    stay, and no spike arises at an edge. Such events are not generated again.
    """

    def __init__(self, config: "DISKinematicConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = four_momentum(config.group)
        self.uses = tuple(dict.fromkeys((config.electron_beam, config.proton_beam)))
        require_columns((*self.reads, *self.uses), layout)
        self._u1, self._u2, self._phi = members(config.group, "u1", "u2", "phi")
        self.shows = members(config.group, "log_pt", "px", "py", "log_pz_gap", "log_energy_gap")
        self.writes = {
            self._u1: Quantity(),
            self._u2: Quantity(),
            self._phi: Quantity(circle=True),
        }
        self._electron_beam, self._proton_beam = config.electron_beam, config.proton_beam
        self._q2_min = config.q2_min
        self._q2_smearing = config.q2_smearing
        self._m2_min = config.m_hat_min**2
        self._longest = -math.log(config.y_min) if config.y_min else math.inf
        self._m_hat_smearing = config.m_hat_smearing
        self._resolution = config.resolution

    def require(self, before: Events) -> None:
        """Raise `ConfigError` if no event of some beam energy can lie above the edge."""
        if self._m2_min >= (s := dis.mandelstam_s(*self._beams(before.columns)).min()):
            raise ConfigError(
                f"features: dis-kinematic: m_hat_min: {math.sqrt(self._m2_min):g} GeV is no less "
                f"than √s, which is {s.sqrt():g} GeV at the smallest beam energies of the dataset; "
                "choose less"
            )

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return u1, u2 and φ/π."""
        px, py, _ = self._momentum(columns)
        s = dis.mandelstam_s(*self._beams(columns))
        q2, fraction, rest, span, cut = self._position(columns)
        least = self._q2_min * self._resolution
        if self._q2_smearing:
            tau = (q2.clamp(min=least) / s).clamp(max=1 - self._resolution)
            u1 = (tau * (s - self._q2_min)).log()
            u1 = u1 + _log_rho(self._above(tau * s, s), self._q2_smearing)
        else:
            excess = (q2 - self._q2_min).abs().clamp(min=least)
            tau = ((self._q2_min + excess) / s).clamp(max=1 - self._resolution)
            u1 = excess.log()
        u1 = u1 - torch.log1p(-tau)
        mirrored = torch.where(rest < 0, 1 + rest, fraction.abs())
        mirrored = mirrored.clamp(self._resolution, 1 - self._resolution)
        # `rest` is 1 - fraction, computed without cancellation.
        complement = torch.where((rest < 0) | (fraction < 0), 1 - mirrored, rest)
        log_odds = mirrored.log() - complement.clamp(min=self._resolution).log()
        u2 = log_odds
        if self._m2_min:
            share, past = self._edge(span, s.log() - cut)
            r = 1 - log_odds.exp() * past
            u2 = log_odds - share.log() - _log_rho(r, self._m_hat_smearing)
        return {self._u1: u1, self._u2: u2, self._phi: azimuth(px, py) / math.pi}

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return px, py, pz and the energy."""
        beam, _ = self._beams(columns)
        q2, log_y, _ = self._scattering(columns)
        minus = q2 / (2 * beam)  # E' - pz'
        plus = -2 * beam * torch.expm1(log_y)  # E' + pz' = 2 E_e (1 - y)
        pt = (plus * minus).sqrt()
        angle = math.pi * columns[self._phi]
        parts = (pt * angle.cos(), pt * angle.sin(), (plus - minus) / 2, (plus + minus) / 2)
        return dict(zip(self.reads, parts, strict=True))

    def view(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return log pT, px, py, log(E_e - pz) and log(E_e (y - τ))."""
        electron_beam, proton_beam = self._beams(columns)
        log_beam = electron_beam.log()
        q2, log_y, log_1_over_x = self._scattering(columns)
        log_q2 = q2.log()
        log_s = math.log(4) + log_beam + proton_beam.log()
        log_pt = (log_q2 + (-torch.expm1(log_y)).clamp(min=TINY).log()) / 2
        pt = log_pt.exp()
        angle = math.pi * columns[self._phi]
        # y - τ = τ (1/x - 1)
        log_gap_of_x = torch.expm1(log_1_over_x).clamp(min=TINY).log()
        log_energy_gap = log_beam + log_q2 - log_s + log_gap_of_x
        log_minus = log_q2 - math.log(2) - log_beam
        # E_e - pz = E_e y + (E' - pz)/2 = E_e (y - τ) + (E' - pz) (1 + E_e/E_p)/2
        share = ((1 + electron_beam / proton_beam) / 2).log()
        log_pz_gap = torch.logaddexp(log_energy_gap, log_minus + share)
        seen = (log_pt, pt * angle.cos(), pt * angle.sin(), log_pz_gap, log_energy_gap)
        return dict(zip(self.shows, seen, strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that of (u1, u2, φ/π) by the momentum."""
        # d³p = (E'/2) dQ² dy dφ for a massless electron.
        s = dis.mandelstam_s(*self._beams(before.columns))
        q2, fraction, rest, span, cut = self._position(before.columns)
        energy = momentum(*self._momentum(before.columns))
        # dr/dQ² = (1 - r) s / (Q² (s - Q²)), of r = 1 - o_m/o
        r = self._above(q2, s)
        steeper = 1 + (1 - r) / (r.square() + 4 * self._q2_smearing**2).sqrt()
        log_du1_dq2 = (steeper * s / (q2 * (s - q2))).log()
        log_y = -rest * span
        log_du2_dy = -(fraction.log() + rest.log() + span.log() + log_y)
        if self._m2_min:
            _, past = self._edge(span, s.log() - cut)
            beyond = fraction / rest * past
            log_du2_dy = log_du2_dy + torch.log1p(
                beyond / ((1 - beyond).square() + 4 * self._m_hat_smearing**2).sqrt()
            )
        return log_du1_dq2 + log_du2_dy + math.log(2 / math.pi) - energy.log()

    def outside(self, before: Events) -> Tensor:
        """Return which electrons lie beyond an edge, or closer to it than the resolution."""
        q2, fraction, rest, *_ = self._position(before.columns)
        least = self._resolution if self._q2_smearing else 1 + self._resolution
        inside = (q2 >= self._q2_min * least) & (fraction >= self._resolution)
        return ~(inside & (rest >= self._resolution))

    def _beams(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return E_e and E_p, GeV."""
        return columns[self._electron_beam], columns[self._proton_beam]

    def _momentum(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        px, py, pz = (columns[name] for name in self.reads[:3])
        return px, py, pz

    def _position(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return five numbers of each event, (B,).

        With y_0 = max(τ, y_min): Q², 1 - log y / log y_0, log y / log y_0, -log y_0, and
        log y_0 / τ, by which y_min cuts the range of log y.
        """
        beam, proton_beam = self._beams(columns)
        px, py, pz = self._momentum(columns)
        s = dis.mandelstam_s(beam, proton_beam)
        q2 = dis.q2(px, py, pz, beam)
        # 1/x - 1 = (y - τ)/τ, where y - τ = 1 - (E' + pz)/2E_e - (E' - pz)/2E_p. With h, twice
        # 1/(1/E_e + 1/E_p), it is (h - E')/h - pz (1/E_e - 1/E_p)/2: of equal beams, the share of
        # the energy that the electron lost, told without cancellation.
        h = beam * (2 * proton_beam / (beam + proton_beam))
        tilt = pz * (1 / beam - 1 / proton_beam) / 2
        lost = ((h - momentum(px, py, pz)) / h - tilt) * s / q2
        log_1_over_x = torch.log1p(lost.clamp(min=self._resolution - 1))
        log_y = torch.log1p(-minus_momentum(px, py, -pz) / (2 * beam))
        span, cut = self._span((s.log() - q2.log()).clamp(min=self._resolution))
        return q2, (log_1_over_x - cut) / span, -log_y / span, span, cut

    def _scattering(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return Q², log y and log 1/x, each (B,)."""
        s = dis.mandelstam_s(*self._beams(columns))
        excess, odds = (columns[u].clamp(-FAR, FAR).exp() for u in (self._u1, self._u2))
        # With o (s - Q²_min) = e^u1 / ρ; where the edge is sharp, e^u1 + Q²_min.
        odds_of_q2 = excess / _rho(1 + self._q2_min / excess, self._q2_smearing)
        q2 = s * odds_of_q2 / (s - self._q2_min + odds_of_q2)
        span, cut = self._span((s / q2).log().clamp(min=0))
        if self._m2_min:
            share, past = self._edge(span, s.log() - cut)
            odds = share * odds
            odds = odds * _rho(1 + past * odds, self._m_hat_smearing)
        rest = 1 / (1 + odds)
        return q2, -rest * span, odds * rest * span + cut

    def _above(self, q2: Tensor, s: Tensor) -> Tensor:
        """Return 1 - o_m/o, (B,), which is positive above Q²_min, of the odds o of τ."""
        return (q2 - self._q2_min) * s / (q2 * (s - self._q2_min))

    def _span(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log y_0 and log y_0 / τ of -log τ, each (B,)."""
        span = whole.clamp(max=self._longest)
        return span, whole - span

    def _edge(self, span: Tensor, log_s: Tensor) -> tuple[Tensor, Tensor]:
        """Return log x_m / log τ, at most 1, and 1/o_m, at least 0, each (B,).

        `log_s` is less by what a cut on y takes from the range, as then both are of what is left.
        """
        span = span.clamp(min=self._resolution)
        to_edge = (log_s - math.log(self._m2_min)).clamp(min=self._resolution)
        to_edge = torch.minimum(to_edge, span)
        return to_edge / span, (span - to_edge) / to_edge


def _log_rho(r: Tensor, smearing: float) -> Tensor:
    """Return log ρ(r), ρ = (r + √(r² + 4 δ²)) / 2."""
    return math.log(smearing) + torch.asinh(r / (2 * smearing))


def _rho(one_plus_k: Tensor, smearing: float) -> Tensor:
    """Return the ρ of r = 1 - kρ, for which ρ - δ²/ρ = r."""
    return (1 + (1 + 4 * smearing**2 * one_plus_k).sqrt()) / (2 * one_plus_k)


@STEPS.register
class DISKinematicConfig(StepConfig):
    """Configuration of `DISKinematic`: Q² > `q2_min`, x s > `m_hat_min`² and y > `y_min`.

    `q2_min` in GeV², `m_hat_min` in GeV, their smearings δ in relative odds, of which 0 leaves
    Q²_min sharp, `resolution` relative; `electron_beam` and `proton_beam` name the conditions that
    are the beams' energies, GeV.
    """

    step: ClassVar = DISKinematic
    kind: Literal["dis-kinematic"] = "dis-kinematic"
    group: str = "electron"
    electron_beam: str = BEAM_ENERGY
    proton_beam: str = BEAM_ENERGY
    q2_min: PositiveFloat = 2.0
    q2_smearing: Annotated[float, Option(ge=0, lt=1)] = 0.0
    m_hat_min: NonNegativeFloat = 0.0
    m_hat_smearing: PositiveFloat = 0.02
    y_min: Annotated[float, Option(ge=0, lt=1)] = 0.0
    resolution: Resolution = 1e-7
