"""Tallies: what is counted, what adds up, and how little the bins blur."""

import functools
import itertools
import operator
from dataclasses import replace

import numpy as np
import pytest

from mleg_ray.definitions import Constraint, Definitions, Plane
from mleg_ray.errors import DataError
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.samples.tally import QUANTILES, FineBins, Tally, merge
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.evaluation.statistics.distances import prepare_ks, prepare_w1, two_sample

ks = functools.partial(two_sample, prepare_ks)
w1 = functools.partial(two_sample, prepare_w1)
PLANE = Plane(x="a", y="b", x_range=(0, 1), y_range=(0, 1), bins=4, log=False)
RULES = Definitions(constraints={"small": Constraint(expression="a <= 2")})


def columns(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"a": rng.standard_cauchy(n), "b": rng.uniform(-1, 1, n), "n": rng.poisson(2.0, n) * 1.0}


BINS = FineBins.of(columns(100_000, 0))


def tally(events: dict[str, np.ndarray], bins: FineBins = BINS) -> Tally:
    sample = from_arrays(events, definitions=RULES)
    return Tally.of(sample.columns, bins, [PLANE], sample.unphysical)


def assert_same(a: Tally, b: Tally) -> None:
    assert a.unphysical == b.unphysical
    for ours, theirs in ((a.axes, b.axes), (a.planes, b.planes)):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name].weight, theirs[name].weight) for name in ours)


def test_tallies_of_shards_add_up_to_one_pass():
    events = columns(30_000, 1)
    shards = [{k: v[i : i + 7000] for k, v in events.items()} for i in range(0, 30_000, 7000)]
    whole = tally(events)
    assert whole.events == 30_000
    assert_same(functools.reduce(operator.add, map(tally, shards)), whole)
    files = [(str(i), tally(shard).to_bytes()) for i, shard in enumerate(shards)]
    assert_same(merge(files, FineBins.from_bytes(BINS.to_bytes())), whole)


@pytest.mark.parametrize("name", ["a", "b", "n"])
def test_a_value_is_in_the_bin_whose_edges_enclose_it(name):
    values = np.concatenate([columns(10_000, 2)[name], BINS.edges[name], [-1e30, 1e30, 0.0, -0.0]])
    stored = values.astype(np.float32).astype(np.float64)
    expected = np.searchsorted(BINS.edges[name], stored, side="right")
    index = BINS.index(name, stored)
    assert np.array_equal(index, expected)
    quantised = BINS.quantise(name, stored)
    assert np.all(np.diff(quantised[np.argsort(stored)]) >= 0)
    assert np.all(np.diff(BINS.positions[name]) >= 0)


def test_each_whole_number_has_a_bin_of_its_own():
    bins = FineBins.of({"number": np.array([0.0, 8.0, 3.0, 3.0, 1.0] * 100)})
    wanted = np.arange(-0.5, 9.0)
    assert bins.cover("number", wanted)
    np.testing.assert_allclose(bins.snap("number", wanted), wanted, atol=1e-3)


def test_bins_are_as_fine_as_they_promise():
    a, b = columns(200_000, 3), BINS.edges["b"]
    share = np.diff(np.sort(np.searchsorted(np.sort(a["a"]), BINS.edges["a"])) / 200_000)
    assert share.max() < 2 / QUANTILES
    assert np.diff(b).max() < 2.02 / 1024
    assert len(b) > 1900


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_distances_of_tallied_values_are_those_of_the_events(shift):
    rng = np.random.default_rng(5)
    truth, generated = rng.normal(size=50_000), rng.normal(shift, 1, 50_000)
    bins = FineBins.of({"x": generated})
    binned = [bins.quantise("x", values) for values in (truth, generated)]
    assert ks(*binned) == pytest.approx(ks(truth, generated), abs=1 / QUANTILES)
    assert w1(*binned) == pytest.approx(w1(truth, generated), rel=0.02, abs=1e-4)


def test_a_draw_has_no_event_twice_and_follows_the_counts():
    counted = tally(columns(2000, 6))
    drawn = counted.draw("b", 2000, np.random.default_rng(0))
    again = np.bincount(BINS.index("b", drawn), minlength=len(counted.axes["b"].weight))
    assert np.array_equal(again[1:-1], counted.axes["b"].weight[1:-1])
    cells = counted.planes[PLANE.name].draw(2000, np.random.default_rng(0))
    assert np.array_equal(
        np.bincount(cells, minlength=PLANE.cells), counted.planes[PLANE.name].weight
    )


def test_edges_move_to_the_nearest_own_ones():
    bins = FineBins({"x": np.array([0.0, 1.0, 2.0, 4.0])})
    assert bins.snap("x", np.array([-5.0, 0.4, 1.6, 3.5, 9.0])).tolist() == [0.0, 2.0, 4.0]
    assert bins.snap("x", np.array([0.6, 2.9])).tolist() == [1.0, 2.0]


def test_histogram_between_own_edges_counts_exactly():
    events = columns(5000, 7)
    edges = BINS.snap("b", np.linspace(-0.9, 0.9, 21))
    counts = tally(events).histogram("b", edges).weight
    values = events["b"].astype(np.float32)
    assert counts.tolist() == [
        np.count_nonzero((low <= values) & (values < high))
        for low, high in itertools.pairwise([-np.inf, *edges, np.inf])
    ]
    assert BINS.cover("b", edges)
    assert not BINS.cover("b", np.array([-2.0, -1.5, 0.0]))
    assert not BINS.cover("b", np.linspace(0, 1e-3, 21))  # finer than the own ones


def test_weighted_events_are_summed_with_their_squares():
    events, weights = columns(4000, 7), np.where(np.arange(4000) % 4, 1.5, -1.0)
    sample = from_arrays(events, weights)
    counted = Tally.of(sample.columns, BINS, [PLANE], sample.unphysical, sample.weight)
    for histogram in (counted.axes["b"], counted.planes[PLANE.name]):
        assert histogram.weight.sum() == pytest.approx(weights.sum())
        assert histogram.variance.sum() == pytest.approx(weights @ weights)
    low = BINS.edges["b"][:1]
    below = events["b"].astype(np.float32) < low
    assert counted.histogram("b", low).weight[0] == pytest.approx(weights[below].sum())


def test_foreign_files_are_refused():
    other = FineBins.of(columns(100, 8))
    foreign = tally(columns(10, 0))
    foreign = Tally(
        other, {"a": foreign.axes["a"].merged(np.arange(5))}, foreign.planes, foreign.unphysical
    )
    for content in (b"no tally", foreign.to_bytes()):
        with pytest.raises(DataError, match="second: no tally, or one of other bins"):
            merge([("first", tally(columns(10, 0)).to_bytes()), ("second", content)], BINS)


def test_an_axis_without_finite_values_is_an_error():
    with pytest.raises(DataError, match="no generated value of 'x' is finite"):
        FineBins.of({"x": np.array([np.nan, np.inf])})


@pytest.mark.parametrize(
    ("generated", "resolved"),
    [
        (np.random.default_rng(0).normal(size=50_000), True),
        (np.random.default_rng(0).normal(1, 0.5, size=50_000), False),  # narrower than the truth
        (np.full(50_000, 0.3), False),
        (np.random.default_rng(0).normal(0, 300, size=50_000), False),  # much wider
    ],
)
def test_bins_of_a_generator_far_off_do_not_resolve_the_truth(generated, resolved):
    truth = np.random.default_rng(1).normal(size=20_000)
    assert FineBins.of({"x": generated}).resolve("x", truth) == resolved


def test_equal_values_may_share_a_bin():
    counts = columns(50_000, 9)["n"]
    assert FineBins.of({"n": counts}).resolve("n", columns(5000, 10)["n"])


def test_a_collapsed_generator_is_found_through_its_tally():
    truth = columns(4000, 11)
    collapsed = {name: np.full(4000, 0.3) for name in truth}
    bins = FineBins.of(collapsed)
    sample = replace(from_arrays(collapsed), tally=tally(collapsed, bins))
    figures = scorecard(truth, sample, metrics={"ks": METRICS["ks"]}).figures["ks"]
    assert {figure.verdict for figure in figures.values()} == {"large"}
