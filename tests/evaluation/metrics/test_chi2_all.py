"""All events against all events: what equal samples hide is seen, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mleg_ray.definitions import Definitions, Plane
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.amplification import n_equivalent
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.chi2 import chi2_all
from mleg_ray.evaluation.samples.datasets import from_dataset
from mleg_ray.evaluation.samples.sample import Axis, EventSample, binned, from_arrays
from mleg_ray.evaluation.samples.tally import FineBins, Tally
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate, NotComputableError
from tests.evaluation.conftest import joined

PLANE = Plane(x="x", y="y", x_range=(-2, 2), y_range=(-2, 2), bins=8, log=False)
RULES = Definitions(planes=(PLANE,))


def events(n: int, seed: int, width: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(0, width, n), "y": rng.normal(0, 1, n)}


def with_tally(sample: EventSample, whole: dict[str, np.ndarray], bins: FineBins) -> EventSample:
    """A sample of which more events were counted than drawn."""
    counted = from_arrays(whole)
    tally = Tally.of(counted.columns, bins, sample.definitions.planes, counted.unphysical)
    return replace(sample, tally=tally)


def of(truth: EventSample, generated: EventSample) -> dict[str, Estimate]:
    return chi2_all(Comparison(truth, generated), np.random.default_rng(0))


def test_value_and_p_value_by_hand():
    truth, generated = events(4000, 0), events(9000, 1, width=1.1)
    figure = of(from_arrays(truth), from_arrays(generated))["x"]
    low, high = np.quantile(truth["x"], [0.001, 0.999], method="inverted_cdf")
    edges = [-np.inf, *np.linspace(low, high, 101), np.inf]
    t, g = (np.histogram(sample["x"], edges)[0] for sample in (truth, generated))
    assert (t < 10).any()
    t, g = (np.array([n[bins].sum() for bins in joined(t, t)]) for n in (t, g))
    scale = 4000 / 9000
    chi2 = np.sum((t - scale * g) ** 2 / (t + scale**2 * g))
    ndf = len(t) - 1
    assert figure.value == pytest.approx(chi2 / ndf)
    assert figure.p_value == pytest.approx(stats.chi2.sf(chi2, ndf))
    assert figure.events == 9000


def test_the_uncertainty_is_the_spread_over_samples():
    figures = [
        of(from_arrays(events(3000, 2 * seed)), from_arrays(events(3000, 2 * seed + 1, 1.15)))["x"]
        for seed in range(40)
    ]
    spread = np.std([figure.value for figure in figures], ddof=1)
    assert np.mean([figure.uncertainty for figure in figures]) == pytest.approx(spread, rel=0.25)


def test_tallies_of_both_samples_show_what_drawn_events_hide():
    whole_truth, whole = events(200_000, 0), events(400_000, 1, width=1.03)
    bins = FineBins.of({name: column[:50_000] for name, column in whole.items()})
    drawn = [{k: v[:2000] for k, v in columns.items()} for columns in (whole_truth, whole)]
    truth, generated = (from_arrays(columns, definitions=RULES) for columns in drawn)
    blind = of(truth, generated)
    tallied = of(with_tally(truth, whole_truth, bins), with_tally(generated, whole, bins))
    assert list(tallied) == ["x, y", "x", "y"]
    assert blind["x"].verdict == "at the floor"
    assert tallied["x"].verdict != "at the floor"
    assert tallied["x"].value > tallied["x, y"].value > 1.5
    assert tallied["y"].verdict == "at the floor"
    assert (blind["x"].events, tallied["x"].events) == (2000, 400_000)
    # The truth alone may be without a tally: its drawn events are then counted in the same bins.
    half = of(truth, with_tally(generated, whole, bins))["x"]
    assert half.events == 400_000


def test_equal_distributions_are_at_the_floor_at_any_sizes():
    bins = FineBins.of(events(50_000, 99))
    figures = []
    for seed in range(20):
        whole_truth, whole = events(30_000, 2 * seed), events(300_000, 2 * seed + 1)
        truth, generated = (
            with_tally(from_arrays({k: v[:3000] for k, v in c.items()}, definitions=RULES), c, bins)
            for c in (whole_truth, whole)
        )
        figures += of(truth, generated).values()
    values = [figure.value for figure in figures]
    assert np.mean(values) == pytest.approx(1, abs=4 * np.std(values) / np.sqrt(len(values)))
    assert np.mean([figure.verdict == "at the floor" for figure in figures]) >= 0.95
    assert stats.kstest([figure.p_value for figure in figures], "uniform").pvalue > 1e-3


def test_bins_that_do_not_resolve_the_truth_are_not_used():
    truth, collapsed = from_arrays(events(3000, 0)), events(3000, 1, width=0.01)
    bins = FineBins.of(collapsed)
    generated = with_tally(from_arrays(collapsed), collapsed, bins)
    edges = np.linspace(-3, 3, 101)
    counted = binned(truth, generated, "x", edges)
    assert counted.edges is edges
    assert counted.events == 3000
    assert of(truth, generated)["x"].verdict == "large"


def test_tails_are_bins_of_their_own():
    whole, made = events(150_000, 0), events(200_000, 1)
    truth, generated = (from_arrays({"x": columns["x"]}) for columns in (whole, made))
    edges, tails = np.linspace(-3, 3, 101), np.array([-3.7, 3.7])
    counted = binned(truth, generated, "x", edges, tails)
    assert counted.edges.tolist() == [-3.7, *edges, 3.7]
    assert counted.truth.weight[[0, -1]].tolist() == [
        np.count_nonzero(whole["x"] < -3.7),
        np.count_nonzero(whole["x"] >= 3.7),
    ]
    # The bins that were learned of a quarter of a million events have edges there as well.
    tallied = with_tally(generated, {"x": made["x"]}, FineBins.of({"x": made["x"]}))
    found = binned(truth, tallied, "x", edges, tails)
    assert found.edges[[0, -1]] == pytest.approx([-3.7, 3.7], abs=0.15)
    assert found.edges[[1, -2]] == pytest.approx([-3, 3], abs=0.01)


def test_one_edge_is_enough():
    """Of a number that is zero but in one event of 300, all quantiles are equal."""
    whole, made = (np.arange(n) % 300 == 1 for n in (30_000, 60_000))
    truth, generated = (from_arrays({"x": column.astype(float)}) for column in (whole, made))
    tallied = with_tally(generated, generated.numbers, FineBins.of(generated.numbers))
    assert tallied.tally is not None
    assert tallied.tally.bins.cover("x", np.array([0.0]))
    found = binned(truth, tallied, "x", np.array([0.0]))
    assert found.generated.weight.tolist() == [0, 60_000]
    with pytest.raises(NotComputableError, match="no observable has quantiles"):
        n_equivalent(Comparison(truth, tallied), np.random.default_rng(0))


def test_a_truth_is_counted_whole_in_the_bins_of_what_it_judges(make_dataset):
    dataset = make_dataset("truth", 4000)
    everything = from_dataset(dataset, "test", seed=1)
    bins = FineBins.of(everything.numbers)
    drawn = from_dataset(dataset, "test", seed=1, max_events=300, bins=bins)
    assert drawn.tally is not None
    assert (len(drawn), drawn.counted) == (300, 2000)
    for name, column in everything.numbers.items():
        counts = np.bincount(bins.index(name, column), minlength=len(bins.edges[name]) + 1)
        assert np.array_equal(drawn.tally.axes[name].weight, counts)


def test_bins_of_a_logarithmic_axis_see_small_values():
    rng = np.random.default_rng(0)
    truth, generated = (rng.lognormal(-2, 1.5, n) for n in (20_000, 200_000))
    generated = generated[(generated > 0.01) | (rng.uniform(size=len(generated)) < 0.3)]
    values = {}
    for log in (False, True):
        t, g = (from_arrays({"x": x}, axes={"x": Axis(log=log)}) for x in (truth, generated))
        values[log] = of(t, g)["x"].value
    assert values[True] > 2 * values[False]


def test_the_headline_names_the_worst_with_all_events():
    metrics = {"chi2_all": METRICS["chi2_all"]}
    card = scorecard(events(8000, 0), events(80_000, 1, width=1.2), metrics=metrics)
    [(metric, subject, figure)] = card.highlights()
    assert (metric, subject) == ("chi2_all", "x")
    assert figure.verdict != "at the floor"
