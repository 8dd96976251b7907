"""A worker's share of the train split, as features on its device."""

import copy
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.console import Bar, progress_bar
from mleg_ray.errors import DataError
from mleg_ray.events import Batch, Events
from mleg_ray.features import FeatureMap
from mleg_ray.randomness import Noise, derive_seed
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import Minibatches, bootstrap, resident, streamed

LEAST_RESAMPLED = 1000  # events of a bootstrap
Ranges = dict[str, tuple[float, float]]


def mixed_shards(dataset: Dataset, seed: int) -> list[ShardEntry]:
    """Return the train shards in a random order: their own is that of strata (beam energies)."""
    shards = dataset.shards("train")
    order = np.random.default_rng(derive_seed(seed, "shards")).permutation(len(shards))
    return [shards[i] for i in order]


def fitted_map(run: RunConfig, dataset: Dataset) -> tuple[FeatureMap, Ranges]:
    """Fit a run's feature map to the train split.

    Returns:
        The map, and the smallest and largest value of each condition.

    Raises:
        DataError: a bootstrap replica of too few events.
        UserError: see `FeatureMapConfig.build`, `FeatureMap.fit` and `Dataset.chunks`.
    """
    rows = dataset.rows("train")
    if rows == 0:
        raise DataError(f"{dataset.uri}: no train event fulfils {' and '.join(run.where)}")
    if run.training.bootstrap and rows < LEAST_RESAMPLED:
        raise DataError(
            f"{dataset.uri}: a bootstrap of {rows} train events tells little of their uncertainty; "
            f"{LEAST_RESAMPLED} are needed, or training.bootstrap = false"
        )
    feature_map = run.features.build(dataset.schema, dataset.manifest.conditions)
    # Where minibatches are not features, events may lie anywhere.
    anywhere = not run.objective.traits.takes_features
    with progress_bar("Fitting the feature map", feature_map.passes * rows) as bar:
        watched = _Watched(dataset, bar)
        return feature_map.fit(watched, anywhere=anywhere), watched.ranges


class _Watched:
    """The chunks of a train split, and the ranges of the conditions that passed."""

    def __init__(self, dataset: Dataset, bar: Bar) -> None:
        self._dataset = dataset
        self._bar = bar
        self._read = 0
        self.ranges: Ranges = dict.fromkeys(dataset.schema.conditions, (math.inf, -math.inf))

    def __iter__(self) -> Iterator[Events]:
        for events in filter(len, self._dataset.chunks("train")):
            for name, (low, high) in self.ranges.items():
                column = events.columns[name]
                self.ranges[name] = (min(low, float(column.min())), max(high, float(column.max())))
            yield events
            self._read += len(events)
            self._bar.update(self._read)


def open_share(
    read: Callable[[], Iterator[Events]],
    rows: int,
    run: RunConfig,
    feature_map: FeatureMap,
    rank: int,
    device: torch.device,
) -> tuple[Minibatches, Batch]:
    """Return the minibatches of a worker, and the head of its share (all of it if it is kept).

    `read` yields the worker's `rows` events in the same order at every call. They stay on the
    device if they fit `memory_budget`, else they are streamed every epoch.
    """
    training, seed = run.training, derive_seed(run.training.seed, "share", rank)
    own_map = copy.deepcopy(feature_map)  # the loop moves its own to the device

    def encoded() -> Iterator[Batch]:
        for index, events in enumerate(filter(len, read())):  # `where` may leave a chunk empty
            noise = Noise(torch.device("cpu"))
            noise.seed(derive_seed(seed, "encode", index))
            batch = run.objective.traits.encode(own_map, events, noise=noise)
            if training.bootstrap:
                batch = bootstrap(batch, derive_seed(seed, "chunk", index))
            yield batch.to(device)

    chunks = encoded()
    head = next(chunks)
    if rows * head.nbytes / len(head) > training.memory_budget:
        return streamed(encoded, rows, training.batch_size, seed), head
    events = Batch.concatenate([head, *chunks])
    return resident(events, training.batch_size, seed), events


def by_weight(weight: Tensor) -> Tensor:
    """Return rows (n,) of n events, each as often as its weight (n,) asks; all once if these agree.

    That is systematic sampling: n evenly spaced points of the summed weights choose the rows.

    Raises:
        DataError: a weight is below zero.

    >>> by_weight(torch.tensor([2.0, 1.0, 0.0, 1.0]))
    tensor([0, 0, 1, 3])
    """
    if (weight < 0).any():
        raise DataError(
            f"the model draws rows of the train split, and {int((weight < 0).sum()):,} of "
            f"{len(weight):,} events have weights below zero, which no row can stand for; choose a "
            "model that learns a density"
        )
    ends = weight.double().cumsum(0)
    points = (torch.arange(len(ends)) + 0.5) / len(ends) * ends[-1]
    return torch.searchsorted(ends, points)
