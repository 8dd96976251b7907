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
    Estimate,
    Figure,
    NotComputable,
    NotComputableError,
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
    shares = _Shares(pooled)
    value, capacity = shares.error(pooled.truth, pooled.generated), shares.capacity
    resampled = np.array([shares.error(a, b) for a, b in pooled.resamples(rng)])
    uncertainty = resampled.std(axis=0, ddof=1)
    figures: dict[str, Figure] = {}
    for i, region in enumerate(REGIONS):
        if value[i] <= 2 * uncertainty[i]:
            least = capacity[i] / (max(value[i], 0.0) + 2 * uncertainty[i]) / train_events
            figures[region] = NotComputable(
                reason=f"{pooled.n} events do not resolve the generator's error there; "
                f"amplification is above {least:.2g}"
            )
        else:
            ratio = float(capacity[i] / value[i] / train_events)
            figures[region] = Estimate(
                value=ratio,
                uncertainty=float(ratio * uncertainty[i] / value[i]),
                floor=1.0,
                floor_spread=0.0,
                events=pooled.n,
                direction="higher",
            )
    return figures


class _Shares:
    """Shares of weight by observable and quantile of the truth, and what follows by region.

    Attributes:
        capacity: Σ p (1 - p) by region: the expected error of a truth sample of one event.
    """

    def __init__(self, pooled: PooledSample) -> None:
        inner = tuple(np.arange(1, QUANTILES) / QUANTILES)
        offset, indices = 0, []
        for name in pooled.numbers:
            values = pooled.column(name)
            edges = weighted_quantiles(values, pooled.whole_truth, inner)
            indices.append(np.searchsorted(edges, values, side="right") + offset)
            offset += QUANTILES
        self._indices = indices
        self._bins = offset
        from_end = np.minimum(np.arange(QUANTILES), QUANTILES - 1 - np.arange(QUANTILES))
        self._masks = [
            np.tile((from_end >= low) & (from_end < high), len(indices))
            for low, high in REGIONS.values()
        ]
        p = self._of(pooled.whole_truth)
        self._variance = p * (1 - p)
        self.capacity = self._by_region(self._variance)

    def error(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Return each region's Σ (g - t)² - p (1 - p) (1 / n_a + 1 / n_b)."""
        noise = self._variance * (1 / effective_size(a) + 1 / effective_size(b))
        return self._by_region(np.square(self._of(b) - self._of(a)) - noise)

    def _of(self, weights: FloatArray) -> FloatArray:
        present = np.flatnonzero(weights)
        w = weights[present] / weights.sum()
        shares = np.zeros(self._bins)
        for index in self._indices:
            shares += np.bincount(index[present], w, minlength=self._bins)
        return shares

    def _by_region(self, values: FloatArray) -> FloatArray:
        return np.array([values[mask].sum() for mask in self._masks])


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
