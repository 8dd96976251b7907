"""Figures of groups of objects: those of plain numbers, with the errors of events."""

import functools
import operator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.definitions import Constraint, Definitions
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation import scorecard
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Comparison
from mleg_ray.evaluation.metrics.chi2 import chi2_all
from mleg_ray.evaluation.samples.datasets import (
    from_dataset,
    from_generated,
    of_independent_fields,
)
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.evaluation.samples.tally import FineBins, Tally, merge
from mleg_ray.evaluation.samples.unphysical import ANY
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.evaluation.statistics.distances import prepare_ks, prepare_w1, two_sample
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputable
from mleg_ray.evaluation.statistics.resampling import WEIGHTED_MEAN, PooledSample
from mleg_ray.events import Events, EventSchema, Field, Group
from mleg_ray.folder import FileEntry
from mleg_ray.randomness import derive_seed
from mleg_ray.storage import write_json
from tests.evaluation.conftest import joined, with_jets
from tests.prepared import prepared_dataset

HISTOGRAMS = ("js", "kl", "separation", "chi2_paper")


def measure(
    name: str, truth: EventSample, generated: EventSample, seed: int = 0
) -> dict[str, Figure]:
    comparison = Comparison(truth, generated, seed=seed)
    return METRICS[name].figures(comparison, np.random.default_rng(seed))


def drawn(name: str, truth: EventSample, generated: EventSample, seed: int = 0) -> PooledSample:
    """The events that a metric compares."""
    if name in HISTOGRAMS:
        seed = derive_seed(seed, "evaluate/histograms")
    return PooledSample(truth, generated, np.random.default_rng(seed))


def plain(sample: EventSample, name: str, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All objects' numbers, each with the weight (n,) of its event, by a loop over events."""
    column = sample.columns[name]
    assert column.count is not None
    ends = np.cumsum(column.count)
    values, weights = [], []
    for end, count, weight in zip(ends, column.count, events, strict=True):
        values += column.values[end - count : end].tolist()
        weights += [weight] * int(count)
    return np.array(values), np.array(weights)


def percentiles(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    order = np.argsort(values)
    share = np.cumsum(np.abs(weights[order])) / np.abs(weights).sum()
    low, high = (values[order][np.flatnonzero(share >= p - 1e-15)[0]] for p in (0.001, 0.999))
    return low, high


def filled(
    values: np.ndarray, weights: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of weights and of their squares in bins."""
    sums, squares = (np.histogram(values, edges, weights=w)[0] for w in (weights, weights**2))
    return sums, squares


def expected(name: str, truth: EventSample, generated: EventSample, axis: str) -> float:
    """A metric from its equation in docs/metrics.md, of plain numbers and weights."""
    pooled = drawn(name, truth, generated)
    whole, whole_weights = plain(truth, axis, truth.weight)
    t, tw = plain(truth, axis, pooled.truth[: len(truth)])
    g, gw = plain(generated, axis, generated.weight)
    if name == "ks":
        return two_sample(prepare_ks, t, g, tw, gw)
    if name == "w1":
        mean = np.average(whole, weights=whole_weights)
        spread = np.sqrt(np.average((whole - mean) ** 2, weights=whole_weights))
        mean = np.average(t, weights=tw)
        own = np.sqrt(np.average((t - mean) ** 2, weights=tw))
        return two_sample(prepare_w1, t, g, tw, gw) * own / spread
    edges = np.concatenate([[-np.inf], np.linspace(*percentiles(whole, whole_weights), 101)])
    edges = np.append(edges, np.inf)
    if name == "chi2_all":
        (t, tw), (g, gw) = (whole, whole_weights), (g, gw)
    (a, va), (b, vb) = filled(t, tw, edges), filled(g, gw, edges)
    if name in ("js", "kl"):
        n = min(h.sum() ** 2 / v.sum() for h, v in ((a, va), (b, vb)))
        p, q = (np.clip(n * h / h.sum(), 0, None) + 0.5 for h in (a, b))
        p, q = p / p.sum(), q / q.sum()
        middle = (p + q) / 2
        if name == "kl":
            return float(np.sum(p * np.log(p / q)))
        jsd = (np.sum(p * np.log2(p / middle)) + np.sum(q * np.log2(q / middle))) / 2
        return float(np.sqrt(jsd))
    if name == "separation":
        h, k = (np.clip(sums, 0, None) for sums in (a, b))  # where weights below zero prevail
        h, k = h / h.sum(), k / k.sum()
        used = h + k > 0
        return float(0.5 * np.sum((h - k)[used] ** 2 / (h + k)[used]))
    if name == "chi2_paper":
        counts = a * a.sum() / va.sum()
        scaled = b / b.sum() * counts.sum()
        used = counts > 0
        return float(np.mean((scaled - counts)[used] ** 2 / counts[used]))
    by = (a, va)
    if name == "chi2_ndf":  # bins are joined by other truth than is compared
        by = filled(*plain(truth, axis, pooled.other_truth[: len(truth)]), edges)
    groups = joined(*by)
    a, va, b, vb = (np.array([sums[bins].sum() for bins in groups]) for sums in (a, va, b, vb))
    factor = a.sum() / b.sum()
    return float(np.sum((a - factor * b) ** 2 / (va + factor**2 * vb)) / (len(groups) - 1))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("axis", ["jet.pt", "jet.eta"])
@pytest.mark.parametrize("name", ["ks", "w1", *HISTOGRAMS, "chi2_ndf", "chi2_all"])
def test_a_figure_is_that_of_plain_numbers_with_the_weights_of_events(
    name: str, axis: str, weighted: bool
) -> None:
    truth = with_jets(4000, 0, weighted=weighted)
    generated = with_jets(2000, 1, shift=0.3, weighted=weighted)
    if name != "chi2_all":
        assert drawn(name, truth, generated).n == 2000
    found = measure(name, truth, generated)[axis]
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(expected(name, truth, generated, axis), rel=1e-9)
    assert found.p_value is None  # of objects that are not independent


def with_signs(n: int, seed: int, mean: float) -> EventSample:
    """Events with a Poisson number of jets that have an angle and a charge."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(mean, n)
    signs = rng.choice([-1.0, 1.0], count.sum())
    return from_arrays({"jet.count": count, "jet.x": rng.normal(size=len(signs)), "jet.q": signs})


@pytest.mark.parametrize("mean", [1.0, 4.0])
@pytest.mark.parametrize("name", ["ks", "w1", *HISTOGRAMS, "chi2_ndf", "chi2_all"])
def test_too_few_or_too_many_objects_show_in_their_number_alone(name: str, mean: float) -> None:
    """Also where 100 of 102 bins are empty, and hold half a count in `js` and `kl`."""
    figures = measure(name, with_signs(10_000, 0, 2.0), with_signs(5000, 1, mean))
    assert figures["jet.count"].significance > 5
    assert figures["jet.x"].verdict == figures["jet.q"].verdict == "at the floor"


K = 9


def repeated(n: int, seed: int, shift: float = 0.0) -> tuple[EventSample, EventSample, EventSample]:
    """Events of one number; of K jets with this same number; of K independent ones."""
    rng = np.random.default_rng(seed)
    x, independent = rng.normal(shift, 1, n), rng.normal(shift, 1, n * K)
    count = np.full(n, K)
    return (
        from_arrays({"x": x}),
        from_arrays({"jet.count": count, "jet.x": np.repeat(x, K)}, axes={"jet.x": Axis()}),
        from_arrays({"jet.count": count, "jet.x": independent}, axes={"jet.x": Axis()}),
    )


@pytest.mark.parametrize("name", ["ks", "w1", "separation"])
def test_errors_and_floors_of_objects_that_are_equal_in_their_event_are_those_of_events(
    name: str,
) -> None:
    truths, generated = repeated(6000, 0), repeated(3000, 1, shift=0.3)
    events, equal, independent = (
        next(iter(measure(name, t, g).values())) for t, g in zip(truths, generated, strict=True)
    )
    for figure in (events, equal, independent):
        assert isinstance(figure, Estimate)
    for number in ("value", "uncertainty", "floor", "floor_spread"):
        assert getattr(equal, number) == pytest.approx(getattr(events, number), rel=1e-9)
    # `separation` is a sum of squares: its floor falls with the number of objects.
    power = 1.0 if name == "separation" else 0.5
    assert events.floor / independent.floor == pytest.approx(K**power, rel=0.3)
    assert events.uncertainty / independent.uncertainty == pytest.approx(K**0.5, rel=0.3)


def test_chi2_of_objects_that_are_equal_in_their_event_stands_beside_a_floor_as_high() -> None:
    """Bins of K equal jets scatter √K times as much as their numbers say: χ² is K times larger."""
    truths, generated = repeated(6000, 2), repeated(3000, 3)
    for name in ("chi2_ndf", "chi2_all"):
        events, equal, independent = (
            next(iter(measure(name, t, g).values())) for t, g in zip(truths, generated, strict=True)
        )
        assert equal.value / events.value == pytest.approx(K, rel=0.25)  # other bins have 10 now
        assert equal.floor == pytest.approx(K, rel=0.15)
        assert independent.floor == pytest.approx(1, abs=0.15)
        assert {f.verdict for f in (events, equal, independent)} == {"at the floor"}


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_the_error_of_chi2_all_is_the_spread_over_samples(shift: float) -> None:
    figures = [
        chi2_all(
            Comparison(repeated(2000, 2 * seed)[1], repeated(2000, 2 * seed + 1, shift)[1]),
            np.random.default_rng(seed),
        )["jet.x"]
        for seed in range(40)
    ]
    spread = np.std([figure.value for figure in figures], ddof=1)
    assert np.mean([figure.uncertainty for figure in figures]) == pytest.approx(spread, rel=0.35)


def tally_of(sample: EventSample, bins: FineBins) -> Tally:
    return Tally.of(sample.columns, bins, [], sample.unphysical)


class TestTallies:
    bins = FineBins.of({n: c.values for n, c in with_jets(50_000, 9).columns.items()})

    def test_those_of_shards_add_up_to_one_pass(self) -> None:
        sample = with_jets(10_000, 0)
        rows = np.array_split(np.arange(10_000), 3)
        parts = [
            replace(sample, columns={n: c.take(r) for n, c in sample.columns.items()}, weight=r)
            for r in rows
        ]
        whole, shards = tally_of(sample, self.bins), [tally_of(p, self.bins) for p in parts]
        files = [(str(i), shard.to_bytes()) for i, shard in enumerate(shards)]
        for total in (functools.reduce(operator.add, shards), merge(files, self.bins)):
            for name, histogram in whole.axes.items():
                assert np.array_equal(total.axes[name].weight, histogram.weight)
        jets = int(sample.numbers["jet.count"].sum())
        assert whole.axes["jet.pt"].weight.sum() == jets
        assert whole.axes["met"].weight.sum() == whole.events == 10_000

    def test_weights_of_jets_are_those_of_their_events(self) -> None:
        sample = with_jets(4000, 1, weighted=True)
        tally = Tally.of(sample.columns, self.bins, [], sample.unphysical, sample.weight)
        values, weights = plain(sample, "jet.pt", sample.weight)
        edge = self.bins.edges["jet.pt"][700:701]
        below = values.astype(np.float32) < edge
        counted = tally.histogram("jet.pt", edge)
        assert counted.weight == pytest.approx([weights[below].sum(), weights[~below].sum()])
        assert counted.variance.sum() == pytest.approx(weights @ weights)

    def test_chi2_all_counts_all_jets(self) -> None:
        whole_truth, whole = with_jets(60_000, 2), with_jets(90_000, 3, shift=0.02)
        few = np.arange(0, 60_000, 30)
        truth, generated = (
            replace(
                s,
                columns={n: c.take(few) for n, c in s.columns.items()},
                weight=s.weight[few],
                tally=tally_of(s, self.bins),
            )
            for s in (whole_truth, whole)
        )
        found = measure("chi2_all", truth, generated)["jet.eta"]
        values = plain(truth, "jet.eta", truth.weight)
        wanted = np.linspace(*percentiles(*values), 101)
        edges = np.concatenate([[-np.inf], self.bins.snap("jet.eta", wanted), [np.inf]])
        t, g = (
            np.histogram(s.columns["jet.eta"].values.astype(np.float32), edges)[0]
            for s in (whole_truth, whole)
        )
        t, g = (np.array([n[group].sum() for group in joined(t, t)]) for n in (t, g))
        factor = t.sum() / g.sum()
        chi2 = np.sum((t - factor * g) ** 2 / (t + factor**2 * g))
        assert found.value == pytest.approx(chi2 / (len(t) - 1))
        assert found.events == 90_000

    def test_marginals_of_jets_are_those_of_drawn_events(self) -> None:
        """Their errors need to know which jets are of one event; a tally does not say."""
        truth, generated = with_jets(2000, 4), with_jets(1000, 5)
        tallied = replace(generated, tally=tally_of(with_jets(50_000, 6), self.bins))
        rng = np.random.default_rng(0)
        pooled = PooledSample(truth, tallied, rng)
        assert pooled.marginal("jet.pt") is pooled.varying("jet.pt")
        assert not np.array_equal(pooled.marginal("met").values, pooled.column("met"))

    def test_a_generator_without_a_jet_can_be_counted(self) -> None:
        """Whatever jets it makes later are in two bins, which do not stand for the 100."""
        columns = {"met": np.arange(1000.0), "jet.count": np.zeros(1000), "jet.pt": []}
        bins = FineBins.of({n: c.values for n, c in from_arrays(columns).columns.items()})
        sample = with_jets(2000, 7)
        chosen = FineBins({**self.bins.edges, "jet.pt": bins.edges["jet.pt"]})
        tally = tally_of(sample, chosen)
        assert tally.axes["jet.pt"].weight.tolist() == [0, len(sample.columns["jet.pt"].values)]
        figures = measure("chi2_all", with_jets(2000, 8), replace(sample, tally=tally))
        assert figures["jet.pt"].verdict == "at the floor"


RULES = Definitions(
    constraints={
        "hard": Constraint(expression="jet.pt >= 20"),
        "low": Constraint(expression="jet.pt <= ht"),
    },
    selection={"central": Constraint(expression="jet.eta <= 2")},
)


def test_an_event_breaks_a_rule_if_any_jet_does_and_absent_ones_never() -> None:
    sample = from_arrays(
        {
            "ht": [100.0, 30.0, 0.0, 0.0, 50.0],
            "jet.count": [2, 2, 0, 0, 1],
            "jet.pt": [60.0, 10.0, 15.0, 5.0, 55.0],  # too soft: events 0 and, twice, 1
            "jet.eta": [0.0, 3.0, 0.0, 0.0, np.nan],
        },
        [1.0, 1.0, 1.0, 1.0, -2.0],
        definitions=RULES,
    )
    violating = sample.unphysical.violating
    assert {name: share.events for name, share in violating.items()} == {
        ANY: 3,
        "hard": 2,
        "low": 1,  # 55 > 50
        "not finite": 1,
        "selection: any": 2,
        "selection: central": 2,
    }
    assert violating["low"].weight == -2.0


def with_met(n: int, seed: int, width: float = 1.0) -> EventSample:
    """Events with missing momentum, up to two jets, three in ten with an electron, and no muon."""
    rng = np.random.default_rng(seed)
    jets, electrons = rng.integers(0, 3, n), (rng.uniform(size=n) < 0.3).astype(int)
    weights = rng.uniform(0.5, 1.5, n)
    return from_arrays(
        {
            "ht": rng.normal(size=n),
            "met.pt": rng.exponential(1, n),
            "met.phi": rng.uniform(-1, 1, n),
            "jet.count": jets,
            "jet.pt": rng.exponential(width, jets.sum()),
            "electron.count": electrons,
            "electron.pt": rng.exponential(width, electrons.sum()),
            "electron.eta": rng.normal(size=electrons.sum()),
            "muon.count": np.zeros(n),
            "muon.pt": [],
        },
        weights,
    )


def test_the_mean_over_kinds_of_objects_is_weighted_with_their_number() -> None:
    """R. Balanzá García, thesis, eq. 6.5: a group that is there once counts in every event."""
    truth, generated = with_met(24_000, 0), with_met(12_000, 1, width=2.0)
    counts = truth.numbers
    number = {
        "met": truth.weight.sum(),
        "jet": truth.weight @ counts["jet.count"],
        "electron": truth.weight @ counts["electron.count"],
    }
    observables = {
        "met": ("met.pt", "met.phi"),
        "jet": ("jet.pt",),
        "electron": ("electron.pt", "electron.eta"),
    }
    total = sum(number.values())
    for name in ("w1", *HISTOGRAMS):
        figures = measure(name, truth, generated)
        means = {
            kind: np.mean([figures[axis].value for axis in names])
            for kind, names in observables.items()
        }
        mean = sum(number[kind] * value for kind, value in means.items()) / total
        assert figures[WEIGHTED_MEAN].value == pytest.approx(mean)
        assert figures[WEIGHTED_MEAN].verdict == ("visible" if name == "chi2_paper" else "large")
        assert isinstance(figures["muon.pt"], NotComputable)
    assert WEIGHTED_MEAN not in measure("ks", truth, generated)
    equal = measure("w1", truth, with_met(12_000, 2))
    assert equal[WEIGHTED_MEAN].verdict == "at the floor"
    assert equal[WEIGHTED_MEAN].uncertainty < equal["electron.pt"].uncertainty


def test_a_kind_that_cannot_be_compared_leaves_no_mean() -> None:
    truth, generated = with_met(2000, 0), with_met(1000, 1)
    columns = {name: column.values for name, column in generated.columns.items()}
    columns |= {"electron.pt": np.full(len(columns["electron.pt"]), np.nan)}
    figures = measure("w1", truth, from_arrays(columns))
    assert figures[WEIGHTED_MEAN] == figures["electron.pt"]
    assert "values of electron.pt are not finite" in figures[WEIGHTED_MEAN].reason


def test_numbers_alone_have_no_mean_over_objects() -> None:
    columns = {"met.pt": np.random.default_rng(0).normal(size=500)}
    sample = from_arrays(columns)
    assert list(measure("w1", sample, sample)) == ["met.pt"]


def shuffled_among_events_of_as_many_jets(sample: EventSample) -> EventSample:
    """The same jets and the same missing momenta, which no longer know of each other."""
    columns = {name: column.values.copy() for name, column in sample.columns.items()}
    rng = np.random.default_rng(0)
    for count in range(4):
        rows = np.flatnonzero(columns["jet.count"] == count)
        columns["met"][rows] = columns["met"][rng.permutation(rows)]
    return from_arrays(columns)


def test_jets_that_do_not_belong_to_their_event_are_seen_by_classifiers_alone() -> None:
    truth = with_jets(8000, 0, correlation=1.5)
    generated = shuffled_among_events_of_as_many_jets(with_jets(8000, 1, correlation=1.5))
    for name in ("ks", "w1", "js", "chi2_all", *("corr_frobenius", "swd", "fpd", "kpd")):
        for figure in measure(name, truth, generated).values():
            assert figure.verdict == "at the floor"
    for figure in measure("c2st_auc", truth, generated).values():
        assert figure.verdict == "large"


def test_features_are_numbers_and_the_first_objects() -> None:
    columns = {"met": [1.0, 2.0], "jet.count": [9, 0], "jet.pt": np.arange(9.0, 0, -1)}
    features = from_arrays(columns).features
    assert features["met"].tolist() == [[1], [2]]
    assert features["jet.count"].tolist() == [[9], [0]]
    assert features["jet.pt"].tolist() == [[9, 8, 7, 6, 5, 4, 3, 2], [0] * 8]


def without_jets(n: int, seed: int) -> EventSample:
    rng = np.random.default_rng(seed)
    return from_arrays({"met": rng.normal(size=n), "jet.count": np.zeros(n), "jet.pt": []})


@pytest.mark.parametrize(
    ("truth", "generated", "reason"),
    [
        (without_jets, without_jets, "no truth event has any jet"),
        (with_jets, without_jets, "no generated event has any jet"),
        (without_jets, with_jets, "no truth event has any jet"),
    ],
)
def test_samples_without_objects_say_so(truth, generated, reason) -> None:
    axes = ("met", "jet.count", "jet.pt")
    samples = [
        from_arrays({name: s.columns[name].values for name in axes})
        for s in (truth(1200, 0), generated(600, 1))
    ]
    card = scorecard(*samples)
    for name in ("ks", "w1", *HISTOGRAMS, "chi2_ndf", "chi2_all"):
        assert card.figures[name]["jet.pt"] == NotComputable(reason=reason)
        assert isinstance(card.figures[name]["met"], Estimate)
    assert isinstance(card.figures["c2st_auc"]["boosted trees"], Estimate)
    assert Scorecard.model_validate_json(card.to_json()) == card


def test_a_few_objects_are_too_few() -> None:
    """40 events hold 160 jets: what differs are 40 events."""
    count = np.where(np.arange(4000) % 100 == 0, 4, 0)
    rng = np.random.default_rng(0)
    truth, generated = (
        from_arrays({"jet.count": count[:n], "jet.pt": rng.normal(size=count[:n].sum())})
        for n in (4000, 4000)
    )
    figure = measure("ks", truth, generated)["jet.pt"]
    assert "effective events; 50 are needed" in figure.reason


def test_one_event_may_hold_all_objects() -> None:
    columns = {"met": np.arange(1000.0), "jet.count": [500] + [0] * 999, "jet.pt": np.arange(500.0)}
    sample = from_arrays(columns)
    assert "leave 1.0 effective events" in measure("w1", sample, sample)["jet.pt"].reason


class TestColumns:
    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"jet.count": [1, 2], "jet.pt": [1.0, 2.0]}, r"'jet.pt' has shape \(2,\).*counts 3"),
            ({"jet.count": [0.5, 1], "jet.pt": [1.0]}, "'jet.count' must hold whole numbers"),
            ({"jet.count": [-1, 2], "jet.pt": [1.0]}, "'jet.count' must hold whole numbers"),
            ({"jet.pt": [1.0, 2, 3], "jet.count": [1, 2], "met": [1.0]}, r"'met' has shape \(1,\)"),
        ],
    )
    def test_bad_numbers_of_objects_are_named(self, columns, message) -> None:
        with pytest.raises(DataError, match=message):
            from_arrays(columns)

    def test_without_their_number_columns_of_a_group_are_numbers_of_events(self) -> None:
        sample = from_arrays({"met.pt": [2.0, 1.0], "met.phi": [0.0, 3.0]})
        assert sample.numbers["met.pt"].tolist() == [1, 2]

    def test_the_order_of_events_follows_from_their_objects(self) -> None:
        charges = {"jet.count": [2, 0, 1, 2], "jet.q": [1.0, -1, 0, -1, 1]}
        turned = {"jet.count": [1, 2, 2, 0], "jet.q": [0.0, -1, 1, 1, -1]}
        a, b = from_arrays(charges), from_arrays(turned)
        assert a.columns["jet.q"].values.tolist() == b.columns["jet.q"].values.tolist()
        assert a.numbers["jet.count"].tolist() == b.numbers["jet.count"].tolist()
        assert a.origin.objects == {"jet": 5}

    def test_rules_and_observables_may_use_the_number_of_objects(self) -> None:
        tables = {
            "selection": {"dijet": {"expression": "jet.count >= 2"}},
            "observables": {
                "twice": {"expression": "detector.ratio(jet.count, 0.5)", "label": "x"}
            },
        }
        columns = {"jet.count": [2, 0, 1], "jet.pt": [1.0, 2, 3]}
        sample = from_arrays(columns, definitions=tables)
        assert sample.unphysical.violating["selection: dijet"].events == 2
        assert sample.numbers["twice"].tolist() == [0, 2, 4]
        with pytest.raises(ConfigError, match="observables.jet.count: a field has this name"):
            tables = {"observables": {"jet.count": {"expression": "detector.ratio(jet.pt, 2)"}}}
            from_arrays(columns, definitions=tables)

    def test_objects_of_two_groups_are_not_compared_one_by_one(self) -> None:
        columns = {"a.count": [1], "a.x": [1.0], "b.count": [1], "b.x": [2.0]}
        with pytest.raises(ConfigError, match="objects of a and b do not belong together"):
            rules = {"constraints": {"c": {"expression": "a.x <= b.x"}}}
            from_arrays(columns, definitions=rules)


SCHEMA = EventSchema(
    (
        Field(name="met", unit="GeV"),
        Field(name="jet.pt", unit="GeV", description="transverse momentum"),
        Field(name="jet.charge", dtype="int8"),
        Field(name="image", shape=(2, 2)),
    ),
    {"jet": Group(most=3, ordered_by="pt")},
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two shards with jets and images, of which one observable is compared."""
    rng = np.random.default_rng(0)
    shards = []
    for i in range(2):
        count = rng.integers(0, 4, 600)
        present = torch.from_numpy(np.arange(3) < count[:, None])
        pt = torch.from_numpy(np.sort(rng.exponential(20, (600, 3)))[:, ::-1].copy())
        columns = {
            "met": torch.from_numpy(rng.normal(size=600)),
            "jet.pt": torch.where(present, pt, 0.0),
            "jet.charge": torch.where(present, 1, 0).to(torch.int8),
            "image": torch.from_numpy(rng.uniform(size=(600, 2, 2))).float(),
        }
        events = Events(columns, {"jet": present}, torch.ones(600, dtype=torch.float64))
        flat = of_events(events, SCHEMA)
        shards.append(write_shard(str(tmp_path), f"{i}.parquet", flat, SCHEMA, {}, split="test"))
    manifest = DatasetManifest(
        name="jets",
        fields=SCHEMA.fields,
        groups=SCHEMA.groups,
        observables={
            "jet.rank": {"expression": "detector.ratio(jet.pt, met)"},
            "jet.half": {"expression": "detector.ratio(jet.pt, 2)", "label": "p/2"},
        },
        provenance={},
        shards=tuple(shards),
    )
    write_json(str(tmp_path / PREPARED), manifest.model_dump(mode="json"))
    return Dataset.open(str(tmp_path))


def test_datasets_bring_numbers_of_objects_and_objects_and_no_images(dataset: Dataset) -> None:
    sample = from_dataset(dataset, seed=1)
    assert list(sample.axes) == ["met", "jet.count", "jet.pt", "jet.charge", "jet.half"]
    assert sample.axes["jet.half"].derived
    jets = int(sample.numbers["jet.count"].sum())
    assert sample.origin.objects == {"jet": jets}
    everything = dataset.load(None, 1200)
    pt = everything.columns["jet.pt"][everything.present["jet"]]
    assert np.sort(sample.columns["jet.pt"].values) == pytest.approx(np.sort(pt.numpy()))
    # Events hold together: each has as many jets as it says, in order.
    column = sample.columns["jet.pt"]
    assert np.array_equal(column.count, sample.numbers["jet.count"])
    falls = np.diff(column.values) <= 0
    assert falls[column.rank[1:] > 0].all()


def test_independent_fields_are_each_those_of_another_event(dataset: Dataset) -> None:
    """All jets of an event stay together, and what is computed of fields is computed again."""
    truth, null = (from_dataset(dataset, seed=1), of_independent_fields(dataset, "test", seed=1))
    assert null is not None
    assert list(null.axes) == list(truth.axes)
    assert np.array_equal(np.sort(null.numbers["met"]), np.sort(truth.numbers["met"]))
    assert np.array_equal(null.columns["jet.half"].values, null.columns["jet.pt"].values / 2)
    owned, known = (
        {met: pt.tolist() for met, pt in zip(s.numbers["met"], np.split(*splits(s)), strict=True)}
        for s in (null, truth)
    )
    assert sorted(owned.values()) == sorted(known.values())
    assert sum(owned[met] == known[met] for met in known) < 0.4 * len(known)  # 1 in 4 has no jet


def test_weighted_events_have_no_independent_fields(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path, shard_rows=20, weighted=True)
    assert of_independent_fields(dataset, "train", seed=1) is None


def test_drawn_events_keep_their_objects_and_all_are_counted(dataset: Dataset) -> None:
    whole = from_dataset(dataset, seed=1)
    bins = FineBins.of({name: column.values for name, column in whole.columns.items()})
    few = from_dataset(dataset, seed=1, max_events=50, bins=bins)
    assert few.tally is not None
    assert few.tally.axes["jet.pt"].weight.sum() == len(whole.columns["jet.pt"].values)
    by_met = dict(zip(whole.numbers["met"], np.split(*splits(whole)), strict=True))
    for met, pt in zip(few.numbers["met"], np.split(*splits(few)), strict=True):
        assert np.array_equal(pt, by_met[met])


def test_images_alone_cannot_be_compared(dataset: Dataset) -> None:
    without = dataset.manifest.without(("met", "jet.pt", "jet.charge"))
    update = {"fields": without.fields, "groups": without.groups, "observables": {}}
    manifest = dataset.manifest.model_copy(update=update)
    with pytest.raises(DataError, match="jets: nothing can be compared: it has images alone"):
        from_dataset(Dataset(dataset.uri, manifest, dataset.digest), seed=1)


def test_a_generated_datasets_tallies_count_the_objects_of_all_shards(dataset: Dataset) -> None:
    """Of two shards one is read; chi2_all counts both."""
    whole = from_dataset(dataset, seed=1)
    bins = FineBins.of({name: column.values for name, column in whole.columns.items()})
    root = Path(dataset.uri)
    shards = []
    for shard in dataset.manifest.shards:
        one = dataset.manifest.model_copy(update={"shards": (shard,)})
        sample = from_dataset(Dataset(dataset.uri, one, dataset.digest), seed=1)
        content = tally_of(sample, bins).to_bytes()
        (root / f"{shard.file}.tally").write_bytes(content)
        entry = FileEntry.of(f"{shard.file}.tally", content)
        shards.append(shard.model_copy(update={"tally": entry}))
    (root / "bins").write_bytes(bins.to_bytes())
    update = {"shards": tuple(shards), "bins": FileEntry.of("bins", bins.to_bytes())}
    tallied = Dataset(dataset.uri, dataset.manifest.model_copy(update=update), dataset.digest)
    few = from_generated(tallied, seed=1, max_events=500)
    assert few.tally is not None
    assert (len(few), few.counted) == (500, 1200)
    assert few.origin.objects["jet"] == few.numbers["jet.count"].sum()
    assert few.tally.axes["jet.pt"].weight.sum() == whole.origin.objects["jet"]
    assert measure("chi2_all", whole, few)["jet.pt"].value == pytest.approx(0, abs=1e-9)


def splits(sample: EventSample) -> tuple[np.ndarray, np.ndarray]:
    column = sample.columns["jet.pt"]
    return column.values, np.cumsum(column.count)[:-1]
