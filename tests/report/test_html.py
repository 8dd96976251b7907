import re
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mleg_ray.definitions import Definitions, Plane
from mleg_ray.evaluation.metrics import METRICS
from mleg_ray.evaluation.metrics.base import Comparison, Metric
from mleg_ray.evaluation.metrics.indistinguishable import n_indistinguishable
from mleg_ray.evaluation.samples.sample import Axis, EventSample, from_arrays
from mleg_ray.evaluation.scorecards import Scorecard, scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, Reading
from mleg_ray.report.html import (
    draw,
    draw_classifiers,
    gauge,
    render,
    symbol,
    usable,
    worth,
    write_report,
)
from mleg_ray.report.pages import quantity
from tests.evaluation.conftest import with_jets


def sample(seed: int, n: int = 600, name: str = "toy") -> EventSample:
    rng = np.random.default_rng(seed)
    columns = {
        "x_bj": 10 ** rng.uniform(-2, 0, n),
        "q2": 10 ** rng.uniform(0, 1, n),
        "spiky": np.ones(n),
    }
    axes = {
        "x_bj": Axis(label="x_{bj}", log=True),
        "q2": Axis(unit="GeV2", label="Q^2", log=True),
        "spiky": Axis(),
    }
    plane = Plane(x="x_bj", y="q2", x_range=(1e-3, 1), y_range=(1, 1e3))
    return from_arrays(columns, axes=axes, definitions=Definitions(planes=(plane,)), name=name)


def card_of(truth: EventSample, generated: EventSample) -> Scorecard:
    names = (
        "n_indistinguishable",
        "c2st_auc",
        "c2st_weights",
        "chi2_ndf",
        "unphysical_rate",
        "ks",
        "events_per_second",
    )
    metrics = {name: METRICS[name] for name in names}
    return scorecard(truth, generated, metrics=metrics)


@pytest.fixture(scope="module")
def page() -> str:
    truth, generated = sample(0, 1200), sample(1, name="<script>alert(1)</script>")
    run = {"seconds": 60.0, "events_per_second": 12345.0, "workers": 2}
    origin = generated.origin.model_copy(update={"provenance": {"production": run}})
    generated = replace(generated, origin=origin)
    card = card_of(truth, generated)
    trained = SimpleNamespace(history=[{"step": 1, "ks_sum": 1.0}], step=1)
    pictures = draw(truth, generated, trained) | draw_classifiers(card)
    return render(card, pictures)


def test_the_page_needs_nothing_else(page):
    assert not re.findall(r"https?://|<link|@import", page)
    assert all(source.startswith("data:image/png") for source in re.findall(r'src="([^"]*)', page))
    assert page.count("<img") == 3 + 2 + 3 + 3 + 1


def test_what_the_sample_can_be_used_for(page):
    """Every test has a line: what is seen with its error, the others with a limit."""
    section = page.partition("What the sample can be used for")[2].partition("</section>")[0]
    for subject in ("<i>x<sub>bj</sub></i>", "<i>Q<sup>2</sup></i>", "boosted trees"):
        assert f"<td>{subject}</td>" in section
    assert section.count("<tr><td>") == section.count("&gt; ") == 5
    assert re.findall(r">(yes|no|not known)</td>", section).count("no") == 0


def test_the_fewest_events_come_first_and_are_drawn():
    truth, generated = sample(0, 4000), sample(1, 4000)
    shifted = np.clip(generated.numbers["q2"] * 1.3, 1, 10)
    columns = generated.numbers | {"q2": shifted}
    made = from_arrays(columns, axes=generated.axes, definitions=generated.definitions)
    metrics = {"n_indistinguishable": METRICS["n_indistinguishable"]}
    card = scorecard(truth, made, metrics=metrics)
    names, figures = zip(*usable(card), strict=True)
    assert isinstance(figures[0], Estimate)
    assert list(figures) == sorted(figures, key=lambda figure: figure.value)
    assert names[0] != "x_bj"
    assert card.headline()[0].startswith(f"n_indistinguishable ({names[0]}): ")
    pictures = draw_classifiers(card)
    assert list(pictures) == ["significance"]
    page = render(card, pictures)
    assert ">no</td>" in page.partition("What the sample can be used for")[2]


def test_the_first_cards_say_whether_a_sample_is_good_and_what_limits_it():
    """Nine in ten of the smallest numbers are not generated; doing nothing loses a correlation."""

    def events(seed: int, correlation: float = 0.9, lost: float = 0.0) -> EventSample:
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(2, 20_000))
        turned = np.where((a < -2) & (rng.uniform(size=len(a)) < lost), -1, 1)
        a, x = a * turned, (a * correlation + b * np.sqrt(1 - correlation**2)) * turned
        plane = Plane(x="a", y="x", x_range=(-5, 5), y_range=(-5, 5), log=False)
        return from_arrays({"a": a, "x": x}, definitions=Definitions(planes=(plane,)))

    def without_classifiers(
        comparison: Comparison, rng: np.random.Generator
    ) -> Mapping[str, Figure]:
        return n_indistinguishable(replace(comparison, classifiers=()), rng)

    first = METRICS["n_indistinguishable"].model_copy(update={"compute": without_classifiers})
    metrics = {"n_indistinguishable": first, "n_equivalent": METRICS["n_equivalent"]}
    for lost, pill in ((0.0, "at the floor"), (0.9, "large difference")):
        card = scorecard(events(1), events(2, lost=lost), null=events(3, 0.0), metrics=metrics)
        page = " ".join(render(card, {}).split())
        usable_card, worth_card = page.split('<section class="card">')[1:]
        assert f">{pill}</span>" in usable_card
        nothing = card.doing_nothing("n_indistinguishable")
        assert nothing is not None
        assert f"Doing nothing: {quantity(nothing.value, nothing.uncertainty)}." in usable_card
        if lost:
            assert "Limited by a" in usable_card
            assert "Least in a, tail" in worth_card
        else:
            assert "true events resolve no more" in usable_card
        table = page.partition("<h3>Worth in true events</h3>")[2].partition("</table>")[0]
        assert table.count('data-label="tail"') == table.count('data-label="bulk"') == 2
        assert list(worth(card)) == ["a", "x"]
        assert list(worth(card)["a"]) == ["tail", "edge", "bulk"]


def test_texts_are_escaped(page):
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_what_is_not_computable_is_said(page):
    assert "KS of spiky: not computable, because all truth values of spiky are 1." in page
    assert "600 generated against 600 true events" in page


def test_headline_table_and_provenance_are_there(page):
    for text in (
        "Classifier test, AUC",
        "Worst χ² / ndf",
        "<sub>bj</sub>",
        "root seed",
        "numpy",
        "2 workers",
    ):
        assert text in page


def test_report_of_an_empty_sample_is_written(tmp_path):
    truth, generated = sample(0), sample(1, 0)
    out = str(tmp_path / "report")
    assert write_report(card_of(truth, generated), truth, generated, out) == f"{out}/report.html"
    written = {path.name for path in (tmp_path / "report").iterdir()}
    assert written == {"report.html", "scorecard.json"}
    assert "Not computable, because" in (tmp_path / "report" / "report.html").read_text()


def test_objects_are_counted_named_and_drawn(tmp_path):
    truth, generated = with_jets(1200, 0), with_jets(600, 1, shift=0.5)
    names = ("ks", "w1", "chi2_ndf", "corr_frobenius")
    card = scorecard(truth, generated, metrics=names)
    write_report(card, truth, generated, str(tmp_path))
    page = " ".join((tmp_path / "report.html").read_text().split())
    jets = [int(s.numbers["jet.count"].sum()) for s in (generated, truth)]
    assert f"the objects jet ({jets[0]:,} generated, {jets[1]:,} true)" in page
    assert "with the weights of their events" in page
    assert "weighted mean" in page
    assert "averages over objects" not in page
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert {f"observable-{name}" for name in ("met", "jet.count", "jet.pt", "jet.eta")} <= drawn
    assert card.truth.objects == {"jet": jets[1]}


def test_without_objects_the_page_says_so(page):
    assert "Not applicable: averages over objects; the dataset has no groups of them." in page
    assert "the objects" not in page


def medians(comparison: Comparison, rng: np.random.Generator) -> dict[str, Figure]:
    """How far the medians are apart."""
    truth, generated = comparison.truth.numbers, comparison.generated.numbers
    return {
        name: Estimate(
            value=np.median(generated[name]) - np.median(truth[name]),
            uncertainty=0.1,
            floor=0,
            floor_spread=0.1,
            events=len(comparison.generated),
        )
        for name in truth
    }


OWN = {
    "medians": Metric(
        title="Δ <median>",
        meaning="difference of the medians; 0 at best",
        headline="In {subject}, of <{events}> events.",
        compute=medians,
    ),
    "price": Metric(
        title="Price",
        meaning="what an event costs",
        of_all_events=True,
        headline="Of all.",
        compute=lambda comparison, rng: {"all": Reading(value=2.5, note="cents per event")},
    ),
}


def page_of(card: Scorecard) -> str:
    """The page of a scorecard that was written and read."""
    read = Scorecard.model_validate_json(card.to_json())
    assert read == card
    return " ".join(render(read, {}).split())


def test_metrics_of_the_users_own_have_their_texts_on_the_page():
    truth, generated = sample(0, 1200), sample(1, 700)
    card = scorecard(truth, generated, metrics={"ks": METRICS["ks"], **OWN})
    page = page_of(card)
    assert page.count("<span>Worst Δ &lt;median&gt;</span>") == 1
    assert re.search(r"In <i>(x<sub>bj</sub>|Q<sup>2</sup>)</i>, of &lt;700&gt; events\.</p>", page)
    assert '<td title="difference of the medians; 0 at best">Δ &lt;median&gt;</td>' in page
    assert '<th title="difference of the medians; 0 at best">Δ &lt;median&gt;</th>' in page
    assert "Δ &lt;median&gt;: 700 generated against 700 true events." in page
    assert '<div class="value">2.50</div> <p>cents per event.</p>' in page
    assert '<td title="what an event costs">Price</td>' in page
    assert [line.split(" ")[0] for line in card.headline()] == ["medians", "price"]


def test_a_registered_metric_of_the_users_own_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(METRICS, "medians", OWN["medians"])
    card = scorecard(sample(0, 1200), sample(1, 700), metrics=["ks", "medians"])
    monkeypatch.delitem(METRICS, "medians")
    assert "<span>Worst Δ &lt;median&gt;</span>" in page_of(card)


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.57923, 0.0053, "0.5792 ± 0.0053"),
        (14.752, 0.29, "14.75 ± 0.29"),
        (-1.0, 0.5, "−1.00 ± 0.50"),
        (0, 3.3e-5, "0 ± 3.3 × 10<sup>−5</sup>"),
        (6.7e-5, 4.7e-5, "(6.7 ± 4.7) × 10<sup>−5</sup>"),
        (1234567, 1000, "1,234,600 ± 1,000"),
        (12345678, 10000, "(1.2346 ± 0.0010) × 10<sup>7</sup>"),
        (18459.2, 2789, "18,500 ± 2,800"),
        (327.44, 51, "327 ± 51"),
        (526315.8, 0, "526,300"),
        (0.5, 0, "0.500"),
        (0, 0, "0"),
    ],
)
def test_quantities_have_two_digits_of_their_uncertainty(value, uncertainty, text):
    assert quantity(value, uncertainty) == text


@pytest.mark.parametrize(
    ("label", "html"),
    [
        ("x_{bj}", "<i>x<sub>bj</sub></i>"),
        ("Q^2", "<i>Q<sup>2</sup></i>"),
        (r"\theta", "<i>&theta;</i>"),
        ("<b>", "<i>&lt;b&gt;</i>"),
        ("", "name"),
    ],
)
def test_labels_become_html(label, html):
    assert symbol("name", Axis(label=label)) == html


def test_gauge_holds_value_and_floor_within_its_width():
    positions = gauge(Estimate(value=9.0, uncertainty=1, floor=1, floor_spread=0.5, events=1))
    assert 0 < positions["floor_low"] < positions["floor"] < positions["value"] < 100
    flat = gauge(Estimate(value=0.0, uncertainty=0, floor=0, floor_spread=0, events=1))
    assert flat["value"] == flat["floor"] == 50
