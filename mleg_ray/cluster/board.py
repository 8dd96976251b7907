"""Live progress across processes: workers post to an actor, the driver shows it as a bar."""

import contextlib
from collections.abc import Iterator
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mleg_ray.console import Bar, meanwhile, progress_bar


class _Latest:
    """The last thing that was posted."""

    def __init__(self) -> None:
        self._latest: tuple[int, str] | None = None

    def post(self, completed: int, note: str) -> None:
        self._latest = (completed, note)

    def latest(self) -> tuple[int, str] | None:
        return self._latest


class Board:
    """A handle that any process of the cluster can post progress to.

    It is where the driver is: other nodes may be lost. If its own process is lost, another takes
    its place, for no work may fail for its progress.
    """

    def __init__(self) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Latest)
        self._actor: Any = actor.options(scheduling_strategy=here).remote()

    def post(self, completed: int, note: str) -> None:
        """Say how much is done, and a short note; returns at once."""
        self._actor.post.remote(completed, note)

    @contextlib.contextmanager
    def shown(self, description: str, total: int) -> Iterator[None]:
        """Show what is posted as a progress bar, for the length of the block."""
        with progress_bar(description, total) as bar:
            try:
                with meanwhile(lambda: self._refresh(bar)):
                    yield
            finally:
                self._refresh(bar)

    def _refresh(self, bar: Bar) -> None:
        if latest := ray.get(self._actor.latest.remote()):
            bar.update(*latest)
