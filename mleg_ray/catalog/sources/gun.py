"""Single particles, shot evenly into all directions."""

import math
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import PositiveFloat, model_validator

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import DrawnConfig, require_drawn
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field, Group, members
from mleg_ray.physics.particles import ELECTRON_MASS

PT, ETA, PHI = members("electron", "pt", "eta", "phi")


@SOURCES.register
class ElectronGunConfig(DrawnConfig):
    """Electrons from the origin: even in cos θ within ±`eta_max`, and in φ, and in ln E.

    Their energies, GeV, are between both `energies`. The direction is a condition, as a detector
    that measures pt takes it for known.
    """

    kind: Literal["electron-gun"] = "electron-gun"
    energies: tuple[PositiveFloat, PositiveFloat]
    eta_max: PositiveFloat

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        low, high = self.energies
        if not ELECTRON_MASS < low < high:
            raise ConfigError(
                f"energies: the lower one first, in GeV, above an electron's mass (got {low:g} and "
                f"{high:g})"
            )
        return self

    def makes(self) -> EventSchema:
        """Return the electron."""
        direction = (
            Field(name=ETA, role="condition"),
            Field(name=PHI, unit="rad", role="condition"),
        )
        return EventSchema((Field(name=PT, unit="GeV"), *direction), {"electron": Group()})

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` if a direction is fixed."""
        require_drawn(self.kind, conditions)

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n electrons."""
        low, high = np.log(self.energies)
        energy = np.exp(rng.uniform(low, high, n))
        edge = math.tanh(self.eta_max)  # cos θ = tanh η
        eta = np.arctanh(rng.uniform(-edge, edge, n))
        pt = np.sqrt(energy**2 - ELECTRON_MASS**2) / np.cosh(eta)
        return {PT: pt, ETA: eta, PHI: rng.uniform(-math.pi, math.pi, n)}
