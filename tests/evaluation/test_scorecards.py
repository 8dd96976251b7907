import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import awkward
import jsonschema
import numpy as np
import pandas
import pyarrow as pa
import pytest

import mleg_ray.evaluation
from mleg_ray.console import written
from mleg_ray.definitions import Constraint, Definitions
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.samples.sample import from_arrays
from mleg_ray.evaluation.scorecards import Scorecard, scorecard, worst
from mleg_ray.evaluation.statistics.estimate import Estimate, NotComputable, Reading
from tests.evaluation.conftest import AXES, gaussian

QUICK = {name: METRICS[name] for name in ("chi2_ndf", "unphysical_rate", "ks")}


def test_json_round_trip_and_determinism():
    truth, generated = gaussian(1000, 1), gaussian(500, 2)
    heard: list[tuple[float, str]] = []
    card = scorecard(
        truth, generated, seed=3, metrics=QUICK, progress=lambda *step: heard.append(step)
    )
    again = scorecard(truth, generated, seed=3, metrics=QUICK)
    assert Scorecard.model_validate_json(card.to_json()) == card
    assert card.figures == again.figures
    shares = [0, 6 / 8, 7 / 8, 1]  # ks takes six times as long as each of the others
    order = ["ks", "chi2_ndf", "unphysical_rate", ""]
    assert heard == [*zip(map(pytest.approx, shares), order, strict=True)]
    assert list(card.figures) == list(QUICK)
    document = json.loads(card.to_json())
    assert document["format_version"] == 2
    assert document["figures"]["ks"]["x"]["verdict"] == "at the floor"
    assert document["metrics"]["ks"] == {
        "title": "KS",
        "meaning": "largest difference of the two distribution functions",
        "of_all_events": False,
        "headline": "",
    }


def test_doing_nothing_stands_beside_highlights_that_do_not_grow_with_events():
    """Independent fields have the truth's distributions, and not its correlation of 0.6."""
    truth, null = gaussian(3000, 1), gaussian(1500, 2, correlation=0.0)
    names = ("c2st_auc", "chi2_ndf", "chi2_all", "ks")
    card = scorecard(truth, gaussian(1500, 3), null=null, metrics=names)
    assert list(card.null) == ["c2st_auc", "chi2_ndf"]
    assert list(card.null["c2st_auc"]) == ["boosted trees"]
    nothing = card.doing_nothing("c2st_auc")
    assert nothing is not None
    assert nothing.verdict == "visible"
    assert card.doing_nothing("chi2_ndf").verdict == "at the floor"
    assert card.doing_nothing("ks") is None
    first, second, third = card.headline()
    assert first.endswith(f"; doing nothing {written(nothing.value, nothing.uncertainty)}")
    assert "doing nothing" in second
    assert "doing nothing" not in third
    without = scorecard(truth, gaussian(1500, 3), metrics=["chi2_ndf"])
    assert (without.null, without.figures["chi2_ndf"]) == ({}, card.figures["chi2_ndf"])


def test_doing_nothing_is_told_apart_by_few_events():
    """Of a correlation of 0.6 that is gone, whatever the numbers of events are."""
    truth, null = gaussian(6000, 1), gaussian(3000, 2, correlation=0.0)
    card = scorecard(truth, gaussian(6000, 3), null=null, metrics=["n_indistinguishable"])
    nothing = card.doing_nothing("n_indistinguishable")
    assert nothing is not None
    assert nothing.value < 1000
    [(_, _, figure)] = card.highlights()
    assert isinstance(figure, Reading)
    assert figure.value > nothing.value
    [line] = card.headline()
    assert line.endswith(f"doing nothing {written(nothing.value, nothing.uncertainty)}")


def test_progress_is_told_within_a_metric_of_many_parts():
    """Two classifiers take nearly all of the time, one after the other."""
    heard: list[tuple[float, str]] = []
    scorecard(
        gaussian(1500, 1),
        gaussian(800, 2),
        metrics=["c2st_auc", "ks"],
        progress=lambda *step: heard.append(step),
    )
    shares = [share for share, _ in heard]
    end = METRICS["c2st_auc"].effort / (METRICS["c2st_auc"].effort + METRICS["ks"].effort)
    assert [metric for _, metric in heard] == ["c2st_auc"] * 3 + ["ks", ""]
    assert shares == pytest.approx([0, end / 2, end, end, 1])
    assert end > 0.5


def test_a_metrics_figures_do_not_depend_on_the_other_metrics():
    truth, generated = gaussian(1000, 1), gaussian(500, 2)
    alone = scorecard(truth, generated, metrics={"ks": METRICS["ks"]})
    assert alone.figures["ks"] == scorecard(truth, generated, metrics=QUICK).figures["ks"]


def test_headline_is_the_worst_of_each():
    metrics = QUICK | {"c2st_auc": METRICS["c2st_auc"]}
    card = scorecard(gaussian(1500, 1), gaussian(800, 2, shift=1.0), metrics=metrics)
    (c2st, classifier, auc), (chi2, subject, _), (rate, _, _) = card.highlights()
    assert (c2st, chi2, rate, subject) == ("c2st_auc", "chi2_ndf", "unphysical_rate", "x")
    assert auc.verdict == "visible"
    assert auc.value == max(figure.value for figure in card.figures["c2st_auc"].values())
    assert card.headline()[0] == f"c2st_auc ({classifier}): {auc}"
    assert re.search(r" ± .*, floor 0.5000? ± .*: visible difference$", card.headline()[0])


def test_worst_passes_over_what_is_not_computable():
    numbers = {"uncertainty": 1.0, "floor": 0.0, "floor_spread": 1.0, "events": 1}
    figures = {
        "a": NotComputable(reason="empty"),
        "b": Estimate(value=1.0, **numbers),
        "c": Estimate(value=2.0, **numbers),
    }
    assert worst(figures)[0] == "c"
    assert worst({"a": figures["a"]})[0] == "a"


def test_worst_where_more_is_better_is_the_least_and_what_is_seen_comes_before_limits():
    numbers = {"floor": 9.0, "floor_spread": 0.0, "events": 1, "direction": "higher"}
    figures = {
        "limit": Reading(value=1.0, note="", lower_limit=True),
        "sure": Estimate(value=5.0, uncertainty=0.1, **numbers),
        "least": Estimate(value=4.0, uncertainty=2.0, **numbers),
    }
    assert worst(figures)[0] == "least"
    limits = {"high": Reading(value=2.0, note="", lower_limit=True), "low": figures["limit"]}
    assert worst(limits)[0] == "low"
    assert worst({"plain": Reading(value=2.0, note="")})[0] == "plain"


def test_an_empty_sample_gives_reasons_only():
    card = scorecard(gaussian(1000, 1), gaussian(0, 2))
    assert all(
        isinstance(figure, NotComputable)
        for figures in card.figures.values()
        for figure in figures.values()
    )


def test_different_columns_are_an_error():
    with pytest.raises(DataError, match="'y' is a column of arrays only"):
        scorecard(gaussian(100, 1), from_arrays({"x": [1.0]}, axes={"x": AXES["x"]}))


def test_halves_of_the_authors_tape_sit_at_the_floor(reference_data):
    table = np.loadtxt(reference_data / "fat-gan" / "tape2.txt", delimiter=",")
    table = table[np.random.default_rng(0).permutation(len(table))[:12_000]]
    truth, other = (
        from_arrays(dict(zip(("energy", "px", "py", "pz"), half.T, strict=True)))
        for half in (table[::2], table[1::2])
    )
    card = scorecard(truth, other)
    assert {
        f"{metric} of {subject}": figure.verdict
        for metric, figures in card.figures.items()
        for subject, figure in figures.items()
        if isinstance(figure, Estimate) and figure.verdict != "at the floor"
    } == {}


def test_plain_columns_a_matrix_and_a_sample_are_the_same():
    sample = gaussian(400, 1)
    columns = {"x0": sample.numbers["x"], "x1": sample.numbers["y"]}
    matrix = np.stack(list(columns.values()), axis=1)
    metrics = {"ks": METRICS["ks"]}
    cards = [
        scorecard(events, events, training=events, metrics=metrics)
        for events in (columns, matrix, from_arrays(columns))
    ]
    assert cards[0].figures == cards[1].figures == cards[2].figures
    assert cards[0].truth.name == "truth"


class Polars(dict):
    """A frame that yields its columns, and tells their names apart, as those of polars do."""

    columns = ("b", "a")

    def __iter__(self):
        return iter(self.values())


def test_frames_of_every_kind_are_the_same():
    """Named columns in one order, by pandas, polars, Arrow, awkward, and a structured array."""
    rng = np.random.default_rng(0)
    columns = {"b": rng.normal(size=100), "a": rng.uniform(size=100)}
    structured = np.rec.fromarrays(list(columns.values()), names="b,a")
    frames = [
        *(pandas.DataFrame(columns), Polars(columns), pa.table(columns), awkward.Array(columns)),
        *(structured, pa.record_batch(columns)),
    ]
    expected = from_arrays(columns)
    for frame in frames:
        found = from_arrays(frame)
        assert list(found.columns) == ["b", "a"]
        for name in columns:
            np.testing.assert_array_equal(found.numbers[name], expected.numbers[name])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pa.Table.from_arrays([pa.array([1.0])] * 2, ["a", "a"]), "different names, not a, a"),
        (awkward.Array({"a": [[1.0], [2.0, 3.0]]}), "column 'a' is no column of numbers: "),
        (np.zeros(3), r"a matrix \(n, d\) or columns are needed, not \(3,\)"),
    ],
)
def test_frames_that_are_no_columns(frame, message):
    with pytest.raises(DataError, match=message):
        from_arrays(frame)


def test_the_package_offers_the_api_and_does_not_wait_for_scikit_learn():
    script = (
        "import sys, mleg_ray.evaluation, mleg_ray.training.selection, mleg_ray.sampling.sampler\n"
        "assert 'sklearn' not in sys.modules, 'training loads scikit-learn'\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert all(hasattr(mleg_ray.evaluation, name) for name in mleg_ray.evaluation.__all__)


def test_the_documents_example_of_a_metric_runs():
    document = str(Path(__file__).parents[2] / "docs" / "metrics.md")
    result = doctest.testfile(document, module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0


def test_the_published_schema_describes_the_document():
    published = json.loads((Path(__file__).parents[2] / "docs/scorecard.schema.json").read_text())
    assert published == Scorecard.model_json_schema(mode="serialization")
    card = scorecard(gaussian(1000, 1), gaussian(500, 2), metrics=QUICK)
    jsonschema.validate(json.loads(card.to_json()), published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(card.to_json()) | {"seed": "one"}, published)


def columns_of(n: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(0, 1, n), "b": rng.normal(5, 1, n)}


def test_columns_are_matched_by_name_in_every_figure():
    truth, generated, training = (columns_of(1500, seed) for seed in range(3))
    names = ("c2st_auc", "memorisation", "swd", "ks", "corr_frobenius")
    metrics = {name: METRICS[name] for name in names}
    expected = scorecard(truth, generated, training=training, metrics=metrics).figures
    turned = [dict(reversed(events.items())) for events in (generated, training)]
    assert scorecard(truth, turned[0], training=turned[1], metrics=metrics).figures == expected


def test_extreme_values_cost_one_metric_not_all():
    truth, generated = columns_of(1500, 0), columns_of(1500, 1)
    generated["a"][:40] = 1e200
    card = scorecard(truth, generated)
    assert isinstance(card.figures["ks"]["b"], Estimate)
    assert any(isinstance(f, NotComputable) for fs in card.figures.values() for f in fs.values())


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ({"a": ["x", "y"]}, "column 'a' holds <U1; real numbers are needed"),
        ({"a": np.array([1 + 1j, 2])}, "column 'a' holds complex128"),
        ({"a": np.array(["2020-01-01"], dtype="datetime64[D]")}, "column 'a' holds datetime64"),
        ({"a": np.ma.masked_array([1.0, 2.0], [True, False])}, "column 'a' is masked"),
        ({"a": [None, 1.0]}, "column 'a' holds object"),
    ],
)
def test_what_is_no_column_of_numbers_is_refused(events, message):
    with pytest.raises(DataError, match=message):
        from_arrays(events)


def test_weights_of_extreme_scale_are_refused():
    for scale in (1e200, 1e-200):
        with pytest.raises(DataError, match="common factor"):
            from_arrays({"a": [1.0, 2.0]}, [scale, scale])


def test_frames_may_have_numbered_columns():
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(1000, 2)))
    card = scorecard(frame, frame[:500], metrics=QUICK)
    assert list(card.axes) == ["0", "1"]


def test_rules_of_one_name_must_be_one_rule():
    rules = [
        Definitions(constraints={"c": Constraint(expression=f"a > {limit}")}) for limit in (-9, 0)
    ]
    truth, generated = (from_arrays(columns_of(1000, 0), definitions=rule) for rule in rules)
    with pytest.raises(DataError, match="'c' is not the same rule"):
        scorecard(truth, generated)


def test_metrics_may_be_named():
    events = columns_of(1000, 0)
    assert list(scorecard(events, events, metrics=["ks", "w1"]).figures) == ["ks", "w1"]
    assert list(scorecard(events, events, metrics="ks").figures) == ["ks"]
    with pytest.raises(ConfigError, match="no metric 'kss'; there are n_indistinguishable, c2st"):
        scorecard(events, events, metrics=["kss"])
    with pytest.raises(ConfigError, match=r"'mine' is a function; make it a Metric\(title="):
        scorecard(events, events, metrics={"mine": lambda comparison, rng: {}})


def test_definitions_may_be_tables():
    tables = {"constraints": {"positive": {"expression": "b > 0"}}}
    sample = from_arrays(columns_of(1000, 0), definitions=tables)
    assert sample.definitions.constraints["positive"].expression == "b > 0"
    for wrong, message in (
        ({"constraint": {}}, "definitions: unknown key 'constraint'"),
        ({"constraints": {"met": {"expression": "a == 0"}}}, "write it as 'left <= right'"),
        (["a > 0"], "definitions"),
    ):
        with pytest.raises(ConfigError, match=message):
            from_arrays(columns_of(10, 0), definitions=wrong)
