"""Pulls: whether an ensemble's error bars cover the truth."""

from dataclasses import dataclass

import numpy as np

from mleg_ray.evaluation.distances import FloatArray
from mleg_ray.evaluation.estimate import NotComputableError
from mleg_ray.evaluation.histograms import Histogram


@dataclass(frozen=True)
class Pulls:
    """Pulls by bin (bins,), NaN where neither side varies, and the shares within 1 and 1.96.

    Honest uncertainties give a coverage of 0.68 and 0.95.
    """

    pull: FloatArray
    coverage_68: float
    coverage_95: float


def pulls(truth: Histogram, ensemble: FloatArray) -> Pulls:
    """Return (E_gen - E_truth) / sqrt(V_gen + V_truth) by bin; Y. Alanazi, thesis, eq. 29.

    Args:
        truth: weights and variances (bins,); it is normalised to one.
        ensemble: histograms (replicas, bins) of generators that were trained on bootstrap replicas
            of the training events; each is normalised to one. V_gen is their variance.

    Raises:
        NotComputableError: fewer than two replicas, or a histogram without weight.
    """
    totals = ensemble.sum(axis=1, keepdims=True)
    if len(ensemble) < 2:
        raise NotComputableError(f"there are {len(ensemble)} replicas; 2 are needed")
    if truth.weight.sum() <= 0 or (totals <= 0).any():
        raise NotComputableError("a histogram's weights do not sum to a positive number")
    shares = ensemble / totals
    variance = shares.var(axis=0, ddof=1) + truth.variance / truth.weight.sum() ** 2
    if not (variance > 0).any():
        raise NotComputableError("no bin has an uncertainty")
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (shares.mean(axis=0) - truth.density) / np.sqrt(variance)
    size = np.abs(pull[variance > 0])
    return Pulls(
        np.where(variance > 0, pull, np.nan),
        coverage_68=float(np.mean(size <= 1)),
        coverage_95=float(np.mean(size <= 1.96)),
    )
