"""Classifier two-sample tests: what classifiers can tell about generated and true events.

D. Lopez-Paz, M. Oquab, arXiv:1610.06545; for event generators R. Das et al., arXiv:2305.16774.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.classifiers import Classification, Scored, classify
from mleg_ray.evaluation.statistics.distances import Statistic, effective_size
from mleg_ray.evaluation.statistics.estimate import Curve, Estimate, Figure

POINTS = 50
CALIBRATION_BINS = 20
WEIGHT_RANGE = (1e-2, 1e2)  # of the histogram; what lies outside enters its last bins
WEIGHT_BINS = 40
LARGE_WEIGHT, SMALL_WEIGHT = 5.0, 0.2


def auc_figures(classifications: Mapping[str, Classification]) -> dict[str, Figure]:
    """Return each classifier's area under the ROC curve, with the curve; 0.5 is its floor."""
    figures: dict[str, Figure] = {}
    for name, classification in classifications.items():
        area = area_under_roc(classification.test)
        figures[name] = Estimate(
            value=area.value,
            uncertainty=area.uncertainty,
            floor=0.5,
            floor_spread=area.null_spread,
            events=classification.events,
            curves={"roc": roc_curve(classification.test)},
        )
    return figures


def weight_figures(classifications: Mapping[str, Classification]) -> dict[str, Figure]:
    """Return each classifier's Jensen-Shannon divergence and the tails of its event weights.

    w = p(truth) / p(generated) is the weight that would turn a generated event into truth. Large
    weights mark phase space that is not filled, small ones events where there should be none;
    arXiv:2305.16774, sec. 2. The fractions of events with w > 5 and w < 0.2 are given for both
    samples; a classifier that sees no difference has none. The divergence, with the binary cross
    entropy of equal classes, is JSD = (ln 2 - BCE) / ln 2, 0 to 1.

    Scores are calibrated on the validation part (`calibrated`); the calibration curve is of test
    events.
    """
    figures: dict[str, Figure] = {}
    for name, classification in classifications.items():
        test = calibrated(classification)
        weight = np.exp(-test.score)
        tails = {
            f"w > {LARGE_WEIGHT:g}": weight > LARGE_WEIGHT,
            f"w < {SMALL_WEIGHT:g}": weight < SMALL_WEIGHT,
        }
        jsd = f"{name}, JSD"
        figures[jsd] = divergence(classification, test)
        curves = {"calibration": calibration_curve(test)}
        for whose, weights in (("truth", test.truth), ("generated", test.generated)):
            curves[f"weights, {whose}"] = weight_histogram(test.score, weights)
            for text, tail in tails.items():
                share = _tail_fraction(tail, weights, classification.events)
                figures[f"{name}, {text}, {whose}"] = share
        figures[jsd] = figures[jsd].model_copy(update={"curves": curves})
    return figures


def prepare_auc(scores: FloatArray) -> Statistic:
    """Prepare the area under the ROC curve: the chance that a generated event scores higher.

    Ties count one half: Σ_ij a_i b_j [s_i < s_j] + ½ [s_i = s_j] over Σa Σb.
    """
    values, group = np.unique(scores, return_inverse=True)

    def area(a: FloatArray, b: FloatArray) -> float:
        truth = np.bincount(group, a, minlength=len(values))
        generated = np.bincount(group, b, minlength=len(values))
        return float(_below(truth) @ generated / (truth.sum() * generated.sum()))

    return area


class Area(NamedTuple):
    """An area under the ROC curve, its standard deviation, and that of one that is ½."""

    value: float
    uncertainty: float
    null_spread: float


def area_under_roc(scored: Scored) -> Area:
    """Return the chance that a generated event scores higher than a true one, with its errors.

    Its variance is that of the mean, over the events of either sample, of the share of the other
    that each of them beats or loses to: E. DeLong et al., Biometrics 44 (1988) 837. A classifier
    that knows nothing has sqrt((n₁ + n₂ + 1) / 12 n₁ n₂), with the effective numbers of events.
    """
    values, group = np.unique(scored.score, return_inverse=True)
    truth, generated = (w / w.sum() for w in (scored.truth, scored.generated))
    t, g = (np.bincount(group, w, minlength=len(values)) for w in (truth, generated))
    beaten, lost = _below(t), 1 - _below(g)
    area = float(beaten @ g)
    variance = np.square(generated) @ np.square(beaten[group] - area)
    variance += np.square(truth) @ np.square(lost[group] - area)
    n_truth, n_generated = effective_size(scored.truth), effective_size(scored.generated)
    null = math.sqrt((n_truth + n_generated + 1) / (12 * n_truth * n_generated))
    return Area(area, math.sqrt(variance), null)


def _below(weights: NDArray[np.number]) -> FloatArray:
    """Return the weight below each of increasing scores, with half of that at it."""
    result: FloatArray = np.cumsum(weights) - weights / 2
    return result


def roc_curve(scored: Scored) -> Curve:
    """Return shares of truth (x) and generated events (y) above 50 thresholds, rising."""
    order = np.argsort(-scored.score)
    ends = np.flatnonzero(np.diff(scored.score[order], append=np.nan) != 0)
    x, y = (np.cumsum(w[order])[ends] / w.sum() for w in (scored.truth, scored.generated))
    # Thresholds that are equally far apart along the curve, however the scores crowd.
    along = (x + y) / 2
    chosen = np.searchsorted(along, np.linspace(0, 1, POINTS)[1:-1]).clip(max=len(ends) - 1)
    x, y = (np.concatenate([[0.0], values[np.unique(chosen)], [1.0]]) for values in (x, y))
    return Curve(x=tuple(x.round(5)), y=tuple(y.round(5)))


def calibrated(classification: Classification) -> Scored:
    """Return the test events with scores log p(generated) / p(truth), fitted on the validation."""
    slope, offset = calibration(classification.validation)
    test = classification.test
    return Scored(slope * test.score + offset, test.truth, test.generated)


def calibration(validation: Scored) -> tuple[float, float]:
    """Return the slope and offset that make scores log p(generated) / p(truth).

    Platt's a s + b, two parameters, rather than isotonic regression: the latter's outermost steps
    hold one class only, so the very weights in the tails would be 0 or infinite, and without a
    difference its steps would turn noise into weights. Targets are smoothed as by J. Platt (1999).
    """
    spread = float(validation.score.std())
    scale = spread if spread > 0 else 1.0
    s, a, b = validation.score / scale, np.abs(validation.truth), np.abs(validation.generated)
    # Both classes have the same prior probability, whatever their weights.
    n_truth, n_generated = np.count_nonzero(a), np.count_nonzero(b)
    weight = a / a.sum() + b / b.sum()
    target = np.where(b > 0, (n_generated + 1) / (n_generated + 2), 1 / (n_truth + 2))

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        logit = parameters[0] * s + parameters[1]
        value = weight @ (np.logaddexp(0, logit) - target * logit)
        slope = weight * (expit(logit) - target)
        return float(value), np.array([slope @ s, slope.sum()])

    slope, offset = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return float(slope) / scale, float(offset)


def divergence(classification: Classification, test: Scored) -> Estimate:
    """Return (ln 2 - BCE) / ln 2 of calibrated scores, a lower limit of the true divergence.

    Without a difference a calibration on n_s events gains nothing on n_q others but a number of
    spread 1 / sqrt(n_s n_q).
    """
    gain = np.where(test.truth != 0, -np.logaddexp(0, test.score), -np.logaddexp(0, -test.score))
    gain = 1 + gain / math.log(2)
    value, variance = 0.0, 0.0
    for weights in (test.truth, test.generated):
        w = weights / weights.sum() / 2
        mean = 2 * float(w @ gain)
        value += mean / 2
        variance += float(np.square(w) @ np.square(gain - mean))
    sizes = [
        effective_size(part.truth) + effective_size(part.generated)
        for part in (classification.validation, test)
    ]
    return Estimate(
        value=value,
        uncertainty=math.sqrt(variance),
        floor=0.0,
        floor_spread=1 / (math.log(2) * math.sqrt(sizes[0] * sizes[1])),
        events=classification.events,
    )


def calibration_curve(test: Scored) -> Curve:
    """Return the share of generated events (y) by the predicted one (x), in 20 equal bins.

    Bins with fewer than 10 events are left out.
    """
    p = expit(test.score)
    index = np.minimum((p * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    a, b = test.truth / test.truth.sum(), test.generated / test.generated.sum()
    events = np.bincount(index, minlength=CALIBRATION_BINS)
    truth, generated, predicted, size = (
        np.bincount(index, w, minlength=CALIBRATION_BINS)
        for w in (a, b, p * np.abs(a + b), np.abs(a + b))
    )
    filled = (events >= 10) & (truth + generated > 0)
    share = generated[filled] / (truth + generated)[filled]
    error = np.sqrt(np.clip(share * (1 - share), 0, None) / events[filled])
    x = predicted[filled] / size[filled]
    return Curve(x=tuple(x.round(5)), y=tuple(share.round(5)), error=tuple(error.round(5)))


def weight_histogram(score: FloatArray, weights: FloatArray) -> Curve:
    """Return the share of a sample's events (y) by log₁₀ w (x, bin centres), with errors."""
    low, high = np.log10(WEIGHT_RANGE)
    position = (-score / math.log(10) - low) / (high - low) * WEIGHT_BINS
    index = np.clip(position, 0, WEIGHT_BINS - 1).astype(int)
    share = np.bincount(index, weights, minlength=WEIGHT_BINS) / weights.sum()
    error = np.sqrt(np.bincount(index, np.square(weights), minlength=WEIGHT_BINS)) / weights.sum()
    centres = low + (np.arange(WEIGHT_BINS) + 0.5) * (high - low) / WEIGHT_BINS
    return Curve(x=tuple(centres.round(5)), y=tuple(share.round(7)), error=tuple(error.round(7)))


def _tail_fraction(tail: np.ndarray, weights: FloatArray, events: int) -> Estimate:
    """Return the share of a sample's events in a tail; at least one event's worth is uncertain."""
    total = weights.sum()
    one_event = float(weights @ weights) / total**2
    share = float(weights[tail].sum() / total)
    variance = float(np.square(weights[tail]).sum()) / total**2
    return Estimate(
        value=share,
        uncertainty=max(math.sqrt(variance), one_event),
        floor=0.0,
        floor_spread=one_event,
        events=events,
    )


def classifications(comparison: Comparison) -> Mapping[str, Classification]:
    """Return the trained classifiers by name: the costly part of both metrics."""
    return comparison.shared(
        "classifiers",
        lambda rng: classify(
            comparison.truth,
            comparison.generated,
            rng,
            comparison.classifiers,
            progress=comparison.progress,
        ),
    )


AUC = Metric(
    title="Classifier test, AUC",
    meaning="area under the ROC curve of a classifier of generated and true events; 0.5 at best",
    headline="By {subject}; 0.5: cannot be told apart.",
    compute=lambda comparison, rng: auc_figures(classifications(comparison)),
    effort=24,
)
WEIGHTS = Metric(
    title="Classifier weights",
    meaning="divergence, and shares of events whose weight p(truth) / p(generated) is in a tail",
    compute=lambda comparison, rng: weight_figures(classifications(comparison)),
)
