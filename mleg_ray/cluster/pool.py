"""A pool of restartable actors that make shards: they come and go with the nodes of the cluster."""

import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from mleg_ray.cluster.session import fetch
from mleg_ray.sampling.plan import SampledShard, ShardPlan

IN_FLIGHT = 2  # shards of a worker: one is generated while the other is written
ATTEMPTS = 3  # at a shard that fails
LOSSES = 10  # of workers that had the same shard; nodes are lost more often than a shard kills
SIGN_OF_LIFE = 2.0  # seconds, between records that do not come
DRAIN_SECONDS = 60


class ActorPool:
    """Actors with `ready()` and `make(shard)`, of which some may have no node yet, or no longer.

    Ray starts a lost actor again as soon as there is a node for it; meanwhile its shards go to the
    others. Equal shards have equal bytes, whoever makes them. Workers are known by their number.
    """

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = actors
        self._free: deque[int] = deque()
        self._joining = {actor.ready.remote(): worker for worker, actor in enumerate(actors)}
        self._running: dict[ray.ObjectRef[SampledShard], tuple[int, ShardPlan]] = {}
        self._busy = [0] * len(actors)
        self.retries = 0

    @property
    def workers(self) -> int:
        """How many actors have a node now."""
        return len(self._actors) - len(self._joining)

    def make(self, shards: Sequence[ShardPlan]) -> Iterator[SampledShard | None]:
        """Yield the shards' records in the order they come, and None now and then meanwhile.

        A shard whose worker is lost goes to another one, `LOSSES` times. One that fails otherwise
        is tried `ATTEMPTS` times, except for a `UserError`, which would come again. The actors are
        gone in the end.
        """
        remaining = deque(shards)
        failures: Counter[int] = Counter()
        losses: Counter[int] = Counter()
        try:
            while remaining or self._running:
                while remaining and self._free:
                    self._start(self._free.popleft(), remaining.popleft())
                waiting = [*self._running, *self._joining]
                ray.wait(waiting, num_returns=1, timeout=SIGN_OF_LIFE)
                done, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
                if not done:
                    yield None
                for reference in done:
                    if reference in self._joining:
                        self._join(reference)
                        continue
                    worker, shard = self._running.pop(reference)
                    self._busy[worker] -= 1
                    try:
                        record = fetch(reference)
                    except RayActorError:
                        self._leave(worker)
                        losses[shard.index] += 1
                        if losses[shard.index] == LOSSES:
                            raise
                    except RayError:
                        self._free.append(worker)
                        failures[shard.index] += 1
                        if failures[shard.index] == ATTEMPTS:
                            raise
                    else:
                        self._free.append(worker)
                        yield record
                        continue
                    self.retries += 1
                    remaining.append(shard)
        except Exception:
            # Let the others finish what they are writing, so that only whole shards remain.
            if self._running:
                running = list(self._running)
                ray.wait(running, num_returns=len(running), timeout=DRAIN_SECONDS)
            raise
        finally:
            for actor in self._actors:
                ray.kill(actor)

    def _start(self, worker: int, shard: ShardPlan) -> None:
        self._running[self._actors[worker].make.remote(shard)] = worker, shard
        self._busy[worker] += 1

    def _join(self, reference: "ray.ObjectRef[Any]") -> None:
        worker = self._joining.pop(reference)
        try:
            ray.get(reference)
        except RayActorError:  # lost again before it had begun
            time.sleep(0.1)
            self._joining[self._actors[worker].ready.remote()] = worker
            return
        self._free.extend([worker] * (IN_FLIGHT - self._busy[worker]))

    def _leave(self, worker: int) -> None:
        self._free = deque(other for other in self._free if other != worker)
        if worker not in self._joining.values():
            self._joining[self._actors[worker].ready.remote()] = worker
