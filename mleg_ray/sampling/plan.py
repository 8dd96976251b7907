"""What is sampled, under which conditions, and its division into shards."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

import torch
from pydantic import PositiveInt, SerializeAsAny, model_validator

from mleg_ray.catalog.shards import ShardRecord
from mleg_ray.catalog.sources.base import MAX_SHARDS
from mleg_ray.checkpoint import Card
from mleg_ray.config import Config
from mleg_ray.definitions import Inequality
from mleg_ray.errors import ConfigError
from mleg_ray.folder import FolderPlan
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.randomness import derive_seed
from mleg_ray.sampling.spectra import SPECTRA, Spectrum, constant

BINS_FILE = "tallies/bins.safetensors"

# Of features in single precision: it bounds the memory of the networks and lets their activations
# stay in a core's cache; a GPU wants more work at once.
BATCH = {"cpu": AtOnce(4 * MIB, events=4096), "cuda": AtOnce(64 * MIB, events=65_536)}


@dataclass(frozen=True)
class ShardPlan:
    """One shard to generate: `events` of them, from `seed` alone, under the conditions `at`."""

    index: int
    events: int
    seed: int
    at: Mapping[str, float] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The shard's file, relative to the dataset's folder: `shards/beam_energy=10/...`.

        What is there is looked for under these names: other ones are another format of plans.
        """
        # The shortest text that is read as this very number: 10 and 7.3.
        folders = (f"{name}={value!r}".removesuffix(".0") for name, value in self.at.items())
        return "/".join(["shards", *folders, f"{self.index:08d}.parquet"])

    @property
    def tally_file(self) -> str:
        """The shard's tally, relative to the dataset's folder."""
        return f"tallies/{self.index:08d}.safetensors"


class FoldedEvents(Config):
    """The events of a dataset that are folded: a split (all if None), and its shards' rows.

    `ranges` has the smallest and the largest value of each condition that they give, `weight` is
    the name of their weight, which each keeps, None if they have none.
    """

    uri: str
    dataset_digest: str
    split: str | None
    shards: tuple[PositiveInt, ...]
    ranges: dict[str, tuple[float, float]]
    weight: str | None = None


class SampleSpec(Config):
    """All that determines a sample's events, bit by bit on one type of device.

    `checkpoint` is the checkpoint's digest; `conditions` has the spectrum of each of its conditions
    from which events draw their own, unless it has one value for all of them; `compiled` says
    whether the events come from a compiled `Pipeline`, `device` where that works, `batch_events` at
    a time (see `BATCH`). Events that do not fulfil all comparisons of `where` are left out, and
    others generated in their place. Each shard has one value of the condition `partition`: as many
    shards as is the value's share, all but one at most. With `folds`, shard k has the conditions of
    the events of shard k of these.
    """

    checkpoint: str
    events: PositiveInt
    shard_events: PositiveInt
    seed: int
    conditions: dict[str, SerializeAsAny[Annotated[Spectrum, SPECTRA.chosen()]]]
    compiled: bool
    device: Literal["cpu", "cuda"] = "cpu"
    where: tuple[Inequality, ...] = ()
    partition: str | None = None
    folds: FoldedEvents | None = None
    batch_events: PositiveInt

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.events > MAX_SHARDS * self.shard_events:
            raise ValueError(
                f"{self.events:.3g} events in shards of {self.shard_events} are more than "
                f"{MAX_SHARDS:,} shards; raise --shard-events or make several samples"
            )
        if self.partition is None:
            return self
        spectrum = self.conditions.get(self.partition)
        if spectrum is None or len(spectrum.likely) < 2:
            raise ValueError(
                f"--partition-by {self.partition}: needs a condition that takes some values, as "
                f"with --condition {self.partition}=choice(A,B,...)"
            )
        shards = self.plan()
        values = {shard.at[self.partition] for shard in shards}
        if missing := sorted(set(spectrum.likely) - values):
            raise ValueError(
                f"--partition-by {self.partition}: of {len(shards)} shards with "
                f"{self.shard_events:,} events none is left for {self.partition} = {missing[0]:g}; "
                "make smaller ones, with --shard-events or --shard-size"
            )
        return self

    @property
    def fixed(self) -> dict[str, float]:
        """The conditions that have one value for all events."""
        values = {name: spectrum.only for name, spectrum in self.conditions.items()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The smallest and the largest value of each condition."""
        ranges = {name: spectrum.range for name, spectrum in self.conditions.items()}
        return ranges | self.folds.ranges if self.folds else ranges

    @property
    def tallied(self) -> bool:
        """Whether its shards have tallies, which count events of equal weights."""
        return self.folds is None or self.folds.weight is None

    def plan(self) -> list[ShardPlan]:
        """Return the shards: all of `shard_events` but the last, or those of the folded events.

        Shard k depends on the specification and k alone, never on who generates it, when or beside
        whom.
        """
        starts = range(0, self.events, self.shard_events)
        equal = [min(self.shard_events, self.events - start) for start in starts]
        rows = self.folds.shards if self.folds else equal
        return [
            ShardPlan(
                index=index, events=events, seed=derive_seed(self.seed, "sample", index), at=at
            )
            for index, (events, at) in enumerate(zip(rows, self._values(len(rows)), strict=True))
        ]

    def _values(self, n: int) -> list[dict[str, float]]:
        """Return the conditions that hold throughout each of n shards."""
        if self.partition is None:
            return [{}] * n
        shares = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        values = self.conditions[self.partition].quantile(shares).tolist()
        return [{self.partition: value} for value in values]


class SampledShard(ShardRecord):
    """The record of a sample's shard.

    `tried` is the number of events generated until there were enough that pass `where`.
    """

    tried: int


class SamplePlan(FolderPlan):
    """What a sample's folder is for; `bins_sha256` is that of its tallies' bins, if it has any."""

    kind: Literal["sample"] = "sample"
    format_version: Literal[4] = 4
    checkpoint_uri: str
    spec: SampleSpec
    bins_sha256: str | None

    @property
    def identity(self) -> SampleSpec:
        """The checkpoint may lie elsewhere by now; the specification names its digest."""
        return self.spec


class Extrapolation(Config):
    """A condition outside the trained range, `distance` away from its nearer end.

    Of a spectrum, `value` is the end that lies farther outside.
    """

    value: float
    trained: tuple[float, float]
    distance: float


def resolve_conditions(
    card: Card, given: Mapping[str, Spectrum], folded: Container[str] = ()
) -> dict[str, Spectrum]:
    """Return the spectra of the model's conditions, in the schema's order.

    Those of `folded` events are left out.

    Raises:
        ConfigError: an unknown condition, one that is missing, or another value than the only one
            that the model was trained on.
    """
    fixed, names = card.dataset.conditions, card.dataset.schema_.conditions
    names = tuple(name for name in names if name not in folded)
    for name, spectrum in given.items():
        if name not in names:
            known = ", ".join(names) or "none"
            raise ConfigError(
                f"--condition {name}: not a condition of the checkpoint, which has: {known}"
            )
        if name in fixed and spectrum.only != fixed[name]:
            raise ConfigError(
                f"--condition {name}={spectrum.told}: the checkpoint was trained at "
                f"{name} = {fixed[name]:g} alone; leave the option out or take another checkpoint"
            )
    missing = [name for name in names if name not in fixed and name not in given]
    if set(missing) & set(card.dataset.schema_.truth):
        raise ConfigError(
            "the checkpoint is a detector's, which measures the events of a dataset: "
            "`mleg fold CHECKPOINT DATASET`"
        )
    if missing:
        asked = " ".join(f"--condition {name}=VALUE" for name in missing)
        ranges = ((name, *card.condition_range[name]) for name in missing)
        trained = ", ".join(f"{name} from {low:g} to {high:g}" for name, low, high in ranges)
        raise ConfigError(f"the checkpoint needs {asked}; it was trained at {trained}")
    return {name: constant(fixed[name]) if name in fixed else given[name] for name in names}


def extrapolations(
    card: Card, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Extrapolation]:
    """Return the conditions whose smallest or largest value lies outside the trained range."""
    found = {}
    for name, (smallest, largest) in ranges.items():
        low, high = card.condition_range[name]
        distance, value = max((low - smallest, smallest), (largest - high, largest))
        if distance > 0:
            found[name] = Extrapolation(value=value, trained=(low, high), distance=distance)
    return found
