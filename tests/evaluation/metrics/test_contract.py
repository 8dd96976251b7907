"""What every metric of the registry promises."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest

from mleg_ray.definitions import Definitions, Plane
from mleg_ray.evaluation import metrics
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.samples.sample import EventSample, from_arrays
from mleg_ray.evaluation.statistics.classifiers import TREES
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputable, Reading
from mleg_ray.randomness import derive_seed
from tests.evaluation.conftest import AXES, IMAGES, TOYS, gaussian, rebuilt, with_jets

# What these measure is no difference between generated events and truth.
OTHERS = ("diversity", "memorisation", "amplification", "events_per_second")
OF_CONDITIONS = ("profile_chi2", "resolution")
OF_IMAGES = ("cell_spectrum", "row_moments", "symmetry", "kl_mean_image")
DIFFERENCES = [name for name in METRICS if name not in OTHERS]
NUMBERS_ALONE = ("corr_frobenius", "swd", "fpd", "kpd", "n_equivalent")  # they see no objects
DISTANCES = [name for name in DIFFERENCES if not name.endswith("_rate")]
DEFINED = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
PROVENANCE = {
    "checkpoint": {"card": {"train_events": 200}},
    "production": {"events": 600, "seconds": 60.0, "events_per_second": 10.0, "workers": 2},
}


def measure(
    name: str, truth: EventSample, generated: EventSample, seed: int = 0
) -> dict[str, Figure]:
    comparison = complete(truth, generated, seed)
    if name == "n_indistinguishable":  # one classifier is enough: they have figures of their own
        comparison = replace(comparison, classifiers=(TREES,))
    return METRICS[name].figures(comparison, np.random.default_rng(seed))


def complete(truth: EventSample, generated: EventSample, seed: int) -> Comparison:
    """A comparison with all that any metric asks for."""
    origin = generated.origin.model_copy(update={"provenance": PROVENANCE})
    makers = (make for make, x, _ in (*TOYS.values(), IMAGES) if x in truth.axes)
    make = next(makers, gaussian)
    return Comparison(truth, replace(generated, origin=origin), make(500, 1000 + seed), seed)


@cache
def of_equal_distributions(make: Callable[..., EventSample], seed: int) -> Comparison:
    """One comparison for all metrics: its classifiers are trained once."""
    return complete(make(1200, 2 * seed), make(600, 2 * seed + 1), seed)


def assert_same(a: dict[str, Figure], b: dict[str, Figure]) -> None:
    assert a.keys() == b.keys()
    for subject, figure in a.items():
        if not isinstance(figure, Estimate):
            assert figure == b[subject]
            continue
        numbers = (figure.value, figure.uncertainty, figure.floor, figure.floor_spread)
        other = b[subject]
        assert numbers == pytest.approx(
            (other.value, other.uncertainty, other.floor, other.floor_spread), rel=1e-9, abs=1e-12
        )


def with_toys(names: Iterable[str]) -> pytest.MarkDecorator:
    """Each metric with the toys that it can tell apart."""
    cases = [
        pytest.param(name, toy, id=f"{kind}-{name}")
        for name in names
        for kind, toy in ({"images": IMAGES} if name in OF_IMAGES + OF_CONDITIONS else TOYS).items()
    ]
    return pytest.mark.parametrize(("name", "toy"), cases)


@pytest.mark.parametrize("name", METRICS)
def test_it_says_what_it_is(name):
    metric = METRICS[name]
    assert metric.title
    assert metric.meaning
    assert metric.title not in [other.title for n, other in METRICS.items() if n != name]
    assert f"`{name}`" in DEFINED


@with_toys(METRICS)
class TestMetricContract:
    def test_the_order_of_events_is_irrelevant(self, name, toy):
        make, _, _ = toy
        truth, generated = make(1500, 1, weighted=True), make(1000, 2, weighted=True)
        shuffled = rebuilt(generated, np.random.default_rng(0).permutation(1000))
        assert_same(measure(name, truth, generated), measure(name, truth, shuffled))

    def test_the_scale_of_weights_is_irrelevant(self, name, toy):
        make, _, _ = toy
        truth, generated = make(1500, 1, weighted=True), make(1000, 2, weighted=True)
        scaled = rebuilt(generated, np.arange(1000), 8.0)
        assert_same(measure(name, truth, generated), measure(name, truth, scaled))

    def test_the_same_seed_gives_the_same_figures(self, name, toy):
        make, _, _ = toy
        truth, generated = make(1200, 1), make(1000, 2)
        assert measure(name, truth, generated, 5) == measure(name, truth, generated, 5)

    def test_equal_distributions_sit_at_the_floor(self, name, toy):
        make, _, _ = toy
        figures = [
            figure
            for seed in range(20)
            for figure in METRICS[name]
            .figures(of_equal_distributions(make, seed), np.random.default_rng(seed))
            .values()
        ]
        judged = [f for f in figures if isinstance(f, Estimate)]
        limits = [f for f in figures if isinstance(f, Reading) and f.lower_limit]
        assert len(judged) + len(limits) == len(figures) or name in OTHERS
        at_floor = [f for f in judged if f.verdict == "at the floor"]
        assert len(at_floor) >= 0.95 * len(judged)


@with_toys(DIFFERENCES)
class TestDifferences:
    def test_a_known_difference_is_found(self, name, toy):
        make, _, _ = toy
        truth = make(12_000, 1, weighted=True)
        generated = make(12_000, 2, shift=0.5, correlation=0.2, weighted=True)
        figures = measure(name, truth, generated).values()
        assert any(isinstance(f, Estimate) and f.verdict != "at the floor" for f in figures)


@with_toys(DISTANCES)
class TestWhatCannotBeComputed:
    def test_tiny_and_empty_samples_say_why(self, name, toy):
        make, _, _ = toy
        for n in (0, 3):
            for figure in measure(name, make(1000, 1), make(n, 2)).values():
                assert isinstance(figure, NotComputable)
                assert f"{n} generated events" in figure.reason

    def test_weights_that_cancel_say_why(self, name, toy):
        make, _, _ = toy
        sample = replace(make(1000, 2), weight=np.where(np.arange(1000) % 2, 1.0, -1.001))
        for figure in measure(name, make(2000, 1), rebuilt(sample, np.arange(1000))).values():
            assert isinstance(figure, NotComputable)
            assert "weights" in figure.reason

    def test_a_value_that_is_not_finite_says_which(self, name, toy):
        make, x, y = toy
        sample = make(1000, 2)
        values = np.where(np.arange(len(sample.columns[x].values)) % 2, np.nan, 0.0)
        figures = measure(name, make(2000, 1), rebuilt(sample, np.arange(1000), **{x: values}))
        if name in OF_IMAGES or (name in NUMBERS_ALONE and make is with_jets):
            assert all(isinstance(figure, Estimate | Reading) for figure in figures.values())
            return
        bad = figures.get(x, next(iter(figures.values())))
        assert isinstance(bad, NotComputable)
        assert f"{x} are not finite" in bad.reason
        if y in figures:
            assert isinstance(figures[y], Estimate | Reading)

    def test_a_constant_truth_says_so_and_the_rest_is_computed(self, name, toy):
        make, x, y = toy
        truth, generated = (
            rebuilt(s, np.arange(len(s)), **{x: np.full(len(s.columns[x].values), 0.1)})
            for s in (make(2000, 2000), make(1000, 1000))
        )
        figures = measure(name, truth, generated)
        if x in figures:
            assert figures[x] == NotComputable(reason=f"all truth values of {x} are 0.1")
            others = [f for subject, f in figures.items() if subject.startswith(y)]
            assert others
            assert all(isinstance(figure, Estimate | Reading) for figure in others)


def test_every_metric_of_the_package_is_registered():
    names = [f"{metrics.__name__}.{module.name}" for module in iter_modules(metrics.__path__)]
    values = [value for name in names for value in vars(import_module(name)).values()]
    defined = [value for value in values if isinstance(value, Metric)]
    assert len(defined) == len(METRICS)
    assert all(any(metric is known for known in METRICS.values()) for metric in defined)


def test_what_several_metrics_share_is_computed_once_of_a_stream_of_its_own():
    comparison = Comparison(gaussian(100, 1), gaussian(100, 2), seed=3)
    expected = np.random.default_rng(derive_seed(3, "evaluate/mine")).normal()
    assert comparison.shared("mine", lambda rng: rng.normal()) == expected
    assert comparison.shared("mine", lambda rng: rng.normal()) == expected
    assert comparison.shared("other", lambda rng: rng.normal()) != expected


def test_collapsed_generation_is_a_large_difference_not_an_error():
    collapsed = from_arrays({"x": np.zeros(1000), "y": np.zeros(1000)}, axes=AXES)
    truth = gaussian(2000, 1)
    assert measure("ks", truth, collapsed)["x"].verdict == "large"
    assert measure("c2st_auc", truth, collapsed)["boosted trees"].value > 0.95
    assert isinstance(measure("corr_frobenius", truth, collapsed)["all"], NotComputable)


def test_one_observable_has_no_correlations():
    alone = from_arrays({"x": np.random.default_rng(0).normal(size=500)})
    assert measure("corr_frobenius", alone, alone) == {}


def test_ks_quotes_a_p_value_that_is_uniform_for_equal_distributions():
    p = [
        measure("ks", gaussian(1000, 2 * seed), gaussian(500, 2 * seed + 1), seed)["x"].p_value
        for seed in range(30)
    ]
    assert 0.3 < np.mean(p) < 0.7


def test_chi2_looks_at_the_joint_plane_where_it_exists():
    rng = np.random.default_rng(0)
    columns = {"x_bj": 10 ** rng.uniform(-2, 0, 20_000), "q2": 10 ** rng.uniform(0, 1, 20_000)}
    swapped = {"x_bj": np.sort(columns["x_bj"]), "q2": np.sort(columns["q2"])}
    plane = Plane(x="x_bj", y="q2", x_range=(1e-3, 1), y_range=(1, 1e3))
    truth, generated = (
        from_arrays(events, definitions=Definitions(planes=(plane,)))
        for events in (columns, swapped)
    )
    figures = measure("chi2_ndf", truth, generated)
    assert figures["x_bj, q2"].verdict == "large"
    assert figures["q2"].verdict == "at the floor"
    assert figures["q2"].events == 10_000
    paper = measure("chi2_paper", truth, generated)
    assert paper["x_bj, q2"].value > 5 * paper["x_bj, q2"].floor
    assert paper["q2"].verdict == "at the floor"


def test_invalid_events_are_a_percentage_of_those_failing_the_selection():
    truth, generated = with_jets(4000, 0, correlation=0), with_jets(4000, 1, correlation=0)
    figures = measure("invalid_event_rate", truth, generated)
    assert figures["any"] == figures["jets"]
    assert figures["jets"].value == pytest.approx(100 / 8, abs=1.7)  # no jet of three
    assert "selection: jets" not in measure("unphysical_rate", truth, generated)
    plain = from_arrays({"x": np.zeros(10)})
    assert measure("invalid_event_rate", plain, plain) == {}
