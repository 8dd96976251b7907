"""Unfolding by weights: simulated events are reweighted until their measured part is like the data.

Source: OmniFold, Andreassen et al., arXiv:1911.09107, eq. 2 to 5. It is the rival of a generator
that is taught through a detector's response (`mleg_ray.objectives.unfolding`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.classifiers import MINIMUM_EVENTS, Part, mlp, scale
from mleg_ray.randomness import derive_seed

SELECTING = 0.25  # of the events of either class: when a classifier stops
LARGEST_LOG_RATIO = 5.0  # of one step, where a classifier has seen events of one class only


@dataclass(frozen=True)
class Simulated:
    """n simulated events: at the vertex (n, d), as measured (n, k), and their weights (n,)."""

    vertex: FloatArray
    measured: FloatArray
    weight: FloatArray


def omnifold(
    simulated: Simulated, data: FloatArray, weight: FloatArray, *, iterations: int, seed: int
) -> Iterator[FloatArray]:
    """Yield the weights (n,) that unfold the data, after each iteration.

    `data` (m, k) are measured events of weights (m,). Step 1 of an iteration weights the simulation
    at detector level to the data; step 2 learns these weights as a function of the vertex alone, as
    a physical spectrum must be. The sum of the weights is that of the simulation's own.

    Raises:
        DataError: too few events, a number or weight that is not finite, another number of weights
            than of events, or weights whose sum is not positive, also those of an iteration.
    """
    for name, values, weights in (
        ("simulated vertex", simulated.vertex, simulated.weight),
        ("simulated measured", simulated.measured, simulated.weight),
        ("measured", data, weight),
    ):
        if len(values) < MINIMUM_EVENTS:
            raise DataError(
                f"{len(values)} {name} events are too few to unfold; {MINIMUM_EVENTS} are needed"
            )
        if len(weights) != len(values):
            raise DataError(f"{name} events: {len(weights)} weights for {len(values)} events")
        for what, numbers in (("number", values), ("weight", weights)):
            if not np.isfinite(numbers).all():
                raise DataError(f"{name} events: a {what} is not finite")
        _positive_sum(name, weights)
    own = weights = simulated.weight
    total = own.sum()
    for iteration in range(iterations):
        seeds = (derive_seed(seed, "omnifold", iteration, step) % 2**31 for step in (1, 2))
        pulled = weights * _ratio(data, weight, simulated.measured, weights, next(seeds))
        weights = own * _ratio(simulated.vertex, pulled, simulated.vertex, own, next(seeds))
        weights = weights * (total / _positive_sum("unfolded", weights))
        yield weights


def _positive_sum(name: str, weights: FloatArray) -> float:
    total = float(weights.sum())
    if total <= 0:
        raise DataError(
            f"{name} events: the weights sum to {total:g}; unfolding needs a positive sum, take "
            "more events or fewer of negative weight"
        )
    return total


def _ratio(
    wanted: FloatArray,
    wanted_weight: FloatArray,
    events: FloatArray,
    weight: FloatArray,
    seed: int,
) -> FloatArray:
    """Return p(wanted) / p(events) at the `events` (n, d), by a classifier's odds."""
    mean, spread = scale(events)
    rng = np.random.default_rng(seed)
    train: list[tuple[FloatArray, FloatArray]] = []
    select: list[tuple[FloatArray, FloatArray]] = []
    for values, w in ((wanted, wanted_weight), (events, weight)):
        order = rng.permutation(len(values))
        first = round(SELECTING * len(values))
        # Equal sums, so that the odds are the ratio of densities.
        share = w / np.abs(w).sum()
        for parts, rows in ((select, order[:first]), (train, order[first:])):
            parts.append((((values - mean) / spread)[rows], share[rows]))
    score = mlp(_part(train), _part(select), seed)((events - mean) / spread)
    ratio: FloatArray = np.exp(-score.clip(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))
    return ratio


def _part(classes: list[tuple[FloatArray, FloatArray]]) -> Part:
    (wanted, wanted_weight), (events, weight) = classes
    joint = np.concatenate([wanted_weight, weight])
    return Part(
        np.concatenate([wanted, events]),
        joint / np.abs(joint).mean(),
        np.repeat([False, True], [len(wanted), len(events)]),
    )
