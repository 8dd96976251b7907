"""Minibatches without end: every event once per epoch, from any move on.

A *move* is one update of one player; move m takes the global positions [m B, (m + 1) B) of the
endless sequence of shuffled epochs, so a resumed run continues exactly where it stopped.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from mleg_ray.events import Batch
from mleg_ray.randomness import derive_seed, stream

# Yields minibatches of features without end, beginning with that of a move.
Minibatches = Callable[[int], Iterator[Batch]]


def resident(events: Batch, batch_size: int, seed: int) -> Minibatches:
    """Return the minibatches of a share that is kept as it is, reshuffled every epoch."""

    def order(epoch: int) -> Tensor:
        generator = stream(derive_seed(seed, "epoch", epoch))
        return torch.randperm(len(events), generator=generator).to(events.weight.device)

    def start(move: int) -> Iterator[Batch]:
        epoch, offset = divmod(move * batch_size, len(events))
        rows = order(epoch)[offset:]
        while True:
            while len(rows) < batch_size:
                epoch += 1
                rows = torch.cat([rows, order(epoch)])
            yield events[rows[:batch_size]]
            rows = rows[batch_size:]

    return start


def streamed(
    read_epoch: Callable[[], Iterator[Batch]], rows: int, batch_size: int, seed: int
) -> Minibatches:
    """Return the minibatches of a share that is larger than memory, read anew every epoch.

    `read_epoch()` yields the share's `rows` events in the same order at every call; they are
    shuffled chunk by chunk, so a chunk must be much larger than a minibatch. A thread reads ahead
    by one chunk, into the next epoch as well.
    """

    def shuffled(move: int) -> Iterator[Batch]:
        epoch, skip = divmod(move * batch_size, rows)
        while True:
            for index, chunk in enumerate(read_epoch()):
                if skip >= len(chunk):
                    skip -= len(chunk)
                    continue
                generator = stream(derive_seed(seed, "chunk", epoch, index))
                order = torch.randperm(len(chunk), generator=generator)[skip:]
                skip = 0
                yield chunk[order.to(chunk.weight.device)]
            epoch += 1

    def start(move: int) -> Iterator[Batch]:
        rest: Batch | None = None
        for chunk in _ahead(shuffled(move)):
            rest = chunk if rest is None else Batch.concatenate([rest, chunk])
            while len(rest) >= batch_size:
                yield rest[:batch_size]
                rest = rest[batch_size:]

    return start


def _ahead(chunks: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the chunks, each of which a thread makes while the one before is in use."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = thread.submit(next, chunks, None)
            yield chunk


def bootstrap(events: Batch, seed: int) -> Batch:
    """Return the events with weights that resample them: each counted a Poisson number of times."""
    rng = stream(derive_seed(seed, "bootstrap"))
    times = torch.poisson(torch.ones(len(events)), generator=rng).to(events.weight)
    return events.weighted(events.weight * times)
