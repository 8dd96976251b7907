"""`ks`: the two-sample Kolmogorov-Smirnov distance of each observable."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from mleg_ray.evaluation.comparison import Comparison
from mleg_ray.evaluation.metrics.base import Metric, resampled
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.distances import effective_size, ks_p_value, prepare_ks
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure
from mleg_ray.evaluation.statistics.resampling import per_observable

_distances = resampled(partial(per_observable, prepare=prepare_ks))


def kolmogorov_smirnov(comparison: Comparison, rng: np.random.Generator) -> Mapping[str, Figure]:
    """Return `ks` of each observable with its p-value for the samples' effective sizes."""
    truth, generated = comparison.truth, comparison.generated
    numbers = truth.numbers
    return {
        # Objects of one event are not independent: Kolmogorov's limit is not theirs.
        name: _with_p_value(figure, truth, generated) if name in numbers else figure
        for name, figure in _distances(comparison, rng).items()
    }


def _with_p_value(figure: Figure, truth: EventSample, generated: EventSample) -> Figure:
    if not isinstance(figure, Estimate):
        return figure
    sizes = (figure.events * effective_size(s.weight) / len(s) for s in (truth, generated))
    return figure.model_copy(update={"p_value": ks_p_value(figure.value, *sizes)})


KS = Metric(
    title="KS",
    meaning="largest difference of the two distribution functions",
    compute=kolmogorov_smirnov,
)
