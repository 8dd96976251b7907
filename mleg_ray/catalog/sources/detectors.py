"""Declared detectors, and events folded with them: pairs at the vertex and as measured."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, PositiveFloat, SerializeAsAny

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig
from mleg_ray.config import Config, Registry, inside
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema, four_momentum
from mleg_ray.physics import detector
from mleg_ray.randomness import derive_seed


class DetectorConfig(Config):
    """Base of the `detector` tables of a source."""

    kind: str

    @abstractmethod
    def check(self, schema: EventSchema) -> None:
        """Raise `ConfigError` unless this detector can measure the schema's event fields.

        The message begins with the key at fault, of this table.
        """

    @abstractmethod
    def measured(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Return what is measured of true columns (n,), in the same units."""


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


@DETECTORS.register
class Tracker(DetectorConfig):
    """A tracker of massless particles, see `mleg_ray.physics.detector.tracked`.

    The defaults are declared, not those of an experiment: 0.5% of the momentum, a little more
    above 100 GeV, and a milliradian in both angles.
    """

    kind: Literal["tracker"] = "tracker"
    group: str = "electron"
    sagitta: NonNegativeFloat = 2e-5
    scattering: NonNegativeFloat = 5e-3
    theta: NonNegativeFloat = 1e-3
    phi: PositiveFloat = 1e-3

    def check(self, schema: EventSchema) -> None:
        """Raise `ConfigError` unless the event fields are the group's four-momentum, in GeV."""
        units = {field.name: field.unit for field in schema.fields}
        names = four_momentum(self.group)
        if set(schema.event) != set(names) or any(units[name] != "GeV" for name in names):
            raise ConfigError(
                f"kind: a tracker measures {', '.join(names)} in GeV; the dataset's fields are "
                f"{', '.join(f'{name} [{units[name]}]' for name in schema.event)}"
            )

    def measured(self, columns: Columns, rng: np.random.Generator) -> Columns:
        """Return the measured momentum and its length."""
        names = four_momentum(self.group)
        px, py, pz = (torch.from_numpy(columns[name]) for name in names[:3])
        noise = torch.from_numpy(rng.standard_normal((len(px), 3)))
        widths = self.model_dump(exclude={"kind", "group"})
        p = torch.stack(detector.tracked(px, py, pz, noise, **widths))
        parts: list[NDArray[np.float64]] = [*p.numpy(), p.norm(dim=0).numpy()]
        return dict(zip(names, parts, strict=True))


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
        columns = self._source.shard(index)
        measured = self._config.detector.measured(columns, np.random.default_rng(self.seed(index)))
        true = {name: columns[field] for name, field in self._truth.items()}
        return {**columns, **measured, **true}

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
