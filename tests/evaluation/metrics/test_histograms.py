import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mleg_ray.evaluation.metrics.histograms import (
    HISTOGRAM_DISTANCES,
    js_distance,
    kl_divergence,
    prepare_histogram_distances,
    relative_chi2,
    separation_power,
)
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.statistics.estimate import NotComputableError

QUANTILES = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)


def filled(counts: list[float]) -> Histogram:
    return Histogram(np.array(counts), np.abs(counts))


def histogram_distances(
    truth: np.ndarray, generated: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """All distances of a histogram by name."""
    values = np.concatenate([truth, generated])
    weights = np.ones(len(generated)) if weights is None else weights
    a = np.concatenate([np.ones(len(truth)), np.zeros(len(generated))])
    b = np.concatenate([np.zeros(len(truth)), weights])
    numbers = prepare_histogram_distances(values, a)(a, b)
    return dict(zip(HISTOGRAM_DISTANCES, numbers.tolist(), strict=True))


def test_js_and_kl_are_scipys_after_half_a_count_was_added():
    t, g = filled([5.0, 0, 20, 75]), filled([10.0, 10, 20, 60])
    p, q = (t.weight + 0.5) / 102, (g.weight + 0.5) / 102
    assert js_distance(t, g) == pytest.approx(jensenshannon(p, q, base=2))
    assert kl_divergence(t, g) == pytest.approx(stats.entropy(p, q))


def test_half_counts_of_samples_of_different_sizes_are_no_difference():
    shares = np.array([0.0, 0, 1, 3])
    assert js_distance(filled(5 * shares), filled(500 * shares)) == pytest.approx(0, abs=1e-9)
    assert kl_divergence(filled(500 * shares), filled(5 * shares)) == pytest.approx(0, abs=1e-9)
    # 20 and 40 counts: of the larger sample half of each is taken, whichever that is.
    t, g = filled([5.0, 15]), filled([0.0, 40])
    p, q = np.array([5.5, 15.5]) / 21, np.array([0.5, 20.5]) / 21
    assert kl_divergence(t, g) == pytest.approx(stats.entropy(p, q))
    assert kl_divergence(g, t) == pytest.approx(stats.entropy(q, p))


def test_separation_by_hand():
    """Shares of 1/2 and 1/2 against 1/4 and 3/4; a bin that nobody fills adds nothing."""
    t, g = filled([5.0, 5, 0]), filled([10.0, 30, 0])
    assert separation_power(t, g) == pytest.approx(
        ((1 / 4) ** 2 / (3 / 4) + (1 / 4) ** 2 / (5 / 4)) / 2
    )


def test_separation_of_negative_weights_is_a_share():
    """Sums of 3, -1, 2 and 3, 1, -1: what is below zero is empty, so 3/5, 0, 2/5 and 3/4, 1/4, 0.

    (3/20)² / (27/20) = 1/60, and 1/4 and 2/5 of the bins that one of both fills.
    """
    t, g = filled([3.0, -1, 2]), filled([3.0, 1, -1])
    assert separation_power(t, g) == pytest.approx((1 / 60 + 1 / 4 + 2 / 5) / 2)
    assert separation_power(filled([3.0, -1]), filled([-1.0, 3])) == 1


def test_divergences_by_hand():
    """Of 3 events each: shares (3 + 1/2)/4 and 1/8 of the truth, 1/8 and 7/8 of the generated."""
    t, g = filled([3.0, 0]), filled([0.0, 3])
    assert kl_divergence(t, g) == pytest.approx(7 / 8 * np.log(7) - 1 / 8 * np.log(7))
    # Half of each is the same, so both entropies are against (1/2, 1/2): 1 - H(1/8) bits.
    entropy = -(7 / 8 * np.log2(7 / 8) + 1 / 8 * np.log2(1 / 8))
    assert js_distance(t, g) == pytest.approx(np.sqrt(1 - entropy))


def test_relative_chi2_by_hand():
    assert relative_chi2(filled([10.0, 0, 20]), filled([13.0, 1, 16])) == pytest.approx(
        (9 / 10 + 16 / 20) / 2
    )
    inside = np.array([True, True, False])
    assert relative_chi2(filled([10.0, 0, 20]), filled([13.0, 1, 16]), inside) == pytest.approx(0.9)


def test_shifted_gaussians_have_their_analytic_divergence():
    """KL = δ²/2 for unit Gaussians a distance δ apart."""
    delta = 0.3
    distances = histogram_distances(QUANTILES, QUANTILES + delta)
    assert distances["kl"] == pytest.approx(delta**2 / 2, rel=0.02)
    assert 0 < distances["js"] < 1
    same = histogram_distances(QUANTILES, QUANTILES)
    assert list(same.values()) == pytest.approx([0, 0, 0, 0], abs=1e-12)


def test_negative_weights_cancel_positive_ones():
    """Events that appear with weights +1 and -1 far away change the errors, not the shape."""
    rng = np.random.default_rng(3)
    truth, generated = rng.normal(size=4000), rng.normal(size=4000)
    both = np.concatenate([generated, [0.1], [0.1]])
    weights = np.concatenate([np.ones(4000), [1.0, -1.0]])
    assert histogram_distances(truth, both, weights) == pytest.approx(
        histogram_distances(truth, generated), rel=0.01
    )


def test_what_has_no_bins_is_not_computable():
    spike = np.concatenate([np.zeros(5000), [1.0]])
    with pytest.raises(NotComputableError, match=r"99.8% of the truth's values are 0"):
        histogram_distances(spike, spike)


def test_relative_chi2_counts_effective_events_by_hand():
    """Truth weights of 2 count one event each; the generated ones are scaled to 30."""
    truth = Histogram(np.array([20.0, 40]), np.array([40.0, 80]))
    generated = Histogram(np.array([15.0, 45]), np.array([15.0, 45]))
    assert relative_chi2(truth, generated) == pytest.approx((2.5**2 / 10 + 2.5**2 / 20) / 2)
