"""The true events by which a checkpoint is looked into, and what is known of them."""

import numpy as np
import torch
from torch import Tensor

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import DataError
from mleg_ray.events import Events, EventSchema
from mleg_ray.randomness import derive_seed

SPLIT = "validation"
FEW = 12  # values at most of a condition by which events are grouped


def own_dataset(checkpoint: Checkpoint, storage: str) -> Dataset:
    """Open the dataset that the checkpoint was trained on, below a storage root.

    Raises:
        DataError: it is not prepared there, or is not the one that the checkpoint's card names.
    """
    dataset = Dataset.prepared(storage, checkpoint.run.dataset)
    trained_on = checkpoint.card.dataset.dataset_digest
    if dataset.digest != trained_on:
        raise DataError(
            f"{dataset.uri}: not the dataset that {checkpoint.uri} was trained on (digest "
            f"{dataset.digest[:12]}, the checkpoint's card says {trained_on[:12]}); name the "
            "storage root of the training with --storage, or train again"
        )
    return dataset


def require_alike(dataset: Dataset, checkpoint: Checkpoint) -> None:
    """Raise `DataError` unless the checkpoint could have been trained on events of the dataset.

    Their conditions may have other values, but for those of which the checkpoint knows only one.
    """
    there, wanted = (
        {field.name: (field.unit, field.shape) for field in schema.fields}
        for schema in (dataset.schema, checkpoint.schema)
    )
    unlike = [name for name, meaning in wanted.items() if there.get(name) != meaning]
    if unlike:
        raise DataError(
            f"{dataset.uri}: no events of the kind that {checkpoint.uri} makes: it lacks, or has "
            f"in other units, {', '.join(unlike)}; choose another --truth"
        )
    for name, value in checkpoint.card.dataset.conditions.items():
        if dataset.manifest.conditions.get(name) != value:
            raise DataError(
                f"{dataset.uri}: {name} is not {value:g} throughout, the only value that "
                f"{checkpoint.uri} knows; choose another --truth"
            )


def random_events(dataset: Dataset, split: str | None, n: int, seed: int) -> Events:
    """Draw n random events of a split, all if None, in physical units, labels included.

    Raises:
        DataError: the split has fewer, or is damaged.
    """
    rows = dataset.rows(split)
    if n > rows:
        kind = f"{split} events" if split else "events"
        raise DataError(f"{dataset.uri}: {rows:,} {kind}, not {n:,}; lower --events")
    rng = np.random.default_rng(derive_seed(seed, "interpret/events"))
    chosen = np.sort(rng.choice(rows, n, replace=False))
    parts = []
    done = 0
    for events in dataset.chunks(split):
        first, last = np.searchsorted(chosen, (done, done + len(events)))
        parts.append(events[torch.from_numpy(chosen[first:last] - done)])
        done += len(events)
    return Events.concatenate(parts)


def known_conditions(schema: EventSchema, events: Events) -> dict[str, Tensor]:
    """Return the conditions (n,) that have 2 to `FEW` values among the events, by name.

    They group events as labels do, also the generated ones, which have no labels.
    """
    return {
        name: events.columns[name]
        for name in schema.conditions
        if 2 <= len(torch.unique(events.columns[name])) <= FEW
    }
