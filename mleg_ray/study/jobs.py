"""Trainings to be done: what runs them, and what proposes them, know each other by these."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mleg_ray.run import RunConfig


@dataclass(frozen=True)
class Job:
    """One training of a study: its name in the folder of trials, its run and its point.

    It begins with the state of the training named `parent`, if one is.
    """

    name: str
    run: RunConfig
    point: dict[str, Any]
    parent: str = ""


class Jobs(ABC):
    """Trainings to be done, in an order that may depend on the results of others.

    `len` is their largest number; `keeps_states` tells that others may begin from their states.
    What broke off, or was not begun when the time was over, is left to the study's next command.
    """

    keeps_states: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def ask(self) -> Job | None:
        """Return the next; None if there is none as long as nothing else is finished."""

    def observe(self, job: Job, result: Mapping[str, Any]) -> bool:
        """Take note of a judged snapshot; tell whether the training should be stopped: no."""
        return False

    @abstractmethod
    def finish(self, job: Job, result: Mapping[str, Any]) -> None:
        """Take note of the last result; without `ended` the training was stopped."""

    def fail(self, job: Job) -> None:  # noqa: B027
        """Take note that the training broke off."""

    def close(self) -> None:  # noqa: B027
        """Take note that nothing runs any more: the time is over."""
