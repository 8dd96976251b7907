"""`mode_coverage`, `good_share`: whether a generator makes all modes of a mixture, and them alone.

Only a toy's density tells its modes, so these metrics are made of one:

>>> import numpy as np
>>> from mleg_ray.catalog.sources.densities import Gaussian, Gaussians
>>> from mleg_ray.evaluation import scorecard
>>> first = Gaussian(share=0.7, mean=(5,), sigma=0.8)
>>> two = Gaussians(modes=(first, Gaussian(share=0.3, mean=(-4,), sigma=1)))
>>> rng = np.random.default_rng(0)
>>> truth, collapsed = two.sample(rng, 2000), {"x": rng.normal(5, 0.8, 1000)}
>>> card = scorecard(truth, collapsed, metrics=mode_metrics(two))
>>> card.figures["mode_coverage"]["all"].value
0.5
>>> round(card.figures["good_share"]["3 σ"].value, 1)
1.0
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.sources.densities import Mixture, Modes
from mleg_ray.evaluation.metrics.base import ALL, Comparison, Metric, directed, resampled
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.distances import Statistic
from mleg_ray.evaluation.statistics.estimate import Figure
from mleg_ray.evaluation.statistics.resampling import PooledSample, Subjects

GOOD = (3.0, 4.0)  # widths of the nearest mode within which an event is good
COVERED = 0.2  # of the share that a mode should have


def nearest_mode(points: FloatArray, modes: Modes) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the mode (n,) nearest to each of the points (n, d), and its distance in widths."""
    away = points[:, None, :] - modes.mean
    distance = np.linalg.norm(away, axis=2) / modes.sigma
    nearest = distance.argmin(axis=1)
    return nearest, distance[np.arange(len(points)), nearest]


def mode_metrics(density: Mixture) -> dict[str, Metric]:
    """Make both metrics of a mixture of few Gaussians.

    `good_share` is the share of events within 3, and within 4, widths of the nearest mode.
    `mode_coverage` is the share of modes that have at least a fifth of the events that they should,
    counting those within 3 widths. More is better of both.
    """
    modes, names = density.mixed(), [field.name for field in density.fields()]

    def prepared(pooled: PooledSample) -> tuple[NDArray[np.intp], FloatArray]:
        return nearest_mode(np.stack([pooled.column(name) for name in names], axis=1), modes)

    def good(pooled: PooledSample, widths: float) -> Statistic:
        _, distance = prepared(pooled)
        return lambda a, b: float(b[distance <= widths].sum() / b.sum())

    def coverage(pooled: PooledSample) -> Statistic:
        nearest, distance = prepared(pooled)
        inside = distance <= GOOD[0]

        def statistic(a: FloatArray, b: FloatArray) -> float:
            share = np.bincount(nearest, b * inside, len(modes.share)) / b.sum()
            return float(np.mean(share >= COVERED * modes.share))

        return statistic

    def goods(pooled: PooledSample) -> Subjects:
        return {f"{widths:g} σ": partial(good, pooled, widths) for widths in GOOD}

    def covered(pooled: PooledSample) -> Subjects:
        return {ALL: partial(coverage, pooled)}

    def metric(title: str, meaning: str, subjects: Callable[[PooledSample], Subjects]) -> Metric:
        def compute(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
            return directed(resampled(subjects)(comparison, rng), "higher")

        return Metric(title=title, meaning=meaning, compute=compute)

    return {
        "mode_coverage": metric(
            "Modes covered", "share of modes with a fifth of their events or more", covered
        ),
        "good_share": metric(
            "Good events", "share of events within some widths of the nearest mode", goods
        ),
    }
