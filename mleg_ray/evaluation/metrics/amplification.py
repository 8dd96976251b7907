"""How many truth events a generated sample is worth, by region of the distributions.

A. Butter et al., arXiv:2008.06545: a sample's error is the sum over quantiles of the squared
difference of its share and the true one.
"""

from collections.abc import Mapping

import numpy as np

from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.provenance import recorded_number
from mleg_ray.evaluation.statistics.binning import weighted_quantiles
from mleg_ray.evaluation.statistics.distances import effective_size
from mleg_ray.evaluation.statistics.estimate import (
    LIMIT_SIGMAS,
    Estimate,
    Figure,
    NotComputableError,
    Reading,
)
from mleg_ray.evaluation.statistics.resampling import PooledSample

QUANTILES = 100
# Bins of 1% from either end of an observable's distribution; the bulk is the rest.
REGIONS: Mapping[str, tuple[int, int]] = {"tail": (0, 1), "edge": (1, 5), "bulk": (5, 50)}


def amplification(
    pooled: PooledSample, train_events: int, rng: np.random.Generator
) -> dict[str, Figure]:
    """Return n_equivalent / n_train of each region, over the quantiles of all observables.

    A truth sample of n events has the expected error Σ p (1 - p) / n. The generator's own error is
    Σ (g - t)² less what the finite numbers of compared events add; n_equivalent is the n for which
    both are equal. 1, the training sample itself, stands as floor, and higher is better. Where the
    error is not larger than twice its own uncertainty, only a lower limit is known.
    """
    inner = tuple(np.arange(1, QUANTILES) / QUANTILES)
    indices = []
    for name in pooled.numbers:
        values = pooled.column(name)
        edges = weighted_quantiles(values, pooled.whole_truth, inner)
        indices.append(np.searchsorted(edges, values, side="right"))
    from_end = np.minimum(np.arange(QUANTILES), QUANTILES - 1 - np.arange(QUANTILES))
    masks = [
        np.tile((from_end >= low) & (from_end < high), len(indices))
        for low, high in REGIONS.values()
    ]

    def shares(weights: FloatArray) -> FloatArray:
        """Return the shares of weight by quantile, one observable after the other."""
        present = np.flatnonzero(weights)
        w = weights[present] / weights.sum()
        return np.concatenate([np.bincount(i[present], w, QUANTILES) for i in indices])

    def by_region(values: FloatArray) -> FloatArray:
        return np.array([values[mask].sum() for mask in masks])

    p = shares(pooled.whole_truth)
    variance = p * (1 - p)  # the expected error of a truth sample of one event

    def error(a: FloatArray, b: FloatArray) -> FloatArray:
        """Return each region's Σ (g - t)² - p (1 - p) (1 / n_a + 1 / n_b)."""
        noise = variance * (1 / effective_size(a) + 1 / effective_size(b))
        return by_region(np.square(shares(b) - shares(a)) - noise)

    values, capacities = error(pooled.truth, pooled.generated), by_region(variance)
    resampled = np.array([error(a, b) for a, b in pooled.resamples(rng)])
    uncertainties = resampled.std(axis=0, ddof=1)
    figures: dict[str, Figure] = {}
    for region, value, uncertainty, capacity in zip(
        REGIONS, values, uncertainties, capacities, strict=True
    ):
        if value <= LIMIT_SIGMAS * uncertainty:
            least = capacity / (max(value, 0.0) + LIMIT_SIGMAS * uncertainty) / train_events
            note = f"{pooled.n:,} events resolve no smaller error of the generator"
            figures[region] = Reading(value=float(least), note=note, lower_limit=True)
        else:
            ratio = float(capacity / value / train_events)
            figures[region] = Estimate(
                value=ratio,
                uncertainty=float(ratio * uncertainty / value),
                floor=1.0,
                floor_spread=0.0,
                events=pooled.n,
                direction="higher",
            )
    return figures


def train_events(provenance: Mapping[str, object]) -> int:
    """Return the number of training events that a sample's provenance states.

    Raises:
        NotComputableError: it states none.
    """
    found = recorded_number(provenance, "checkpoint", "card", "train_events")
    if found is None:
        raise NotComputableError("the generated sample does not say how many events trained it")
    return int(found)


def _compute(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
    n_train = train_events(comparison.generated.origin.provenance)
    return amplification(comparison.pooled(rng), n_train, rng)


AMPLIFICATION = Metric(
    title="Amplification",
    meaning="truth events a sample is worth, per training event",
    compute=_compute,
)
