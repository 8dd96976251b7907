"""How many truth events a generated sample is worth, by region of the distributions.

A. Butter et al., arXiv:2008.06545: a sample's error is the sum over quantiles of the squared
difference of its share and the true one.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.samples.histogram import Histogram, Shares
from mleg_ray.evaluation.samples.provenance import recorded_number
from mleg_ray.evaluation.samples.sample import binned
from mleg_ray.evaluation.statistics.binning import weighted_quantiles
from mleg_ray.evaluation.statistics.estimate import (
    LIMIT_SIGMAS,
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
    Reading,
)
from mleg_ray.evaluation.statistics.noncentrality import (
    LEVEL,
    SizedTest,
    SquaredDifference,
    numbers_of_events,
)

QUANTILES = 100
NO_QUANTILES = "no observable has quantiles"
# Of the events, from either end of an observable's distribution; the bulk is the rest.
REGIONS: Mapping[str, tuple[float, float]] = {
    "tail": (0.0, 0.01),
    "edge": (0.01, 0.05),
    "bulk": (0.05, 0.5),
}


class GeneratorError(SquaredDifference):
    """A generator's error Σ (g - t)² in some bins, over that of a truth sample of one event.

    So 1 over it is the number of true events with as large an error.
    """

    @staticmethod
    def of_histograms(
        truth: Histogram, generated: Histogram, chosen: NDArray[np.bool_]
    ) -> "GeneratorError":
        """Compare two histograms of the same bins, shape (bins,), in the `chosen` ones.

        With the covariances C of the differences d of shares, the expectation of d² is larger than
        the true one by tr C, and its variance is 4 δ C δ + 2 tr C² of the true δ: 4 d C d exceeds
        4 δ C δ by 4 tr C².
        """
        t, g = (Shares.of(sample) for sample in (truth, generated))
        places = np.ix_(chosen, chosen)
        difference = (t.share - g.share)[chosen]
        covariance = np.sum([part.covariance[places] for part in (t, g)], axis=0)
        trace, null = float(np.trace(covariance)), float(np.square(covariance).sum())
        first_order = 4 * float(difference @ covariance @ difference)
        of_one_event = float((t.share * (1 - t.share))[chosen].sum())
        return GeneratorError(
            value=float(difference @ difference - trace) / of_one_event,
            uncertainty=math.sqrt(max(first_order - 2 * null, 2 * null)) / of_one_event,
            null_spread=math.sqrt(2 * null) / of_one_event,
            ndf=trace**2 / null,
        )

    @staticmethod
    def mean(errors: Iterable["GeneratorError"]) -> "GeneratorError":
        """Return the mean of several; of the same events, so that their spreads add up at worst."""
        rows = [(e.value, e.uncertainty, e.null_spread, e.ndf) for e in errors]
        return GeneratorError(*map(float, np.mean(rows, axis=0)))

    def reached(self, level: float) -> float:
        """Return 1, whatever the `level`."""
        return 1.0


# By observable and region, or why an observable has none.
Errors = Mapping[str, Mapping[str, GeneratorError] | NotComputable]


def by_region(truth: Histogram, generated: Histogram) -> dict[str, GeneratorError]:
    """Return the error in each region: of the bins whose middle is so far from either end."""
    share = truth.density
    middle = np.cumsum(share) - share / 2
    from_end = np.minimum(middle, 1 - middle)
    chosen = {
        region: (low <= from_end) & (from_end < high) for region, (low, high) in REGIONS.items()
    }
    return {
        region: GeneratorError.of_histograms(truth, generated, some)
        for region, some in chosen.items()
        if np.sum(share[some] * (1 - share[some])) > 0  # an observable of few values lacks some
    }


def generator_errors(comparison: Comparison) -> Errors:
    """Return the generator's errors of all events, in 100 quantiles of every observable.

    Raises:
        NotComputableError: see `PooledSample`.
    """

    def compute(rng: np.random.Generator) -> Errors:
        pooled = comparison.pooled(rng)
        inner = tuple(np.arange(1, QUANTILES) / QUANTILES)
        found: dict[str, Mapping[str, GeneratorError] | NotComputable] = {}
        for name in pooled.numbers:
            try:
                edges = weighted_quantiles(pooled.column(name), pooled.whole_truth, inner)
            except NotComputableError as error:
                found[name] = NotComputable(reason=str(error))
                continue
            both = binned(comparison.truth, comparison.generated, name, np.unique(edges))
            found[name] = by_region(both.truth, both.generated)
        return found

    return comparison.shared("amplification", compute)


def n_equivalent(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return how many true events have the generator's own error in a region of an observable.

    A truth sample of n events has the expected error Σ t (1 - t) / n over the quantiles of the
    region; the generator's own is Σ (g - t)² of all events, less what their finite numbers add.

    Raises:
        NotComputableError: see `PooledSample`; no observable has quantiles.
    """
    errors = generator_errors(comparison)
    refused: dict[str, Figure] = {n: e for n, e in errors.items() if isinstance(e, NotComputable)}
    truth, generated = comparison.truth.counted, comparison.generated.counted
    tests = {
        f"{name}, {region}": SizedTest(error, truth, generated)
        for name, regions in errors.items()
        if not isinstance(regions, NotComputable)
        for region, error in regions.items()
    }
    found = refused | numbers_of_events(tests, comparison.generated.origin.events)
    if not found:
        raise NotComputableError(NO_QUANTILES)
    return found


def amplification(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return n_equivalent / n_train of each region, over the quantiles of all observables.

    1, the training sample itself, stands as floor, and higher is better. Where the error is not
    larger than twice its own uncertainty, only a lower limit is known.

    Raises:
        NotComputableError: see `PooledSample`; nobody knows how many events taught the generator,
            or no observable has quantiles.
    """
    n_train = train_events(comparison.generated.origin.provenance)
    errors = generator_errors(comparison)
    found = [regions for regions in errors.values() if not isinstance(regions, NotComputable)]
    figures = {}
    for region in REGIONS:
        some = [regions[region] for regions in found if region in regions]
        if some:
            figures[region] = ratio(GeneratorError.mean(some), n_train, comparison)
    if not figures:
        raise NotComputableError(NO_QUANTILES)
    return figures


def ratio(together: GeneratorError, train_events: int, comparison: Comparison) -> Figure:
    """Return the number of true events per training event, or the least that it can be."""
    if together.value <= LIMIT_SIGMAS * together.uncertainty:
        note = f"{comparison.truth.counted:,} true events resolve no smaller error of the generator"
        return Reading(value=together.least(LEVEL) / train_events, note=note, lower_limit=True)
    value = 1 / together.value / train_events
    return Estimate(
        value=value,
        uncertainty=value * together.uncertainty / together.value,
        floor=1.0,
        floor_spread=0.0,
        events=comparison.generated.counted,
        direction="higher",
        sigmas=(together.value - 1 / train_events) / together.uncertainty,
    )


def train_events(provenance: Mapping[str, object]) -> int:
    """Return the number of training events that a sample's provenance states.

    Raises:
        NotComputableError: it states none.
    """
    found = recorded_number(provenance, "checkpoint", "card", "train_events")
    if found is None:
        raise NotComputableError("the generated sample does not say how many events trained it")
    return int(found)


N_EQUIVALENT = Metric(
    title="Worth in true events",
    meaning="true events with as large an error as the generator's own, in a region",
    of_all_events=True,
    headline="Least in {subject}: more true events would err less than the generator.",
    compute=n_equivalent,
)
AMPLIFICATION = Metric(
    title="Amplification",
    meaning="truth events a sample is worth, per training event",
    of_all_events=True,
    compute=amplification,
)
