"""What is judged by what, and what several metrics share of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.resampling import PooledSample
from mleg_ray.randomness import derive_seed

T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """A generated sample, the truth that judges it and, if known, what the generator learned from.

    `seed` is the root of the random choices that metrics share.
    """

    truth: EventSample
    generated: EventSample
    training: EventSample | None = None
    seed: int = 0
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def pooled(self, rng: np.random.Generator) -> PooledSample:
        """Return the truth and random generated events in one table; see `PooledSample`."""
        return PooledSample(self.truth, self.generated, rng)

    def shared(self, name: str, compute: Callable[[np.random.Generator], T]) -> T:
        """Return what several metrics need, computed once, of a random stream of its own.

        It raises what `compute` does.
        """
        if name not in self._shared:
            rng = np.random.default_rng(derive_seed(self.seed, f"evaluate/{name}"))
            self._shared[name] = compute(rng)
        result: T = self._shared[name]
        return result
