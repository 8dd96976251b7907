"""γ p -> p π⁺π⁻ on a proton at rest in the five numbers that conservation leaves free."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mleg_ray.events import Events, members
from mleg_ray.features.steps.base import (
    STEPS,
    Layout,
    Quantity,
    Resolution,
    Step,
    StepConfig,
    require_columns,
)
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
from mleg_ray.physics.photoproduction import FIELDS, PHOTON_ENERGY, PION_MASS

MASS, OUT, OUT_PHI, DECAY, DECAY_PHI = FREE = members(
    "pair", "logit_mass", "logit_cos_out", "phi_out", "logit_cos_decay", "phi_decay"
)
SEEN = ("m_p_pip", "m_p_pim", "m_pip_pim", "t")
THRESHOLD = 2 * PION_MASS
FAR = 14.0  # beyond it a share is at its edge for single precision
UNBALANCED = 1e-5  # relative to E_γ + M: what single precision and a printed digit explain


class PionPair(Step):
    """Mass and angles of the pair π⁺π⁻: every generated event conserves four-momentum.

    With W the energy in the centre of mass, m the pair's mass, θ*, φ* its direction there (the
    photon along +z), and θ, φ the direction of π⁺ in the pair's helicity frame (z opposite to the
    proton, y along photon x pair),

        logit((m - 2m_π) / (W - M - 2m_π)),  logit((1 + cos θ*)/2),  φ*/π,
        logit((1 + cos θ)/2),  φ/π.

    Any five real numbers are an event on all mass shells. A critic may see the three invariant
    masses and t of the proton too. Events are the groups p, pip and pim in GeV, the condition is
    `photon_energy`.

    `log_abs_det` is that by (m, cos θ*, φ*, cos θ, φ), not by nine momentum components, of
    which conservation binds four.
    Source: Particle Data Group, Kinematics, sec. "Three-body decays".
    """

    def __init__(self, config: "PionPairConfig", layout: Layout) -> None:
        super().__init__()
        self.reads = FIELDS
        self.uses = (PHOTON_ENERGY,)
        self.shows = SEEN
        require_columns((*self.reads, *self.uses), layout)
        self.writes = {name: Quantity(circle=name in (OUT_PHI, DECAY_PHI)) for name in FREE}
        self._resolution = config.resolution

    def encode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the five free numbers."""
        share, cosine, azimuth, helicity, turn = self.position(columns)
        mass, out, decay = (self._logit(s) for s in (share, (1 + cosine) / 2, (1 + helicity) / 2))
        numbers = (mass, out, azimuth / math.pi, decay, turn / math.pi)
        return dict(zip(FREE, numbers, strict=True))

    def decode(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the twelve components."""
        initial = photoproduction.total(columns[PHOTON_ENERGY])
        mass, w, cosine, helicity = self._kinematics(columns)
        axes = _helicity_axes(cosine, math.pi * columns[OUT_PHI])
        rest = torch.zeros_like(initial)
        rest[:, 3] = w
        pair, p = two_body(rest, mass, PROTON_MASS, axes[2])
        local = direction(helicity, columns[DECAY_PHI] / 2)
        along = (local[:, :, None] * torch.stack(axes, dim=1)).sum(dim=1)
        pip, pim = two_body(pair, PION_MASS, PION_MASS, along)
        parts = torch.cat([boosted(q, initial) for q in (p, pip, pim)], dim=1)
        return dict(zip(self.reads, parts.unbind(1), strict=True))

    def view(self, columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the three invariant masses, and t of the proton."""
        mass, w, cosine, helicity = self._kinematics(columns)
        before, after = (breakup_momentum(w, m, PROTON_MASS) for m in (0.0, mass))
        t = 2 * (PROTON_MASS**2 - _energy(before) * _energy(after) + before * after * cosine)
        # Where the pair is at rest the proton flies along -z, and each pion has half its mass.
        proton, pion = w * after / mass, breakup_momentum(mass, PION_MASS, PION_MASS)
        both = PROTON_MASS**2 + PION_MASS**2 + _energy(proton) * mass
        turned = 2 * proton * pion * helicity
        masses = ((both + turned).sqrt(), (both - turned).sqrt(), mass)
        return dict(zip(self.shows, (*masses, t), strict=True))

    def log_abs_det(self, before: Events) -> Tensor:
        """Return that by (m, cos θ*, φ*, cos θ, φ)."""
        share, cosine, _, helicity, _ = self.position(before.columns)
        by_share = -(share * (1 - share)).log() - self.range(before.columns).log()
        by_cosines = [math.log(2) - (1 - c.square()).log() for c in (cosine, helicity)]
        return by_share + sum(by_cosines) - 2 * math.log(math.pi)

    def outside(self, before: Events) -> Tensor:
        """Return which events do not conserve four-momentum, or have m at an end of its range."""
        particles = self._momenta(before.columns)
        lacking = photoproduction.imbalance(*particles, before.columns[PHOTON_ENERGY])
        share = self.position(before.columns)[0]
        within = (share >= self._resolution) & (share <= 1 - self._resolution)
        return (lacking > UNBALANCED) | ~within

    def position(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the share of m in its range, cos θ*, φ*, cos θ and φ, each (B,)."""
        initial = photoproduction.total(columns[PHOTON_ENERGY])
        pip, pim = (at_rest_in(p, initial) for p in self._momenta(columns)[1:])
        pair = pip + pim
        share = (invariant_mass(pair) - THRESHOLD) / self.range(columns)
        cosine = pair[:, 2] / pair[:, :3].norm(dim=1)
        azimuth = torch.atan2(pair[:, 1], pair[:, 0])
        plus = at_rest_in(pip, pair)[:, :3]
        x, y, z = ((plus * axis).sum(dim=1) for axis in _helicity_axes(cosine, azimuth))
        return share, cosine, azimuth, z / plus.norm(dim=1), torch.atan2(y, x)

    def _momenta(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the four-momenta (B, 4) of p, π⁺ and π⁻."""
        momenta = torch.stack([columns[name] for name in self.reads], dim=1)
        p, pip, pim = torch.split(momenta, 4, dim=1)
        return p, pip, pim

    def _kinematics(self, columns: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return m, W, cos θ* and cos θ, each (B,)."""
        mass = THRESHOLD + self.range(columns) * columns[MASS].clamp(-FAR, FAR).sigmoid()
        cosines = ((columns[name] / 2).tanh() for name in (OUT, DECAY))
        return mass, photoproduction.cm_energy(columns[PHOTON_ENERGY]), *cosines

    def range(self, columns: Mapping[str, Tensor]) -> Tensor:
        """Return W - M - 2m_π (B,), the length of the range of m, GeV."""
        return photoproduction.cm_energy(columns[PHOTON_ENERGY]) - PROTON_MASS - THRESHOLD

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


@STEPS.register
class PionPairConfig(StepConfig):
    """Configuration of `PionPair`: `resolution` is how close shares may come to 0 and 1."""

    step: ClassVar = PionPair
    kind: Literal["pion-pair"] = "pion-pair"
    resolution: Resolution = 2e-6
