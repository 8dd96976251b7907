"""Showers of electrons in a calorimeter of slabs, by an embedded cascade or by PENELOPE."""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, PositiveFloat, PositiveInt, model_validator
from pydantic import Field as Option

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources import penelope
from mleg_ray.catalog.sources.base import SOURCES
from mleg_ray.catalog.sources.drawn import Drawn, DrawnConfig
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, Field
from mleg_ray.physics.materials import MATERIALS
from mleg_ray.physics.showers import HIGHEST, Calorimeter, Slab

MM = 0.1  # cm
LOWEST = 1.0  # MeV, of what comes in
STEEPEST = 1.2  # rad

Energy = Annotated[float, Option(ge=LOWEST, le=HIGHEST)]
Array = NDArray[np.float64]


def _known(material: str) -> str:
    if material not in MATERIALS:
        raise ValueError(f"'{material}' is none of {', '.join(MATERIALS)}")
    return material


class Layer(Config):
    """A slab of the calorimeter: its `material`, lead or polystyrene, and `thickness`, mm."""

    material: Annotated[str, AfterValidator(_known)]
    thickness: PositiveFloat


@SOURCES.register
class ShowersConfig(DrawnConfig):
    """Electrons hit slabs across the z axis, of which an image shows the energy left in each.

    The slabs are `layers`, from z = 0, as many times over as `repeat` says. An image has their
    cells: `cells` x `cells` of a square `window` (mm) around the axis; rows run along y, columns
    along x. Slabs are wider than the window, and what is left beyond it is not in the image.

    Kinetic energies (MeV) are those of `energies`, of which each is a stratum; or drawn evenly in
    ln E from `energy_range`, but for the band `held_out`; or fixed by the dataset's conditions.
    Electrons come in at angles `theta` to the axis, towards x, evenly up to `largest_angle` (rad),
    and at (x, y) evenly in a square of side `spot` (mm) around the axis; both are conditions where
    they vary. `program` is the cascade of `mleg_ray.physics.showers`, or PENELOPE (an optional
    package), up to 1 GeV. `events` counts all strata.
    """

    kind: Literal["showers"] = "showers"
    program: Literal["cascade", "penelope"] = "cascade"
    layers: tuple[Layer, ...] = Option(min_length=1)
    repeat: PositiveInt = 1
    window: PositiveFloat
    cells: PositiveInt
    energies: tuple[Energy, ...] = ()
    energy_range: tuple[Energy, Energy] | None = None
    held_out: tuple[PositiveFloat, PositiveFloat] | None = None
    largest_angle: float = Option(0.0, ge=0, le=STEEPEST)
    spot: float = Option(0.0, ge=0)

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        if self.energies and self.energy_range:
            raise ConfigError("energies: give the energies here or as energy_range, not both")
        if self.held_out and not self.energy_range:
            raise ConfigError("held_out: leaves a band out of energy_range; give that too")
        low, high = self.energy_range or (0.0, 1.0)
        first, last = self.held_out or (low, high)
        if not low < high:
            raise ConfigError("energy_range: the first energy must be below the second")
        if not low <= first < last <= high:
            raise ConfigError("held_out: must be a band within energy_range, low before high")
        if self.held_out and self.held_out == self.energy_range:
            raise ConfigError("held_out: leaves nothing of energy_range; make it a part of that")
        if self.spot > self.window:
            raise ConfigError("spot: electrons must come in within the window; make it smaller")
        return self

    @property
    def slabs(self) -> tuple[Slab, ...]:
        """All slabs, in their order."""
        once = [Slab(layer.material, layer.thickness * MM) for layer in self.layers]
        return tuple(once * self.repeat)

    def makes(self) -> EventSchema:
        """Return the image and the conditions."""
        shape = (len(self.slabs), self.cells, self.cells)
        fields = [
            Field(name="image", unit="MeV", shape=shape),
            Field(name="energy", unit="MeV", role="condition"),
        ]
        if self.largest_angle:
            fields.append(Field(name="theta", unit="rad", role="condition"))
        if self.spot:
            fields += [Field(name=name, unit="mm", role="condition") for name in "xy"]
        return EventSchema(fields)

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless there is one energy for each event, that can be simulated."""
        drawn = sorted(set(conditions) - {"energy"})
        if drawn:
            raise ConfigError(f"kind: {self.kind} draws {drawn[0]}; leave it out of [conditions]")
        if bool(conditions) == bool(self.energies or self.energy_range):
            raise ConfigError(
                "energies: give the energy once, here or by energy_range, or as conditions.energy"
            )
        all_energies = (*self.energies, *(self.energy_range or ()), *conditions.values())
        highest = penelope.HIGHEST if self.program == "penelope" else HIGHEST
        if not LOWEST <= min(all_energies) <= max(all_energies) <= highest:
            raise ConfigError(
                f"program: {self.program} simulates electrons from {LOWEST:g} to {highest:g} MeV, "
                f"and some have {max(all_energies):g} MeV or {min(all_energies):g} MeV; choose "
                "others" + (", or program = 'cascade'" if self.program == "penelope" else "")
            )

    def strata(self, conditions: Mapping[str, float]) -> Sequence[Mapping[str, float]]:
        """Return the energy of each stratum."""
        return [{"energy": energy} for energy in self.energies] or [conditions]

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "ShowersSource":
        """Build the source; `UserError` if PENELOPE is not installed."""
        programs = {"pyPenred": penelope.version()} if self.program == "penelope" else {}
        return ShowersSource(self, self.strata(conditions), shard_events, programs)

    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n images and their conditions."""
        energy = self._energies(rng, n, conditions)
        theta = self.largest_angle * rng.random(n)
        x, y = self.spot * (rng.random((2, n)) - 0.5)
        simulate = _cascade if self.program == "cascade" else penelope.images
        images = simulate(
            *(rng, self.slabs, self.window * MM, self.cells),
            *(energy, theta, x * MM, y * MM),
        )
        made = {"image": images, "energy": energy, "theta": theta, "x": x, "y": y}
        return {field.name: made[field.name] for field in self.makes().fields}

    def _energies(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Array:
        if self.energy_range is None:
            return np.full(n, conditions["energy"])
        low, high = np.log(self.energy_range)
        first, last = np.log(self.held_out or (self.energy_range[1],) * 2)
        drawn = low + (high - low - (last - first)) * rng.random(n)
        return np.asarray(np.exp(np.where(drawn < first, drawn, drawn + last - first)))


class ShowersSource(Drawn):
    """Shards of showers, with the version of the program that makes them."""

    def __init__(
        self,
        config: ShowersConfig,
        strata: Sequence[Mapping[str, float]],
        shard_events: int,
        programs: Mapping[str, str],
    ) -> None:
        super().__init__(config, strata, shard_events)
        self._programs = dict(programs)

    def provenance(self) -> dict[str, Any]:
        """Return the source's settings, and versions."""
        return super().provenance() | self._programs


def _cascade(
    rng: np.random.Generator,
    slabs: tuple[Slab, ...],
    window: float,
    cells: int,
    *incoming: Array,
) -> NDArray[np.float32]:
    return _calorimeter(slabs, window, cells).showers(rng, *incoming).images


@functools.lru_cache(maxsize=4)
def _calorimeter(slabs: tuple[Slab, ...], window: float, cells: int) -> Calorimeter:
    return Calorimeter(slabs, window, cells)
