import math
import re

import numpy as np
import pytest
from scipy import stats

from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.statistics.estimate import Estimate, Reading
from mleg_ray.evaluation.statistics.noncentrality import (
    LEVEL,
    Noncentrality,
    SizedTest,
    numbers_of_events,
)


def drawn(shares: np.ndarray, n: int, rng: np.random.Generator) -> Histogram:
    return Histogram.of_counts(rng.multinomial(n, shares))


def test_value_and_errors_by_hand():
    """Two bins: 60 and 40 true events, 10 and 10 generated ones; S is 1.1 and 0.9."""
    test = Noncentrality.of_histograms(
        *(Histogram.of_counts(np.array(counts)) for counts in ([60, 40], [10, 10]))
    )
    d, s = np.array([0.1, -0.1]), np.array([1.1, 0.9])
    of_truth, of_generated = 0.6 * 0.4 / 100, 0.5 * 0.5 / 20
    value = (d**2 - of_truth - of_generated) / s - 2 * (of_truth - of_generated) ** 2 / s**3
    assert test.value == pytest.approx(value.sum())
    spread = (np.array([0.6, 0.4]) / 100 + 0.5 / 20) / s
    null = 2 * np.sum(spread**2) / 2  # one of the two bins follows from the other
    assert test.null_spread == pytest.approx(math.sqrt(null))
    a = d / s
    variance = 0.0
    for share, n, change in (
        (np.array([0.6, 0.4]), 100, 2 * a - a**2),
        (np.array([0.5, 0.5]), 20, -2 * a - a**2),
    ):
        variance += (share @ change**2 - (share @ change) ** 2) / n
    assert test.uncertainty == pytest.approx(math.sqrt(max(variance - null, null)))
    assert test.ndf == 1


def test_error_of_a_large_difference_by_hand():
    """Shares 5, 4, 1 and 1, 4, 5 tenths: a change of a share counts ±2 a - a², a = 2/3, 0, -2/3.

    Of a million events each side has the variance 0.64 over their number.
    """
    counts = np.array([500_000, 400_000, 100_000])
    test = Noncentrality.of_histograms(*map(Histogram.of_counts, (counts, counts[::-1])))
    assert test.value == pytest.approx(2 * 0.4**2 / 0.6, rel=1e-4)
    assert test.uncertainty == pytest.approx(math.sqrt(2 * 0.64e-6), rel=1e-4)


def test_weights_count_as_their_effective_events():
    """Every event twice as heavy, or a bin of events of weights 1 and 3 as 16 / 10 events."""
    counts = np.array([400, 300, 500]), np.array([900, 800, 500])
    plain = Noncentrality.of_histograms(*map(Histogram.of_counts, counts))
    heavy = [Histogram.of_counts(c).scaled(2.0) for c in counts]
    assert Noncentrality.of_histograms(*heavy) == plain
    mixed = [Histogram(4.0 * c, 10.0 * c) for c in counts]  # c events of weight 1 and c of 3
    effective = [Histogram(1.6 * c, 1.6 * c) for c in counts]
    assert Noncentrality.of_histograms(*mixed).value == pytest.approx(
        Noncentrality.of_histograms(*effective).value
    )


@pytest.mark.parametrize(("n", "m"), [(3000, 3000), (1000, 100_000), (100_000, 1000)])
@pytest.mark.parametrize("wave", [0.0, 0.2])
def test_it_is_unbiased_with_the_errors_that_it_says(n, m, wave):
    """Σ (p - q)² / (p + q) of known shares, of samples of equal and of very different numbers."""
    rng = np.random.default_rng(0)
    p = np.full(40, 1 / 40)
    q = p * (1 + wave * np.sin(np.arange(40)))
    q /= q.sum()
    found = [Noncentrality.of_histograms(drawn(p, n, rng), drawn(q, m, rng)) for _ in range(400)]
    values = np.array([test.value for test in found])
    error = values.std(ddof=1)
    expected = np.sum((p - q) ** 2 / (p + q))
    assert values.mean() == pytest.approx(expected, abs=3.5 * error / math.sqrt(len(values)))
    assert np.mean([test.uncertainty for test in found]) == pytest.approx(error, rel=0.2)
    if wave == 0:
        assert np.mean([test.null_spread for test in found]) == pytest.approx(error, rel=0.1)
        p_values = [test.p_value for test in found]
        assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_a_design_effect_multiplies_variances():
    """Objects that come four at a time are worth a quarter of their number."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(8000, np.full(20, 0.05)), rng.multinomial(9000, np.full(20, 0.05))
    plain = Noncentrality.of_histograms(*map(Histogram.of_counts, counts))
    objects = Noncentrality.of_histograms(*(Histogram.of_counts(4 * c) for c in counts), design=4)
    # 4 n objects of n events have the χ² of n; to an event belong four.
    event = objects.of_events(4)
    for name in ("value", "null_spread", "uncertainty"):
        assert getattr(event, name) == pytest.approx(getattr(plain, name), rel=1e-9)
    assert event.p_value == pytest.approx(plain.p_value)


def test_an_area_is_the_test_of_a_shift():
    """z = (AUC - ½) √(12 n² / (2n + 1)); 3σ of AUC = 0.51 are 15,000 events, √… of 1e-4."""
    test = Noncentrality.of_area(0.51, 1e-6, 1e-6)
    events, error = test.needed(2 * LEVEL)  # of both sides
    assert events == pytest.approx(3**2 / (6 * 0.01**2), rel=1e-6)
    assert error == pytest.approx(events * 2 * 1e-6 / 0.01, rel=1e-4)
    shown = Noncentrality.of_area(0.5 + 3e-3, 1e-3, 1e-3)
    assert shown.p_value == pytest.approx(stats.chi2.sf(9, 1))
    assert shown.value == pytest.approx(6 * (9e-6 - 1e-6))
    assert shown.uncertainty == pytest.approx(6 * math.sqrt(4 * 9e-12 - 2e-12))


def test_a_shifted_gaussian_is_seen_by_the_events_that_theory_needs():
    """The sign of x, shifted by ε: p = Φ(ε), so that λ = 2 n (p - ½)² / (p (1 - p) + ¼) nearly.

    By bins as fine as may be λ → n ε² / 2, the events that a test of the mean needs: z² 2 / ε².
    """
    epsilon = 0.1
    z = stats.norm.isf(LEVEL)
    for bins, of_theory in ((2, (2 / math.pi) * epsilon**2 / 2), (400, epsilon**2 / 2)):
        edges = stats.norm.ppf(np.linspace(0, 1, bins + 1))
        p, q = np.full(bins, 1 / bins), np.diff(stats.norm.cdf(edges - epsilon))
        sizes = 10**9 * p, 10**9 * q  # as good as exact
        test = Noncentrality.of_histograms(*(Histogram(size, size) for size in sizes))
        assert test.value == pytest.approx(of_theory, rel=5e-3)
        if bins == 2:
            assert test.needed(2 * LEVEL)[0] == pytest.approx(z**2 / of_theory, rel=5e-3)


def test_half_of_the_tests_of_so_many_events_reach_the_level():
    rng = np.random.default_rng(2)
    p = np.full(30, 1 / 30)
    q = p * np.linspace(0.9, 1.1, 30)
    exact = Noncentrality(float(np.sum((p - q) ** 2 / (p + q))), 1e-6, 1e-6, 29)
    events, _ = exact.needed(0.01)
    n = round(events)
    chi2 = []
    for _ in range(1000):
        a, b = rng.multinomial(n, p), rng.multinomial(n, q)
        chi2.append(np.sum((a - b) ** 2 / (a + b)))
    assert np.mean(np.array(chi2) > stats.chi2.isf(0.01, 29)) == pytest.approx(0.5, abs=0.06)
    # The curve of one test crosses its level there.
    curve = exact.curve(1)
    assert np.interp(exact.needed(LEVEL)[0], curve.x, curve.y) == pytest.approx(3, abs=0.01)


def test_what_is_seen_has_a_number_and_what_is_not_a_limit_that_grows_with_the_events():
    rng = np.random.default_rng(3)
    p = np.full(30, 1 / 30)
    q = p * np.linspace(0.9, 1.1, 30)
    expected = 0.0
    limits = []
    for n in (10_000, 1_000_000):
        tests = {
            name: SizedTest(
                Noncentrality.of_histograms(drawn(p, n, rng), drawn(shares, n, rng)), n, n
            )
            for name, shares in (("same", p), ("other", q))
        }
        figures = numbers_of_events(tests, 10**9)
        same, other = figures["same"], figures["other"]
        assert isinstance(same, Reading)
        assert same.lower_limit
        limits.append(same.value)
        # So many true events as are wanted in proportion to those that a limit takes.
        needed = re.search("to judge all 1,000,000,000 would take about ([0-9,]+)", same.note)
        assert needed is not None
        assert int(needed[1].replace(",", "")) == pytest.approx(n * 1e9 / same.value, rel=0.05)
        exact = Noncentrality(float(np.sum((p - q) ** 2 / (p + q))), 1e-9, 1e-9, 29)
        expected, _ = exact.needed(LEVEL / 2)
        if n > 10_000:
            assert isinstance(other, Estimate)
            assert other.value == pytest.approx(expected, abs=4 * other.uncertainty)
            assert other.uncertainty < 0.1 * other.value
            assert other.verdict == "large"
            assert other.floor == pytest.approx(tests["other"].test.floor(LEVEL / 2))
        assert same.value > 0.4 * n
    assert 30 < limits[1] / limits[0] < 300
    assert expected < 1_000_000


def test_a_sample_smaller_than_the_limit_needs_no_more_truth():
    same = Noncentrality(0.0, 1e-7, 1e-7, 20)
    [figure] = numbers_of_events({"x": SizedTest(same, 10**6, 10**6)}, 1000).values()
    assert figure.note == "1,000,000 true events resolve no more"


def test_each_test_speaks_of_its_own_events():
    """A classifier has scored fewer than a tally has counted, and would need more to judge all."""
    none = Noncentrality(0.0, 1e-6, 1e-6, 1)
    tests = {"x": SizedTest(none, 10**7, 10**9), "trees": SizedTest(none, 10**5, 10**5)}
    x, trees = numbers_of_events(tests, 10**9).values()
    assert x.note.startswith("10,000,000 true events")
    assert trees.note.startswith("100,000 true events")
    assert x.value == trees.value
    needed = [int(f.note.rsplit(" ", 1)[1].replace(",", "")) for f in (x, trees)]
    assert needed[0] == 100 * needed[1]


def test_what_is_seen_has_the_significance_of_its_difference():
    """An AUC 4σ from ½ has a χ² of 16, of one degree of freedom: both sides of a normal one."""
    spread = 1e-3
    seen = Noncentrality.of_area(0.5 + 4 * spread, spread, spread)
    [figure] = numbers_of_events({"MLP": SizedTest(seen, 1000, 1000)}, 1000).values()
    assert isinstance(figure, Estimate)
    assert figure.p_value == pytest.approx(2 * stats.norm.sf(4), rel=1e-6)
    assert figure.significance == pytest.approx(stats.norm.isf(2 * stats.norm.sf(4)))
    assert figure.verdict == "visible"
    far = Noncentrality.of_area(0.9, spread, spread)
    assert far.sigmas == pytest.approx(37.0, abs=0.1)
