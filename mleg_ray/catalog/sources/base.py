"""The contract every source of events fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mleg_ray.config import Config, Registry
from mleg_ray.events import EventSchema

Columns = Mapping[str, NDArray[np.float64]]


class Source(ABC):
    """Makes the events of one dataset, shard by shard, in any order and any process.

    The same index always gives the same events: a source's randomness flows from its seed and the
    shard's index alone.
    """

    @abstractmethod
    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, grouped by stratum.

        Splits are drawn within each stratum (one per input file or condition), so that train,
        validation and test hold all of them. Raises `DataError` if the input is unreadable.
        """

    @abstractmethod
    def shard(self, index: int) -> Columns:
        """Return shard `index` (counted over all strata) as columns in the schema's units."""

    @abstractmethod
    def provenance(self) -> dict[str, str]:
        """Return what a reader needs to make these events again: versions, settings, digests."""


class SourceConfig(Config):
    """Base of the `[source]` tables; subclasses set the default of `kind` and register."""

    kind: str

    def open(self, schema: EventSchema, conditions: Mapping[str, float]) -> Source:
        """Build the source; `UserError` if an optional package or an input file is missing."""
        raise NotImplementedError


SOURCES: Registry[SourceConfig] = Registry("source")


def cut(rows: int, shard_events: int) -> list[int]:
    """Cut `rows` into the fewest shards of at most `shard_events`, as equal as can be."""
    n = -(-rows // shard_events)
    return [rows // n + (i < rows % n) for i in range(n)]
