"""Bins of one observable: 100 equal ones between the truth's 0.1 and 99.9 percentiles.

What lies outside is in an underflow and an overflow bin.
"""

import numpy as np

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import MINIMUM_TRUTH_EVENTS, BinIndex
from mleg_ray.evaluation.statistics.distances import effective_size
from mleg_ray.evaluation.statistics.estimate import NotComputableError

INNER_BINS = 100
PERCENTILES = (0.001, 0.999)
TAILS = (1e-4, 1e-5)  # of either end


def percentile_bins(values: FloatArray, truth: FloatArray) -> BinIndex:
    """Return each value's bin, 0 ... 101, where `truth` holds the truth's weights (zero elsewhere).

    Raises:
        NotComputableError: see `percentile_range`.
    """
    low, high = percentile_range(values, truth)
    position = np.floor((values - low) / (high - low) * INNER_BINS) + 1
    index: BinIndex = np.clip(position, 0, INNER_BINS + 1).astype(np.intp)
    return index


def percentile_range(values: FloatArray, truth: FloatArray) -> tuple[float, float]:
    """Return the truth's 0.1 and 99.9 percentiles; arguments as in `percentile_bins`.

    Raises:
        NotComputableError: they coincide.
    """
    low, high = weighted_quantiles(values, truth, PERCENTILES)
    if low == high:
        raise NotComputableError(f"99.8% of the truth's values are {low:g}")
    return float(low), float(high)


def tail_edges(values: FloatArray, truth: FloatArray) -> FloatArray:
    """Return the truth's quantiles of `TAILS` beyond which it has ten events, also by weight.

    Arguments are those of `percentile_bins`.
    """
    far = [p for p in TAILS if p * effective_size(truth) >= MINIMUM_TRUTH_EVENTS]
    return weighted_quantiles(values, truth, (*far, *(1 - p for p in far)))


def weighted_quantiles(
    values: FloatArray, weights: FloatArray, probabilities: tuple[float, ...]
) -> FloatArray:
    """Return the smallest values below which a share |w| of at least each probability lies.

    The absolute weight stands for "where the events are", also if negative weights cancel there.
    """
    present = weights != 0
    order = np.argsort(values[present])
    share = np.cumsum(np.abs(weights[present][order]))
    targets = np.asarray(probabilities) * share[-1]
    quantiles: FloatArray = values[present][order][np.searchsorted(share, targets)]
    return quantiles
