"""Pearson's χ² with the errors of both samples, by hand and over many samples."""

from fractions import Fraction

import numpy as np
import pytest

from mleg_ray.definitions import Definitions, Plane
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.chi2 import PearsonTest, joined_bins
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.samples.sample import NO_DEFINITIONS, Arrays, from_arrays
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputableError

BINS = 100


def counts(*numbers: int) -> Histogram:
    return Histogram.of_counts(np.array(numbers))


def chi2(
    truth: Arrays,
    generated: Arrays,
    weights: np.ndarray | None = None,
    definitions: Definitions = NO_DEFINITIONS,
) -> dict[str, Figure]:
    comparison = Comparison(
        from_arrays(truth, definitions=definitions),
        from_arrays(generated, weights, definitions=definitions),
    )
    return METRICS["chi2_ndf"].figures(comparison, np.random.default_rng(0))


def in_cells(low: float, high: float, bins: int) -> Definitions:
    plane = Plane(x="x", y="y", x_range=(low, high), y_range=(low, high), bins=bins, log=False)
    return Definitions(planes=(plane,))


def test_value_and_uncertainty_by_hand():
    """d = (-20, 0, 20) and v = (60, 60, 80), so a = d / v = (-1/3, 0, 1/4)."""
    test = PearsonTest.of(counts(20, 30, 50), counts(40, 30, 30))
    assert test.chi2 == pytest.approx(400 / 60 + 400 / 80)
    assert test.ndf == 2
    assert test.value == pytest.approx(test.chi2 / 2)
    third, quarter = Fraction(-1, 3), Fraction(1, 4)
    true = [(20, 2 * third - third**2), (50, 2 * quarter - quarter**2)]
    made = [(40, -2 * third - third**2), (30, -2 * quarter - quarter**2)]
    first_order = sum(
        sum(n * change**2 for n, change in bins) - sum(n * change for n, change in bins) ** 2 / 100
        for bins in (true, made)
    )
    assert test.first_order == pytest.approx(float(first_order))
    assert test.uncertainty() == pytest.approx(np.sqrt(float(first_order) - 2 * 2) / 2)
    equal = PearsonTest.of(counts(20, 30, 50), counts(40, 60, 100))
    assert (equal.chi2, equal.uncertainty()) == (0, pytest.approx(np.sqrt(2 * 2) / 2))


def spectrum(slope: float) -> np.ndarray:
    p = np.exp(-slope * np.linspace(0, 1, BINS))
    return p / p.sum()


@pytest.mark.parametrize(
    ("slope", "weighted"),
    [*((slope, False) for slope in (1.0, 1.1, 1.4, 3.0, -8.0)), (1.0, True), (3.0, True)],
)
@pytest.mark.parametrize("events", [1, 10])
def test_the_uncertainty_is_the_spread_over_independent_samples(
    slope: float, weighted: bool, events: int
):
    """From equal spectra to ones that hardly overlap, with as many or ten times as many generated.

    If `weighted`, three quarters of the events have the weight 1.5 and the others -1.
    """
    rng, n, samples = np.random.default_rng(3), 10_000, 800
    sign = np.array([0.75, 0.25]) if weighted else np.array([1.0, 0.0])

    def draw(slope: float, size: int) -> list[Histogram]:
        p = np.outer(sign, spectrum(slope)).ravel()
        numbers = rng.multinomial(size, p, samples).reshape(samples, 2, BINS)
        weights = np.array([1.5, -1.0]) if weighted else np.array([1.0, 0.0])
        return [Histogram(weights @ k, weights**2 @ k) for k in numbers]

    tests = [
        PearsonTest.of(t, g) for t, g in zip(draw(1.0, n), draw(slope, events * n), strict=True)
    ]
    spread = np.std([test.value for test in tests], ddof=1)
    stated = np.sqrt(np.mean([test.uncertainty() ** 2 for test in tests]))
    assert stated == pytest.approx(spread, rel=0.15)


def test_bins_are_joined_until_they_have_ten_true_events():
    """The sparse ones 4 + 3 + 0 + 5 make ten; what is left, 2 + 1, joins 11, the emptiest other."""
    truth = counts(50, 4, 3, 11, 0, 5, 2, 90, 1)
    number = joined_bins(truth)
    groups = [np.flatnonzero(number == k).tolist() for k in range(number.max() + 1)]
    assert groups == [[1, 2, 4, 5], [3, 6, 8], [0], [7]]
    assert truth.joined(number).weight.tolist() == [12, 14, 50, 90]
    cancelling = Histogram(np.array([20.0, 20.0, 3.0]), np.array([20.0, 20.0, 500.0]))
    assert joined_bins(cancelling).tolist() == [0, 1, 0]
    with pytest.raises(NotComputableError, match="fewer than two bins"):
        joined_bins(counts(9, 0, 5, 5))


def test_events_where_the_truth_has_none_are_noticed():
    """In a hole of the truth, in one dimension and in a plane, and outside the plane."""
    rng, n, rules = np.random.default_rng(0), 20_000, in_cells(-1.25, 1.25, 10)

    def with_hole(inside: int = 0, outside: int = 0) -> dict[str, np.ndarray]:
        x, y = rng.uniform(-1, 1, (2, n))
        x += np.sign(x) * 0.25
        x[:inside] = rng.uniform(-0.2, 0.2, inside)
        y[:outside] = 5.0
        return {"x": x, "y": y}

    truth = with_hole()
    same, filled, away = (
        chi2(truth, sample, definitions=rules)
        for sample in (with_hole(), with_hole(inside=800), with_hole(outside=800))
    )
    for subject, found in (("x", filled), ("x, y", filled), ("x, y", away), ("y", away)):
        figure = found[subject]
        assert isinstance(figure, Estimate)
        assert figure.verdict != "at the floor"
        # About 400 of the 800 are compared with hardly any, and each adds about one to χ².
        assert figure.value > 1 + 300 / 101
        assert same[subject].verdict == "at the floor"


def test_equal_distributions_are_at_one_also_where_most_bins_are_sparse():
    rng, rules = np.random.default_rng(1), in_cells(-3, 3, 50)
    values = []
    for _ in range(12):
        truth, generated = (
            dict(zip("xy", rng.normal(size=(2, n)), strict=True)) for n in (6000, 3000)
        )
        figure = chi2(truth, generated, definitions=rules)["x, y"]
        assert isinstance(figure, Estimate)
        values.append(figure.value)
    assert np.mean(values) == pytest.approx(1, abs=4 * np.std(values) / np.sqrt(12))


def test_disjoint_samples_by_hand():
    """Bins that one sample fills alone add its events."""
    test = PearsonTest.of(counts(40, 60, 0), counts(0, 0, 100))
    assert test.value == pytest.approx((40 + 60 + 100) / 2)


def test_negative_weights_cancel_positive_ones():
    """Events that appear with weights +1 and -1 change the errors, not the shape."""
    rng = np.random.default_rng(3)
    truth, generated = rng.normal(size=8000), rng.normal(size=3998)
    both = np.concatenate([generated, [0.1], [0.1]])
    weights = np.concatenate([np.ones(3998), [1.0, -1.0]])
    plain, cancelled = (
        chi2({"x": truth}, {"x": x}, w)["x"] for x, w in ((generated, None), (both, weights))
    )
    assert cancelled.value == pytest.approx(plain.value, rel=0.05)


def test_what_has_no_bins_is_not_computable():
    x = np.concatenate([np.zeros(190), np.linspace(1, 2, 10)])
    figure = chi2({"x": x}, {"x": x})["x"]
    assert "fewer than two bins" in figure.reason
