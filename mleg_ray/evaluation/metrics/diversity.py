"""Whether generated events are as far from one another as true ones."""

import numpy as np

from mleg_ray.evaluation.metrics.base import ALL, Comparison, Metric
from mleg_ray.evaluation.metrics.memorisation import bootstrapped_medians, queries
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.classifiers import finite_features, scale
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputableError
from mleg_ray.evaluation.statistics.resampling import MINIMUM_EVENTS


def diversity(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return the median distance among generated events over that among as many true ones.

    Distances are Euclidean, to the nearest neighbour of the same sample, of features standardised
    on the truth, of at most 2000 random events each: « 1 of a generator that repeats itself. The
    floor is the ratio of the other half of the truth, 1 but for chance; neither more nor less is
    right.

    Raises:
        NotComputableError: tiny samples, values that are not finite, or so many equal true events
            that they are no distance apart.
    """
    truth, generated = comparison.truth, comparison.generated
    n = min(len(truth) // 2, len(generated))
    if n < MINIMUM_EVENTS:
        raise NotComputableError(
            f"there are {len(truth)} truth and {len(generated)} generated events; "
            f"{2 * MINIMUM_EVENTS} and {MINIMUM_EVENTS} are needed"
        )
    order = rng.permutation(len(truth))
    rows = {
        "truth": (truth, order[:n]),
        "other truth": (truth, order[n : 2 * n]),
        "generated": (generated, rng.choice(len(generated), n, replace=False)),
    }
    _, spread = scale(finite_features(truth))
    distances = {
        whose: _to_nearest(
            finite_features(sample, some) / spread,
            queries(sample.weight[some], sample.origin.name, rng),
        )
        for whose, (sample, some) in rows.items()
    }
    own = float(np.median(distances["truth"]))
    if own == 0:
        raise NotComputableError("at least half of the true events have an exact copy")
    medians = {whose: bootstrapped_medians(found, rng) for whose, found in distances.items()}
    ratio, other = (medians[whose] / medians["truth"] for whose in ("generated", "other truth"))
    estimate = Estimate(
        value=float(np.median(distances["generated"])) / own,
        uncertainty=float(np.std(ratio, ddof=1)),
        floor=float(np.median(distances["other truth"])) / own,
        floor_spread=float(np.std(other, ddof=1)),
        events=n,
        direction="equal",
    )
    return {ALL: estimate}


def _to_nearest(points: FloatArray, asking: np.ndarray) -> FloatArray:
    """Return the distances of some of the points (n, d) to their nearest neighbours."""
    from sklearn.neighbors import NearestNeighbors  # slow to import, see `boosted_trees`

    found, _ = NearestNeighbors().fit(points).kneighbors(points[asking], n_neighbors=2)
    nearest: FloatArray = found[:, 1]  # the first is the point itself
    return nearest


DIVERSITY = Metric(
    title="Diversity",
    meaning="distance among generated events over that among true ones; 1 at best",
    compute=diversity,
    effort=2,
)
