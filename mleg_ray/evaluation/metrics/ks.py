"""`ks`: the two-sample Kolmogorov-Smirnov distance of each observable."""

from functools import partial

import numpy as np

from mleg_ray.evaluation.metrics.base import Comparison, Metric, resampled
from mleg_ray.evaluation.statistics.distances import effective_size, ks_p_value, prepare_ks
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure
from mleg_ray.evaluation.statistics.resampling import per_observable

_distances = resampled(partial(per_observable, prepare=prepare_ks))


def kolmogorov_smirnov(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return `ks` of each observable with its p-value for the samples' effective sizes."""
    figures = dict(_distances(comparison, rng))
    samples = comparison.truth, comparison.generated
    for name in comparison.truth.numbers:
        # Objects of one event are not independent: Kolmogorov's limit is not theirs.
        if isinstance(figure := figures[name], Estimate):
            sizes = (figure.events * effective_size(s.weight) / len(s) for s in samples)
            p_value = ks_p_value(figure.value, *sizes)
            figures[name] = figure.model_copy(update={"p_value": p_value})
    return figures


KS = Metric(
    title="KS",
    meaning="largest difference of the two distribution functions",
    compute=kolmogorov_smirnov,
    effort=6,
)
