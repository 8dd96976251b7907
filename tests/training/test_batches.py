"""Both ways to feed the loop: every event once an epoch, from any move on."""

import threading
from collections.abc import Iterator
from itertools import islice

import pytest
import torch

from mleg_ray.errors import DataError
from mleg_ray.events import Batch
from mleg_ray.training.batches import Minibatches, bootstrap, resident, streamed

ROWS, BATCH = 1000, 64


def numbered(rows: range) -> Batch:
    x = torch.tensor(list(rows), dtype=torch.float32)[:, None]
    return Batch(x, x + 0.25, x[:, 0] + 0.5)


def chunks() -> Iterator[Batch]:
    for start in range(0, ROWS, 300):
        yield numbered(range(start, min(start + 300, ROWS)))


@pytest.fixture(params=["resident", "streamed"])
def minibatches(request: pytest.FixtureRequest) -> Minibatches:
    if request.param == "resident":
        return resident(numbered(range(ROWS)), BATCH, seed=3)
    return streamed(chunks, ROWS, BATCH, seed=3)


def taken(minibatches: Minibatches, move: int, n: int) -> torch.Tensor:
    return torch.cat([batch.x[:, 0] for batch in islice(minibatches(move), n)])


def test_every_event_once_per_epoch(minibatches: Minibatches) -> None:
    n_epochs = 3
    values = taken(minibatches, 0, -(-n_epochs * ROWS // BATCH))[: n_epochs * ROWS]
    for epoch in values.split(ROWS):
        assert sorted(epoch.tolist()) == list(range(ROWS))


def test_epochs_are_shuffled_differently(minibatches: Minibatches) -> None:
    first, second = taken(minibatches, 0, 2 * ROWS // BATCH + 1)[: 2 * ROWS].split(ROWS)
    assert not torch.equal(first, second)
    assert first.tolist() != sorted(first.tolist())


@pytest.mark.parametrize("move", [1, 7, 15, 16, 40])
def test_starts_anywhere_as_if_it_had_come_there(minibatches: Minibatches, move: int) -> None:
    torch.testing.assert_close(
        taken(minibatches, move, 20), taken(minibatches, 0, move + 20)[move * BATCH :]
    )


def test_conditions_and_weights_stay_with_their_events(minibatches: Minibatches) -> None:
    for batch in islice(minibatches(5), 30):
        assert len(batch) == BATCH
        torch.testing.assert_close(batch.condition, batch.x + 0.25)
        torch.testing.assert_close(batch.weight, batch.x[:, 0] + 0.5)


def test_a_batch_larger_than_the_share_wraps_around() -> None:
    values = taken(resident(numbered(range(10)), BATCH, seed=1), 0, 5)
    assert torch.bincount(values.long()).tolist() == [32] * 10


def test_a_thread_reads_the_next_chunk_meanwhile_and_the_next_epoch() -> None:
    begun = [threading.Event() for _ in range(3)]

    def read() -> Iterator[Batch]:
        next(event for event in begun if not event.is_set()).set()
        yield numbered(range(BATCH))

    batches = streamed(read, BATCH, BATCH, seed=3)(0)
    next(batches)
    assert begun[1].wait(60)
    assert not begun[2].is_set()


def test_what_cannot_be_read_is_told_where_it_is_needed() -> None:
    def read() -> Iterator[Batch]:
        yield numbered(range(BATCH))
        raise DataError("shard 7: gone")

    batches = streamed(read, ROWS, BATCH, seed=3)(0)
    assert len(next(batches)) == BATCH
    with pytest.raises(DataError, match="shard 7: gone"):
        next(batches)


def test_a_bootstrap_counts_each_event_poisson_times() -> None:
    events = numbered(range(20_000)).weighted(torch.full((20_000,), -0.5))
    replica = bootstrap(events, seed=1)
    times = replica.weight / -0.5
    shares = torch.bincount(times.long())[:3] / 20_000
    # e⁻¹ of the events not at all and once, half as many twice, each within four deviations.
    assert shares.tolist() == pytest.approx([0.3679, 0.3679, 0.1839], abs=0.014)
    assert torch.equal(times, times.round())
    assert torch.equal(replica.x, events.x)
    assert not torch.equal(bootstrap(events, seed=2).weight, replica.weight)
