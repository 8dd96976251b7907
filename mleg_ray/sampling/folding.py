"""Folding: a detector's generator carries each event of a dataset to what is measured of it."""

import itertools
import math
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Card, DatasetCard
from mleg_ray.console import progress_bar
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation.samples.provenance import recorded
from mleg_ray.events import Events, Field, unlabelled
from mleg_ray.sampling.plan import FoldedEvents


@dataclass(frozen=True)
class Survey:
    """The events to be folded, and how many lie outside the region that a model was trained in.

    These are `outside` in all; of each condition with such events, `strayed` has their number.
    """

    events: FoldedEvents
    outside: int
    strayed: dict[str, int]


class Folding:
    """The events of a dataset's split, as conditions of a model.

    A condition is the dataset's own column of its name, or, where there is none and the condition
    is a true value, that of the field which the model measures: `electron.px` for `vertex.px`. Each
    event keeps its weight, if the dataset has weights.
    """

    def __init__(self, dataset: Dataset, split: str | None, card: DatasetCard) -> None:
        """Find each condition among the dataset's columns.

        Raises:
            ConfigError: the checkpoint is no detector's, there is no such column, or one of another
                unit, or a condition that was fixed in training has another value.
            DataError: the dataset is measured already.
        """
        truth = card.schema_.truth
        if not set(truth) - set(card.conditions):
            raise ConfigError(
                "the checkpoint measures nothing: no condition of it is a true value that differs "
                "from event to event; name a detector's generator, or take `mleg sample`"
            )
        fixed = dataset.manifest.conditions
        for name in card.conditions.keys() & fixed.keys():
            if card.conditions[name] != fixed[name]:
                raise ConfigError(
                    f"{dataset.uri}: {name} is {fixed[name]:g}; the checkpoint was trained at "
                    f"{card.conditions[name]:g} alone"
                )
        self._dataset = dataset
        self._split = split
        self._card = card
        units = {field.name: field.unit for field in unlabelled(dataset.manifest.fields)}
        self._columns: dict[str, str] = {}
        for field in card.fields:
            if field.role != "condition" or field.name in card.conditions:
                continue
            names = (field.name, truth.get(field.name, field.name))
            found = next((name for name in names if name in units), None)
            if found is None or units[found] != field.unit:
                had = ", ".join(f"{name} [{unit}]" for name, unit in units.items())
                raise ConfigError(
                    f"{dataset.uri}: the checkpoint's condition {field.name} [{field.unit}] is "
                    f"none of {had}"
                )
            self._columns[field.name] = found
        source = recorded(dataset.manifest.provenance, "source", "kind")
        if source == "folded" and set(self._columns.values()) <= {*dataset.schema.event}:
            raise DataError(
                f"{dataset.uri}: its events are measured already, and it holds no true values; "
                "fold those at the vertex"
            )

    @property
    def conditions(self) -> Container[str]:
        """The names of the conditions that differ from event to event."""
        return self._columns

    @property
    def fields(self) -> tuple[Field, ...]:
        """What a folded event has: the model's fields and conditions, and the dataset's weight."""
        return (
            *(field for field in self._card.fields if field.role != "weight"),
            *(field for field in self._dataset.manifest.fields if field.role == "weight"),
        )

    def survey(self, card: Card) -> Survey:
        """Read all events, and see which of them a model was not trained for.

        Raises:
            DataError: shards are gone, damaged or empty, or a condition or weight is not finite.
        """
        low = dict.fromkeys(self._columns, math.inf)
        high = dict.fromkeys(self._columns, -math.inf)
        broken, strayed = Counter[str](), Counter[str]()
        outside = done = 0
        rows: list[int] = []
        with progress_bar("Reading events", self._dataset.rows(self._split)) as bar:
            for events in self._dataset.chunks(self._split):
                given = self._given(events)
                if len(given) == 0:
                    raise DataError(
                        f"{self._dataset.uri}: shard {len(rows)} has no events, so that the "
                        "folded ones would lose their places; make it again in larger shards"
                    )
                strange = torch.zeros(len(given), dtype=torch.bool)
                if self._dataset.schema.weight:
                    broken[self._dataset.schema.weight] += _not_finite(given.weight)
                for name in self._columns:
                    column = given.columns[name]
                    low[name] = min(low[name], float(column.min()))
                    high[name] = max(high[name], float(column.max()))
                    first, last = card.condition_range[name]
                    strays = (column < first) | (column > last)
                    strayed[name] += int(strays.sum())
                    strange |= strays
                    broken[self._columns[name]] += _not_finite(column)
                outside += int(strange.sum())
                rows.append(len(given))
                done += len(given)
                bar.update(done)
        if found := [f"'{name}' in {n:,}" for name, n in broken.items() if n]:
            raise DataError(
                f"{self._dataset.uri}: of {done:,} events, values are not finite: "
                f"{', '.join(found)}; remove or mend these events at their source"
            )
        folded = FoldedEvents(
            uri=self._dataset.uri,
            dataset_digest=self._dataset.digest,
            split=self._split,
            shards=tuple(rows),
            ranges={name: (low[name], high[name]) for name in self._columns},
            weight=self._dataset.schema.weight,
        )
        return Survey(folded, outside, {name: n for name, n in strayed.items() if n})

    def shard(self, index: int) -> Events:
        """Return the events of a shard with their conditions alone, and their weights."""
        entry = self._dataset.shards(self._split)[index]
        [events] = self._dataset.read([entry])
        return self._given(events)

    def head(self, events: int) -> Events:
        """Return the conditions of the first events, of all if there are fewer."""
        return Events.concatenate(self._until(events))[:events]

    def _until(self, events: int) -> Iterator[Events]:
        for index in itertools.count():
            given = self.shard(index)
            yield given
            events -= len(given)
            if events <= 0 or index + 1 == len(self._dataset.shards(self._split)):
                return

    def _given(self, events: Events) -> Events:
        columns = {}
        for field in self._card.fields:
            if field.name in self._columns:
                # As it will be stored beside the event.
                stored = events.columns[self._columns[field.name]].to(getattr(torch, field.dtype))
                columns[field.name] = stored.double()
            elif field.role == "condition":
                value = self._card.conditions[field.name]
                columns[field.name] = torch.full((len(events),), value, dtype=torch.float64)
        return Events(columns, {}, events.weight)


def _not_finite(column: Tensor) -> int:
    return int((~column.isfinite()).sum())


def folding(events: FoldedEvents, card: DatasetCard) -> Folding:
    """Open the events of a plan.

    Raises:
        DataError: they are no longer there, or others.
    """
    dataset = Dataset.open(events.uri)
    if dataset.digest != events.dataset_digest:
        raise DataError(
            f"{events.uri}: was replaced while its events were folded; fold the new ones to "
            "another --out"
        )
    return Folding(dataset, events.split, card)
