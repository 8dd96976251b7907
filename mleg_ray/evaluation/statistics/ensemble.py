"""Bands of an ensemble: how far its generators are from the truth in units of both errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mleg_ray.errors import DataError
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import MINIMUM_TRUTH_EVENTS

SIGMAS = {0.683: 1.0, 0.954: 2.0}  # the share of a normal distribution within so many deviations


@dataclass(frozen=True)
class Band:
    """Shares of the events in each of k bins (k,), their errors (k,), and how far they differ.

    `generated` is the mean of the replicas, `generated_error` their spread: the uncertainty of one.
    `used` are the bins with at least 10 true events, and with an error of either.
    """

    edges: FloatArray
    truth: FloatArray
    truth_error: FloatArray
    generated: FloatArray
    generated_error: FloatArray
    used: NDArray[np.bool_]

    @property
    def pulls(self) -> FloatArray:
        """(E_gen - E_truth) / √(V_gen + V_truth) in the bins used.

        Source: Alanazi, Machine Learning-Based Event Generator, Old Dominion University 2022,
        eq. 29.
        """
        sigma = np.hypot(self.generated_error, self.truth_error)[self.used]
        result: FloatArray = (self.generated - self.truth)[self.used] / sigma
        return result

    @property
    def coverage(self) -> dict[float, float]:
        """The share of bins within one and two deviations, by what it should be."""
        size = np.abs(self.pulls)
        return {expected: float(np.mean(size < sigmas)) for expected, sigmas in SIGMAS.items()}


def pulls(
    truth: FloatArray, weight: FloatArray, replicas: Sequence[FloatArray], edges: FloatArray
) -> Band:
    """Compare the events of an ensemble's replicas, each (n,), with true ones (m,) of weights (m,).

    Raises:
        DataError: fewer than three replicas or one without events, a value or weight that is not
            finite, not a weight for each true value, weights whose sum is not positive, or no bin
            with 10 true events and an error.
    """
    for k, values in enumerate(replicas):
        _require_numbers(f"values of replica {k}", values)
    shares = [np.histogram(values, edges)[0] / len(values) for values in replicas]
    return pulls_of_shares(truth, weight, shares, edges)


def pulls_of_shares(
    truth: FloatArray, weight: FloatArray, shares: Sequence[FloatArray], edges: FloatArray
) -> Band:
    """Compare the shares of the events in each bin, (k,) of each replica, with true ones.

    Raises:
        DataError: see `pulls`.
    """
    if len(shares) < 3:
        raise DataError(f"{len(shares)} replicas have no spread worth the name; make ten")
    for name, values in (("true values", truth), ("weights", weight)):
        _require_numbers(name, values)
    if len(weight) != len(truth):
        raise DataError(f"pulls: {len(weight):,} weights for {len(truth):,} true values")
    total = weight.sum()
    if total <= 0:
        raise DataError(f"pulls: the weights sum to {total:g}; a share needs a positive sum")
    squared = np.square(weight / total)
    share, squares, counts = (
        np.histogram(truth, edges, weights=w)[0].astype(float)
        for w in (weight / total, squared, np.ones_like(weight))
    )
    # Of a share, not of a count: in one bin with all events there is no error.
    others = squared.sum() - squares
    variance = np.square(1 - share) * squares + np.square(share) * others
    truth_error = np.sqrt(np.where(counts < len(truth), variance, 0))
    generated_error = np.std(shares, axis=0, ddof=1)
    used = (counts >= MINIMUM_TRUTH_EVENTS) & (truth_error + generated_error > 0)
    if not used.any():
        raise DataError(
            f"no bin of {len(edges) - 1} holds {MINIMUM_TRUTH_EVENTS:g} true events and has an "
            "error; choose other edges"
        )
    return Band(
        edges=edges,
        truth=share,
        truth_error=truth_error,
        generated=np.mean(shares, axis=0),
        generated_error=generated_error,
        used=used,
    )


def _require_numbers(name: str, values: FloatArray) -> None:
    if len(values) == 0:
        raise DataError(f"pulls: no {name}")
    if bad := int((~np.isfinite(values)).sum()):
        raise DataError(f"pulls: {bad:,} {name} are not finite")
