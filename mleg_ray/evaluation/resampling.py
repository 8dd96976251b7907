"""How a figure gets its uncertainty and its floor.

The truth is larger than what is compared: n truth events meet n generated ones, and the floor is
the same figure between two disjoint random truth samples of n events, over 20 splits. So n is at
most half the truth, value and floor belong to the same sample sizes, and a figure whose expectation
depends on n (all distances) can be set beside its floor. The uncertainty is the spread over 200
bootstrap resamples of both samples. The same resamples serve all subjects of a metric, so events
keep their correlations.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from mleg_ray.evaluation.column import Column
from mleg_ray.evaluation.distances import (
    FloatArray,
    JointStatistic,
    Statistic,
    effective_size,
)
from mleg_ray.evaluation.estimate import Estimate, Figure, NotComputable, NotComputableError
from mleg_ray.evaluation.histograms import BinIndex
from mleg_ray.evaluation.sample import Sample
from mleg_ray.events import group_of
from mleg_ray.physics.observables import Plane

RESAMPLES = 200
SPLITS = 20
MINIMUM_EVENTS = 50

WEIGHTED_MEAN = "weighted mean"

S = TypeVar("S", Statistic, JointStatistic)


class Pool:
    """Truth and n random generated events in one table; a sample is a vector of weights over it.

    Attributes:
        n: compared events of each sample.
        numbers: the compared observables of which each event has one, in the order of `axes`.
        whole_truth: the weights of all truth events, zero for generated ones, shape (N,).
        truth, generated: the weights of the n compared events of each sample, shape (N,).

    Raises:
        NotComputableError: a sample is empty, tiny, or its weights (nearly) cancel.
    """

    def __init__(self, truth: Sample, generated: Sample, rng: np.random.Generator) -> None:
        self.n = min(len(truth) // 2, len(generated))
        if self.n < MINIMUM_EVENTS:
            raise NotComputableError(
                f"there are {len(truth)} truth and {len(generated)} generated events; "
                f"{2 * MINIMUM_EVENTS} and {MINIMUM_EVENTS} are needed"
            )
        drawn = rng.choice(len(generated), self.n, replace=False)
        nothing = np.zeros(self.n)
        self.axes = truth.axes
        self.definitions = truth.definitions
        self._tally = generated.tally
        self._rng = rng
        self.whole_truth = np.concatenate([truth.weight, nothing])
        self.truth = np.zeros_like(self.whole_truth)
        self.truth[: len(truth)] = _chosen(truth.weight, rng.permutation(len(truth))[: self.n])
        self.generated = np.concatenate([np.zeros(len(truth)), generated.weight[drawn]])
        self._columns = {
            name: Column.concatenate(
                [truth.columns[name], generated.columns[name].take(drawn, len(generated))],
                [len(truth), self.n],
            )
            for name in truth.axes
        }
        self.numbers = [name for name, c in self._columns.items() if c.owner is None]
        self._truth_events = len(truth)
        for whose, weights in (("truth", self.truth), ("generated", self.generated)):
            require_weight(whose, weights)

    def column(self, name: str) -> FloatArray:
        """Return the pooled values of an observable of which each event has one, shape (N,).

        Raises as `varying` does.
        """
        return self.varying(name).values

    def varying(self, name: str) -> Column:
        """Return the pooled values of an observable, of events or of objects.

        Raises:
            NotComputableError: a value is not finite, or all truth values are equal.
        """
        column = self._columns[name]
        values = column.values
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise NotComputableError(f"{bad} of {len(values)} values of {name} are not finite")
        truth = values[column.weights(self._is_truth) > 0]
        if len(truth) == 0:
            raise NotComputableError(f"no truth event has any {name}")
        if np.all(truth == truth[0]):
            raise NotComputableError(f"all truth values of {name} are {truth[0]:g}")
        return column

    def marginal(self, name: str) -> Column:
        """Return the pooled values of an observable on its own, of events or of objects.

        Where the generated sample has a tally whose bins resolve the truth, its n values are drawn
        from all events that there are, and the truth is quantised alike; otherwise, and of objects,
        which belong to their events, they are those drawn. Raises as `column` does.
        """
        column = self.varying(name)
        if column.owner is not None:
            return column
        return Column(self._drawn(name, column.values))

    def _drawn(self, name: str, values: FloatArray) -> FloatArray:
        if self._tally is None or not self._tally.bins.resolve(name, values[: self._truth_events]):
            return values
        truth = self._tally.bins.quantise(name, values[: self._truth_events])
        return np.concatenate([truth, self._tally.draw(name, self.n, self._rng)])

    def cells(self, plane: Plane) -> BinIndex:
        """Return the pooled events' bins in a plane, shape (N,); drawn as those of `marginal`.

        Raises:
            NotComputableError: a value is not finite, or all truth values are equal.
        """
        cells = plane.index(self.column(plane.x), self.column(plane.y))
        if self._tally is None:
            return cells
        drawn = self._tally.draw_cells(plane, self.n, self._rng)
        return np.concatenate([cells[: self._truth_events], drawn])

    @property
    def _is_truth(self) -> FloatArray:
        """1 for truth events, 0 for generated ones, shape (N,)."""
        return np.repeat([1.0, 0.0], [self._truth_events, self.n])

    def objects(self) -> dict[str, list[str]]:
        """Return the compared observables of each kind of object: those with a group's name.

        A group that is in every event once, as missing momentum, is an object of every event.
        Without a group of a varying number there are no objects.
        """
        if len(self.numbers) == len(self.axes):
            return {}
        kinds: dict[str, list[str]] = {}
        for name in self.axes:
            if group := group_of(name):
                kinds.setdefault(group, []).append(name)
        return kinds

    def resamples(self, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield bootstrap weights of both samples: each event counts Poisson(1) times."""
        for _ in range(RESAMPLES):
            times = rng.poisson(1.0, len(self.truth))
            yield self.truth * times, self.generated * times

    def splits(self, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield the weights of two disjoint random truth samples of n events."""
        for _ in range(SPLITS):
            order = rng.permutation(self._truth_events)
            yield (
                _chosen(self.whole_truth, order[: self.n]),
                _chosen(self.whole_truth, order[self.n : 2 * self.n]),
            )


def per_observable(
    pool: Pool, prepare: Callable[[FloatArray, FloatArray], S]
) -> dict[str, Callable[[], S]]:
    """Make one subject of each compared observable."""

    def prepared(name: str) -> S:
        column = pool.marginal(name)
        return column.of_events(prepare(column.values, column.weights(pool.whole_truth)))

    return {name: partial(prepared, name) for name in pool.axes}


def with_weighted_mean(
    pool: Pool, prepare: Callable[[FloatArray, FloatArray], S]
) -> dict[str, Callable[[], S]]:
    """Make one subject of each compared observable, and the mean over kinds of objects, if any.

    It averages over an object's observables, then over objects with the number of those in the
    truth: C. Balanza, thesis (2023), eq. 6.5.
    """
    subjects = per_observable(pool, prepare)
    if pool.objects():
        subjects[WEIGHTED_MEAN] = lambda: _weighted_mean(pool, prepare)
    return subjects


def _weighted_mean(pool: Pool, prepare: Callable[[FloatArray, FloatArray], S]) -> S:
    parts: list[tuple[float, S]] = []
    for names in pool.objects().values():
        for name in names:
            column = pool.varying(name)
            whole = column.weights(pool.whole_truth)
            share = whole.sum() / len(names)
            parts.append((share, column.of_events(prepare(column.values, whole))))
    total = sum(share for share, _ in parts)

    def statistic(a: FloatArray, b: FloatArray) -> Any:  # noqa: ANN401 - what `prepare` returns
        return sum(share / total * compute(a, b) for share, compute in parts)

    return statistic


# A subject ("px", "x_bj, q2") -> what prepares its statistic, or raises `NotComputableError`.
Subjects = Mapping[str, Callable[[], Statistic]]


def estimates(
    pool: Pool, subjects: Subjects, rng: np.random.Generator, *, p_values: bool = False
) -> dict[str, Figure]:
    """Compute a figure of each subject with uncertainty, floor and, if asked, `null_p_value`."""
    [figures] = joint_estimates(pool, subjects, rng, p_values=p_values)
    return figures


def joint_estimates(
    pool: Pool,
    subjects: Mapping[str, Callable[[], Statistic | JointStatistic]],
    rng: np.random.Generator,
    *,
    figures: int = 1,
    p_values: bool = False,
) -> list[dict[str, Figure]]:
    """Compute several `figures` of each subject at once; see `estimates`, the case of one.

    Every statistic returns so many numbers; the result has a dictionary for each.
    """
    statistics: dict[str, Statistic | JointStatistic] = {}
    refused: dict[str, Figure] = {}
    for subject, prepare in subjects.items():
        try:
            statistics[subject] = prepare()
        except NotComputableError as error:
            refused[subject] = NotComputable(reason=str(error))

    def evaluate(roles: Iterator[tuple[FloatArray, FloatArray]]) -> FloatArray:
        rows = [[compute(a, b) for compute in statistics.values()] for a, b in roles]
        return np.array(rows).reshape(len(rows), len(statistics), -1)

    def figure(value: float, resampled: FloatArray, floors: FloatArray) -> Figure:
        spreads = resampled.std(ddof=1), floors.std(ddof=1)
        if not np.isfinite([value, *spreads]).all():
            return NotComputable(reason="it is not finite for some resamples")
        return Estimate(
            value=value,
            uncertainty=spreads[0],
            floor=floors.mean(),
            floor_spread=spreads[1],
            events=pool.n,
            p_value=null_p_value(value, floors) if p_values else None,
        )

    if not statistics:
        return [refused] * figures
    values = evaluate(iter([(pool.truth, pool.generated)]))[0]
    resampled = evaluate(pool.resamples(rng))
    floors = evaluate(pool.splits(rng))
    results = []
    for k in range(figures):
        computed = {
            subject: figure(values[s, k], resampled[:, s, k], floors[:, s, k])
            for s, subject in enumerate(statistics)
        }
        results.append({subject: (refused | computed)[subject] for subject in subjects})
    return results


def null_p_value(value: float, floors: Sequence[float] | FloatArray) -> float:
    """Return the rank of a value among the truth-versus-truth splits, (1 + #larger) / (1 + #all).

    It is never below 1/21 with 20 splits: B. Phipson, G. Smyth, arXiv:1603.05766.
    """
    larger = int(np.count_nonzero(np.asarray(floors) >= value))
    return (1 + larger) / (1 + len(floors))


def require_weight(whose: str, weights: FloatArray) -> None:
    """Raise `NotComputableError` if weights sum to <= 0 or cancel to a tiny sample."""
    if weights.sum() <= 0:
        raise NotComputableError(f"the {whose} weights sum to {weights.sum():g}")
    if effective_size(weights) < MINIMUM_EVENTS:
        raise NotComputableError(
            f"the {whose} weights leave {effective_size(weights):.1f} effective events; "
            f"{MINIMUM_EVENTS} are needed"
        )


def _chosen(weights: FloatArray, rows: np.ndarray) -> FloatArray:
    """Return the weights with all but the chosen rows set to zero."""
    result = np.zeros_like(weights)
    result[rows] = weights[rows]
    return result
