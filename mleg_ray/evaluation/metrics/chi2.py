"""`chi2_ndf` and `chi2_all`: Pearson's test of two histograms, with the errors of both.

`chi2_ndf` is of equal samples, and resolves what their numbers resolve. `chi2_all` is of all events
of the truth's split against all generated ones that were counted, and uses up the truth. It depends
on both sizes, so it says how far a sample can be trusted, not which of two is better.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import stats

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.samples.column import Column, FloatArray
from mleg_ray.evaluation.samples.histogram import MINIMUM_TRUTH_EVENTS, BinIndex, Histogram
from mleg_ray.evaluation.samples.sample import binned
from mleg_ray.evaluation.statistics.binning import (
    INNER_BINS,
    percentile_bins,
    percentile_range,
    tail_edges,
)
from mleg_ray.evaluation.statistics.estimate import (
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
)


@dataclass(frozen=True)
class PearsonTest:
    """χ² = Σ d² / v, d = t - s g and v = σ_t² + s² σ_g², over all bins of two histograms.

    s scales the generated histogram to the truth's total, which takes one degree of freedom, so
    that `ndf` is one less than bins. `first_order` is the variance of χ² to first order in the
    fluctuations of the bins, see `of`.
    """

    chi2: float
    ndf: int
    first_order: float

    @staticmethod
    def of(truth: Histogram, generated: Histogram) -> "PearsonTest":
        """Compare two histograms of the same bins, shape (bins,).

        One more true event of weight w in a bin adds 2 a w - a² w² to χ², with a = d / v; one more
        generated event of weight w / s adds -2 a w - a² w². The squares of these, summed over all
        events, are the variance of χ² to first order; less what their mean makes of it, since it is
        the shares of the bins that fluctuate and not the numbers of events. The weights within a
        bin count as the mean weight of their sample, Σw² / Σw.
        """
        generated = generated.scaled(truth.weight.sum() / generated.weight.sum())
        variance = truth.variance + generated.variance
        filled = variance > 0
        difference = (truth.weight - generated.weight)[filled]
        slope = np.zeros(len(variance))
        slope[filled] = difference / variance[filled]

        def first_order(sample: Histogram, sign: float) -> float:
            event = sample.variance.sum() / sample.weight.sum()
            change = sign * 2 * slope - event * np.square(slope)  # of χ², for a unit of weight
            mean = sample.weight @ change / sample.weight.sum()
            return float(sample.variance @ np.square(change) - sample.variance.sum() * mean**2)

        return PearsonTest(
            chi2=float(np.sum(np.square(difference) / variance[filled])),
            ndf=len(variance) - 1,
            first_order=first_order(truth, +1) + first_order(generated, -1),
        )

    @property
    def value(self) -> float:
        """χ² / ndf: 1 at the floor."""
        return self.chi2 / self.ndf

    def uncertainty(self, design: float = 1.0) -> float:
        """Return the standard deviation of `value` over samples like these.

        Of a bin whose true d is δ, d² varies by 4 δ² v + 2 v². The first order takes d² for δ²,
        which is larger by v on average, and lacks the second order: so 4 - 2 = 2 of each degree of
        freedom are taken off. Without any difference 2 are left, the variance of a χ². The `design`
        effect of events that are not independent multiplies all errors (J. Rao, A. Scott, JASA 76
        (1981) 221).
        """
        least = 2 * design**2 * self.ndf
        return math.sqrt(max(design * self.first_order - least, least)) / self.ndf


def joined_bins(truth: Histogram) -> BinIndex:
    """Return a new number of each bin (bins,), so that the truth has ten events in each number.

    A bin that has them stands alone. The others are joined, each with the next of them, until they
    have ten together; what is left joins the emptiest that stands alone. So every event counts,
    also where the truth has none.

    Raises:
        NotComputableError: fewer than two bins hold 10 truth events.
    """
    alone = truth.populated
    sizes = np.where(alone, truth.effective, 0.0)
    number = np.zeros(len(sizes), dtype=np.intp)
    made, weight, variance = 0, 0.0, 0.0
    for place in np.argsort(sizes, kind="stable"):
        number[place] = made
        weight, variance = weight + truth.weight[place], variance + truth.variance[place]
        if alone[place] or (weight > 0 and weight**2 >= MINIMUM_TRUTH_EVENTS * variance):
            made, weight, variance = made + 1, 0.0, 0.0
    if made < 2:
        raise NotComputableError("fewer than two bins hold 10 truth events")
    return np.minimum(number, made - 1)


@dataclass(frozen=True)
class _Filling:
    """How the histogram of a subject is filled: `index` (m,) are the bins of its numbers."""

    column: Column
    index: BinIndex
    bins: int

    def histogram(self, events: FloatArray) -> Histogram:
        """Fill with the numbers of pooled events of those weights (N,)."""
        return Histogram.fill(self.index, self.column.weights(events), self.bins)


@dataclass(frozen=True)
class Compared:
    """A subject's histograms in joined bins, beside χ² / ndf of halves of the truth.

    `events` generated ones were counted. `objects` is how many numbers an event has, if they are
    of objects: those of one event are not independent.
    """

    truth: Histogram
    generated: Histogram
    events: int
    floors: list[float]
    objects: float | None

    @property
    def design(self) -> float:
        """The design effect of objects, by which variances are larger: the floor measures it."""
        return 1.0 if self.objects is None else max(float(np.mean(self.floors)), 1.0)

    def estimate(self) -> Estimate:
        """Return χ² / ndf; of objects, which are not independent, without a p-value."""
        test = PearsonTest.of(self.truth, self.generated)
        p_value = float(stats.chi2.sf(test.chi2, test.ndf)) if self.objects is None else None
        return Estimate(
            value=test.value,
            uncertainty=test.uncertainty(self.design),
            floor=float(np.mean(self.floors)),
            floor_spread=float(np.std(self.floors, ddof=1)),
            events=self.events,
            p_value=p_value,
        )


# Of planes and observables, by name.
Subjects = Mapping[str, Compared | NotComputable]


class _Halves:
    """The planes that a dataset declares and its observables, each beside halves of the truth."""

    def __init__(self, comparison: Comparison, rng: np.random.Generator) -> None:
        self.pooled = comparison.pooled(rng)
        self._splits = list(self.pooled.splits(rng))

    def subjects(
        self, of_plane: Callable[[Plane], Compared], of_observable: Callable[[str], Compared]
    ) -> Subjects:
        """Compare each subject, or say why it cannot be."""
        compare: dict[str, Callable[[], Compared]] = {
            plane.name: partial(of_plane, plane) for plane in self.pooled.definitions.planes
        }
        compare |= {name: partial(of_observable, name) for name in self.pooled.axes}
        found: dict[str, Compared | NotComputable] = {}
        for subject, how in compare.items():
            try:
                found[subject] = how()
            except NotComputableError as error:
                found[subject] = NotComputable(reason=str(error))
        return found

    def bins(self, filling: _Filling) -> BinIndex:
        """Join bins by other truth than is compared, or they would follow its fluctuations."""
        return joined_bins(filling.histogram(self.pooled.other_truth))

    def compared(
        self, truth: Histogram, generated: Histogram, filling: _Filling, events: int
    ) -> Compared:
        """Set histograms of joined bins beside those of the truth's halves in a `filling`."""
        bins = self.bins(filling)
        floors = [
            PearsonTest.of(*(filling.histogram(half).joined(bins) for half in halves)).value
            for halves in self._splits
        ]
        column, weight = filling.column, self.pooled.whole_truth
        objects = column.weights(weight).sum() / weight.sum() if column.count is not None else None
        return Compared(truth, generated, events, floors, objects)


def chi2_ndf(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return Pearson's χ² / ndf of equal samples for each plane and observable.

    Raises:
        NotComputableError: see `PooledSample`.
    """
    halves = _Halves(comparison, rng)
    pooled = halves.pooled

    def compared(filling: _Filling) -> Compared:
        bins = halves.bins(filling)
        t, g = (filling.histogram(w).joined(bins) for w in (pooled.truth, pooled.generated))
        return halves.compared(t, g, filling, pooled.n)

    def of_plane(plane: Plane) -> Compared:
        return compared(_Filling(pooled.varying(plane.x), pooled.cells(plane), plane.cells))

    def of_observable(name: str) -> Compared:
        column = pooled.marginal(name)
        index = percentile_bins(column.values, column.weights(pooled.whole_truth))
        return compared(_Filling(column, index, INNER_BINS + 2))

    return _figures(halves.subjects(of_plane, of_observable))


def all_events(comparison: Comparison) -> Subjects:
    """Return the histograms of all events that there are of each plane and observable.

    Between the truth's 0.1 and 99.9 percentiles an observable has 100 bins that are equal on its
    own scale: of logarithmic ones, equal steps would see the largest values only. Beyond these are
    the bins of `tail_edges`. The floor is that of disjoint halves of the drawn truth events: 1 for
    samples of any size.

    Raises:
        NotComputableError: see `PooledSample`.
    """

    def subjects(rng: np.random.Generator) -> Subjects:
        truth, generated = comparison.truth, comparison.generated
        halves = _Halves(comparison, rng)
        pooled = halves.pooled

        def compared(t: Histogram, g: Histogram, filling: _Filling, events: int) -> Compared:
            bins = joined_bins(t)
            return halves.compared(t.joined(bins), g.joined(bins), filling, events)

        def of_plane(plane: Plane) -> Compared:
            x, y = (pooled.varying(name) for name in (plane.x, plane.y))
            filling = _Filling(x, plane.index(x.values, y.values), plane.cells)
            return compared(truth.cells(plane), generated.cells(plane), filling, generated.counted)

        def of_observable(name: str) -> Compared:
            column = pooled.varying(name)
            low, high = percentile_range(column.values, column.weights(pooled.whole_truth))
            wanted = truth.axes[name].edges(low, high, INNER_BINS)
            drawn = truth.columns[name]  # more than are pooled
            tails = tail_edges(drawn.values, drawn.weights(truth.weight))
            edges, t, g, events = binned(truth, generated, name, wanted, tails)
            index = np.searchsorted(edges, column.values, side="right")
            return compared(t, g, _Filling(column, index, len(edges) + 1), events)

        return halves.subjects(of_plane, of_observable)

    return comparison.shared("chi2_all", subjects)


def chi2_all(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return Pearson's χ² / ndf of `all_events` for each plane and observable, and raise as it."""
    return _figures(all_events(comparison))


def _figures(subjects: Subjects) -> dict[str, Figure]:
    return {
        name: found.estimate() if isinstance(found, Compared) else found
        for name, found in subjects.items()
    }


CHI2_NDF = Metric(
    title="χ² / ndf",
    meaning="binned difference in units of both statistical errors; 1 at best",
    headline="In {subject}, of {events} events each.",
    compute=chi2_ndf,
)
CHI2_ALL = Metric(
    title="χ² / ndf, all events",
    meaning="the same of all true and all generated events; it grows with their numbers, 1 at best",
    of_all_events=True,
    headline="In {subject}, {events} generated events against all true ones.",
    compute=chi2_all,
    grows=True,
)
