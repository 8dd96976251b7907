"""A worker's share of the train split, as features on its device."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import ShardEntry
from mleg_ray.errors import DataError
from mleg_ray.events import Batch, Events
from mleg_ray.features import FeatureMap
from mleg_ray.randomness import Noise, derive_seed
from mleg_ray.run import RunConfig
from mleg_ray.training.batches import (
    Minibatches,
    ResidentMinibatches,
    StreamedMinibatches,
    bootstrap,
)

LEAST_RESAMPLED = 1000  # events of a bootstrap
Ranges = dict[str, tuple[float, float]]


def mixed_shards(dataset: Dataset, seed: int) -> list[ShardEntry]:
    """Return the train shards in a random order: their own is that of strata (beam energies)."""
    shards = dataset.shards("train")
    order = np.random.default_rng(derive_seed(seed, "shards")).permutation(len(shards))
    return [shards[i] for i in order]


def fitted_map(run: RunConfig, dataset: Dataset) -> tuple[FeatureMap, Ranges]:
    """Fit a run's feature map in one pass over the train split.

    Returns:
        The map, and the smallest and largest value of each condition.

    Raises:
        DataError: a bootstrap replica of too few events.
        UserError: see `FeatureMapConfig.build`, `FeatureMap.fit` and `Dataset.chunks`.
    """
    rows = dataset.rows("train")
    if run.training.bootstrap and rows < LEAST_RESAMPLED:
        raise DataError(
            f"{dataset.uri}: a bootstrap of {rows} train events tells little of their uncertainty; "
            f"{LEAST_RESAMPLED} are needed, or training.bootstrap = false"
        )
    feature_map = run.features.build(dataset.schema, dataset.manifest.conditions)
    ranges = _ConditionRanges(dataset.schema.conditions)
    feature_map.fit(ranges.watch(dataset.chunks("train")))
    return feature_map, ranges.found


class Share:
    """The events of one worker, read in the same order at every call of `read`."""

    def __init__(
        self,
        read: Callable[[], Iterator[Events]],
        rows: int,
        run: RunConfig,
        feature_map: FeatureMap,
        rank: int,
        device: torch.device,
    ) -> None:
        self._physical = read
        self._rows = rows
        self._config = run.training
        self._feature_map = copy.deepcopy(feature_map)  # the loop moves its own to the device
        self._device = device
        self._seed = derive_seed(run.training.seed, "share", rank)

    def open(self) -> tuple[Minibatches, Batch]:
        """Return the minibatches and the share's head (all of it if it is kept in memory).

        The share stays on the device if it fits `memory_budget`, else it is streamed every epoch.
        """
        chunks = self._read()
        head = next(chunks)
        if self._rows * head.nbytes / len(head) > self._config.memory_budget:
            streamed = StreamedMinibatches(
                self._read, self._rows, self._config.batch_size, self._seed
            )
            return streamed, head
        events = Batch.concatenate([head, *chunks])
        return ResidentMinibatches(events, self._config.batch_size, self._seed), events

    def _read(self) -> Iterator[Batch]:
        for index, events in enumerate(self._physical()):
            noise = Noise(torch.device("cpu"))
            noise.seed(derive_seed(self._seed, "encode", index))
            encoded = self._feature_map.encode(events, noise=noise)
            if self._config.bootstrap:
                encoded = bootstrap(encoded, derive_seed(self._seed, "chunk", index))
            yield encoded.to(self._device)


class _ConditionRanges:
    """The smallest and largest value of each condition, found while events pass by."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self.found: Ranges = {}

    def watch(self, chunks: Iterable[Events]) -> Iterator[Events]:
        for events in chunks:
            for name in self._names:
                column = events.columns[name]
                low, high = self.found.get(name, (math.inf, -math.inf))
                self.found[name] = (min(low, float(column.min())), max(high, float(column.max())))
            yield events
