"""`w1`: the Wasserstein distance of each observable."""

from functools import partial

from mleg_ray.evaluation.metrics.base import Metric, resampled
from mleg_ray.evaluation.statistics.distances import prepare_w1
from mleg_ray.evaluation.statistics.resampling import per_observable

W1 = Metric(
    title="W₁",
    meaning="Wasserstein distance in units of the truth's standard deviation",
    compute=resampled(partial(per_observable, prepare=prepare_w1), averaged=True),
    effort=4,
)
