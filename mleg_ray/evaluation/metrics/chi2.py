"""`chi2_ndf` and `chi2_all`: Pearson's test of two histograms, with the errors of both.

`chi2_ndf` is of equal samples, and resolves what their numbers resolve. `chi2_all` is of all events
of the truth's split against all generated ones that were counted, and uses up the truth. It depends
on both sizes, so it says how far a sample can be trusted, not which of two is better.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.metrics.base import Comparison, Metric, resampled
from mleg_ray.evaluation.samples.column import Column, FloatArray
from mleg_ray.evaluation.samples.histogram import BinIndex, Histogram
from mleg_ray.evaluation.samples.sample import binned
from mleg_ray.evaluation.statistics.binning import INNER_BINS, percentile_bins, percentile_range
from mleg_ray.evaluation.statistics.distances import Statistic
from mleg_ray.evaluation.statistics.estimate import (
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
)
from mleg_ray.evaluation.statistics.resampling import PooledSample, Subjects, per_observable

Inside = NDArray[np.bool_] | bool  # which bins (bins,) are compared; the others count in the totals


def pearson_chi2(truth: Histogram, generated: Histogram, bins: NDArray[np.bool_]) -> float:
    """Σ (g - t)² / (σ_g² + σ_t²) / ndf over the chosen `bins`: 1 at the floor.

    Both statistical errors enter. The generated histogram is scaled to the truth's total, which
    takes one degree of freedom.
    """
    scale = truth.weight.sum() / generated.weight.sum()
    variance = truth.variance + scale**2 * generated.variance
    filled = bins & (variance > 0)
    difference = (truth.weight - scale * generated.weight)[filled]
    return float(np.sum(np.square(difference) / variance[filled]) / (bins.sum() - 1))


def prepare_chi2(values: FloatArray, truth: FloatArray) -> Statistic:
    """Prepare `chi2_ndf` of one observable."""
    return prepare_binned_chi2(percentile_bins(values, truth), INNER_BINS + 2, truth)


def prepare_binned_chi2(
    index: BinIndex, bins: int, truth: FloatArray, inside: Inside = True
) -> Statistic:
    """Prepare `chi2_ndf` of pooled events in the bins `index` (N,) where the truth has 10 events.

    Bins chosen by the very sample that is compared would favour its upward fluctuations and lift
    the floor above 1; the whole truth favours none of its parts.

    Raises:
        NotComputableError: fewer than two bins hold 10 truth events.
    """
    compared = _compared(Histogram.fill(index, truth, bins), inside)

    def statistic(a: FloatArray, b: FloatArray) -> float:
        t, g = (Histogram.fill(index, weights, bins) for weights in (a, b))
        return pearson_chi2(t, g, compared)

    return statistic


def _compared(truth: Histogram, inside: Inside) -> NDArray[np.bool_]:
    compared = truth.populated & inside
    if compared.sum() < 2:
        raise NotComputableError("fewer than two bins hold 10 truth events")
    return compared


def _subjects(pooled: PooledSample) -> Subjects:
    """Make a subject of each plane that the dataset declares, and of each observable."""

    def of_plane(plane: Plane) -> Statistic:
        index = pooled.cells(plane)
        return prepare_binned_chi2(index, plane.cells, pooled.whole_truth, plane.inside)

    planes = {plane.name: partial(of_plane, plane) for plane in pooled.definitions.planes}
    return {**planes, **per_observable(pooled, prepare_chi2)}


def chi2_all(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `pearson_chi2` of each plane and observable over the bins with 10 truth events.

    Between the truth's 0.1 and 99.9 percentiles an observable has 100 bins that are equal on its
    own scale: of logarithmic ones, equal steps would see the largest values only.

    The p-value is that of χ² with ndf degrees of freedom, the uncertainty that of a noncentral one,
    √(2 ndf + 4 λ) / ndf with λ = χ² - ndf. The floor is the same figure between disjoint halves of
    the drawn truth events: 1 for samples of any size.

    Objects of one event are not independent, and bins of them scatter more than their numbers say:
    all is larger by the design effect c, which the floor measures. So their figure is c times one
    of such a χ² (J. Rao, A. Scott, JASA 76 (1981) 221), and has no p-value.

    Raises:
        NotComputableError: see `PooledSample`.
    """
    truth, generated = comparison.truth, comparison.generated
    pooled, n = comparison.pooled(rng), len(truth)
    halves = [(a[:n], b[:n]) for a, b in pooled.splits(rng)]

    def estimate(
        t: Histogram, g: Histogram, events: int, drawn: BinIndex, column: Column, inside: Inside
    ) -> Estimate:
        """Compare histograms; `drawn` are the bins of the drawn truth's numbers, the column's."""
        compared = _compared(t, inside)
        value, ndf = pearson_chi2(t, g, compared), int(compared.sum()) - 1
        floors = []
        for pair in halves:
            a, b = (Histogram.fill(drawn, column.weights(w), len(t.weight)) for w in pair)
            floors.append(pearson_chi2(a, b, _compared(a, inside)))
        floor, independent = float(np.mean(floors)), column.count is None
        design = 1.0 if independent else max(floor, 1.0)
        excess = max(value / design - 1, 0.0)
        return Estimate(
            value=value,
            uncertainty=design * math.sqrt((2 + 4 * excess) / ndf),
            floor=floor,
            floor_spread=float(np.std(floors, ddof=1)),
            events=events,
            p_value=float(stats.chi2.sf(value * ndf, ndf)) if independent else None,
        )

    def of_plane(plane: Plane) -> Estimate:
        x, y = (pooled.column(name)[:n] for name in (plane.x, plane.y))
        t, g, drawn = truth.cells(plane), generated.cells(plane), plane.index(x, y)
        column = truth.columns[plane.x]
        return estimate(t, g, generated.counted, drawn, column, plane.inside)

    def of_observable(name: str) -> Estimate:
        everything, column = pooled.varying(name), truth.columns[name]
        low, high = percentile_range(everything.values, everything.weights(pooled.whole_truth))
        wanted = truth.axes[name].edges(low, high, INNER_BINS)
        edges, t, g, events = binned(truth, generated, name, wanted)
        drawn = np.searchsorted(edges, column.values, side="right")
        return estimate(t, g, events, drawn, column, inside=True)

    subjects: dict[str, Callable[[], Estimate]] = {
        plane.name: partial(of_plane, plane) for plane in pooled.definitions.planes
    }
    subjects |= {name: partial(of_observable, name) for name in pooled.axes}
    figures: dict[str, Figure] = {}
    for subject, compute in subjects.items():
        try:
            figures[subject] = compute()
        except NotComputableError as error:
            figures[subject] = NotComputable(reason=str(error))
    return figures


CHI2_NDF = Metric(
    title="χ² / ndf",
    meaning="binned difference in units of both statistical errors; 1 at best",
    headline="In {subject}, of {events} events each.",
    compute=resampled(_subjects),
)
CHI2_ALL = Metric(
    title="χ² / ndf, all events",
    meaning="the same of all true and all generated events; it grows with their numbers, 1 at best",
    of_all_events=True,
    headline="In {subject}, {events} generated events against all true ones.",
    compute=chi2_all,
)
