"""Divergences of samples and widths at half maximum, after M. S. Albergo's dissertation (2018).

Neither bins nor range of its histograms is told, nor how it finds a width: what stands here is
ours. Divergences are above zero by chance, so each is to be read beside that of two true samples.
"""

import numpy as np
from numpy.typing import NDArray

BINS = 100
EPSILON = 1e-5  # added to each bin's probability, as the dissertation does it for images
SIZE = 10_000  # events of a draw
KERNEL = 0.15  # the kernel's width over that of the sample
RESAMPLES = 100

Array = NDArray[np.float64]


def divergence(truth: Array, generated: Array) -> float:
    """Return Σ p ln(p/q) of the histograms of a true (n,) and a generated sample (m,).

    They have `BINS` equal bins over the truth's range; what lies beyond is in the outermost.
    """
    edges = np.linspace(truth.min(), truth.max(), BINS + 1)
    p, q = (
        np.histogram(x.clip(edges[0], edges[-1]), edges)[0] / len(x) + EPSILON
        for x in (truth, generated)
    )
    return float((p * np.log(p / q)).sum())


def mean_divergence(truth: Array, generated: Array) -> float:
    """Return the mean divergence over draws of `SIZE` events, or one of all if there are fewer.

    The draws are the samples' own parts, (n,) each.
    """
    draws = max(1, len(truth) // SIZE)
    parts = zip(np.array_split(truth, draws), np.array_split(generated, draws), strict=True)
    return float(np.mean([divergence(*both) for both in parts]))


def fwhm(values: Array, rng: np.random.Generator) -> tuple[float, float]:
    """Return the full width at half maximum of a sample (n,), and its bootstrap error.

    It is that of a Gaussian kernel's estimate of the density, whose width is `KERNEL` times the
    sample's, the interquartile range over 1.349: 1.1% more than a Gaussian's own.
    """
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    sigma = (high - low) / 1.349
    edges = middle + sigma * np.linspace(-6, 6, 1201)
    step = edges[1] - edges[0]
    counts, _ = np.histogram(values, edges)
    at = np.arange(-60, 61) * step  # ± 4 deviations
    kernel = np.exp(-((at / (KERNEL * sigma)) ** 2) / 2)

    def width(weights: NDArray[np.integer]) -> float:
        density = np.convolve(weights, kernel, mode="same")
        above = np.flatnonzero(density >= density.max() / 2)
        ends = _crossing(density, above[-1], 1) - _crossing(density, above[0], -1)
        return float(ends * step)

    share = counts / counts.sum()
    again = [width(rng.multinomial(counts.sum(), share)) for _ in range(RESAMPLES)]
    return width(counts), float(np.std(again, ddof=1))


def _crossing(density: Array, inside: int, outward: int) -> float:
    """Return where, in bins, a density falls to half its maximum on the way out of `inside`."""
    half, y = density.max() / 2, density[inside]
    return float(inside + outward * (y - half) / (y - density[inside + outward]))
