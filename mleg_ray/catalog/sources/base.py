"""The contract every source of events fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from mleg_ray.catalog.codec import Columns
from mleg_ray.config import Config, Registry
from mleg_ray.errors import ConfigError
from mleg_ray.events import EventSchema


class Source(ABC):
    """Makes the events of one dataset, shard by shard, in any order and any process.

    The same index always gives the same events: a source's randomness flows from its seed and the
    shard's index alone. A source is pickled to its workers, so it holds no open files or engines.
    """

    @abstractmethod
    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, grouped by stratum.

        Splits are drawn within each stratum (one per input file or condition), so that train,
        validation and test hold all of them. Raises `DataError` if the input is unreadable.
        """

    @abstractmethod
    def shard(self, index: int) -> Columns:
        """Return shard `index` (counted over all strata) as columns in the schema's units.

        Of a group of objects these are flat, beside their number; see `mleg_ray.catalog.codec`.
        """

    @abstractmethod
    def seed(self, index: int) -> int:
        """Return the seed that made shard `index` what it is."""

    @abstractmethod
    def provenance(self) -> dict[str, Any]:
        """Return what a reader needs to make these events again: versions, settings, digests.

        Equal provenance of equal specifications means equal events, on any machine.
        """

    def constants(self) -> dict[str, tuple[float, float]]:
        """Return the lowest and highest value of conditions that hardly differ in all events.

        They are known after `shard_rows`. A dataset stores them as fixed conditions, of their mean.
        """
        return {}

    @property
    def loses_events(self) -> bool:
        """Whether a shard may have fewer rows than `shard_rows` says, as a detector's has."""
        return False

    def locate(self, index: int) -> tuple[int, int]:
        """Return the stratum that holds shard `index`, and the shard's number within it."""
        for stratum, rows in enumerate(self.shard_rows()):
            if index < len(rows):
                return stratum, index
            index -= len(rows)
        raise IndexError(index)


class SourceConfig(Config):
    """Base of the `[source]` tables; subclasses set the default of `kind` and register."""

    kind: str

    @abstractmethod
    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless this source can fill the schema's stored fields.

        The message begins with the key at fault, of this table.
        """

    @abstractmethod
    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> Source:
        """Build the source; `UserError` if an optional package or an input file is missing."""

    def planned_events(self) -> int | None:
        """Return how many events there will be; None if only the input files can tell."""
        return None


MAX_SHARDS = 1_000_000  # of one dataset, prepared or generated

SOURCES: Registry[SourceConfig] = Registry("source")


def divide(rows: int, parts: int) -> list[int]:
    """Divide `rows` into `parts` as equal as can be."""
    return [rows // parts + (i < rows % parts) for i in range(parts)]


def cut(rows: int, shard_events: int) -> list[int]:
    """Cut `rows` into the fewest shards of at most `shard_events`, as equal as can be."""
    if rows > MAX_SHARDS * shard_events:
        raise ConfigError(
            f"{rows:.3g} events in shards of {shard_events} are more than {MAX_SHARDS:,} shards; "
            "raise shard_events"
        )
    return divide(rows, -(-rows // shard_events))
