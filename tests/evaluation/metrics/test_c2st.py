import math

import numpy as np
import pytest
from scipy import integrate, stats
from sklearn.metrics import roc_auc_score

from mleg_ray.evaluation.metrics.c2st import (
    area_under_roc,
    auc_figures,
    calibrated,
    calibration,
    calibration_curve,
    divergence,
    prepare_auc,
    roc_curve,
    weight_figures,
    weight_histogram,
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


SCORES = np.array([0.0, 1, 1, 1, 2])
TRUE, MADE = np.array([1.0, 2, 1, 0, 0]), np.array([0.0, 0, 0, 3, 1])


def test_area_by_hand():
    """The generated event at 1 beats a weight of 1 and ties with 3, that at 2 beats all 4."""
    assert prepare_auc(SCORES)(TRUE, MADE) == pytest.approx((3 * (1 + 3 / 2) + 1 * 4) / (4 * 4))
    ones = (TRUE > 0).astype(float), (MADE > 0).astype(float)
    assert prepare_auc(SCORES)(*ones) == pytest.approx((1 + 2 / 2 + 3) / (3 * 2))


def test_floor_of_the_area_by_hand():
    """Effective sizes are 4²/6 and 4²/10 of these, a hundred times over."""
    test = Scored(*(np.tile(values, 100) for values in (SCORES, TRUE, MADE)))
    [figure] = auc_figures({"c": Classification(test, test, events=9)}).values()
    assert (figure.value, figure.floor) == (pytest.approx(11.5 / 16), 0.5)
    a, b = 100 * 16 / 6, 100 * 16 / 10
    assert figure.floor_spread == pytest.approx(math.sqrt((a + b + 1) / (12 * a * b)))


def test_spread_of_the_area():
    """Of weighted events of few scores: what DeLong's formula says is what new samples show."""
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(400):
        score = np.concatenate([rng.normal(0, 1, 300), rng.normal(1, 2, 200)]).round(1)
        heavy = rng.choice([0.5, 1.0, 3.0], 500)
        true = np.arange(500) < 300
        areas.append(area_under_roc(Scored(score, heavy * true, heavy * ~true)))
    value, uncertainty, null = np.transpose(areas)
    assert uncertainty.mean() == pytest.approx(value.std(ddof=1), rel=0.08)
    # Φ(1 / √(1 + 4)) of normal distributions of these widths.
    assert value.mean() == pytest.approx(stats.norm.cdf(1 / math.sqrt(5)), abs=0.005)
    effective = (4.5 / 3) ** 2 / (10.25 / 3)  # of an event, whose weight is 1/2, 1 or 3
    expected = math.sqrt(501 / (12 * 300 * 200 * effective))
    assert null.mean() == pytest.approx(expected, rel=0.05)


def test_divergence_by_hand():
    """1 + log₂ p of each event's own class: 3/4, 1/2 and 3/4 are p = 1/(1 + e^∓s)."""
    score = np.array([-math.log(3), 0.0, math.log(3)])
    test = Scored(score, np.array([1.0, 1, 0]), np.array([0.0, 0, 1]))
    validation = Scored(np.zeros(4), np.array([1.0, 1, 0, 0]), np.array([0.0, 0, 1, 1]))
    figure = divergence(Classification(validation, test, events=9), test)
    gain = 1 + math.log2(3 / 4)
    # True events gain this and 0, a mean of half of it, each by the weight 1/2 of 1/2.
    assert figure.value == pytest.approx((gain / 2 + gain) / 2)
    assert figure.uncertainty == pytest.approx(math.sqrt(2 * (1 / 4 * gain / 2) ** 2))
    assert figure.floor_spread == pytest.approx(1 / (math.log(2) * math.sqrt(4 * 3)))


def test_calibration_of_a_constant_score_by_hand():
    """Both classes count alike, with Platt's targets 1/(2 + 2) and (8 + 1)/(8 + 2)."""
    truth = np.repeat([1.0, 0], [2, 8])
    _, offset = calibration(Scored(np.zeros(10), truth, 1 - truth))
    share = (1 / 4 + 9 / 10) / 2
    assert offset == pytest.approx(math.log(share / (1 - share)), rel=1e-4)


def test_tails_by_hand(monkeypatch):
    """Of true events that count 2, 1 and 1 the first has w = e² > 5, and none has w < 0.2."""
    monkeypatch.setattr("mleg_ray.evaluation.metrics.c2st.calibrated", lambda given: given.test)
    test = Scored(np.array([-2.0, 0, 0, 0]), np.array([2.0, 1, 1, 0]), np.array([0.0, 0, 0, 1]))
    found = weight_figures({"c": Classification(test, test, events=9)})
    large, small = found["c, w > 5, truth"], found["c, w < 0.2, truth"]
    assert (large.value, large.uncertainty) == pytest.approx((2 / 4, 2 / 4))
    assert (small.value, small.uncertainty) == pytest.approx((0, 6 / 16))
    assert large.floor_spread == small.floor_spread == pytest.approx(6 / 16)


def test_histogram_of_weights_by_hand():
    """40 bins of log₁₀ w from -2 to 2, as w = e^-s: 1, 10 and 1/1000, which is below them."""
    score = -np.log([1.001, 10.01, 1e-3])
    curve = weight_histogram(score, np.array([1.0, 2, 1]))
    filled = {x: (y, e) for x, y, e in zip(curve.x, curve.y, curve.error, strict=True) if y}
    assert filled == {0.05: (0.25, 0.25), 1.05: (0.5, 0.5), -1.95: (0.25, 0.25)}


def test_gaussians_have_their_analytic_area_and_curve():
    """AUC = Φ(δ/√2), and the true positive rate is Φ(δ + Φ⁻¹(false positive rate))."""
    figures = auc_figures({"c": classification(1)})
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
