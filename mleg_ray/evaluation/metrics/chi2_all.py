"""`chi2_all`: all events of the truth's split against all generated ones that were counted.

The figures of equal samples resolve what their numbers resolve; this one uses up the truth. It
depends on both sizes, so it says how far a sample can be trusted, not which of two is better.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.metrics.chi2_ndf import pearson_chi2
from mleg_ray.evaluation.samples.column import Column
from mleg_ray.evaluation.samples.histogram import BinIndex, Histogram
from mleg_ray.evaluation.samples.sample import binned
from mleg_ray.evaluation.statistics.binning import INNER_BINS, percentile_range
from mleg_ray.evaluation.statistics.estimate import (
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
)

Inside = NDArray[np.bool_] | bool  # which bins (bins,) are compared


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
        value, ndf = _chi2_ndf(t, g, inside)
        floors = []
        for pair in halves:
            a, b = (Histogram.fill(drawn, column.weights(w), len(t.weight)) for w in pair)
            floors.append(_chi2_ndf(a, b, inside)[0])
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
        inside = np.arange(plane.cells) < plane.cells - 1  # the last bin is "outside"
        t, g, drawn = truth.cells(plane), generated.cells(plane), plane.index(x, y)
        return estimate(t, g, generated.counted, drawn, truth.columns[plane.x], inside)

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


def _chi2_ndf(truth: Histogram, generated: Histogram, inside: Inside) -> tuple[float, int]:
    bins = truth.populated & inside
    ndf = int(bins.sum()) - 1
    if ndf < 1:
        raise NotComputableError("fewer than two bins hold 10 truth events")
    return pearson_chi2(truth, generated, bins), ndf


CHI2_ALL = Metric(
    title="χ² / ndf, all events",
    meaning="the same of all true and all generated events; it grows with their numbers, 1 at best",
    of_all_events=True,
    headline="In {subject}, {events} generated events against all true ones.",
    compute=chi2_all,
)
