"""Classifier two-sample tests: what a classifier can tell about generated and true events."""

import math

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no stubs

from mleg_ray.evaluation.distances import FloatArray, Statistic, effective_size
from mleg_ray.evaluation.estimate import Estimate, NotComputableError
from mleg_ray.evaluation.resampling import RESAMPLES, require_weight
from mleg_ray.evaluation.sample import Sample

MINIMUM_EVENTS = 500
QUOTED = 0.2  # of the events; 60% train, 20% stop the training early


def boosted_trees_auc(truth: Sample, generated: Sample, rng: np.random.Generator) -> Estimate:
    """Area under the ROC curve of gradient-boosted trees on events they were not trained on.

    Equal numbers of events, split 60/20/20 into training, early stopping and quotation; features
    are all compared columns, standardised on the truth. 0.5 means that the samples cannot be told
    apart; the floor's spread is that of a classifier that knows nothing, sqrt((n₁ + n₂ + 1) /
    12 n₁ n₂) with the effective numbers of quoted events. D. Lopez-Paz, M. Oquab,
    arXiv:1610.06545; for event generators C. Krause, D. Shih, arXiv:2305.16774.

    The trees see absolute weights, as a density they can learn; the quoted area counts signed ones.

    Raises:
        NotComputableError: too few events, a value is not finite, or the weights cancel.
    """
    n = min(len(truth), len(generated))
    if n < MINIMUM_EVENTS:
        raise NotComputableError(
            f"there are {len(truth)} truth and {len(generated)} generated events; "
            f"{MINIMUM_EVENTS} of each are needed"
        )
    quoted = round(QUOTED * n)
    classes = [_drawn(sample, n, rng) for sample in (truth, generated)]
    features = np.concatenate([features for features, _ in classes])
    features = _standardised(features, list(truth.axes), n)
    weights = np.concatenate([weight for _, weight in classes])
    label = np.repeat([0, 1], n)
    is_quoted = np.tile(np.arange(n) < quoted, 2)

    trees = HistGradientBoostingClassifier(
        max_iter=300,
        early_stopping=True,
        validation_fraction=0.2 / (1 - QUOTED),
        random_state=int(rng.integers(2**31)),
    )
    # On few cores more threads gain nothing here, and on a busy machine their spinning at barriers
    # takes thirty times as long.
    with threadpool_limits(1):
        trees.fit(features[~is_quoted], label[~is_quoted], np.abs(weights[~is_quoted]))
        scores = trees.decision_function(features[is_quoted])

    is_generated = label[is_quoted] == 1
    a = np.where(is_generated, 0.0, weights[is_quoted])
    b = np.where(is_generated, weights[is_quoted], 0.0)
    require_weight("quoted truth", a)
    require_weight("quoted generated", b)
    area = prepare_auc(scores)
    resampled = [area(a * k, b * k) for k in rng.poisson(1.0, (RESAMPLES, len(a)))]
    n_truth, n_generated = effective_size(a), effective_size(b)
    return Estimate(
        value=area(a, b),
        uncertainty=float(np.std(resampled, ddof=1)),
        floor=0.5,
        floor_spread=math.sqrt((n_truth + n_generated + 1) / (12 * n_truth * n_generated)),
        events=n,
    )


def prepare_auc(scores: FloatArray) -> Statistic:
    """Prepare the area under the ROC curve: the chance that a generated event scores higher.

    Ties count one half: Σ_ij a_i b_j [s_i < s_j] + ½ [s_i = s_j] over Σa Σb.
    """
    values, group = np.unique(scores, return_inverse=True)

    def area(a: FloatArray, b: FloatArray) -> float:
        truth = np.bincount(group, a, minlength=len(values))
        generated = np.bincount(group, b, minlength=len(values))
        below = np.cumsum(truth) - truth / 2
        return float(below @ generated / (truth.sum() * generated.sum()))

    return area


def _drawn(sample: Sample, n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Return features (n, d) and weights (n,), of mean absolute value 1, of n random events."""
    rows = rng.choice(len(sample), n, replace=False)
    weight = sample.weight[rows]
    size = np.abs(weight).mean()
    if size == 0:
        raise NotComputableError(f"all weights of {sample.origin.name} are zero")
    return np.stack([column[rows] for column in sample.columns.values()], axis=1), weight / size


def _standardised(features: FloatArray, names: list[str], n_truth: int) -> FloatArray:
    bad = ~np.isfinite(features).all(axis=0)
    if bad.any():
        raise NotComputableError(f"values of {names[int(np.argmax(bad))]} are not finite")
    truth = features[:n_truth]
    spread = truth.std(axis=0)
    result: FloatArray = (features - truth.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return result
