"""Sources without a generator: toys of numbers, objects and images, and electrons spread evenly."""

import math
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import PositiveFloat, model_validator

from mleg_ray.catalog.codec import Columns, of_events
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.beams import (
    ELECTRON,
    HeadOnBeams,
    require_energies,
    scattered_electron,
)
from mleg_ray.catalog.sources.drawn import DrawnConfig, require_drawn
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field, Group
from mleg_ray.physics import toy_jets
from mleg_ray.physics.toy_images import BLOBS, energies

JETS = EventSchema(
    (
        Field(name="jet.pt", unit="GeV"),
        Field(name="jet.eta"),
        Field(name="jet.phi", unit="rad"),
        Field(name="jet.flavour", dtype="int8"),
        Field(name="met.pt", unit="GeV"),
        Field(name="met.phi", unit="rad"),
        Field(name="weight", role="weight"),
    ),
    {"jet": Group(most=toy_jets.MOST, ordered_by="pt"), "met": Group()},
)


@SOURCES.register
class ToyConfig(DrawnConfig):
    """Independent `numbers` of mean 0 and variance 1: `particle.x`, and `particle.y` if two.

    They are normal, uniform in (-√3, √3), or `gamma`: (Γ - 4)/2 with Γ from the gamma distribution
    of shape 4 and scale 1, above -2 and skew: no mirror image of itself, its skewness is 1.
    """

    kind: Literal["toy"] = "toy"
    distribution: Literal["normal", "uniform", "gamma"]
    numbers: Literal[1, 2] = 1

    def makes(self) -> EventSchema:
        """Return the numbers."""
        fields = tuple(Field(name=name) for name in self._names)
        return EventSchema(fields, {"particle": Group()})

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events."""
        return {name: self._standard(rng, n) for name in self._names}

    @property
    def _names(self) -> tuple[str, ...]:
        return ("particle.x", "particle.y")[: self.numbers]

    def _standard(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        if self.distribution == "normal":
            return rng.standard_normal(n)
        if self.distribution == "gamma":
            return (rng.standard_gamma(4.0, n) - 4) / 2
        return rng.uniform(-math.sqrt(3), math.sqrt(3), n)


@SOURCES.register
class ToyJetsConfig(DrawnConfig):
    """Up to 8 jets, a missing momentum and a weight of ±1, see `mleg_ray.physics.toy_jets`."""

    kind: Literal["toy-jets"] = "toy-jets"

    def makes(self) -> EventSchema:
        """Return the jets, the missing momentum and the weight."""
        return JETS

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events."""
        return of_events(toy_jets.sample(rng, n), JETS)


@SOURCES.register
class ToyImagesConfig(DrawnConfig):
    """Images of 16 x 16 cells, or of two `layers` of 12 x 12, see `mleg_ray.physics.toy_images`.

    The condition `energy` (GeV) differs from event to event.
    """

    kind: Literal["toy-images"] = "toy-images"
    layers: Literal[1, 2] = 1

    def makes(self) -> EventSchema:
        """Return the image and its energy."""
        image = Field(name="image", unit="GeV", shape=BLOBS[self.layers].shape)
        return EventSchema((image, Field(name="energy", unit="GeV", role="condition")))

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` if the energy is fixed."""
        require_drawn(self.kind, conditions)

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n images and their energies."""
        energy = energies(rng, n)
        return {"image": BLOBS[self.layers].sample(rng, energy), "energy": energy}


@SOURCES.register
class FlatDISConfig(HeadOnBeams, DrawnConfig):
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

    def makes(self) -> EventSchema:
        """Return the electron, and the beams' energies."""
        return scattered_electron(self.beams)

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the beams' energies are fixed and Q² is within their reach."""
        require_energies(self.kind, self.beams, conditions)
        s = 4 * conditions[self.electron_beam] * conditions[self.proton_beam]
        if self.q2_max >= s:
            raise ConfigError(
                f"q2_max: {self.q2_max:g} GeV² is out of reach at s = {s:g} GeV²; choose less"
            )

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n electrons."""
        beam = conditions[self.electron_beam]
        s = 4 * beam * conditions[self.proton_beam]
        q2 = self.q2_min * (self.q2_max / self.q2_min) ** rng.random(n)
        lowest = np.maximum(q2 / s, self.y_min)
        y = lowest + (1 - lowest) * rng.random(n)
        phi = rng.uniform(-math.pi, math.pi, n)
        minus, plus = q2 / (2 * beam), 2 * beam * (1 - y)  # E' - pz and E' + pz
        pt = np.sqrt(plus * minus)
        parts = (pt * np.cos(phi), pt * np.sin(phi), (plus - minus) / 2, (plus + minus) / 2)
        return dict(zip(ELECTRON, parts, strict=True))
