"""Samples of datasets: random events of a split, and whatever their tallies have counted."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mleg_ray.catalog.codec import bytes_of
from mleg_ray.catalog.dataset import Dataset, DatasetManifest
from mleg_ray.catalog.description import Description
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.column import Column, FloatArray, columns_of
from mleg_ray.evaluation.samples.images import Images, images_of
from mleg_ray.evaluation.samples.sample import (
    Axis,
    EventSample,
    Origin,
    derived_axes,
    objects_of,
    ordered,
    sample_of,
)
from mleg_ray.evaluation.samples.tally import FineBins, Tally, merge
from mleg_ray.evaluation.samples.unphysical import UnphysicalTally, broken
from mleg_ray.events import COUNT, Events, Field, group_of, unlabelled
from mleg_ray.memory import MIB, AtOnce
from mleg_ray.randomness import derive_seed

MAX_EVENTS = 100_000
NULL_BYTES = 512 * MIB
IMAGE_BYTES = 2048 * MIB  # of drawn events with images, were all their cells kept
READ_SHARDS = 8  # at least, of a dataset with tallies


def from_dataset(
    dataset: Dataset,
    split: str | None = None,
    *,
    seed: int,
    max_events: int = MAX_EVENTS,
    bins: FineBins | None = None,
    progress: Callable[[int], None] = lambda rows: None,
) -> EventSample:
    """Draw at most `max_events` random events of a split; count the unphysical among all of them.

    Of events with images so many are drawn as memory holds. With the `bins` of another sample's
    tally, all events are counted in these too. The dataset is read once, shard by shard; `progress`
    hears how many events are done.
    """
    total = dataset.rows(split)
    pictured = [field.name for field in dataset.schema.fields if field.shape]
    if pictured:
        max_events = AtOnce(IMAGE_BYTES, events=max_events).of(bytes_of(dataset.schema))
    rng = np.random.default_rng(derive_seed(seed, "evaluate/draw"))
    chosen = np.sort(rng.choice(total, min(total, max_events), replace=False, shuffle=False))
    manifest = dataset.manifest
    axes = _axes(manifest)
    parts: list[dict[str, Column]] = []
    images: list[dict[str, Images]] = []
    weights: list[FloatArray] = []
    unphysical: UnphysicalTally | None = None
    tally: Tally | None = None
    done = 0
    for events in dataset.chunks(split):
        joined = manifest.joined(events)
        columns = columns_of(joined)
        masks = broken(joined, dataset.schema.event, manifest)
        counted = UnphysicalTally.of(masks, events.weight)
        unphysical = counted if unphysical is None else unphysical + counted
        weight = events.weight.numpy()
        if bins is not None:
            part = Tally.of(columns, bins, manifest.planes, counted, weight)
            tally = part if tally is None else tally + part
        first, last = np.searchsorted(chosen, (done, done + len(events)))
        rows = chosen[first:last] - done
        parts.append({name: columns[name].take(rows) for name in axes})
        images.append(images_of(events.choose(pictured)[torch.from_numpy(rows)]))
        weights.append(weight[rows])
        done += len(events)
        progress(done)
    assert unphysical is not None  # Dataset.chunks yields at least one chunk or raises
    drawn = {name: Column.concatenate([part[name] for part in parts]) for name in axes}
    origin = Origin(
        name=manifest.name,
        events=total,
        compared=len(chosen),
        objects=objects_of(drawn),
        uri=dataset.uri,
        dataset_digest=dataset.digest,
        split=split,
        conditions=manifest.conditions,
        provenance=manifest.provenance,
    )
    definitions = manifest.definitions
    sample = EventSample(
        drawn,
        np.concatenate(weights),
        axes,
        unphysical,
        origin,
        definitions,
        tally,
        {name: Images.concatenate([part[name] for part in images]) for name in images[0]},
    )
    return ordered(sample)


def from_events(events: Events, manifest: DatasetManifest) -> EventSample:
    """Make a sample of events like those of a dataset, in their own order; all are compared."""
    axes, fields = _axes(manifest), manifest.schema_.event
    return sample_of(events, axes, fields, manifest.definitions, manifest.name)


def from_generated(
    dataset: Dataset,
    *,
    seed: int,
    max_events: int = MAX_EVENTS,
    progress: Callable[[int], None] = lambda rows: None,
) -> EventSample:
    """Describe a generated dataset of any size by its tallies and the events of a few shards.

    One without tallies is read whole, see `from_dataset`. Otherwise all events count in `tally` and
    `unphysical`; the columns are `max_events` random events of random shards, eight if there are so
    many: shards are independent draws of one distribution, and one that were not would show in the
    tally. `progress` hears how many events are done.

    Raises:
        DataError: a tally or shard is gone, damaged or not that of the manifest.
    """
    if not has_tallies(dataset):
        return from_dataset(dataset, seed=seed, max_events=max_events, progress=progress)
    manifest, shards = dataset.manifest, dataset.shards()
    rng = np.random.default_rng(derive_seed(seed, "evaluate/draw"))
    chosen: list[ShardEntry] = []
    for k in rng.permutation(len(shards)):
        if len(chosen) >= READ_SHARDS and sum(shard.rows for shard in chosen) >= max_events:
            break
        chosen.append(shards[k])
    read = manifest.model_copy(update={"shards": tuple(chosen)})
    subset = Dataset(dataset.uri, read, dataset.digest)
    sample = from_dataset(subset, seed=seed, max_events=max_events, progress=progress)
    # Never back: those were read before.
    tally = tally_of(dataset, lambda done: progress(max(done, subset.rows())))
    origin = sample.origin.model_copy(update={"events": dataset.rows()})
    return replace(sample, unphysical=tally.unphysical, tally=tally, origin=origin)


def has_tallies(dataset: Dataset) -> bool:
    """Tell whether all shards of a dataset have tallies."""
    manifest = dataset.manifest
    return manifest.bins is not None and all(shard.tally for shard in manifest.shards)


def tally_of(dataset: Dataset, progress: Callable[[int], None] = lambda rows: None) -> Tally:
    """Return the tally of all events of a dataset that has tallies, of which it reads no others.

    Raises:
        DataError: a tally is gone, damaged or not that of the manifest.
    """
    assert dataset.manifest.bins is not None
    bins = FineBins.from_bytes(dataset.manifest.bins.read(dataset.uri))

    def tallies() -> Iterator[tuple[str, bytes]]:
        done = 0
        for shard in dataset.shards():
            assert shard.tally is not None
            yield f"{dataset.uri}/{shard.tally.file}", shard.tally.read(dataset.uri)
            done += shard.rows
            progress(done)

    return merge(tallies(), bins)


def of_independent_fields(
    dataset: Dataset, split: str, *, seed: int, max_events: int = MAX_EVENTS
) -> EventSample | None:
    """Make events whose fields are those of different events of a split: what doing nothing scores.

    Every distribution of a field alone is the truth's, and no two fields know of each other; the
    objects of a group stay together. What observables and constraints make of it follows. Of large
    events so many are taken as memory holds. Events with weights have no such sample, for a weight
    belongs to all fields of its event.
    """
    if dataset.schema.weight:
        return None
    most = AtOnce(NULL_BYTES, events=max_events).of(bytes_of(dataset.schema))
    events = dataset.load(split, most)
    rng = np.random.default_rng(derive_seed(seed, "evaluate/independent"))

    shuffled = independent_fields(events, dataset.schema.event, rng)
    return ordered(from_events(shuffled, dataset.manifest))


def independent_fields(events: Events, names: Collection[str], rng: np.random.Generator) -> Events:
    """Return as many events, of which each field in `names` is that of another one.

    The objects of a group stay together.
    """

    def order() -> Tensor:
        return torch.from_numpy(rng.permutation(len(events)))

    together = {group: order() for group in events.present}
    moved = {
        name: column[together[group] if (group := group_of(name)) in together else order()]
        for name, column in events.columns.items()
        if name in names
    }
    present = {group: there[together[group]] for group, there in events.present.items()}
    return Events({**events.columns, **moved}, present, events.weight)


def matched(truth: Dataset, generated: Dataset) -> tuple[Dataset, Dataset]:
    """Return the truth's part that is comparable, and the generated dataset judged by it.

    It has the generated dataset's conditions and fulfils its `where`.

    Raises:
        DataError: see `Dataset.at` and `judged_by`.
    """
    part = truth.at(generated.manifest.conditions).selecting(generated.manifest.where)
    return part, judged_by(part, generated)


def judged_by(truth: Dataset, generated: Dataset) -> Dataset:
    """Return the generated dataset with the truth's definitions.

    Tallies made with other definitions are left out.

    Raises:
        DataError: fields, units, roles or conditions differ; the message names the first.
    """
    ours, theirs = truth.manifest, generated.manifest
    fields = _physical(ours.fields), _physical(theirs.fields)
    conditions: tuple[Mapping[str, object], ...] = ours.conditions, theirs.conditions
    for kind, (expected, given), absent, mend in (
        ("field", fields, "absent", "compare samples of the same fields and units"),
        ("condition", conditions, "not fixed", "sample at the truth's condition"),
    ):
        for name in dict.fromkeys((*expected, *given)):
            if expected.get(name) != given.get(name):
                raise DataError(
                    f"{generated.uri}: {kind} '{name}' is {given.get(name, absent)}, but "
                    f"{expected.get(name, absent)} in the truth {truth.uri}; {mend}"
                )
    update: dict[str, Any] = dict(ours.definitions)
    if theirs.definitions != ours.definitions:
        update["bins"] = None
    return Dataset(generated.uri, theirs.model_copy(update=update), generated.digest)


def compared_axes(description: Description, conditions: Mapping[str, float]) -> dict[str, Axis]:
    """Return what is compared and drawn of a dataset in which the `conditions` have one value.

    These are the event fields but for images, before those of a group of objects their number, the
    conditions that vary from event to event (a sample asked for at other energies must show), and
    the observables with a label; an observable without one only serves constraints.
    """
    objects = description.schema_.objects
    axes: dict[str, Axis] = {}
    for field in description.fields:
        if field.role == "event" and field.group in objects:
            axes[f"{field.group}.{COUNT}"] = Axis(description="number in an event")
        varies = field.role == "condition" and field.name not in conditions
        if varies or (field.role == "event" and not field.shape):
            axes[field.name] = Axis(
                unit=field.unit, description=field.description, condition=varies
            )
    return axes | derived_axes(description)


def _axes(manifest: DatasetManifest) -> dict[str, Axis]:
    """Return what of a dataset is compared; `DataError` if there is nothing."""
    axes = compared_axes(manifest, manifest.conditions)
    if not axes:
        raise DataError(
            f"{manifest.name}: nothing can be compared: it has images alone; give it observables "
            "of them, with labels"
        )
    return axes


def _physical(fields: Iterable[Field]) -> dict[str, str]:
    """Describe what generated and true events must share: unit and role of each field."""
    shared = (field for field in unlabelled(fields) if field.role != "weight")
    return {field.name: f"{field.role} field in {field.unit}" for field in shared}
