"""Whether generated events are copies of training events."""

import numpy as np

from mleg_ray.evaluation.metrics.base import ALL, Comparison, Metric
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.classifiers import finite_features, scale
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputableError
from mleg_ray.evaluation.statistics.resampling import MINIMUM_EVENTS, RESAMPLES

QUERIES = 2000


def memorisation(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """Return the median distance of generated to training events over that among the latter.

    Euclidean distances to the nearest neighbour, features standardised on the training events:
    ~1 is healthy, « 1 means copies, and higher is better. At most 2000 random events of each sample
    ask for their neighbour among all training events, drawn in proportion to |w|; `events` is their
    number. The floor is the same ratio for truth events, which nobody trained on.

    Raises:
        NotComputableError: training events that are not known, tiny samples, values that are not
            finite, or so many repeated training events that they are no distance apart.
    """
    from sklearn.neighbors import NearestNeighbors  # slow to import, see `boosted_trees`

    if comparison.training is None:
        raise NotComputableError("the truth's data are not known to have trained it")
    samples = {
        "training": comparison.training,
        "generated": comparison.generated,
        "truth": comparison.truth,
    }
    for whose, sample in samples.items():
        if len(sample) < MINIMUM_EVENTS:
            raise NotComputableError(
                f"there are {len(sample)} {whose} events; {MINIMUM_EVENTS} are needed"
            )
    features = {whose: finite_features(sample) for whose, sample in samples.items()}
    _, spread = scale(features["training"])
    neighbours = NearestNeighbors().fit(features["training"] / spread)
    distances = {}
    for whose, sample in samples.items():
        asking = queries(sample.weight, sample.origin.name, rng)
        # A training event's nearest neighbour is itself.
        rank = 2 if whose == "training" else 1
        found, _ = neighbours.kneighbors(features[whose][asking] / spread, n_neighbors=rank)
        distances[whose] = found[:, -1]
    own = float(np.median(distances["training"]))
    if own == 0:
        raise NotComputableError("at least half of the training events have an exact copy there")
    medians = {whose: bootstrapped_medians(d, rng) for whose, d in distances.items()}
    estimate = Estimate(
        value=float(np.median(distances["generated"])) / own,
        uncertainty=float(np.std(medians["generated"] / medians["training"], ddof=1)),
        floor=float(np.median(distances["truth"])) / own,
        floor_spread=float(np.std(medians["truth"] / medians["training"], ddof=1)),
        events=len(distances["generated"]),
        direction="higher",
    )
    return {ALL: estimate}


def queries(weight: FloatArray, whose: str, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of at most 2000 random events of weights (n,), drawn in proportion to |w|.

    Raises:
        NotComputableError: the weights leave fewer than 50.
    """
    size = np.abs(weight)
    present = int(np.count_nonzero(size))
    if present < MINIMUM_EVENTS:
        raise NotComputableError(f"the weights of {whose} leave {present} events")
    n = min(QUERIES, present)
    return rng.choice(len(weight), n, replace=False, p=size / size.sum())


def bootstrapped_medians(values: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the medians of 200 resamples of values (n,), none zero."""
    medians: FloatArray = np.median(rng.choice(values, (RESAMPLES, len(values))), axis=1)
    return np.maximum(medians, np.finfo(np.float64).tiny)


MEMORISATION = Metric(
    title="Memorisation",
    meaning="distance to training events over that among them; 1 at best",
    compute=memorisation,
    effort=2,
)
