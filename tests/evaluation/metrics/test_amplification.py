import math

import numpy as np
import pytest

from mleg_ray.evaluation.metrics.amplification import (
    GeneratorError,
    amplification,
    by_region,
    n_equivalent,
    train_events,
)
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.samples.histogram import Histogram, Shares
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.statistics.estimate import (
    Estimate,
    NotComputable,
    NotComputableError,
    Reading,
)

EVEN = np.full(100, 0.01)


def drawn(shares: np.ndarray, n: int, rng: np.random.Generator) -> Histogram:
    return Histogram.of_counts(rng.multinomial(n, shares))


def comparison(generated: np.ndarray, n_train: int | None = None, seed: int = 0) -> Comparison:
    """Standard normal events of one number, 20,000 true ones, beside generated ones."""
    truth = from_arrays(np.random.default_rng(seed).normal(size=(20_000, 1)))
    sample = from_arrays(generated)
    told = {} if n_train is None else {"checkpoint": {"card": {"train_events": n_train}}}
    origin = sample.origin.model_copy(update={"provenance": told})
    object.__setattr__(sample, "origin", origin)
    return Comparison(truth, sample)


def measured(generated: np.ndarray, n_train: int):
    return amplification(comparison(generated, n_train), np.random.default_rng(0))


def test_copies_of_the_training_sample_are_worth_the_training_sample():
    """A generator that repeats its 200 events has a truth sample's error of 200 events."""
    ratios, worths = [], []
    for seed in range(8):
        rng = np.random.default_rng(10 + seed)
        repeated = rng.choice(rng.normal(size=200), (10_000, 1))
        compared = comparison(repeated, 200)
        bulk = amplification(compared, rng)["bulk"]
        assert bulk.direction == "higher"
        ratios.append(1 / bulk.value)
        worths.append(1 / n_equivalent(compared, rng)["x0, bulk"].value)
    assert np.mean(ratios) == pytest.approx(1, abs=0.25)
    assert np.mean(worths) == pytest.approx(1 / 200, rel=0.25)


def test_the_truth_itself_has_a_lower_limit_only():
    figures = measured(np.random.default_rng(5).normal(size=(10_000, 1)), 100)
    assert all(figure.value > 20 for figure in figures.values())
    assert any(isinstance(f, Reading) and f.lower_limit for f in figures.values())


def test_limits_grow_with_the_events_where_truth_is_against_truth():
    limits = []
    for n in (20_000, 320_000):
        rng = np.random.default_rng(n)
        errors = by_region(drawn(EVEN, n, rng), drawn(EVEN, n, rng))
        limits.append([errors[region].least(0) for region in ("tail", "edge", "bulk")])
        # 1 / 2σ with σ = √(2 k) p (1 - p) 2 / n of k bins, over k p (1 - p): √(k / 2) n / 4.
        expected = [math.sqrt(k / 2) * n / 4 for k in (2, 8, 90)]
        assert [errors[r].floor(0) for r in errors] == pytest.approx(expected, rel=0.05)
    assert all(4 < more / less < 64 for less, more in zip(*limits, strict=True))


def test_a_wrong_tail_costs_events_there():
    clipped = np.clip(np.random.default_rng(5).normal(size=(10_000, 1)), -2.2, 2.2)
    figures = measured(clipped * 0.9, 5000)
    assert isinstance(figures["tail"], Estimate)
    assert figures["tail"].value < 1
    assert figures["tail"].verdict != "at the floor"


def test_each_region_of_each_observable_has_its_own_worth():
    """A fifth of the lowest 1% is lost: an error of 0.002², which 0.0198 / 4e-6 events have."""
    rng = np.random.default_rng(6)
    truth, generated = rng.uniform(size=(2, 300_000, 2))
    first = generated[:, 0]
    lost = (first < 0.01) & (rng.uniform(size=len(first)) < 0.2)
    first[lost] = rng.uniform(0.4, 0.6, lost.sum())
    compared = Comparison(from_arrays(truth), from_arrays(generated))
    figures = n_equivalent(compared, rng)
    assert list(figures) == [f"x{i}, {r}" for i in (0, 1) for r in ("tail", "edge", "bulk")]
    seen = {name for name, figure in figures.items() if isinstance(figure, Estimate)}
    assert seen == {"x0, tail"}
    tail = figures["x0, tail"]
    assert tail.value == pytest.approx(0.0198 / 4e-6, abs=3 * tail.uncertainty)
    assert tail.uncertainty < 0.5 * tail.value
    assert all(f.lower_limit and f.value > tail.value for n, f in figures.items() if n not in seen)


def test_what_has_no_quantiles_says_why():
    rng = np.random.default_rng(7)
    columns = {"x": rng.normal(size=2000), "y": np.ones(2000)}
    origin = {"checkpoint": {"card": {"train_events": 7}}}
    compared = Comparison(from_arrays(columns), from_arrays(columns))
    figures = n_equivalent(compared, rng)
    assert isinstance(figures.pop("y"), NotComputable)
    assert list(figures) == ["x, tail", "x, edge", "x, bulk"]
    with pytest.raises(NotComputableError, match="does not say"):
        amplification(compared, rng)
    sample = from_arrays({"y": columns["y"]})
    object.__setattr__(sample, "origin", sample.origin.model_copy(update={"provenance": origin}))
    with pytest.raises(NotComputableError, match="no observable has quantiles"):
        amplification(Comparison(sample, sample), rng)


def test_an_observable_of_two_values_has_one_region():
    """A quarter of the events is zero, all others one: both lie between 5% and 95%."""
    truth, generated = (Histogram.of_counts(np.array(c)) for c in ([250, 750], [300, 700]))
    errors = by_region(truth, generated)
    assert list(errors) == ["bulk"]
    noise = 2 * (0.25 * 0.75 / 1000 + 0.3 * 0.7 / 1000)
    of_one_event = 2 * 0.25 * 0.75
    assert errors["bulk"].value == pytest.approx((2 * 0.05**2 - noise) / of_one_event)
    # Both bins tell the same, so that there is one degree of freedom.
    assert errors["bulk"].ndf == pytest.approx(1)
    assert errors["bulk"].null_spread == pytest.approx(math.sqrt(2) * noise / of_one_event)


def test_provenance_says_how_many_events_or_that_it_does_not():
    assert train_events({"checkpoint": {"card": {"train_events": 7}}}) == 7
    with pytest.raises(NotComputableError, match="does not say"):
        train_events({"checkpoint": None})


def test_errors_of_three_regions_by_hand():
    """Of 100 quantiles the generator has 0.02 too much in the first, 0.01 too little in two."""
    n = 100_000
    counts = np.full(100, 1000)
    wrong = counts.copy()
    wrong[[0, 49, 50]] += [2000, -1000, -1000]
    errors = by_region(*map(Histogram.of_counts, (counts, wrong)))
    right, three = 0.01 * 0.99, 0.03 * 0.97  # variances of shares, times the number of events
    for region, bins, squares, generated in (
        ("tail", 2, 0.02**2, [three, right]),
        ("edge", 8, 0.0, [right] * 8),
        ("bulk", 90, 2 * 0.01**2, [right] * 88 + [0.0] * 2),
    ):
        noise = (bins * right + sum(generated)) / n
        found = errors[region]
        assert found.value == pytest.approx((squares - noise) / (bins * right))
        assert found.ndf == pytest.approx(bins, rel=0.5)
    # Σ d² of the tail varies by 4 d² (v_t + v_g), of which twice that of the noise is taken off.
    first = 4 * 0.02**2 * (right + three) / n
    second = ((right + three) ** 2 + (2 * right) ** 2 + 2 * (1e-4 + 3e-4) ** 2) / n**2
    expected = math.sqrt(first - 2 * second) / (2 * right)
    assert errors["tail"].uncertainty == pytest.approx(expected)
    # Nothing differs in the edge: 2 Σ C², of eight bins that share the fixed total.
    second = (8 * (2 * right) ** 2 + 56 * (2e-4) ** 2) / n**2
    assert errors["edge"].uncertainty == pytest.approx(math.sqrt(2 * second) / (8 * right))
    assert errors["edge"].null_spread == pytest.approx(errors["edge"].uncertainty)


def test_amplification_by_hand(monkeypatch):
    """Errors of 0.002 and 0.004 of a truth event's are, on average, those of 333 true events."""
    errors = [GeneratorError(value, 0.0003, 0.0003, 1.0) for value in (0.002, 0.004)]
    path = "mleg_ray.evaluation.metrics.amplification.generator_errors"
    monkeypatch.setattr(path, lambda compared: {"x": {"tail": errors[0]}, "y": {"tail": errors[1]}})
    compared = comparison(np.zeros((100, 1)), n_train=500)
    figures = amplification(compared, np.random.default_rng(0))
    assert list(figures) == ["tail"]
    tail = figures["tail"]
    assert tail.value == pytest.approx(1 / 0.003 / 500)
    assert tail.uncertainty == pytest.approx(tail.value * 0.1)
    assert tail.significance == pytest.approx((0.003 - 1 / 500) / 0.0003)
    assert tail.verdict == "visible"
    errors[0] = errors[1] = GeneratorError(0.0005, 0.0003, 0.0003, 1.0)
    limit = amplification(compared, np.random.default_rng(0))["tail"]
    assert limit.lower_limit
    assert limit.value == pytest.approx(1 / 0.0011 / 500)


@pytest.mark.parametrize(("n", "m"), [(20_000, 20_000), (10_000, 1_000_000)])
@pytest.mark.parametrize("wave", [0.0, 0.15])
def test_errors_are_unbiased_with_pulls_of_unit_width(n, m, wave):
    """Σ (g - t)² of known shares, in each region and of an observable of three values."""
    rng = np.random.default_rng(0)
    for t in (EVEN, np.array([0.2, 0.3, 0.5])):
        g = t * (1 + wave * np.sin(1 + np.arange(len(t))))
        g /= g.sum()
        samples = [(drawn(t, n, rng), drawn(g, m, rng)) for _ in range(1500)]
        chosen = np.arange(len(t)) < 12
        found = [GeneratorError.of_histograms(*pair, chosen) for pair in samples]
        expected = np.square(g - t)[chosen].sum() / (t * (1 - t))[chosen].sum()
        values, spreads = np.array([(error.value, error.uncertainty) for error in found]).T
        spread = values.std(ddof=1)
        assert values.mean() == pytest.approx(expected, abs=3.5 * spread / math.sqrt(len(values)))
        if wave == 0:
            null = np.mean([error.null_spread for error in found])
            assert null == pytest.approx(spread, rel=0.15)
            p_values = np.array([error.p_value for error in found])
            assert np.mean(p_values < 0.1) == pytest.approx(0.1, abs=0.04)
        else:
            assert np.median(spreads) == pytest.approx(spread, rel=0.15)
            assert ((values - expected) / spreads).std() == pytest.approx(1, abs=0.2)


def test_covariances_of_shares_are_those_of_many_samples():
    """Of events of weights 1 and 3, as their shares vary from sample to sample."""
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(4000):
        light, heavy = rng.multinomial(300, [0.1, 0.2, 0.3, 0.2, 0.1, 0.1]).reshape(2, 3)
        sample = Histogram(light + 3.0 * heavy, light + 9.0 * heavy)
        shares.append(Shares.of(sample).share)
    counts = 300 * np.array([[0.1, 0.2, 0.3], [0.2, 0.1, 0.1]])
    mean = Shares.of(Histogram(counts[0] + 3 * counts[1], counts[0] + 9 * counts[1]))
    np.testing.assert_allclose(mean.covariance, np.cov(np.array(shares).T), rtol=0.15, atol=5e-5)
    np.testing.assert_allclose(np.diag(mean.covariance), mean.variance)
