"""`row_moments`, `symmetry`, `kl_mean_image`: what the mean of many images tells.

The mean image is blind to what single events look like: whatever is moved from event to event
within each cell leaves it as it is. So these say where energy lies on average, and no more.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from mleg_ray.evaluation.metrics.base import Comparison, Metric, directed
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.distances import JointStatistic
from mleg_ray.evaluation.statistics.estimate import Figure
from mleg_ray.evaluation.statistics.resampling import PooledSample, estimates

EPSILON = 1e-5  # of the dissertation, added to each cell's share


def kl_mean_image(truth: FloatArray, generated: FloatArray) -> float:
    """Σ p ln(p / q) of two mean images of any shape, p and q their cells' shares plus 1e-5.

    M. S. Albergo, dissertation (2018), app. A.1, whose sign is a misprint: p is the truth, and the
    sum is not negative. It depends on the 1e-5.
    """
    p, q = (np.clip(mean, 0, None) / np.clip(mean, 0, None).sum() for mean in (truth, generated))
    p, q = p + EPSILON, q + EPSILON
    return float(np.sum(p * np.log(p / q)))


def row_moments(mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return <x> and √(<x²> - <x>²) of each row, in cells; positions count from the middle.

    Of a mean image (*layers, rows, columns) these have the shape (*layers, rows). Of a row without
    energy both are zero. They are the means and spreads of M. S. Albergo, dissertation (2018),
    ch. 4.2.
    """
    x = np.arange(mean.shape[-1]) - (mean.shape[-1] - 1) / 2
    energy = mean.sum(axis=-1)
    whole = np.where(energy == 0, 1.0, energy)
    first, second = mean @ x / whole, mean @ x**2 / whole
    spread: FloatArray = np.sqrt(np.clip(second - first**2, 0, None))
    return first, spread


def row_differences(truth: FloatArray, generated: FloatArray) -> list[float]:
    """Return how far <x> and the spread of rows are from the truth's, in cells.

    Both are root mean squares over rows, which count by the truth's energy.
    """
    share = truth.sum(axis=-1) / truth.sum()
    pairs = zip(row_moments(truth), row_moments(generated), strict=True)
    return [float(np.sqrt(max(np.sum(share * np.square(g - t)), 0.0))) for t, g in pairs]


def symmetrised(mean: FloatArray) -> FloatArray:
    """Return the average of an image over the symmetries of its last two axes.

    Of a square these are eight, four rotations and their reflections; else four.
    """
    turns = range(4) if mean.shape[-2] == mean.shape[-1] else (0, 2)
    turned = [np.rot90(mean, turn, axes=(-2, -1)) for turn in turns]
    copies = [*turned, *(np.flip(copy, axis=-1) for copy in turned)]
    average: FloatArray = np.mean(copies, axis=0)
    return average


def asymmetry(mean: FloatArray) -> float:
    """½ Σ |m - m̄| / Σ m, m̄ the average over symmetries: the share that is not where they want it.

    It is 0 of a symmetric image and below 1; statistics alone makes it larger than 0.
    """
    return float(np.abs(mean - symmetrised(mean)).sum() / 2 / mean.sum())


def prepare_mean_images(pooled: PooledSample, name: str) -> JointStatistic:
    """Prepare the figures of the mean images, in the order of `FIGURES`.

    Raises:
        NotComputableError: see `PooledSample.images`.
    """
    images = pooled.images(name)

    def statistic(a: FloatArray, b: FloatArray) -> FloatArray:
        truth, generated = images.mean(a), images.mean(b)
        return np.array(
            [
                kl_mean_image(truth, generated),
                *row_differences(truth, generated),
                asymmetry(generated),
                asymmetry(images.mean(b, power=2)),
            ]
        )

    return statistic


FIGURES = (
    ("kl_mean_image", ""),
    ("row_moments", ", mean"),
    ("row_moments", ", spread"),
    ("symmetry", ", mean"),
    ("symmetry", ", mean square"),
)


def _of_mean_images(comparison: Comparison) -> Mapping[str, dict[str, Figure]]:
    """Return the figures of all these metrics: they share the mean images of resamples."""

    def compute(rng: np.random.Generator) -> dict[str, dict[str, Figure]]:
        pooled = comparison.pooled(rng)
        subjects = {name: partial(prepare_mean_images, pooled, name) for name in comparison.images}
        found: dict[str, dict[str, Figure]] = {metric: {} for metric, _ in FIGURES}
        for (metric, of), figures in zip(
            FIGURES, estimates(pooled, subjects, rng, figures=len(FIGURES)), strict=True
        ):
            found[metric] |= {f"{name}{of}": figure for name, figure in figures.items()}
        return found

    return comparison.shared("mean images", compute)


def _metric(name: str, title: str, meaning: str, *, equal: bool = False) -> Metric:
    def compute(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
        if not comparison.images:
            return {}
        figures = _of_mean_images(comparison)[name]
        return directed(figures, "equal") if equal else figures

    return Metric(title=title, meaning=meaning, compute=compute)


ROW_MOMENTS = _metric(
    "row_moments",
    "Rows of the mean image",
    "difference of their means and spreads, in cells, weighted with energy",
)
SYMMETRY = _metric(
    "symmetry",
    "Asymmetry",
    "share of the mean image that breaks the symmetries of a square; the truth's is right",
    equal=True,
)
KL_MEAN_IMAGE = _metric(
    "kl_mean_image",
    "KL of mean images",
    "Kullback-Leibler divergence of the mean images, in nats; blind to single events",
)
