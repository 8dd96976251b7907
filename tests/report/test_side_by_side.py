"""Samples side by side: what the table says, and that it says it of one truth."""

import csv
import io
import re

import numpy as np
import pytest

from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import MetricTexts
from mleg_ray.evaluation.samples.sample import Axis, from_arrays
from mleg_ray.evaluation.scorecards import Scorecard, scorecard, worst
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.report.side_by_side import (
    lines,
    missing,
    render,
    summary_lines,
    to_csv,
    to_latex,
    write_side_by_side,
)

NUMBERS = ("chi2_ndf", "ks", "unphysical_rate")
METRIC_NAMES = (*NUMBERS, "swd", "memorisation", "invalid_event_rate")
AXES = {"x0": Axis(label="p_T"), "x1": Axis(label=r"\phi"), "x2": Axis()}
TRUTH = np.random.default_rng(0).normal(size=(1000, 2))


def card(shift: float, truth: np.ndarray = TRUTH) -> Scorecard:
    generated = np.random.default_rng(1).normal(shift, 1, size=(500, 2))
    truth, generated = (np.insert(events, 2, 1.0, axis=1) for events in (truth, generated))
    metrics = {name: METRICS[name] for name in METRIC_NAMES}
    return scorecard(*(from_arrays(e, axes=AXES) for e in (truth, generated)), metrics=metrics)


CARDS = {"good_one": card(0.0), "<b>bad</b>": card(1.0)}


def test_a_line_has_the_worst_subject_or_the_one_that_stands_for_all():
    by_metric = {line.metric: line for line in lines(CARDS)}
    assert tuple(by_metric) == NUMBERS
    assert [line.names_worst for line in by_metric.values()] == [True, True, False]
    good, bad = by_metric["ks"].figures
    assert bad is not None
    assert bad[1] == worst(CARDS["<b>bad</b>"].figures["ks"])[1]
    assert by_metric["unphysical_rate"].figures[0][0] == "any"
    assert good[0] in ("x0", "x1")


def test_what_no_sample_has_is_said_once():
    assert list(missing(CARDS)) == [
        "Sliced W₁: not computable, because all truth values of x2 are 1.",
        "Memorisation: not computable, because the truth's data are not known to have trained it.",
        "Invalid events, %: not applicable.",
    ]


def test_a_metric_of_the_users_own_has_its_title_in_every_table():
    """Also where one of the samples alone has it."""
    figure = Estimate(value=1.0, uncertainty=0.1, floor=0.0, floor_spread=0.1, events=9)
    texts = MetricTexts(title="Own <1>", meaning="what I measure")
    good = CARDS["good_one"]
    figures, metrics = good.figures | {"own": {"x0": figure}}, good.metrics | {"own": texts}
    cards = {"a": good, "b": good.model_copy(update={"figures": figures, "metrics": metrics})}
    assert list(summary_lines(cards))[-1][:2] == ("Own <1>", "–")
    assert "\nOwn $<$1$>$ & -- & -- & $1.00" in to_latex(cards)
    assert '<td title="what I measure">Own &lt;1&gt;</td>' in render(cards)


def test_csv_holds_every_figure(tmp_path):
    rows = list(csv.DictReader(io.StringIO(to_csv(CARDS))))
    assert len(rows) == sum(len(f) for c in CARDS.values() for f in c.figures.values())
    row = next(
        r for r in rows if (r["sample"], r["metric"], r["subject"]) == ("good_one", "ks", "x0")
    )
    figure = CARDS["good_one"].figures["ks"]["x0"]
    assert isinstance(figure, Estimate)
    assert float(row["value"]) == figure.value
    assert (float(row["floor"]), row["verdict"]) == (figure.floor, figure.verdict)
    absent = next(r for r in rows if r["metric"] == "memorisation")
    assert (absent["value"], absent["note"]) == (
        "",
        "the truth's data are not known to have trained it",
    )


def test_latex_is_a_whole_table_with_escaped_names():
    text = to_latex(CARDS)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert text.startswith(r"\begin{tabular}{lrrrr}")
    assert len(body) == 2 + len(NUMBERS)
    assert all(line.count("&") == 4 for line in body[1:])
    assert r"\multicolumn{2}{c}{good\_one}" in body[0]
    number = r"\$\d+\.\d+ \\pm \d+\.\d+\$"
    assert re.match(rf"\$\\chi\^2\$ / ndf & {number} \(\$(p_T|\\phi)\$\) & {number} &", body[2])


def test_the_page_is_escaped_and_needs_nothing_else(tmp_path):
    places = write_side_by_side(CARDS, str(tmp_path))
    page = (tmp_path / "comparison.html").read_text()
    assert [place.rsplit(".", 1)[1] for place in places] == ["html", "csv", "tex"]
    assert "<b>bad" not in page
    assert not re.findall(r"https?://|<link|@import", page)
    assert page.count("<tr>") == 2 + len(NUMBERS) + 8
    assert "Memorisation: not computable" in page


def test_lines_of_text_for_a_terminal():
    rows = {row[0]: row[1:] for row in summary_lines(CARDS)}
    assert "Memorisation" not in rows
    assert all(len(row) == 2 for row in rows.values())
    assert re.fullmatch(r".* ± .*, floor .* ± .* \(x[01]\)", rows["KS"][0])


def test_only_samples_of_the_same_truth_are_compared(tmp_path):
    with pytest.raises(ConfigError, match="two samples"):
        write_side_by_side({"a": CARDS["good_one"]}, str(tmp_path))
    other = card(0.0, TRUTH[:800])
    with pytest.raises(
        ConfigError, match="different truths: arrays, 1,000 events, and arrays, 800"
    ):
        write_side_by_side({"a": CARDS["good_one"], "b": other}, str(tmp_path))
    assert not list(tmp_path.iterdir())
