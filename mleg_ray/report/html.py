"""The report: one page that holds its pictures, with the scorecard and the PNGs beside it."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from markupsafe import Markup, escape

from mleg_ray.checkpoint import Card
from mleg_ray.evaluation.metrics.amplification import REGIONS
from mleg_ray.evaluation.metrics.base import MetricTexts
from mleg_ray.evaluation.metrics.c2st import LARGE_WEIGHT, SMALL_WEIGHT
from mleg_ray.evaluation.samples.sample import Axis, EventSample, Origin
from mleg_ray.evaluation.scorecards import Scorecard, worst
from mleg_ray.evaluation.statistics.estimate import (
    FLOOR_SIGMAS,
    Curve,
    Estimate,
    NotComputable,
    Reading,
)
from mleg_ray.report.drawing import unit_text
from mleg_ray.report.figures import (
    calibration_png,
    correlation_pngs,
    drawable,
    observable_png,
    plane_pngs,
    roc_png,
    significance_png,
    training_pngs,
    weights_png,
)
from mleg_ray.report.folder import FIGURES
from mleg_ray.report.images import image_pngs
from mleg_ray.report.pages import templates
from mleg_ray.report.profiles import profile_pngs
from mleg_ray.storage import join, write_bytes

N_INDISTINGUISHABLE, N_EQUIVALENT = "n_indistinguishable", "n_equivalent"
REPORT, SCORECARD = "report.html", "scorecard.json"


def write_report(
    card: Scorecard,
    truth: EventSample,
    generated: EventSample,
    out: str,
    trained: Card | None = None,
) -> str:
    """Write figures, page and scorecard into the folder `out`; return the page's place.

    `trained` is the card of the checkpoint that generated, if known. The scorecard comes last, so a
    folder that has one is whole.
    """
    pictures = draw(truth, generated, trained) | draw_classifiers(card) | profile_pngs(card)
    for name, png in pictures.items():
        write_bytes(join(out, FIGURES, f"{name}.png"), png)
    page = join(out, REPORT)
    write_bytes(page, render(card, pictures).encode())
    write_bytes(join(out, SCORECARD), card.to_json().encode())
    return page


def draw(
    truth: EventSample, generated: EventSample, trained: Card | None = None
) -> dict[str, bytes]:
    """Return all pictures of a report as PNGs by name; what has no density is left out."""
    pictures: dict[str, bytes] = {}
    if min(truth.weight.sum(), generated.weight.sum()) > 0:
        for plane in truth.definitions.planes:
            panels = plane_pngs(plane, truth, generated)
            pictures |= {f"plane-{plane.x}-{plane.y}-{k}": png for k, png in panels.items()}
        for name in truth.axes:
            if drawable(name, truth):
                pictures[f"observable-{name}"] = observable_png(name, truth, generated)
        for name in truth.images:
            if name in generated.images:
                panels = image_pngs(name, truth, generated)
                pictures |= {f"image-{name}-{k}": png for k, png in panels.items()}
        panels = correlation_pngs(truth, generated)
        pictures |= {f"correlation-{k}": png for k, png in panels.items()}
    if trained:
        pictures |= training_pngs(trained.history, trained.step)
    return pictures


def draw_classifiers(card: Scorecard) -> dict[str, bytes]:
    """Return pictures of what the scorecard says of its classifiers; none if it has no curves.

    Event weights are those of the classifier that tells most events apart.
    """
    pictures: dict[str, bytes] = {}
    if rocs := _curves(card, "c2st_auc", "roc"):
        pictures["classifiers-roc"] = roc_png(rocs)
    if significances := _curves(card, N_INDISTINGUISHABLE, "significance"):
        pictures["significance"] = significance_png(significances)
    if calibrations := _curves(card, "c2st_weights", "calibration"):
        short = {name.removesuffix(", JSD"): curve for name, curve in calibrations.items()}
        pictures["classifiers-calibration"] = calibration_png(short)
        best, _ = worst({name: card.figures["c2st_weights"][name] for name in calibrations})
        truth, generated = (
            _curves(card, "c2st_weights", f"weights, {whose}")[best]
            for whose in ("truth", "generated")
        )
        tails = SMALL_WEIGHT, LARGE_WEIGHT
        pictures["classifiers-weights"] = weights_png(truth, generated, tails)
    return pictures


def render(card: Scorecard, pictures: Mapping[str, bytes]) -> str:
    """Return the page; every text of the scorecard is escaped."""
    page = page_environment(card.axes, card.metrics).get_template("report.html.j2")
    return page.render(
        card=card,
        sample_name=sample_name(card.generated),
        images=pictures,
        matrix_metrics=[
            metric
            for metric, figures in card.figures.items()
            if set(figures) & set(card.axes) and metric != N_INDISTINGUISHABLE
        ],
        usable=list(usable(card)),
        worth=worth(card),
        regions=REGIONS,
        provenance={"Truth": _origin(card.truth), "Generated sample": _origin(card.generated)},
        pictured=[k.removesuffix("-gallery") for k in pictures if k.endswith("-gallery")],
        profiles=[k for k in pictures if k.startswith("profile-")],
        equal_numbers=equal_numbers(card),
        not_computable=not_computable(card),
    )


def sample_name(origin: Origin) -> str:
    """Return what a sample is called: its folder, since its name is that of the truth it imitates.

    Samples in memory have their name alone.
    """
    return origin.uri.rstrip("/").rsplit("/", 1)[-1] if origin.uri else origin.name


def page_environment(
    axes: Mapping[str, Axis], metrics: Mapping[str, MetricTexts]
) -> jinja2.Environment:
    """Return the templates of pages that have figures of merit."""

    def subject(name: str) -> Markup:
        parts = name.split(", ")
        return Markup(", ").join(symbol(part, axes.get(part, Axis())) for part in parts)

    def headline(metric: str, name: str, figure: Estimate) -> Markup:
        text = escape(metrics[metric].headline)
        return text.replace("{subject}", subject(name)).replace("{events}", f"{figure.events:,}")

    environment = templates()
    environment.filters |= {
        "symbol": lambda name: symbol(name, axes.get(name, Axis())),
        "subject": subject,
        "title": lambda metric: metrics[metric].title,
        "meaning": lambda metric: metrics[metric].meaning,
        "headline": headline,
        "unit": unit_text,
        "gauge": gauge,
    }
    environment.tests["computable"] = lambda figure: isinstance(figure, Estimate)
    environment.tests["reading"] = lambda figure: isinstance(figure, Reading)
    environment.tests["limit"] = lambda figure: isinstance(figure, Reading) and figure.lower_limit
    return environment


def symbol(name: str, axis: Axis) -> Markup:
    r"""Turn a LaTeX label such as `x_{bj}` or `\theta` into HTML; the plain name if there is none.

    Greek letters have the same names in LaTeX and in HTML; subscripts and superscripts are the only
    other constructs that labels of observables need.
    """
    if not axis.label:
        return escape(name)
    text = re.sub(r"\\([A-Za-z]+)", r"&\1;", str(escape(axis.label)))
    text = re.sub(r"_(?:\{([^{}]*)\}|(\w))", r"<sub>\1\2</sub>", text)
    text = re.sub(r"\^(?:\{([^{}]*)\}|(\w))", r"<sup>\1\2</sup>", text)
    return Markup("<i>{}</i>").format(Markup(text))


def gauge(figure: Estimate) -> dict[str, float]:
    """Return positions in percent for a value's dot and bar beside the floor's band.

    A dot in the band is within 3 combined sigma of the floor, as the verdict counts.
    """
    reach = FLOOR_SIGMAS * math.hypot(figure.floor_spread, figure.uncertainty)
    positions = {
        "floor_low": figure.floor - reach,
        "floor": figure.floor,
        "floor_high": figure.floor + reach,
        "bar_low": figure.value - figure.uncertainty,
        "value": figure.value,
        "bar_high": figure.value + figure.uncertainty,
    }
    low, high = min(positions.values()), max(positions.values())
    margin = 0.06 * (high - low) or 1.0
    width = high - low + 2 * margin
    return {name: round(100 * (x - low + margin) / width, 2) for name, x in positions.items()}


def usable(card: Scorecard) -> Iterator[tuple[str, Estimate | Reading]]:
    """Yield each test of `n_indistinguishable` with its figure, the fewest events first.

    What is not computable is left out.
    """
    figures = card.figures.get(N_INDISTINGUISHABLE, {})
    numbers = {s: f for s, f in figures.items() if not isinstance(f, NotComputable)}
    yield from sorted(numbers.items(), key=lambda item: item[1].value)


def worth(card: Scorecard) -> dict[str, dict[str, Estimate | Reading]]:
    """Return the figures of `n_equivalent` by observable and region.

    What is not computable is left out.
    """
    table: dict[str, dict[str, Estimate | Reading]] = {}
    for subject, figure in card.figures.get(N_EQUIVALENT, {}).items():
        if not isinstance(figure, NotComputable):
            name, _, region = subject.rpartition(", ")
            table.setdefault(name, {})[region] = figure
    return table


def equal_numbers(card: Scorecard) -> Iterator[str]:
    """Yield how many events the figures compare that do not count all."""
    sizes: dict[int, list[str]] = {}
    for metric, figures in card.figures.items():
        texts = card.metrics[metric]
        found = [figure.events for figure in figures.values() if isinstance(figure, Estimate)]
        if found and not texts.of_all_events:
            sizes.setdefault(max(found), []).append(texts.title)
    for size, titles in sorted(sizes.items()):
        yield (
            f"{', '.join(titles)}: {size:,} generated against {size:,} true events. "
            "Differences too small for these numbers are not seen."
        )


def not_computable(card: Scorecard) -> Iterator[str]:
    """Yield why figures are missing."""
    reasons: dict[str, list[str]] = {}
    for metric, figures in card.figures.items():
        for subject, figure in figures.items():
            if isinstance(figure, NotComputable):
                of = f"{card.metrics[metric].title} of {subject}"
                reasons.setdefault(figure.reason, []).append(of)
    for reason, missing in reasons.items():
        yield f"{'; '.join(missing)}: not computable, because {reason}."


def _curves(card: Scorecard, metric: str, name: str) -> dict[str, Curve]:
    """Return a metric's curves of that name by subject."""
    return {
        subject: figure.curves[name]
        for subject, figure in card.figures.get(metric, {}).items()
        if isinstance(figure, Estimate) and name in figure.curves
    }


def _origin(origin: Origin) -> list[tuple[str, str]]:
    """Flatten an origin into rows of text."""
    return [
        ("name", origin.name),
        ("place", origin.uri or "arrays in memory"),
        ("split", origin.split or "all"),
        ("events", f"{origin.events:,}"),
        ("drawn at random", f"{origin.compared:,}" if origin.compared < origin.events else "all"),
        *((f"{group}, drawn", f"{number:,}") for group, number in origin.objects.items()),
        ("digest", origin.dataset_digest or "none"),
        *((name, f"{value:g}") for name, value in origin.conditions.items()),
        *((key, text) for key, text in _flatten(origin.provenance) if not _DEFINITION.search(key)),
    ]


# Of the checkpoint's card: what the catalog declares, and the page shows anyway.
_DEFINITION = re.compile(r"\.dataset\.(fields|observables|constraints|selection|planes|groups)\b")


def _flatten(value: Any, key: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flatten(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, (list, tuple)) and len(value) > 0 and isinstance(value[0], Mapping):
        yield key, f"{len(value)} entries"
    else:
        yield key, str(value)
