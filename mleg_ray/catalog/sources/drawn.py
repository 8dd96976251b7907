"""What sources share whose events are drawn from formulas, without a generator."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt
from scipy.special import ndtr, ndtri

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import Source, SourceConfig, cut, divide
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema
from mleg_ray.randomness import derive_seed


class DrawnConfig(SourceConfig):
    """What sources that draw independent events share; `events` counts all strata."""

    events: PositiveInt
    seed: int

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the schema has what this source makes, and nothing else."""
        require_schema(self.kind, schema, self.makes())
        self.require(conditions)

    @abstractmethod
    def makes(self) -> EventSchema:
        """Return the fields and groups of the events; a dataset may leave labels out."""

    def require(self, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless events can be drawn under the fixed `conditions`."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, n: int, conditions: Mapping[str, float]) -> Columns:
        """Return n events by columns."""

    def strata(self, conditions: Mapping[str, float]) -> Sequence[Mapping[str, float]]:
        """Return the conditions of each stratum, by default one of those that are fixed."""
        return [conditions]

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "Drawn":
        """Build the source."""
        return Drawn(self, self.strata(conditions), shard_events)

    def planned_events(self) -> int:
        """Return how many events there will be."""
        return self.events


def require_schema(kind: str, schema: EventSchema, made: EventSchema) -> None:
    """Raise `ConfigError` unless the schema has the fields and groups that are `made`, no others.

    Names, roles, units and shapes must be equal, and whole numbers be stored as such. Labels may be
    stored as any number, or left out.
    """
    declared = _meaning(schema)
    wanted = _meaning(made.without(set(made.labels) - set(schema.labels)))
    if declared != wanted:
        raise ConfigError(
            f"kind: {kind} makes {', '.join(_meaning(made))}; the dataset declares "
            f"{', '.join(declared)}; what differs is {', '.join(sorted({*wanted} ^ {*declared}))}"
        )


def require_drawn(kind: str, conditions: Mapping[str, float]) -> None:
    """Raise `ConfigError` if a condition is fixed, for a source that draws them all."""
    if conditions:
        raise ConfigError(
            f"kind: {kind} draws {', '.join(conditions)}; leave it out of [conditions]"
        )


def truncated_normal(
    rng: np.random.Generator, n: int, mean: float, sigma: float, low: float, high: float
) -> NDArray[np.float64]:
    """Return n normal numbers between `low` and `high`, by the inverse distribution function."""
    below, up_to = ndtr((np.array([low, high]) - mean) / sigma)
    return np.asarray(mean + sigma * ndtri(rng.uniform(below, up_to, n)))


def _meaning(schema: EventSchema) -> list[str]:
    """Describe the fields and groups, each in a few words, in the order of their names."""
    fields = [
        " ".join(
            [field.name, f"[{field.unit}]"]
            + [f"({field.role})"] * (field.role != "event")
            + ["(whole)"] * (field.role != "label" and not field.dtype.startswith("float"))
            + [" x ".join(map(str, field.shape))] * bool(field.shape)
        )
        for field in schema.fields
    ]
    groups = [
        f"up to {group.most} {name}s by {group.ordered_by}" if group.most else f"one {name}"
        for name, group in schema.groups.items()
    ]
    return sorted(fields) + sorted(groups)


class Drawn(Source):
    """Shards under the conditions of their stratum, each from its own seed."""

    def __init__(
        self, config: DrawnConfig, strata: Sequence[Mapping[str, float]], shard_events: int
    ) -> None:
        self._config = config
        self._strata = [dict(conditions) for conditions in strata]
        self._rows = [cut(rows, shard_events) for rows in divide(config.events, len(strata))]

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, by stratum."""
        return self._rows

    def shard(self, index: int) -> Columns:
        """Draw the events of shard `index`."""
        stratum, number = self.locate(index)
        rng = np.random.default_rng(self.seed(index))
        return self._config.draw(rng, self._rows[stratum][number], self._strata[stratum])

    def seed(self, index: int) -> int:
        """Return the seed of shard `index`."""
        return derive_seed(self._config.seed, self._config.kind, index)

    def provenance(self) -> dict[str, Any]:
        """Return the source's own settings: all that the events follow from."""
        settings = self._config.model_dump(mode="json")
        return settings | {"numpy": np.__version__.split(".")[0]}
