"""Folding: a generator carries each event of a dataset to one generated under its conditions.

A detector's generator measures true events so; a detector simulation, particles.
"""

import math
from collections import Counter

import torch
from torch import Tensor

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Card
from mleg_ray.console import progress_bar, say
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation.samples.provenance import recorded
from mleg_ray.events import Events, Field, unlabelled
from mleg_ray.features.map import FeatureMap
from mleg_ray.sampling.plan import FoldedEvents, extrapolations


def given_one_by_one(card: Card) -> tuple[Field, ...]:
    """Return the conditions that differ from event to event; `ConfigError` if there are none."""
    names = card.dataset.schema_.varying(card.dataset.conditions)
    if not names:
        raise ConfigError(
            "no condition of the checkpoint differs from event to event: there is nothing to be "
            "given; name another, or say how many --events"
        )
    return tuple(field for field in card.dataset.fields if field.name in names)


class Folding:
    """The events of a dataset's split, as conditions of a model.

    A condition is the dataset's own column of its name, or, where there is none and the condition
    is a true value, that of the field which the model measures: `electron.px` for `vertex.px`. Each
    event keeps its weight, if the dataset has weights, and its labels, if they are of no group.
    """

    def __init__(self, dataset: Dataset, split: str | None, card: Card) -> None:
        """Find each condition among the dataset's columns.

        Raises:
            ConfigError: no condition of the checkpoint varies, there is no such column, or one of
                another unit, a condition that was fixed in training has another value, or a label
                or weight the name of what the checkpoint has.
            DataError: the dataset is measured already.
        """
        given, truth = card.dataset.conditions, card.dataset.schema_.truth
        varying = given_one_by_one(card)
        fixed = dataset.manifest.conditions
        for name in given.keys() & fixed.keys():
            if given[name] != fixed[name]:
                raise ConfigError(
                    f"{dataset.uri}: {name} is {fixed[name]:g}; the checkpoint was trained at "
                    f"{given[name]:g} alone"
                )
        self._dataset = dataset
        self._split = split
        self._card = card
        units = {field.name: field.unit for field in unlabelled(dataset.manifest.fields)}
        self._fixed = {name: given[name] for name in (given.keys() - fixed.keys()) & units.keys()}
        self._columns: dict[str, str] = {}
        for field in varying:
            names = (field.name, truth.get(field.name, field.name))
            found = next((name for name in names if name in units), None)
            if found is None or units[found] != field.unit:
                had = ", ".join(f"{name} [{unit}]" for name, unit in units.items())
                raise ConfigError(
                    f"{dataset.uri}: the checkpoint's condition {field.name} [{field.unit}] is "
                    f"none of {had}"
                )
            self._columns[field.name] = found
        own = {*card.dataset.groups, *(f.name for f in card.dataset.fields if f.role != "weight")}
        for field in (*self._labels, *self._weights):
            if field.name in own:
                raise ConfigError(
                    f"{dataset.uri}: its {field.role} '{field.name}' has the name of something "
                    "else in the checkpoint's events; rename it where it is from"
                )
        source = recorded(dataset.manifest.provenance, "source", "kind")
        if source == "folded" and set(self._columns.values()) <= {*dataset.schema.event}:
            raise DataError(
                f"{dataset.uri}: its events are measured already, and it holds no true values; "
                "fold those at the vertex"
            )

    @property
    def fields(self) -> tuple[Field, ...]:
        """What a folded event has: the model's fields and conditions, its weight and labels."""
        return (
            *(field for field in self._card.dataset.fields if field.role != "weight"),
            *self._weights,
            *self._labels,
        )

    @property
    def _weights(self) -> tuple[Field, ...]:
        return tuple(field for field in self._dataset.manifest.fields if field.role == "weight")

    @property
    def _labels(self) -> tuple[Field, ...]:
        fields = self._dataset.manifest.fields
        return tuple(field for field in fields if field.role == "label" and not field.group)

    def labels(self, index: int) -> Columns:
        """Return the labels of a shard's events."""
        if not self._labels:
            return {}
        events = self._events(index)
        return {field.name: events.columns[field.name].numpy() for field in self._labels}

    def survey(self, feature_map: FeatureMap, *, extrapolate: bool) -> FoldedEvents:
        """Read all events, and see whether the model was trained for them.

        As in training, the share `features.most_outside` of them may have conditions that steps
        cannot take and move to their edge, as are masses that cannot decay.

        Raises:
            ConfigError: events lie outside the region of the training, unless `extrapolate`,
                differ in a condition that was fixed in training, or too many have conditions that
                steps cannot take.
            DataError: shards are gone, damaged or empty, or a condition or weight is not finite.
        """
        uri, weight = self._dataset.uri, self._dataset.schema.weight
        ranges = dict.fromkeys(self._columns, (math.inf, -math.inf))
        broken, strayed, other = Counter[str](), Counter[str](), Counter[str]()
        outside = impossible = done = 0
        example = ""
        rows: list[int] = []
        with progress_bar("Reading events", self._dataset.rows(self._split)) as bar:
            for events in self._dataset.chunks(self._split):
                given = self._given(events)
                if len(given) == 0:
                    raise DataError(
                        f"{uri}: shard {len(rows)} has no events, so that the folded ones would "
                        "lose their places; make it again in larger shards"
                    )
                strange = torch.zeros(len(given), dtype=torch.bool)
                for name, only in self._fixed.items():
                    column = events.columns[name]  # either may have been rounded
                    other[name] += int((column.float() != torch.tensor(only).float()).sum())
                if weight:
                    broken[weight] += _not_finite(given.weight)
                for name, own in self._columns.items():
                    column = given.columns[name]
                    low, high = ranges[name]
                    ranges[name] = min(low, float(column.min())), max(high, float(column.max()))
                    first, last = self._card.condition_range[name]
                    strays = (column < first) | (column > last)
                    strayed[name] += int(strays.sum())
                    strange |= strays
                    broken[own] += _not_finite(column)
                outside += int(strange.sum())
                beyond, told = feature_map.conditions_outside(given)
                impossible += int(beyond.sum())
                example = example or told
                rows.append(len(given))
                done += len(given)
                bar.update(done)
        if found := [f"'{name}' in {n:,}" for name, n in broken.items() if n]:
            raise DataError(
                f"{uri}: of {done:,} events, values are not finite: {', '.join(found)}; "
                "remove or mend these events at their source"
            )
        if differ := +other:
            name, n = min(differ.items())
            raise ConfigError(
                f"{uri}: {name} of {n:,} of {done:,} events is another than {self._fixed[name]:g}, "
                "the only one that the checkpoint was trained at"
            )
        if impossible:
            message = f"{uri}: {impossible:,} of {done:,} events have conditions like {example}"
            if impossible > feature_map.most_outside * done:
                raise ConfigError(f"{message}; leave such events out")
            say(f"{message}; they are moved to its edge", style="yellow")
        if outside and not extrapolate:
            far = (
                f"{name} of {strayed[name]:,}, by up to {found.distance:g} (it was trained from "
                f"{found.trained[0]:g} to {found.trained[1]:g})"
                for name, found in extrapolations(self._card, ranges).items()
            )
            raise ConfigError(
                f"{uri}: {outside:,} of {done:,} events lie outside the region that the "
                f"checkpoint was trained in: {'; '.join(far)}. Add --extrapolate if they are to be "
                "folded all the same"
            )
        return FoldedEvents(
            uri=uri,
            dataset_digest=self._dataset.digest,
            split=self._split,
            shards=tuple(rows),
            ranges=ranges,
            weight=weight,
        )

    def shard(self, index: int) -> Events:
        """Return the events of a shard with their conditions alone, and their weights."""
        return self._given(self._events(index))

    def _events(self, index: int) -> Events:
        entry = self._dataset.shards(self._split)[index]
        [events] = self._dataset.read([entry])
        return events

    def head(self, events: int) -> Events:
        """Return the conditions of the first events, of all if there are fewer."""
        parts: list[Events] = []
        for whole in self._dataset.chunks(self._split):
            parts.append(self._given(whole))
            if sum(map(len, parts)) >= events:
                break
        return Events.concatenate(parts)[:events]

    def _given(self, events: Events) -> Events:
        columns = {}
        for field in self._card.dataset.fields:
            if field.name in self._columns:
                # As it will be stored beside the event.
                stored = events.columns[self._columns[field.name]].to(getattr(torch, field.dtype))
                columns[field.name] = stored.double()
            elif field.role == "condition":
                value = self._card.dataset.conditions[field.name]
                columns[field.name] = torch.full((len(events),), value, dtype=torch.float64)
        return Events(columns, {}, events.weight)


def _not_finite(column: Tensor) -> int:
    return int((~column.isfinite()).sum())


def folding(events: FoldedEvents, card: Card) -> Folding:
    """Open the events of a plan; `DataError` if they are no longer there, or others."""
    dataset = Dataset.open(events.uri)
    if dataset.digest != events.dataset_digest:
        raise DataError(
            f"{events.uri}: was replaced while its events were folded; fold the new ones to "
            "another --out"
        )
    return Folding(dataset, events.split, card)
