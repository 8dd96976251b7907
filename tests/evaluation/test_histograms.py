import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.distances import two_sample
from mleg_ray.evaluation.estimate import NotComputableError
from mleg_ray.evaluation.histograms import (
    HISTOGRAM_DISTANCES,
    Histogram,
    js_distance,
    kl_divergence,
    percentile_bins,
    prepare_chi2,
    prepare_histogram_distances,
    relative_chi2,
    weighted_quantiles,
)

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
    # 20 and 40 counts: of the larger sample half of each is taken.
    t, g = filled([5.0, 15]), filled([0.0, 40])
    p, q = np.array([5.5, 15.5]) / 21, np.array([0.5, 20.5]) / 21
    assert kl_divergence(t, g) == pytest.approx(stats.entropy(p, q))


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


def test_chi2_of_equal_distributions_is_one_on_average():
    rng = np.random.default_rng(0)
    values = [
        two_sample(prepare_chi2, rng.normal(size=3000), rng.normal(size=3000)) for _ in range(100)
    ]
    assert np.mean(values) == pytest.approx(1, abs=4 * np.std(values) / 10)


def test_chi2_of_disjoint_samples_by_hand():
    """Bins that one sample fills alone add its events; all 102 bins have ten truth events."""
    truth = np.random.default_rng(0).uniform(size=12_000)
    chi2 = two_sample(prepare_chi2, truth, np.full(12_000, 10.0))
    overflow = 12  # 0.1% of the truth, where all generated events lie too
    expected = (12_000 - overflow) + (12_000 - overflow) ** 2 / (12_000 + overflow)
    assert chi2 == pytest.approx(expected / 101, rel=1e-3)


def test_negative_weights_cancel_positive_ones():
    """Events that appear with weights +1 and -1 far away change the errors, not the shape."""
    rng = np.random.default_rng(3)
    truth, generated = rng.normal(size=4000), rng.normal(size=4000)
    both = np.concatenate([generated, [0.1], [0.1]])
    weights = np.concatenate([np.ones(4000), [1.0, -1.0]])
    plain = two_sample(prepare_chi2, truth, generated)
    assert two_sample(prepare_chi2, truth, both, None, weights) == pytest.approx(plain, rel=0.01)
    assert histogram_distances(truth, both, weights) == pytest.approx(
        histogram_distances(truth, generated), rel=0.01
    )


def test_bins_have_the_documented_edges():
    values = np.concatenate([np.arange(1001.0), [-5.0, 0.5, 1e9, np.inf, -np.inf]])
    truth = np.concatenate([np.ones(1001), np.zeros(5)])
    low, high = weighted_quantiles(values, truth, (0.001, 0.999))
    assert (low, high) == (1.0, 999.0)
    index = percentile_bins(values, truth)
    assert index[[0, 1, 500, 999]].tolist() == [0, 1, 51, 101]
    assert index[-5:].tolist() == [0, 0, 101, 101, 0]


def test_quantiles_follow_absolute_weights():
    values = np.array([3.0, 1.0, 2.0])
    assert weighted_quantiles(values, np.array([-8.0, 1.0, 1.0]), (0.1, 0.2, 0.5)).tolist() == [
        1,
        2,
        3,
    ]


def test_what_has_no_bins_is_not_computable():
    spike = np.concatenate([np.zeros(5000), [1.0]])
    with pytest.raises(NotComputableError, match=r"99.8% of the truth's values are 0"):
        histogram_distances(spike, spike)
    with pytest.raises(NotComputableError, match="fewer than two bins"):
        two_sample(prepare_chi2, np.arange(50.0), np.arange(50.0))


def test_plane_bins_are_logarithmic_and_know_outside():
    plane = Plane(x="x", y="y", x_range=(1e-2, 1.0), y_range=(1.0, 100.0), bins=2)
    x = np.array([0.05, 0.5, 0.5, 0.001, 0.5, np.nan])
    y = np.array([5.0, 5.0, 50.0, 5.0, 1e3, 5.0])
    assert plane.index(x, y).tolist() == [0, 2, 3, 4, 4, 4]
