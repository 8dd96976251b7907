"""Electrons scattered off a proton at rest, and the part of them that a toroid's sectors see."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.beams import (
    ELECTRON,
    require_energies,
    scattered_electron,
)
from mleg_ray.catalog.sources.drawn import DrawnConfig
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema
from mleg_ray.physics import fixed_target
from mleg_ray.physics.detector import coil_distance
from mleg_ray.physics.dis import BEAM_ENERGY
from mleg_ray.physics.fixed_target import CONTINUUM, RESONANCES, Resonance
from mleg_ray.physics.kinematics import momentum, polar_angle

PROPOSALS = 100_000  # drawn at a time
LATTICE = 400  # points along Q² and W where the largest density is looked for
LEAST = 10  # of so many that must be accepted: a thousand events cost seconds then, not minutes
MARGIN = 1.1  # by which the density may exceed its largest on the lattice


class Acceptance(Config):
    """The sectors of a toroidal spectrometer: what passes between its coils, seen or not.

    A coil of `coil_width`, in units of its distance from the target, shades its side of the
    `sectors`, see `mleg_ray.physics.detector.coil_distance`. Polar angles are in rad, `p_min` is
    the least momentum, GeV. The default is like CLAS, not CLAS: a fifth of the azimuth at
    `theta_min`, five sixths at `theta_max`.
    """

    sectors: Annotated[int, Option(ge=2)] = 6
    coil_width: NonNegativeFloat = 0.12
    theta_min: NonNegativeFloat = 0.15
    theta_max: Annotated[float, Option(le=math.pi)] = 0.80
    p_min: NonNegativeFloat = 0.7

    @model_validator(mode="after")
    def _angles(self) -> Self:
        if self.theta_min >= self.theta_max:
            raise ConfigError("theta_min must be below theta_max")
        return self

    def accepts(self, px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
        """Return a boolean tensor (B,): True where a momentum in GeV is seen."""
        theta = polar_angle(px, py, pz)
        clear = coil_distance(px, py, pz, torch.tensor(self.sectors)) >= self.coil_width / 2
        inside = (theta >= self.theta_min) & (theta <= self.theta_max)
        return clear & inside & (momentum(px, py, pz) >= self.p_min)


@SOURCES.register
class FixedTargetConfig(DrawnConfig):
    """Electrons of e p -> e' X off a proton at rest, with Q² above `q2_min` (GeV²).

    Their density in Q², W and φ is a photon's flux times a declared cross section of bumps and a
    continuum, which no experiment measured: `photon_flux` and `photoabsorption` of
    `mleg_ray.physics.fixed_target`. Those that the `acceptance` does not see are drawn again.
    """

    kind: Literal["fixed-target-electrons"] = "fixed-target-electrons"
    q2_min: PositiveFloat
    resonances: tuple[Resonance, ...] = RESONANCES
    continuum: PositiveFloat = CONTINUUM
    acceptance: Acceptance | None = None

    def makes(self) -> EventSchema:
        """Return the electron, and the energy of its beam."""
        return scattered_electron((BEAM_ENERGY,))

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless electrons are made, and more than hardly seen."""
        require_energies(self.kind, (BEAM_ENERGY,), conditions)
        beam = conditions[BEAM_ENERGY]
        if beam <= fixed_target.THRESHOLD:
            raise ConfigError(
                f"kind: with {self.kind}, conditions.beam_energy must be above "
                f"{fixed_target.THRESHOLD:.4g} GeV, where a proton at rest yields a pion (got "
                f"{beam:g})"
            )
        reach = fixed_target.largest_q2(beam)
        if self.q2_min >= reach:
            raise ConfigError(
                f"q2_min: {self.q2_min:g} GeV² is out of reach; with a beam of {beam:g} GeV off a "
                f"proton at rest Q² is below {reach:g} GeV²"
            )
        tried = self._accepted(np.random.default_rng(0), beam, MARGIN * self._largest_density(beam))
        if tried.shape[1] < LEAST:
            raise ConfigError(
                f"{'acceptance' if self.acceptance else 'q2_min'}: hardly an electron passes, with "
                f"a beam of {beam:g} GeV and Q² above {self.q2_min:g} GeV²; change acceptance, "
                "q2_min or conditions.beam_energy"
            )

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n electrons."""
        beam = conditions[BEAM_ENERGY]
        ceiling = MARGIN * self._largest_density(beam)
        kept = torch.empty(4, 0, dtype=torch.float64)
        while kept.shape[1] < n:
            kept = torch.cat([kept, self._accepted(rng, beam, ceiling)], dim=1)
        return dict(zip(ELECTRON, kept[:, :n].numpy(), strict=True))

    def _accepted(self, rng: np.random.Generator, beam: float, ceiling: float) -> Tensor:
        """Return the electrons (4, B) that are seen of `PROPOSALS`, GeV."""
        u = torch.from_numpy(rng.random((4, PROPOSALS)))
        q2, w = self._point(u[0], u[1], beam)
        density = self._density(q2, w, beam)
        assert density.max() <= ceiling, "a cross section between the points of the lattice"
        real = density > u[2] * ceiling
        phi = math.pi * (2 * u[3, real] - 1)
        electrons = torch.stack(fixed_target.electron(q2[real], w[real], phi, beam))
        if self.acceptance:
            electrons = electrons[:, self.acceptance.accepts(*electrons[:3])]
        return electrons

    def _point(self, u: Tensor, v: Tensor, beam: float) -> tuple[Tensor, Tensor]:
        """Return Q² and W at (u, v) of the unit square: even in 1/Q², as the flux nearly is."""
        lowest, highest = 1 / fixed_target.largest_q2(beam), 1 / self.q2_min
        return 1 / (lowest + u * (highest - lowest)), self._w(v, beam)

    def _w(self, v: Tensor, beam: float) -> Tensor:
        highest = fixed_target.largest_w(self.q2_min, beam)
        return fixed_target.LOWEST_W + v * (highest - fixed_target.LOWEST_W)

    def _density(self, q2: Tensor, w: Tensor, beam: float) -> Tensor:
        """Return the cross section per u and v, up to a factor."""
        absorbed = fixed_target.photoabsorption(q2, w, self.resonances, self.continuum)
        return q2.square() * fixed_target.photon_flux(q2, w, beam) * absorbed

    def _largest_density(self, beam: float) -> float:
        """Return the largest density on a lattice in ln Q² and W, the bumps' peaks among it."""
        points = torch.linspace(0, 1, LATTICE, dtype=torch.float64)
        q2 = self.q2_min * (fixed_target.largest_q2(beam) / self.q2_min) ** points
        peaks = torch.tensor([resonance.mass for resonance in self.resonances], dtype=torch.float64)
        w = torch.cat([self._w(points, beam), peaks])
        return float(self._density(q2[:, None], w, beam).max())
