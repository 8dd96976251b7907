"""The events by which a checkpoint is looked into: those of its own dataset's validation split."""

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


def validation_events(dataset: Dataset, n: int, seed: int) -> Events:
    """Draw n random events of the validation split, in physical units, labels included.

    Raises:
        DataError: the split has fewer, or is damaged.
    """
    rows = dataset.rows(SPLIT)
    if n > rows:
        raise DataError(f"{dataset.uri}: {rows:,} {SPLIT} events, not {n:,}; lower --events")
    rng = np.random.default_rng(derive_seed(seed, "interpret/events"))
    chosen = np.sort(rng.choice(rows, n, replace=False))
    parts = []
    done = 0
    for events in dataset.chunks(SPLIT):
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
