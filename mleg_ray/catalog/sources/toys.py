"""Sources without a generator: toy distributions, and electrons spread evenly."""

import math
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field as Option
from pydantic import PositiveFloat, model_validator

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import DrawnConfig
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, four_momentum

X = "particle.x"
ELECTRON = four_momentum("electron")


@SOURCES.register
class ToyConfig(DrawnConfig):
    """One number `particle.x`, of mean 0 and variance 1: normal, or uniform in (-√3, √3)."""

    kind: Literal["toy"] = "toy"
    distribution: Literal["normal", "uniform"]

    def require(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless it is the only field."""
        names = (*schema.event, *schema.conditions)
        if names != (X,):
            raise ConfigError(
                f"kind: toy makes the field {X} alone; the dataset declares {', '.join(names)}"
            )

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n numbers."""
        if self.distribution == "normal":
            return {X: rng.standard_normal(n)}
        return {X: rng.uniform(-math.sqrt(3), math.sqrt(3), n)}


class ElectronConfig(DrawnConfig):
    """What sources of scattered electrons share: a momentum and its energy, at one beam energy."""

    def require(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the fields are an electron's in GeV, at one beam energy."""
        units = {field.name: field.unit for field in schema.fields}
        needed = dict.fromkeys((*ELECTRON, "beam_energy"), "GeV")
        if units != needed or "beam_energy" not in conditions:
            raise ConfigError(
                f"kind: {self.kind} makes the event fields {', '.join(ELECTRON)} in GeV under "
                "conditions.beam_energy; the dataset declares "
                f"{', '.join(f'{name} [{unit}]' for name, unit in units.items())}"
            )


@SOURCES.register
class FlatDISConfig(ElectronConfig):
    """Electrons spread evenly over the phase space of e p -> e' X: in ln Q², y and φ.

    Q² (GeV²) lies between `q2_min` and `q2_max`, y above `y_min` and Q²/s, where x_bj = 1. They
    teach a detector's response wherever physics may send an electron, whatever its spectrum.
    """

    kind: Literal["flat-dis"] = "flat-dis"
    q2_min: PositiveFloat
    q2_max: PositiveFloat
    y_min: float = Option(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if self.q2_min >= self.q2_max:
            raise ConfigError("q2_min must be below q2_max")
        return self

    def require(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless electrons are declared, and Q² is within their reach."""
        super().require(schema, conditions)
        s = 4 * conditions["beam_energy"] ** 2
        if self.q2_max >= s:
            raise ConfigError(
                f"q2_max: {self.q2_max:g} GeV² is out of reach at s = {s:g} GeV²; choose less"
            )

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n electrons."""
        beam = conditions["beam_energy"]
        s = 4 * beam**2
        q2 = self.q2_min * (self.q2_max / self.q2_min) ** rng.random(n)
        lowest = np.maximum(q2 / s, self.y_min)
        y = lowest + (1 - lowest) * rng.random(n)
        phi = rng.uniform(-math.pi, math.pi, n)
        minus, plus = q2 / (2 * beam), 2 * beam * (1 - y)  # E' - pz and E' + pz
        pt = np.sqrt(plus * minus)
        parts = (pt * np.cos(phi), pt * np.sin(phi), (plus - minus) / 2, (plus + minus) / 2)
        return dict(zip(ELECTRON, parts, strict=True))
