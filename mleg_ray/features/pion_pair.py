"""γ p -> p π⁺π⁻ on a proton at rest in the five numbers that conservation leaves free."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from mleg_ray.events import EventSchema
from mleg_ray.features.base import FEATURE_MAPS, FeatureMap, FeatureMapConfig
from mleg_ray.physics import photoproduction
from mleg_ray.physics.decays import (
    at_rest_in,
    boosted,
    breakup_momentum,
    direction,
    invariant_mass,
    two_body,
)
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.photoproduction import PION_MASS

PARTICLES = ("p", "pip", "pim")
FIELDS = tuple(f"{name}_{part}" for name in PARTICLES for part in ("px", "py", "pz", "energy"))
PHOTON_ENERGY = "photon_energy"
THRESHOLD = 2 * PION_MASS
FAR = 14.0  # beyond it a share is at its edge for single precision
UNBALANCED = 1e-5  # relative to E_γ + M: what single precision and a printed digit explain


class PionPairMap(FeatureMap):
    """Mass and angles of the pair π⁺π⁻: every generated event conserves four-momentum.

    With W the energy in the centre of mass, m the pair's mass, θ*, φ* its direction there (the
    photon along +z), and θ, φ the direction of π⁺ in the pair's helicity frame (z opposite to the
    proton, y along photon x pair),

        logit((m - 2m_π) / (W - M - 2m_π)),  logit((1 + cos θ*)/2),  φ*/π,
        logit((1 + cos θ)/2),  φ/π.

    Any five real numbers are an event on all mass shells. The critic also sees cosine and sine of
    both azimuths, the three invariant masses and t of the proton. Events are the four-momenta of p,
    pip and pim in GeV, the condition is `photon_energy`.

    `log_abs_det_jacobian` is that by (m, cos θ*, φ*, cos θ, φ), not by nine momentum components, of
    which conservation binds four.
    Source: Particle Data Group, Kinematics, sec. "Three-body decays".
    """

    periodic = (2, 4)

    def __init__(self, schema: EventSchema, fixed: Mapping[str, float], resolution: float) -> None:
        schema.require((*FIELDS, PHOTON_ENERGY), by=type(self).__name__)
        super().__init__(schema, fixed, n_features=5, n_augmented=11)
        self._columns = [schema.event.index(name) for name in FIELDS]
        self._order = sorted(range(len(FIELDS)), key=lambda i: self._columns[i])
        self._photon = schema.conditions.index(PHOTON_ENERGY)
        self._resolution = resolution

    def _encode(self, events: Tensor, context: Tensor) -> Tensor:
        share, cosine, azimuth, helicity, turn = self._position(events, context)
        mass, out, decay = (self._logit(s) for s in (share, (1 + cosine) / 2, (1 + helicity) / 2))
        return torch.stack([mass, out, azimuth / math.pi, decay, turn / math.pi], dim=1)

    def _decode(self, raw: Tensor, context: Tensor) -> Tensor:
        initial = photoproduction.total(context[:, self._photon])
        mass, w, cosine, helicity = self._kinematics(raw, context)
        axes = _helicity_axes(cosine, math.pi * raw[:, 2])
        rest = torch.zeros_like(initial)
        rest[:, 3] = w
        pair, p = two_body(rest, mass, PROTON_MASS, axes[2])
        local = direction(helicity, raw[:, 4] / 2)
        along = (local[:, :, None] * torch.stack(axes, dim=1)).sum(dim=1)
        pip, pim = two_body(pair, PION_MASS, PION_MASS, along)
        columns = torch.cat([boosted(q, initial) for q in (p, pip, pim)], dim=1)
        return torch.stack([columns[:, i] for i in self._order]).T

    def _view(self, raw: Tensor, context: Tensor) -> Tensor:
        mass, w, cosine, helicity = self._kinematics(raw, context)
        before, after = (breakup_momentum(w, m, PROTON_MASS) for m in (0.0, mass))
        t = 2 * (PROTON_MASS**2 - _energy(before) * _energy(after) + before * after * cosine)
        # Where the pair is at rest the proton flies along -z, and each pion has half its mass.
        proton, pion = w * after / mass, breakup_momentum(mass, PION_MASS, PION_MASS)
        both = PROTON_MASS**2 + PION_MASS**2 + _energy(proton) * mass
        turned = 2 * proton * pion * helicity
        masses = ((both + turned).sqrt(), (both - turned).sqrt(), mass)
        angles = [f(math.pi * raw[:, i]) for i in self.periodic for f in (torch.cos, torch.sin)]
        plain = [raw[:, i] for i in range(self.n_features) if i not in self.periodic]
        return torch.stack([*plain, *angles, *masses, t], dim=1)

    def _log_abs_det(self, events: Tensor, context: Tensor) -> Tensor:
        share, cosine, _, helicity, _ = self._position(events, context)
        by_share = -(share * (1 - share)).log() - self._range(context).log()
        by_cosines = [math.log(2) - (1 - c.square()).log() for c in (cosine, helicity)]
        return by_share + sum(by_cosines) - 2 * math.log(math.pi)

    def _outside(self, events: Tensor, context: Tensor) -> Tensor:
        columns = dict(zip(FIELDS, (events[:, i] for i in self._columns), strict=True))
        lacking = photoproduction.imbalance(**columns, photon_energy=context[:, self._photon])
        share = self._position(events, context)[0]
        within = (share >= self._resolution) & (share <= 1 - self._resolution)
        return (lacking > UNBALANCED) | ~within

    def _condition(self, context: Tensor) -> Tensor:
        return context[:, self.varying].log()

    def _position(self, events: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        """Return the share of m in its range, cos θ*, φ*, cos θ and φ, each (B,)."""
        initial = photoproduction.total(context[:, self._photon])
        columns = torch.stack([events[:, i] for i in self._columns], dim=1)
        pip, pim = (at_rest_in(columns[:, i : i + 4], initial) for i in (4, 8))
        pair = pip + pim
        share = (invariant_mass(pair) - THRESHOLD) / self._range(context)
        cosine = pair[:, 2] / pair[:, :3].norm(dim=1)
        azimuth = torch.atan2(pair[:, 1], pair[:, 0])
        plus = at_rest_in(pip, pair)[:, :3]
        x, y, z = ((plus * axis).sum(dim=1) for axis in _helicity_axes(cosine, azimuth))
        return share, cosine, azimuth, z / plus.norm(dim=1), torch.atan2(y, x)

    def _kinematics(self, raw: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        """Return m, W, cos θ* and cos θ, each (B,)."""
        mass = THRESHOLD + self._range(context) * raw[:, 0].clamp(-FAR, FAR).sigmoid()
        cosines = ((raw[:, i] / 2).tanh() for i in (1, 3))
        return mass, photoproduction.cm_energy(context[:, self._photon]), *cosines

    def _range(self, context: Tensor) -> Tensor:
        return photoproduction.cm_energy(context[:, self._photon]) - PROTON_MASS - THRESHOLD

    def _logit(self, share: Tensor) -> Tensor:
        return share.clamp(self._resolution, 1 - self._resolution).logit()


def _energy(p: Tensor) -> Tensor:
    """Energy (B,) of a proton of momentum p, GeV."""
    return (p.square() + PROTON_MASS**2).sqrt()


def _helicity_axes(cosine: Tensor, azimuth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, y and z (B, 3) of the frame of what flies at θ* and φ*; y is normal to +z."""
    sine, zero = (1 - cosine.square()).clamp(min=0).sqrt(), torch.zeros_like(cosine)
    cos, sin = azimuth.cos(), azimuth.sin()
    x = torch.stack([cos * cosine, sin * cosine, -sine], dim=1)
    y = torch.stack([-sin, cos, zero], dim=1)
    return x, y, torch.stack([cos * sine, sin * sine, cosine], dim=1)


@FEATURE_MAPS.register
class PionPairMapConfig(FeatureMapConfig):
    """Configuration of `PionPairMap`: `resolution` is how close shares may come to 0 and 1."""

    kind: Literal["pion-pair"] = "pion-pair"
    resolution: PositiveFloat = 2e-6

    def build(self, schema: EventSchema, conditions: Mapping[str, float]) -> PionPairMap:
        """Build the unfitted map; `ConfigError` if the dataset lacks a field it needs."""
        return PionPairMap(schema, conditions, self.resolution)
