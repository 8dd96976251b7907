"""How a figure gets its uncertainty and its floor.

The truth, of which at most 100,000 random events are taken, is larger than what is compared: n
truth events meet n generated ones, and the floor is the same figure between two disjoint random
truth samples of n events, over 20 splits. So n is at most half the truth, value and floor belong to
the same sample sizes, and a figure whose expectation depends on n (all distances) can be set beside
its floor. The uncertainty is the spread over 200 bootstrap resamples of both samples. The same
resamples serve all subjects of a metric, so events keep their correlations, and the objects of an
event stay together.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.samples.column import Column, FloatArray
from mleg_ray.evaluation.samples.histogram import BinIndex
from mleg_ray.evaluation.samples.images import Images
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.distances import JointStatistic, Statistic, effective_size
from mleg_ray.evaluation.statistics.estimate import (
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
)
from mleg_ray.events import group_of

RESAMPLES = 200
SPLITS = 20
MINIMUM_EVENTS = 50
MAXIMUM_TRUTH = 100_000  # of which half is compared

WEIGHTED_MEAN = "weighted mean"

S = TypeVar("S", Statistic, JointStatistic)


class PooledSample:
    """Truth and n random generated events in one table; a sample is a vector of weights over it.

    Attributes:
        n: compared events of each sample.
        numbers: the compared observables of which each event has one, in the order of `axes`.
        whole_truth: the weights of all truth events, zero for generated ones, shape (N,).
        truth, generated: the weights of the n compared events of each sample, shape (N,).
        other_truth: those of as many other truth events, by which bins are chosen.

    Raises:
        NotComputableError: a sample is empty, tiny, or its weights (nearly) cancel.
    """

    def __init__(
        self, truth: EventSample, generated: EventSample, rng: np.random.Generator
    ) -> None:
        if len(truth) > MAXIMUM_TRUTH:
            truth = truth.take(rng.choice(len(truth), MAXIMUM_TRUTH, replace=False, shuffle=False))
        self.n = min(len(truth) // 2, len(generated))
        if self.n < MINIMUM_EVENTS:
            raise NotComputableError(
                f"there are {len(truth)} truth and {len(generated)} generated events; "
                f"{2 * MINIMUM_EVENTS} and {MINIMUM_EVENTS} are needed"
            )
        drawn = rng.choice(len(generated), self.n, replace=False)
        self.axes = truth.axes
        self.definitions = truth.definitions
        self._tally = generated.tally
        self._rng = rng
        self.whole_truth = np.concatenate([truth.weight, np.zeros(self.n)])
        order = rng.permutation(len(truth))
        self.truth = _chosen(self.whole_truth, order[: self.n])
        self.other_truth = _chosen(self.whole_truth, order[self.n : 2 * self.n])
        self.generated = np.concatenate([np.zeros(len(truth)), generated.weight[drawn]])
        self._columns = {
            name: Column.concatenate([truth.columns[name], generated.columns[name].take(drawn)])
            for name in truth.axes
        }
        self.numbers = [name for name, column in self._columns.items() if column.count is None]
        self._truth_events = len(truth)
        self._images = truth.images, generated.images
        self._drawn = drawn
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
            NotComputableError: a value is not finite, all truth values are equal, or hardly an
                event of either sample has an object.
        """
        column = self._columns[name]
        values = column.values
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise NotComputableError(f"{bad} of {len(values)} values of {name} are not finite")
        if column.count is not None:
            for whose, events in (("truth", self.truth), ("generated", self.generated)):
                weights: FloatArray = events * column.count
                if not weights.any():
                    raise NotComputableError(f"no {whose} event has any {group_of(name)}")
                require_weight(f"{whose} {name}", weights)
        truth = column.first(self._truth_events)
        if np.all(truth == truth[0]):
            raise NotComputableError(f"all truth values of {name} are {truth[0]:g}")
        return column

    def marginal(self, name: str) -> Column:
        """Return the pooled values of an observable on its own, of events or of objects.

        Where the generated sample has a tally whose bins resolve the truth, its n values are drawn
        from all events that there are, and the truth is quantised alike; otherwise they are those
        drawn. So are objects always: a tally does not say which of them are of one event, which
        their uncertainty depends on. Raises as `varying` does.
        """
        column = self.varying(name)
        truth = column.first(self._truth_events)
        if self._tally is None or column.count is not None:
            return column
        if not self._tally.bins.resolve(name, truth):
            return column
        quantised = self._tally.bins.quantise(name, truth)
        return Column(np.concatenate([quantised, self._tally.draw(name, self.n, self._rng)]))

    def cells(self, plane: Plane) -> BinIndex:
        """Return the pooled events' bins in a plane, shape (N,); drawn as those of `marginal`.

        Raises:
            NotComputableError: a value is not finite, or all truth values are equal.
        """
        cells = plane.index(self.column(plane.x), self.column(plane.y))
        if self._tally is None:
            return cells
        drawn = self._tally.planes[plane.name].draw(self.n, self._rng)
        return np.concatenate([cells[: self._truth_events], drawn])

    def images(self, name: str) -> Images:
        """Return the pooled images of this name, of N events.

        Raises:
            NotComputableError: a cell is not finite, or all cells of the truth are zero.
        """
        truth, generated = (some[name] for some in self._images)
        pooled = Images.concatenate([truth, generated.take(self._drawn)])
        bad = int(np.count_nonzero(~np.isfinite(pooled.cells.data)))
        if bad:
            raise NotComputableError(f"{bad} cells of {name} are not finite")
        if truth.cells.nnz == 0:
            raise NotComputableError(f"all cells of {name} are zero in the truth")
        return pooled

    @property
    def object_shares(self) -> dict[str, float]:
        """The shares of the compared observables in a mean over kinds of objects; they add up to 1.

        A kind of object, a group, has the share of its number in the truth, divided equally among
        its observables: R. Balanzá García, thesis (2023), eq. 6.5. A group that is in every event
        once, as missing momentum, is an object of every event. Without a group of a varying number
        there are no objects.
        """
        kinds: dict[str, list[str]] = {}
        for name, column in self._columns.items():
            if column.count is not None:
                kinds.setdefault(group_of(name), []).append(name)
        if not kinds:
            return {}
        once: dict[str, list[str]] = {}
        for name in self.numbers:
            if (group := group_of(name)) and group not in kinds:  # `jet.count` is no jet's
                once.setdefault(group, []).append(name)
        numbers = {
            name: float(self._columns[name].weights(self.whole_truth).sum()) / len(names)
            for names in (kinds | once).values()
            for name in names
        }
        total = sum(numbers.values())
        return {name: number / total for name, number in numbers.items() if number}

    def resamples(self, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield bootstrap weights of both samples: each event counts Poisson(1) times."""
        for _ in range(RESAMPLES):
            times = rng.poisson(1.0, len(self.truth))
            yield self.truth * times, self.generated * times

    def splits(self, rng: np.random.Generator) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield the weights of two disjoint random truth samples of n events."""
        for _ in range(SPLITS):
            order = rng.permutation(self._truth_events)
            first, second = order[: self.n], order[self.n : 2 * self.n]
            yield _chosen(self.whole_truth, first), _chosen(self.whole_truth, second)


def per_observable(
    pooled: PooledSample, prepare: Callable[[FloatArray, FloatArray], S]
) -> dict[str, Callable[[], S]]:
    """Make one subject of each compared observable."""

    def prepared(name: str) -> S:
        column = pooled.marginal(name)
        return column.of_events(prepare(column.values, column.weights(pooled.whole_truth)))

    return {name: partial(prepared, name) for name in pooled.axes}


# A subject ("px", "x_bj, q2") -> what prepares its statistic, or raises `NotComputableError`.
Subjects = Mapping[str, Callable[[], Statistic]]


def estimates(
    pooled: PooledSample,
    subjects: Mapping[str, Callable[[], Statistic | JointStatistic]],
    rng: np.random.Generator,
    *,
    figures: int = 1,
    p_values: bool = False,
    mean: Mapping[str, float] | None = None,
) -> list[dict[str, Figure]]:
    """Compute `figures` of each subject with uncertainty, floor and, if asked, `null_p_value`.

    Every statistic returns so many numbers; the result has a dictionary for each. If shares of
    subjects in a `mean` are given, their weighted mean is a figure too.
    """
    statistics: dict[str, Statistic | JointStatistic] = {}
    refused: dict[str, Figure] = {}
    for subject, prepare in subjects.items():
        try:
            statistics[subject] = prepare()
        except NotComputableError as error:
            refused[subject] = NotComputable(reason=str(error))

    def evaluate(roles: Iterable[tuple[FloatArray, FloatArray]]) -> FloatArray:
        rows = [[compute(a, b) for compute in statistics.values()] for a, b in roles]
        return np.array(rows).reshape(len(rows), len(statistics), figures)

    def figure(value: float, resampled: FloatArray, floors: FloatArray) -> Figure:
        uncertainty = resampled.std(ddof=1)
        if not np.isfinite([value, uncertainty, floors.std(ddof=1)]).all():
            return NotComputable(reason="it is not finite for some resamples")
        return beside_floors(value, uncertainty, floors, pooled.n, p_value=p_values)

    [values] = evaluate([(pooled.truth, pooled.generated)])
    resampled = evaluate(pooled.resamples(rng) if statistics else ())
    floors = evaluate(pooled.splits(rng) if statistics else ())
    place = {subject: s for s, subject in enumerate(statistics)}
    results = []
    for k in range(figures):
        v, r, f = values[:, k], resampled[:, :, k], floors[:, :, k]
        computed = refused | {name: figure(v[s], r[:, s], f[:, s]) for name, s in place.items()}
        results.append({subject: computed[subject] for subject in subjects})
        if mean:
            gone = [refused[subject] for subject in mean if subject in refused]
            chosen, shares = [place[m] for m in mean if m in place], np.array([*mean.values()])
            results[-1][WEIGHTED_MEAN] = (
                gone[0] if gone else figure(*(x[..., chosen] @ shares for x in (v, r, f)))
            )
    return results


def beside_floors(
    value: float,
    uncertainty: float,
    floors: Sequence[float] | FloatArray,
    events: int,
    *,
    p_value: bool = False,
) -> Estimate:
    """Return a figure beside its values between truth samples, with its `null_p_value` if asked."""
    return Estimate(
        value=value,
        uncertainty=uncertainty,
        floor=float(np.mean(floors)),
        floor_spread=float(np.std(floors, ddof=1)),
        events=events,
        p_value=null_p_value(value, floors) if p_value else None,
    )


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
