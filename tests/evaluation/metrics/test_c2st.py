import math

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score

from mleg_ray.evaluation.metrics.c2st import (
    auc_figures,
    calibrated,
    calibration_curve,
    prepare_auc,
    roc_curve,
    weight_figures,
)
from mleg_ray.evaluation.statistics.classifiers import Classification, Scored

SHIFT = 2.0


def scored(n: int, seed: int, distortion: float = 1.0, shift: float = SHIFT) -> Scored:
    """Unit Gaussians a `shift` apart; the true log p(generated) / p(truth) times `distortion`."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(0, 1, n), rng.normal(shift, 1, n)])
    return Scored(
        distortion * (shift * x - shift**2 / 2), np.repeat([1.0, 0], n), np.repeat([0.0, 1], n)
    )


def classification(distortion: float, shift: float = SHIFT) -> Classification:
    parts = (scored(20_000, seed, distortion, shift) for seed in (1, 2))
    return Classification(*parts, events=100_000)


def test_area_is_sklearns_with_weights_and_ties():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 1000)
    scores = np.round(rng.normal(size=1000) + label, 1)
    weights = rng.uniform(0.5, 2, 1000)
    area = prepare_auc(scores)(weights * (label == 0), weights * (label == 1))
    assert area == pytest.approx(roc_auc_score(label, scores, sample_weight=weights))


def test_gaussians_have_their_analytic_area_and_curve():
    """AUC = Φ(δ/√2), and the true positive rate is Φ(δ + Φ⁻¹(false positive rate))."""
    figures = auc_figures({"c": classification(1)}, np.random.default_rng(0))
    expected = stats.norm.cdf(SHIFT / math.sqrt(2))
    assert figures["c"].value == pytest.approx(expected, abs=4 * figures["c"].uncertainty)
    curve = figures["c"].curves["roc"]
    assert 40 <= len(curve.x) <= 50
    assert curve.y == pytest.approx(stats.norm.cdf(SHIFT + stats.norm.ppf(curve.x)), abs=0.03)


def test_roc_of_equal_scores_is_the_diagonal():
    flat = Scored(np.zeros(4), np.array([1.0, 1, 0, 0]), np.array([0.0, 0, 1, 1]))
    assert roc_curve(flat).x == roc_curve(flat).y == (0, 1, 1)


@pytest.mark.parametrize("distortion", [1, 3, 0.1])
class TestCalibration:
    def test_over_and_underconfidence_are_undone(self, distortion):
        test = calibrated(classification(distortion))
        assert test.score == pytest.approx(scored(20_000, 2).score, abs=0.25)
        curve = calibration_curve(test)
        assert np.abs(np.subtract(curve.x, curve.y)).max() < 5 * max(curve.error)

    def test_divergence_and_tails_are_analytic(self, distortion):
        """JSD by numerical integration; w > 5 where x < δ/2 - ln 5 / δ."""
        figures = weight_figures({"c": classification(distortion)})
        p, q = stats.norm(0, 1).pdf, stats.norm(SHIFT, 1).pdf

        def integrand(x: float) -> float:
            middle = (p(x) + q(x)) / 2
            return (p(x) * math.log2(p(x) / middle) + q(x) * math.log2(q(x) / middle)) / 2

        divergence, _ = integrate.quad(integrand, -8, 10)
        jsd = figures["c, JSD"]
        assert jsd.value == pytest.approx(divergence, abs=4 * jsd.uncertainty)
        edge = SHIFT / 2 - math.log(5) / SHIFT
        assert figures["c, w > 5, truth"].value == pytest.approx(stats.norm.cdf(edge), abs=0.02)
        assert figures["c, w > 5, generated"].value == pytest.approx(
            stats.norm.cdf(edge - SHIFT), abs=0.01
        )
        assert figures["c, w < 0.2, generated"].value == pytest.approx(
            figures["c, w > 5, truth"].value, abs=0.02
        )
        histogram = jsd.curves["weights, truth"]
        assert sum(histogram.y) == pytest.approx(1, abs=1e-5)


def test_scores_that_know_nothing_give_weights_of_one():
    rng = np.random.default_rng(0)
    parts = []
    for _ in range(2):
        label = rng.uniform(size=4000) < 0.5
        parts.append(Scored(rng.normal(size=4000), 1.0 * ~label, 1.0 * label))
    figures = weight_figures({"c": Classification(*parts, events=10_000)})
    assert {figure.verdict for figure in figures.values()} == {"at the floor"}
    assert figures["c, w > 5, truth"].value == 0


def test_separable_scores_stay_finite():
    label = np.arange(2000) % 2 == 1
    part = Scored(np.where(label, 50.0, -50.0), 1.0 * ~label, 1.0 * label)
    figures = weight_figures({"c": Classification(part, part, events=5000)})
    assert figures["c, JSD"].value == pytest.approx(1, abs=0.01)
    assert figures["c, w < 0.2, generated"].value == 1
