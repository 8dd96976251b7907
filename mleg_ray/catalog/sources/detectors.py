"""Declared detectors, and events folded with them: pairs at the vertex and as measured."""

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    FiniteFloat,
    NonNegativeFloat,
    PositiveFloat,
    SerializeAsAny,
    model_validator,
)
from pydantic import Field as Option
from torch import Tensor

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig
from mleg_ray.catalog.sources.gun import ETA, PT
from mleg_ray.config import Config, Registry, inside
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import EventSchema, four_momentum
from mleg_ray.physics import detector
from mleg_ray.physics.kinematics import momentum, momentum_at, pseudorapidity
from mleg_ray.randomness import derive_seed


class DetectorConfig(Config):
    """Base of the `detector` tables of a source."""

    loses_events: ClassVar[bool] = False

    kind: str

    @abstractmethod
    def check(self, schema: EventSchema) -> None:
        """Raise `ConfigError` unless this detector can measure the schema's event fields.

        The message begins with the key at fault, of this table.
        """

    @abstractmethod
    def measured(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Return what is measured of true columns (n,), in the same units."""

    def efficiency(self, columns: Columns) -> NDArray[np.float64]:
        """Return the share of such true events that is seen, (n,)."""
        [n] = {len(values) for values in columns.values()}
        return np.ones(n)


DETECTORS: Registry[DetectorConfig] = Registry("detector")


@DETECTORS.register
class GaussianDetector(DetectorConfig):
    """x + σ z for each field, with the σ of `widths` in the field's unit."""

    kind: Literal["gaussian"] = "gaussian"
    widths: dict[str, NonNegativeFloat]

    def check(self, schema: EventSchema) -> None:
        """Raise `ConfigError` unless there is a width for each event field."""
        if set(self.widths) != set(schema.event):
            raise ConfigError(
                f"widths: name each of {', '.join(schema.event)} once; they name "
                f"{', '.join(self.widths)}"
            )

    def measured(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Return the smeared columns."""
        return {
            name: columns[name] + width * rng.standard_normal(len(columns[name]))
            for name, width in sorted(self.widths.items())
        }


class ElectronDetector(DetectorConfig):
    """What detectors of one massless particle share: a smeared |p|, and smeared angles.

    `theta` and `phi` are σ(θ) and σ(φ), rad.
    """

    group: str = "electron"
    theta: NonNegativeFloat = 1e-3
    phi: PositiveFloat = 1e-3

    def check(self, schema: EventSchema) -> None:
        """Raise `ConfigError` unless the event fields are the group's four-momentum, in GeV."""
        units = {field.name: field.unit for field in schema.fields}
        names = four_momentum(self.group)
        if set(schema.event) != set(names) or any(units[name] != "GeV" for name in names):
            raise ConfigError(
                f"kind: a detector of kind '{self.kind}' measures {', '.join(names)} in GeV; the "
                "dataset's fields are "
                f"{', '.join(f'{name} [{units[name]}]' for name in schema.event)}"
            )

    @abstractmethod
    def resolution(self, px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
        """Return σ(p)/p (n,) of momenta in GeV."""

    def measured(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Return the measured momentum and its length."""
        noise = torch.from_numpy(rng.standard_normal((len(columns[f"{self.group}.px"]), 3)))
        true = self._momentum(columns)
        p = torch.stack(
            detector.smeared(
                *true, noise, resolution=self.resolution(*true), theta=self.theta, phi=self.phi
            )
        )
        parts: list[NDArray[np.float64]] = [*p.numpy(), p.norm(dim=0).numpy()]
        return dict(zip(four_momentum(self.group), parts, strict=True))

    def _momentum(self, columns: Columns) -> tuple[Tensor, Tensor, Tensor]:
        px, py, pz = (torch.from_numpy(columns[n]) for n in four_momentum(self.group)[:3])
        return px, py, pz


@DETECTORS.register
class Tracker(ElectronDetector):
    """A tracker, see `mleg_ray.physics.detector.momentum_resolution`.

    The defaults are declared, not those of an experiment: 0.5% of the momentum, a little more
    above 100 GeV, and a milliradian in both angles.
    """

    kind: Literal["tracker"] = "tracker"
    sagitta: NonNegativeFloat = 2e-5
    scattering: NonNegativeFloat = 5e-3

    def resolution(self, px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
        """Return σ(p)/p (n,) of momenta in GeV."""
        p = momentum(px, py, pz)
        return detector.momentum_resolution(p, self.sagitta, self.scattering)


class EtaRange(Config):
    """A range of pseudorapidity, of which the upper end is the next one's."""

    eta: tuple[FiniteFloat, FiniteFloat]

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.eta[0] >= self.eta[1]:
            raise ConfigError(f"eta: the first is the lower end (got {list(self.eta)})")
        return self

    def holds(self, eta: Tensor) -> Tensor:
        """Return a boolean tensor (n,)."""
        return (eta >= self.eta[0]) & (eta < self.eta[1])


AnyRange = TypeVar("AnyRange", bound=EtaRange)


def apart(zones: tuple[AnyRange, ...]) -> tuple[AnyRange, ...]:
    """Return the zones, or raise `ConfigError` if two of them overlap."""
    for (_, high), (low, _) in itertools.pairwise(sorted(zone.eta for zone in zones)):
        if low < high:
            raise ConfigError(f"two of them hold the pseudorapidities {low:g} to {high:g}")
    return zones


def by_zone(
    zones: Sequence[AnyRange], eta: Tensor, value: Callable[[AnyRange], Tensor | float]
) -> Tensor:
    """Return the value (n,) of the zone that holds each η (n,), 0 where none does."""
    found = torch.zeros_like(eta)
    for zone in zones:
        found = torch.where(zone.holds(eta), value(zone), found)
    return found


class Zone(EtaRange):
    """A zone of an electron's spectrometer, that is seen there with the `efficiency`.

    σ(E)/E of its calorimeter is `stochastic`/√E ⊕ `constant`, σ(p)/p of its tracker `sagitta` p ⊕
    `scattering`; where there is no tracker these are left out.
    """

    stochastic: NonNegativeFloat
    constant: NonNegativeFloat
    sagitta: NonNegativeFloat | None = None
    scattering: NonNegativeFloat | None = None
    efficiency: Annotated[float, Option(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _tracker_is_whole(self) -> Self:
        if (self.sagitta is None) != (self.scattering is None):
            raise ConfigError("sagitta and scattering are both a tracker's: give both or neither")
        return self

    def resolution(self, energy: Tensor) -> Tensor:
        """Return the relative error (n,) of the mean of both, weighted as their errors say."""
        own = detector.energy_resolution(energy, self.stochastic, self.constant)
        if self.sagitta is None or self.scattering is None:
            return own
        other = detector.momentum_resolution(energy, self.sagitta, self.scattering)
        return own * other / torch.hypot(own, other)


# The electron-going side, with the finer calorimeter, has positive pseudorapidity.
HANDBOOK = (
    Zone(eta=(3.5, 4.5), stochastic=0.02, constant=0.01, efficiency=0.7),
    Zone(eta=(2.5, 3.5), stochastic=0.02, constant=0.01, sagitta=1e-3, scattering=0.02),
    Zone(eta=(2.0, 2.5), stochastic=0.02, constant=0.01, sagitta=5e-4, scattering=0.01),
    Zone(eta=(1.0, 2.0), stochastic=0.07, constant=0.02, sagitta=5e-4, scattering=0.01),
    Zone(eta=(-1.0, 1.0), stochastic=0.12, constant=0.02, sagitta=5e-4, scattering=0.005),
    Zone(eta=(-2.5, -1.0), stochastic=0.12, constant=0.02, sagitta=5e-4, scattering=0.01),
    Zone(eta=(-3.5, -2.5), stochastic=0.12, constant=0.02, sagitta=1e-3, scattering=0.02),
    Zone(eta=(-4.5, -3.5), stochastic=0.12, constant=0.02, efficiency=0.7),
)


@DETECTORS.register
class Spectrometer(ElectronDetector):
    """A calorimeter and a tracker in `zones` of pseudorapidity, blind between and beyond them.

    The default zones are the resolutions of the Electron-Ion Collider's detector handbook (version
    1.2, 2020, p. 26), with the constant terms of calorimeters and the angles' milliradian that the
    program eic-smear adds to it. Here the electron beam runs along +z, so its side has positive
    pseudorapidity. `scale` multiplies all errors: 2 is twice as bad. Of electrons where it is not
    blind, the share `identification` times the zone's efficiency is seen. Efficiencies are
    declared, not the handbook's: it has none.
    """

    loses_events: ClassVar[bool] = True

    kind: Literal["spectrometer"] = "spectrometer"
    zones: Annotated[tuple[Zone, ...], Option(min_length=1), AfterValidator(apart)] = HANDBOOK
    scale: PositiveFloat = 1.0
    identification: Annotated[float, Option(gt=0, le=1)] = 0.95

    def resolution(self, px: Tensor, py: Tensor, pz: Tensor) -> Tensor:
        """Return σ(p)/p (n,) of momenta in GeV, 0 where the detector is blind."""
        eta, energy = pseudorapidity(px, py, pz), momentum(px, py, pz)
        return by_zone(self.zones, eta, lambda zone: self.scale * zone.resolution(energy))

    def efficiency(self, columns: Columns) -> NDArray[np.float64]:
        """Return the share (n,) of such true events that is seen."""
        eta = pseudorapidity(*self._momentum(columns))
        found = by_zone(self.zones, eta, lambda zone: self.identification * zone.efficiency)
        shares: NDArray[np.float64] = found.numpy()
        return shares


class TransverseZone(EtaRange):
    """A range of |η| where σ(pt)/pt has four terms in quadrature.

    `sagitta` · pt, of a tracker, 1/GeV; `noise`/pt, GeV; `stochastic`/√E, of a calorimeter, √GeV,
    at E = pt cosh η; and `constant`.
    """

    sagitta: NonNegativeFloat = 0.0
    noise: NonNegativeFloat = 0.0
    stochastic: NonNegativeFloat = 0.0
    constant: NonNegativeFloat = 0.0

    def resolution(self, pt: Tensor, eta: Tensor) -> Tensor:
        """Return σ(pt)/pt (n,) at pt (n,), GeV, and η (n,)."""
        calorimeter = detector.energy_resolution(
            momentum_at(pt, eta), self.stochastic, self.constant
        )
        return torch.hypot(torch.hypot(self.sagitta * pt, self.noise / pt), calorimeter)


@DETECTORS.register
class TransverseSmearing(DetectorConfig):
    """An electron's pt times 1 + σ z, with the σ of its zone of |η|, blind between and beyond."""

    loses_events: ClassVar[bool] = True

    kind: Literal["transverse-smearing"] = "transverse-smearing"
    zones: Annotated[tuple[TransverseZone, ...], Option(min_length=1), AfterValidator(apart)]

    def check(self, schema: EventSchema) -> None:
        """Raise `ConfigError` unless pt, GeV, is what is measured, and η is a condition."""
        units = {field.name: field.unit for field in schema.fields}
        if schema.event != (PT,) or units[PT] != "GeV" or ETA not in schema.conditions:
            raise ConfigError(
                f"kind: a detector of kind '{self.kind}' measures {PT} in GeV given {ETA}; the "
                f"dataset's fields are {', '.join(f'{n} [{unit}]' for n, unit in units.items())}"
            )

    def resolution(self, pt: Tensor, eta: Tensor) -> Tensor:
        """Return σ(pt)/pt (n,) at pt (n,), GeV, and η (n,)."""
        return by_zone(self.zones, eta.abs(), lambda zone: zone.resolution(pt, eta))

    def measured(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Return the measured pt."""
        pt, eta = (torch.from_numpy(columns[name]) for name in (PT, ETA))
        sigma = self.resolution(pt, eta).numpy()
        return {PT: columns[PT] * (1 + sigma * rng.standard_normal(len(sigma)))}

    def efficiency(self, columns: Columns) -> NDArray[np.float64]:
        """Return 1 (n,) where there is a zone, and else 0."""
        eta = torch.from_numpy(columns[ETA])
        shares: NDArray[np.float64] = by_zone(self.zones, eta.abs(), lambda _: 1.0).numpy()
        return shares


@SOURCES.register
class FoldedConfig(SourceConfig):
    """Events of another source, `of`, as a detector measures them.

    The event fields are what is measured; the conditions of a group that is `truth_of` another one
    have its true values. A dataset that declares no such group is what an experiment has.
    """

    kind: Literal["folded"] = "folded"
    of: SerializeAsAny[Annotated[SourceConfig, SOURCES.chosen()]]
    detector: SerializeAsAny[Annotated[DetectorConfig, DETECTORS.chosen()]]
    seed: int

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless source, detector and schema fit together."""
        with inside("detector"):
            self.detector.check(schema)
        with inside("of"):
            self.of.check(schema.without(schema.truth), conditions)

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "Folded":
        """Open the other source; `UserError` if it cannot be."""
        source = self.of.open(schema.without(schema.truth), conditions, shard_events)
        return Folded(self, source, schema.truth)

    def planned_events(self) -> int | None:
        """Return how many events there will be, if the other source knows."""
        return self.of.planned_events()


class Folded(Source):
    """Shard k is shard k of the other source, measured."""

    def __init__(self, config: FoldedConfig, source: Source, truth: Mapping[str, str]) -> None:
        self._config = config
        self._source = source
        self._truth = truth

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of the other source's shards."""
        return self._source.shard_rows()

    def shard(self, index: int) -> Columns:
        """Make the other source's shard, and measure it."""
        columns, rng = self._source.shard(index), np.random.default_rng(self.seed(index))
        measured = self._config.detector.measured(columns, rng)
        true = {name: columns[field] for name, field in self._truth.items()}
        made = {**columns, **measured, **true}
        if not self.loses_events:
            return made
        efficiency = self._config.detector.efficiency(columns)
        seen = rng.random(len(efficiency)) < efficiency
        if not seen.any():
            raise DataError(
                f"detector: kind '{self._config.detector.kind}' sees none of the {len(seen)} "
                f"events of shard {index}; give it other zones or efficiencies"
            )
        return {name: values[seen] for name, values in made.items()}

    @property
    def loses_events(self) -> bool:
        """Whether the detector sees fewer events than there are."""
        return self._config.detector.loses_events

    def seed(self, index: int) -> int:
        """Return the seed of the measurement of shard `index`."""
        return derive_seed(self._config.seed, "detector", index)

    def provenance(self) -> dict[str, Any]:
        """Return the other source's provenance, the detector and its seed."""
        return {
            "of": self._source.provenance(),
            "detector": self._config.detector.model_dump(mode="json"),
            "seed": self._config.seed,
        }
