"""How likely deviations from exact numbers are."""

import numpy as np
from scipy.stats import chi2

LIKELY = 1e-3  # what a test of the right numbers says once in a thousand seeds


def p_value(deviations: np.ndarray) -> float:
    """p of deviations (n, d) whose expectation is zero: n events, weighted or not, d numbers each.

    Their mean m has the covariance C/n, of the deviations' own covariance C: n m·C⁻¹m is a χ² of d
    degrees of freedom (Hotelling).
    """
    mean = deviations.mean(axis=0)
    covariance = np.atleast_2d(np.cov(deviations, rowvar=False))
    statistic = len(deviations) * mean @ np.linalg.solve(covariance, mean)
    return float(chi2.sf(statistic, deviations.shape[1]))
