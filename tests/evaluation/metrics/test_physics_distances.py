import numpy as np
import pytest
from scipy.linalg import sqrtm

from mleg_ray.evaluation.metrics.physics_distances import (
    Moments,
    extrapolated_fpd,
    frechet_distance,
    median_kpd,
    normalised,
    unbiased_mmd2,
)
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics.resampling import PooledSample, null_p_value

D = 5


def covariance(seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(D, D))
    return root @ root.T / D + np.eye(D) / 2


def pooled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    in_x = np.arange(len(x) + len(y)) < len(x)
    return np.concatenate([x, y]), 1.0 * in_x, 1.0 * ~in_x


def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 4


def analytic(mean: np.ndarray, c1: np.ndarray, c2: np.ndarray) -> float:
    return float(mean @ mean + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real))


def one_batch(values: list[list[float]], weights: list[float]) -> Moments:
    features = np.array(values)
    return Moments.of_chunks(features, np.array(weights), 1)


def test_frechet_distances_by_hand():
    """On a line it is the distance of the means and of the widths, both squared."""
    first = one_batch([[-1.0], [1.0]], [1, 1])  # mean 0, variance 2
    second = one_batch([[0.0], [4.0], [8.0]], [1, 1, 1])  # mean 4, variance 16
    assert frechet_distance(first, second) == pytest.approx(16 + (4 - np.sqrt(2)) ** 2)
    # Of weights 1 and 2 at 0 and 3 the mean is 2, the variance (4 + 2)/3 / (1 - 5/9).
    weighted = one_batch([[0.0], [3.0]], [1, 2])
    assert frechet_distance(first, weighted) == pytest.approx(4 + (np.sqrt(4.5) - np.sqrt(2)) ** 2)
    # In the plane: variances of 4/3 and 16/3 along the axes, and the other way round.
    wide = one_batch([[-1.0, -2], [1, 2], [-1, 2], [1, -2]], [1] * 4)
    tall = one_batch([[-2.0, -1], [2, 1], [-2, 1], [2, -1]], [1] * 4)
    assert frechet_distance(wide, tall) == pytest.approx(2 * (4 - 2) ** 2 / 3)


def test_frechet_distance_is_the_closed_form_of_numpys_moments():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, D)), rng.normal(1, 2, size=(400, D))
    moments = (Moments.of_chunks(s, np.ones(len(s)), 1) for s in (x, y))
    expected = analytic(x.mean(0) - y.mean(0), np.cov(x.T), np.cov(y.T))
    assert frechet_distance(*moments) == pytest.approx(expected)


def test_negative_weights_cancel_events():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, D))
    extra = rng.normal(5, 1, size=(100, D))
    weights = np.repeat([1.0, 1, -1], [400, 100, 100])
    features = np.concatenate([x, extra, extra])
    plain, signed = (
        Moments.of_chunks(f, w, 1).combined(np.ones((1, 1)))
        for f, w in ((x, np.ones(400)), (features, weights))
    )
    assert signed.first == pytest.approx(plain.first)
    assert signed.second == pytest.approx(plain.second)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_fpd_of_gaussians_is_extrapolated_to_the_closed_form(shift):
    rng = np.random.default_rng(1)
    c1, c2 = covariance(1), covariance(1 if shift == 0 else 2)
    mean = np.full(D, shift)
    n = 20_000
    x = rng.multivariate_normal(np.zeros(D), c1, n)
    y = rng.multivariate_normal(mean, c2, n)
    expected = analytic(mean, c1, c2)
    value, error = extrapolated_fpd(*pooled(x, y), rng)
    assert value == pytest.approx(expected, abs=4 * error)
    assert error < 0.03 * expected + 2e-3


def test_fpd_of_equal_distributions_scatters_around_zero_for_any_size():
    rng = np.random.default_rng(2)
    values = [extrapolated_fpd(*pooled(*rng.normal(size=(2, 2000, D))), rng)[0] for _ in range(40)]
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(40))


def test_mmd_of_two_points_each_by_hand():
    """k = (x y + 1)⁴: 1 of 0 and anything, 16 of 1 and 1, 81 of 1 and 2."""
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    within = 1 + 81  # one pair in each
    assert unbiased_mmd2(x, y, np.ones(2), np.ones(2)) == pytest.approx(
        within - 2 * (1 + 1 + 16 + 81) / 4
    )
    wx, wy = np.array([1.0, 2]), np.array([3.0, 1])
    between = (1 * 3 * 1 + 1 * 1 * 1 + 2 * 3 * 16 + 2 * 1 * 81) / 12
    assert unbiased_mmd2(x, y, wx, wy) == pytest.approx(within - 2 * between)
    # In the plane it is (x·y/2 + 1)⁴: of (1, 0) and (2, 2) 16, of (0, 2) and these 1 and 81.
    x, y = np.array([[1.0, 0], [0, 2]]), np.array([[2.0, 2], [2.0, 2]])
    assert unbiased_mmd2(x, y, np.ones(2), np.ones(2)) == pytest.approx(
        1 + (8 / 2 + 1) ** 4 - 2 * (16 + 81) / 2
    )


def test_mmd_is_the_sum_over_pairs():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(50, 3))
    k = kernel(x, x), kernel(y, y), kernel(x, y)
    expected = (
        (k[0].sum() - np.trace(k[0])) / (60 * 59)
        + (k[1].sum() - np.trace(k[1])) / (50 * 49)
        - 2 * k[2].mean()
    )
    assert unbiased_mmd2(x, y, np.ones(60), np.ones(50)) == pytest.approx(expected)


def test_mmd_counts_pairs_of_signed_weights():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 3)), rng.normal(0.5, 1, size=(50, 3))
    wx, wy = (np.where(rng.uniform(size=n) < 0.2, -1.0, 1.5) for n in (60, 50))
    within = []
    for k, w in ((kernel(x, x), wx), (kernel(y, y), wy)):
        pairs = np.outer(w, w) - np.diag(w**2)
        within.append((pairs * k).sum() / pairs.sum())
    between = wx @ kernel(x, y) @ wy / (wx.sum() * wy.sum())
    assert unbiased_mmd2(x, y, wx, wy) == pytest.approx(sum(within) - 2 * between)


def test_kpd_of_two_points_is_analytic():
    """(1 + 1)⁴ between events at 1, 1 between 0 and anything: 16 + 1 - 2."""
    x, y = np.ones((100, 1)), np.zeros((100, 1))
    value, error = median_kpd(*pooled(x, y), np.random.default_rng(0))
    assert value == pytest.approx(15)
    assert error == pytest.approx(0, abs=1e-12)


def test_features_are_divided_by_the_truths_largest_absolute_value():
    rng = np.random.default_rng(0)
    truth, generated = (
        from_arrays({"a": rng.normal(size=200), "b": 1e6 * rng.uniform(-1, 1, 200)})
        for _ in range(2)
    )
    pooled = PooledSample(truth, generated, rng)
    assert np.abs(normalised(pooled)[: len(truth)]).max(axis=0) == pytest.approx([1, 1])


def test_p_value_is_a_rank_that_is_never_zero():
    floors = list(range(20))
    assert null_p_value(100, floors) == pytest.approx(1 / 21)
    assert null_p_value(9.5, floors) == pytest.approx(11 / 21)
    assert null_p_value(-1, floors) == 1


# The Gaussians of arXiv:2211.10295, sec. IV: a shift of one mean, large and small, and covariances
# taken away, divided and multiplied by ten.
TRUE_COVARIANCE = np.array([[1.0, 0.25], [0.25, 1.0]])
ALTERNATIVES = {
    "shift of 1": ([1.0, 0.0], TRUE_COVARIANCE),
    "shift of 0.1": ([0.1, 0.0], TRUE_COVARIANCE),
    "no correlation": ([0.0, 0.0], np.eye(2)),
    "covariance x 10": ([0.0, 0.0], 10 * TRUE_COVARIANCE),
    "covariance / 10": ([0.0, 0.0], TRUE_COVARIANCE / 10),
}


def published_fpd(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The published recipe as it reads: batches drawn with replacement, scipy's square root."""
    sizes = (1 / np.linspace(1 / 20_000, 1 / 50_000, 10)).astype(int)
    means = []
    for size in sizes:
        distances = []
        for _ in range(20):
            a, b = (s[rng.integers(len(s), size=size)] for s in (x, y))
            shift = a.mean(axis=0) - b.mean(axis=0)
            distances.append(analytic(shift, np.cov(a.T), np.cov(b.T)))
        means.append(np.mean(distances))
    (_, intercept), covariance = np.polyfit(1 / sizes, means, 1, cov=True)
    return float(intercept), float(np.sqrt(covariance[1, 1]))


def published_kpd(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The published recipe with all pairs of events, in batches of half the events."""
    values = []
    for _ in range(10):
        a, b = (s[rng.choice(len(s), len(s) // 2, replace=False)] for s in (x, y))
        within = sum((k.sum() - np.trace(k)) / k.size for k in (kernel(a, a), kernel(b, b)))
        values.append(within * len(a) / (len(a) - 1) - 2 * kernel(a, b).mean())
    low, middle, high = np.percentile(values, [16, 50, 84])
    return float(middle), float(high - low) / 2


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_fpd_is_that_of_the_published_recipe(name):
    rng = np.random.default_rng(11)
    mean, covariance = ALTERNATIVES[name]
    x = rng.multivariate_normal(np.zeros(2), TRUE_COVARIANCE, 50_000)
    y = rng.multivariate_normal(mean, covariance, 50_000)
    scale = np.abs(x).max(axis=0)
    x, y = x / scale, y / scale
    value, error = extrapolated_fpd(*pooled(x, y), rng)
    published, fit_error = published_fpd(x, y, rng)
    # Drawn with replacement, the published batches keep the distance that finite samples have.
    excess = 4 * np.trace(np.cov(x.T) + np.cov(y.T)) / 50_000
    assert abs(value - published) < excess + 3 * np.hypot(error, fit_error)
    diagonal = np.diag(1 / scale)
    exact = [diagonal @ c @ diagonal for c in (TRUE_COVARIANCE, covariance)]
    assert value == pytest.approx(analytic(mean / scale, *exact), abs=4 * error)
    assert value > 5 * error


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_kpd_is_that_of_the_published_recipe(name):
    rng = np.random.default_rng(12)
    x = rng.multivariate_normal(np.zeros(2), TRUE_COVARIANCE, 3000)
    y = rng.multivariate_normal(*ALTERNATIVES[name], 3000)
    scale = np.abs(x).max(axis=0)
    x, y = x / scale, y / scale
    ours = median_kpd(*pooled(x, y), np.random.default_rng(3))
    assert ours == pytest.approx(published_kpd(x, y, np.random.default_rng(3)), rel=1e-6, abs=1e-12)
