"""`cell_spectrum`: how the energies of single cells are distributed."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.metrics.histograms import separation_power
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.samples.images import Images
from mleg_ray.evaluation.statistics.binning import INNER_BINS, percentile_range
from mleg_ray.evaluation.statistics.distances import Statistic
from mleg_ray.evaluation.statistics.estimate import Figure, NotComputableError
from mleg_ray.evaluation.statistics.resampling import PooledSample, estimates


def cells_in_bins(images: Images, edges: FloatArray) -> csr_array[np.float64]:
    """Count the cells of each event below, between and above edges, (n, len(edges) + 1).

    Empty cells do not count.
    """
    index = np.searchsorted(edges, images.cells.data, side="right")
    ones = np.ones(len(index))
    shape = (len(images), len(edges) + 1)
    return csr_array((ones, (images.owner, index)), shape=shape)


def spectrum_edges(images: Images, weights: FloatArray) -> FloatArray:
    """Return edges of 100 logarithmic bins, between the 0.1 and 99.9 percentiles of lit cells.

    Raises:
        NotComputableError: no cell is lit in events of these weights (n,), or all alike.
    """
    if not weights[images.owner].any():
        raise NotComputableError("no cell of the truth is above the threshold")
    low, high = percentile_range(images.cells.data.astype(np.float64), weights[images.owner])
    return np.geomspace(low, high, INNER_BINS + 1)


def prepare_spectrum(pooled: PooledSample, name: str) -> Statistic:
    """Prepare the separation power of the spectra of cells above the image's threshold.

    Raises:
        NotComputableError: see `PooledSample.images` and `spectrum_edges`.
    """
    images = pooled.images(name).above(pooled.definitions.threshold(name))
    counts = cells_in_bins(images, spectrum_edges(images, pooled.whole_truth))

    def statistic(a: FloatArray, b: FloatArray) -> float:
        truth, generated = (
            Histogram(np.asarray(w @ counts), np.asarray(w**2 @ counts)) for w in (a, b)
        )
        return separation_power(truth, generated)

    return statistic


def _compute(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
    if not comparison.images:
        return {}
    pooled = comparison.pooled(rng)
    subjects = {name: partial(prepare_spectrum, pooled, name) for name in comparison.images}
    [figures] = estimates(pooled, subjects, rng)
    return figures


CELL_SPECTRUM = Metric(
    title="Cell energies",
    meaning="separation power of the spectra of cells above the threshold, 0 to 1",
    compute=_compute,
)
