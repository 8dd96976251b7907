"""The exclusive reaction γ p → p π⁺ π⁻ by declared channels, with exact kinematics."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Self

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, model_validator
from torch import Tensor

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import DrawnConfig
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field, Group
from mleg_ray.physics.decays import (
    breakup_momentum,
    breit_wigner,
    direction,
    exponential,
    invariant_mass,
    isotropic,
    pair_mass_density,
    two_body,
)
from mleg_ray.physics.dis import PROTON_MASS
from mleg_ray.physics.photoproduction import FIELDS, PARTICLES, PHOTON_ENERGY, PION_MASS, total

CHANNEL = "channel"

# Masses and widths, GeV: Particle Data Group 2024, rounded.
DELTA, RHO = (1.232, 0.117), (0.775, 0.147)
THRESHOLD = ((PROTON_MASS + 2 * PION_MASS) ** 2 - PROTON_MASS**2) / (2 * PROTON_MASS)
HIGHEST = 1e4  # GeV: rounding moves m² = E² - p² by 1e-16 E², here half a millionth of a pion's

Final = tuple[Tensor, Tensor, Tensor]  # p, π⁺, π⁻: four-momenta (B, 4)


class Shares(Config):
    """The share of each channel; its number, in this order from 0, is the label `channel`."""

    delta: NonNegativeFloat
    rho: NonNegativeFloat
    phase_space: NonNegativeFloat

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        if not math.isclose(sum(self.values), 1.0, abs_tol=1e-9):
            raise ValueError("delta, rho and phase_space must sum to 1")
        return self

    @property
    def values(self) -> tuple[float, ...]:
        """The shares in the order of the labels."""
        return self.delta, self.rho, self.phase_space


@SOURCES.register
class PhotoproductionConfig(DrawnConfig):
    """γ p → p π⁺ π⁻ on a proton at rest, the photon along +z, by three channels.

    `delta` is Δ⁺⁺π⁻ with Δ⁺⁺ → pπ⁺, isotropic; `rho` is pρ⁰ with ρ⁰ → π⁺π⁻, isotropic, and
    dσ/dt ∝ exp(`slope` · t), 1/GeV²; `phase_space` is the flat Dalitz plot. They do not interfere.
    `photon_energies` (GeV) are the strata of a dataset whose photon energy varies; where it is a
    fixed condition of the dataset they stay empty.
    """

    kind: Literal["gamma-p-to-p-pi-pi"] = "gamma-p-to-p-pi-pi"
    shares: Shares
    slope: PositiveFloat
    photon_energies: tuple[PositiveFloat, ...] = ()

    def makes(self) -> EventSchema:
        """Return the particles, the photon's energy and the label."""
        particles = [Field(name=name, unit="GeV") for name in FIELDS]
        photon = Field(name=PHOTON_ENERGY, unit="GeV", role="condition")
        label = Field(name=CHANNEL, role="label")
        return EventSchema((*particles, photon, label), dict.fromkeys(PARTICLES, Group()))

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the photon's energy is known, and suffices."""
        if (PHOTON_ENERGY in conditions) == bool(self.photon_energies):
            raise ConfigError(
                "photon_energies: give the photon's energy once, here to let it vary, or else as "
                f"conditions.{PHOTON_ENERGY}"
            )
        energies = [stratum[PHOTON_ENERGY] for stratum in self.strata(conditions)]
        lowest, highest = min(energies), max(energies)
        if lowest <= THRESHOLD:
            raise ConfigError(
                f"photon_energies: a photon of {lowest:g} GeV makes no p π⁺ π⁻; choose more "
                f"than {THRESHOLD:.4g} GeV"
            )
        if highest > HIGHEST:
            raise ConfigError(
                f"photon_energies: of a photon of {highest:g} GeV double precision does not tell "
                f"the pions' masses; choose {HIGHEST:g} GeV at most"
            )

    def strata(self, conditions: Mapping[str, float]) -> Sequence[Mapping[str, float]]:
        """Return the photon energy of each stratum."""
        return [{PHOTON_ENERGY: energy} for energy in self.photon_energies] or [conditions]

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events."""
        photon_energy = torch.full((n,), conditions[PHOTON_ENERGY], dtype=torch.float64)
        channel = rng.choice(len(self.shares.values), n, p=self.shares.values)
        events = torch.empty(n, len(PARTICLES), 4, dtype=torch.float64)
        for number, made in enumerate((self._delta, self._rho, self._phase_space)):
            rows = torch.from_numpy(channel == number)
            events[rows] = torch.stack(made(total(photon_energy[rows]), rng), dim=1)
        columns = dict(zip(FIELDS, events.flatten(1).T.numpy(), strict=True))
        return columns | {PHOTON_ENERGY: photon_energy.numpy(), CHANNEL: channel.astype(np.float64)}

    def _delta(self, initial: Tensor, rng: np.random.Generator) -> Final:
        u = _uniform(rng, len(initial), 5)
        w = invariant_mass(initial)
        mass = breit_wigner(u[:, 0], *DELTA, PROTON_MASS + PION_MASS, w - PION_MASS)
        delta, pim = two_body(initial, mass, PION_MASS, isotropic(u[:, 1:3]))
        p, pip = two_body(delta, PROTON_MASS, PION_MASS, isotropic(u[:, 3:]))
        return p, pip, pim

    def _rho(self, initial: Tensor, rng: np.random.Generator) -> Final:
        u = _uniform(rng, len(initial), 5)
        w = invariant_mass(initial)
        mass = breit_wigner(u[:, 0], *RHO, 2 * PION_MASS, w - PROTON_MASS)
        # t = t0 + 2 k p' cos θ* of the photon's momentum k and the ρ's p'.
        k, after = breakup_momentum(w, 0.0, PROTON_MASS), breakup_momentum(w, mass, PROTON_MASS)
        energies = (k.square() + PROTON_MASS**2).sqrt() * (after.square() + PROTON_MASS**2).sqrt()
        t0, reach = 2 * (PROTON_MASS**2 - energies), 2 * k * after
        t = exponential(u[:, 1], self.slope, t0 - reach, t0 + reach)
        rho, p = two_body(initial, mass, PROTON_MASS, direction((t - t0) / reach, u[:, 2]))
        pip, pim = two_body(rho, PION_MASS, PION_MASS, isotropic(u[:, 3:]))
        return p, pip, pim

    def _phase_space(self, initial: Tensor, rng: np.random.Generator) -> Final:
        mass = _pair_masses(invariant_mass(initial), rng)
        u = _uniform(rng, len(initial), 4)
        pair, p = two_body(initial, mass, PROTON_MASS, isotropic(u[:, :2]))
        pip, pim = two_body(pair, PION_MASS, PION_MASS, isotropic(u[:, 2:]))
        return p, pip, pim


def _pair_masses(w: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw m(π⁺π⁻) (B,) of phase space under W (B,), by rejection."""
    masses = torch.empty_like(w)
    missing = torch.arange(len(w))
    while len(missing):
        u = _uniform(rng, len(missing), 2)
        reach = w[missing] - PROTON_MASS - 2 * PION_MASS
        tried = 2 * PION_MASS + u[:, 0] * reach
        density = pair_mass_density(tried, w[missing], (PION_MASS, PION_MASS, PROTON_MASS))
        kept = u[:, 1] < density
        masses[missing[kept]] = tried[kept]
        missing = missing[~kept]
    return masses


def _uniform(rng: np.random.Generator, n: int, width: int) -> Tensor:
    return torch.from_numpy(rng.random((n, width)))
