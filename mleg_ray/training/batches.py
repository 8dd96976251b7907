"""Minibatches without end: every event once per epoch, from any move on.

A *move* is one update of one player; move m takes the global positions [m B, (m + 1) B) of the
endless sequence of shuffled epochs, so a resumed run continues exactly where it stopped.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch

from mleg_ray.events import Batch
from mleg_ray.randomness import derive_seed, stream


class Minibatches(Protocol):
    """Where the loop takes its events from."""

    def start(self, move: int) -> Iterator[Batch]:
        """Yield minibatches of features without end, beginning with that of `move`."""


class ResidentMinibatches:
    """The worker's whole share as tensors on its device, reshuffled every epoch."""

    def __init__(self, events: Batch, batch_size: int, seed: int) -> None:
        self._events = events
        self._batch_size = batch_size
        self._seed = seed

    def start(self, move: int) -> Iterator[Batch]:
        """Yield minibatches without end, beginning with that of `move`."""
        n = len(self._events)
        epoch, offset = divmod(move * self._batch_size, n)
        rows = self._order(epoch)[offset:]
        while True:
            while len(rows) < self._batch_size:
                epoch += 1
                rows = torch.cat([rows, self._order(epoch)])
            yield self._events[rows[: self._batch_size]]
            rows = rows[self._batch_size :]

    def _order(self, epoch: int) -> torch.Tensor:
        generator = stream(derive_seed(self._seed, "epoch", epoch))
        order = torch.randperm(len(self._events), generator=generator)
        return order.to(self._events.weight.device)


class StreamedMinibatches:
    """Chunks read anew every epoch and shuffled within; for shares larger than memory.

    `read_epoch()` yields the worker's events in the same order at every call; they are
    shuffled chunk by chunk, so a chunk must be much larger than a minibatch.
    """

    def __init__(
        self, read_epoch: Callable[[], Iterator[Batch]], rows: int, batch_size: int, seed: int
    ) -> None:
        self._read_epoch = read_epoch
        self._rows = rows
        self._batch_size = batch_size
        self._seed = seed

    def start(self, move: int) -> Iterator[Batch]:
        """Yield minibatches without end, beginning with that of `move`."""
        epoch, skip = divmod(move * self._batch_size, self._rows)
        rest: Batch | None = None
        while True:
            for index, chunk in enumerate(self._read_epoch()):
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                chunk = self._shuffled(chunk, epoch, index)[skip:]
                skip = 0
                rest = chunk if rest is None else Batch.concatenate([rest, chunk])
                while len(rest) >= self._batch_size:
                    yield rest[: self._batch_size]
                    rest = rest[self._batch_size :]
            epoch += 1

    def _shuffled(self, chunk: Batch, epoch: int, index: int) -> Batch:
        generator = stream(derive_seed(self._seed, "chunk", epoch, index))
        return chunk[torch.randperm(len(chunk), generator=generator).to(chunk.weight.device)]


def bootstrap(events: Batch, seed: int) -> Batch:
    """Return the events with weights that resample them: each counted a Poisson number of times."""
    rng = stream(derive_seed(seed, "bootstrap"))
    times = torch.poisson(torch.ones(len(events)), generator=rng).to(events.weight)
    return events.weighted(events.weight * times)
