"""Several samples side by side: the table that a paper would print, as page, CSV and LaTeX."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mleg_ray.console import rounded, written
from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.metrics.base import MetricTexts
from mleg_ray.evaluation.samples.sample import Axis, Origin
from mleg_ray.evaluation.scorecards import REPRESENTATIVES, Scorecard, representative
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure, NotComputable, Reading
from mleg_ray.report.html import page_environment
from mleg_ray.storage import join, write_bytes

PAGE, CSV, LATEX = "comparison.html", "comparison.csv", "comparison.tex"

# What the metrics' titles have beyond ASCII.
LATEX_SYMBOLS = {"χ²": r"$\chi^2$", "W₁": "$W_1$"}

HEADER = (
    *("sample", "metric", "subject", "value", "uncertainty", "floor", "floor_spread"),
    *("significance", "verdict", "p_value", "events", "note"),
)


@dataclass(frozen=True)
class Line:
    """One line of the table: a metric's subject and figure of each sample, None if it has none."""

    metric: str
    figures: tuple[tuple[str, Figure] | None, ...]
    names_worst: bool = False  # each figure is the worst of many

    @property
    def subject(self) -> str:
        """The first subject of the line; in `details` all samples have the same."""
        return next(cell[0] for cell in self.figures if cell is not None)


def write_side_by_side(cards: Mapping[str, Scorecard], out: str) -> list[str]:
    """Write the table of samples, by name, into the folder `out`; return the files' places.

    Raises:
        ConfigError: fewer than two samples, or samples that were judged by different truths.
    """
    require_same_truth(cards)
    contents = {PAGE: render(cards), CSV: to_csv(cards), LATEX: to_latex(cards)}
    for name, content in contents.items():
        write_bytes(join(out, name), content.encode())
    return [join(out, name) for name in contents]


def require_same_truth(cards: Mapping[str, Scorecard]) -> None:
    """Raise `ConfigError` unless there are several samples, all judged by the same events."""
    if len(cards) < 2:
        raise ConfigError("a comparison needs two samples or more")
    first, *others = cards
    for other in others:
        a, b = cards[first].truth, cards[other].truth
        for key in ("dataset_digest", "split", "events"):
            if getattr(a, key) != getattr(b, key):
                raise ConfigError(
                    f"{first} and {other} were judged by different truths: {_described(a)}, and "
                    f"{_described(b)}; evaluate both by the same"
                )


def lines(cards: Mapping[str, Scorecard]) -> list[Line]:
    """Return a line for each metric of which some sample has a number."""
    found = []
    for metric in _metrics(cards):
        every = [card.figures.get(metric) for card in cards.values()]
        of_many = any(figures and not set(REPRESENTATIVES) & set(figures) for figures in every)
        cells = tuple(representative(figures) if figures else None for figures in every)
        if any(cell and isinstance(cell[1], Estimate | Reading) for cell in cells):
            found.append(Line(metric, cells, of_many))
    return found


def missing(cards: Mapping[str, Scorecard]) -> Iterator[str]:
    """Yield why metrics without a number for any sample have none."""
    present = {line.metric for line in lines(cards)}
    for metric, texts in _metrics(cards).items():
        if metric in present:
            continue
        figures = [f for card in cards.values() for f in card.figures.get(metric, {}).values()]
        reasons = dict.fromkeys(f.reason for f in figures if isinstance(f, NotComputable))
        why = f"not computable, because {'; '.join(reasons)}" if reasons else "not applicable"
        yield f"{texts.title}: {why}."


def details(cards: Mapping[str, Scorecard]) -> list[Line]:
    """Return a line for each subject of the metrics that have several."""
    subjects = dict.fromkeys(
        (metric, subject)
        for card in cards.values()
        for metric, figures in card.figures.items()
        for subject in figures
        if len(figures) > 1
    )
    found = []
    for metric, subject in subjects:
        figures = (card.figures.get(metric, {}).get(subject) for card in cards.values())
        cells = tuple((subject, figure) if figure else None for figure in figures)
        found.append(Line(metric, cells))
    return found


def render(cards: Mapping[str, Scorecard]) -> str:
    """Return the page: the table of metrics, and that of all figures."""
    first = next(iter(cards.values()))
    template = page_environment(first.axes, _metrics(cards)).get_template("comparison.html.j2")
    return template.render(
        names=list(cards),
        cards=list(cards.values()),
        truth=first.truth,
        lines=lines(cards),
        missing=list(missing(cards)),
        details=details(cards),
    )


def to_csv(cards: Mapping[str, Scorecard]) -> str:
    """Return all figures of all samples, one a line, with the columns of `HEADER`."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HEADER, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for name, card in cards.items():
        for metric, figures in card.figures.items():
            for subject, figure in figures.items():
                row = {"sample": name, "metric": metric, "subject": subject}
                note = {"note": figure.reason} if isinstance(figure, NotComputable) else {}
                writer.writerow(row | note | figure.model_dump())
    return stream.getvalue()


def to_latex(cards: Mapping[str, Scorecard]) -> str:
    """Return the table as a LaTeX `tabular`, a value and a floor by sample; it needs no package."""
    axes, metrics = next(iter(cards.values())).axes, _metrics(cards)
    rows = [
        ("", *(rf"\multicolumn{{2}}{{c}}{{{_escaped(name)}}}" for name in cards)),
        ("", *("value & floor" for _ in cards)),
    ]
    for line in lines(cards):
        cells = (_latex(cell, axes, line.names_worst) for cell in line.figures)
        rows.append((_latex_title(metrics[line.metric].title), *cells))
    head, columns, *body = (" & ".join(row) + r" \\" for row in rows)
    form = "l" + "rr" * len(cards)
    table = [rf"\begin{{tabular}}{{{form}}}", r"\hline", head, columns, r"\hline", *body, r"\hline"]
    return "\n".join([*table, r"\end{tabular}", ""])


def summary_lines(cards: Mapping[str, Scorecard]) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows as plain text: metric, and a cell for each sample."""
    metrics = _metrics(cards)
    for line in lines(cards):
        cells = (_plain(cell, line.names_worst) for cell in line.figures)
        yield metrics[line.metric].title, *cells


def _described(truth: Origin) -> str:
    split = f":{truth.split}" if truth.split else ""
    digest = f", digest {truth.dataset_digest[:8]}" if truth.dataset_digest else ""
    return f"{truth.name}{split}, {truth.events:,} events{digest}"


def _metrics(cards: Mapping[str, Scorecard]) -> dict[str, MetricTexts]:
    """Return the texts of all metrics, of each those of the first sample that has it."""
    found: dict[str, MetricTexts] = {}
    for card in cards.values():
        found |= card.metrics | found
    return found


def _plain(cell: tuple[str, Figure] | None, named: bool) -> str:
    if cell is None:
        return "–"
    subject, figure = cell
    if not isinstance(figure, Estimate):
        return figure.text if isinstance(figure, Reading) else "–"
    value = written(figure.value, figure.uncertainty)
    floor = written(figure.floor, figure.floor_spread)
    return f"{value}, floor {floor}" + (f" ({subject})" if named else "")


def _latex(cell: tuple[str, Figure] | None, axes: Mapping[str, Axis], named: bool) -> str:
    """Return the columns of value and floor."""
    subject, figure = cell or ("", None)
    if not isinstance(figure, Estimate):
        text = _in_mathematics(figure.text) if isinstance(figure, Reading) else ""
        return f"${text}$ & --" if text else "-- & --"
    value = _plus_minus(figure.value, figure.uncertainty)
    name = f" ({_latex_subject(subject, axes)})" if named else ""
    return f"{value}{name} & {_plus_minus(figure.floor, figure.floor_spread)}"


def _latex_subject(subject: str, axes: Mapping[str, Axis]) -> str:
    parts = subject.split(", ")
    return ", ".join(
        f"${axes[part].label}$" if part in axes and axes[part].label else _escaped(part)
        for part in parts
    )


def _latex_title(title: str) -> str:
    title = _escaped(title)
    for text, mathematics in LATEX_SYMBOLS.items():
        title = title.replace(text, mathematics)
    return title


def _plus_minus(value: float, uncertainty: float) -> str:
    number, power = rounded(value, uncertainty)
    number = _in_mathematics(number)
    return rf"${number} \times 10^{{{power}}}$" if power else f"${number}$"


def _in_mathematics(number: str) -> str:
    return number.replace("±", r"\pm").replace("−", "-").replace(",", r"\,")


def _escaped(text: str) -> str:
    """Return plain text for LaTeX, whose own fonts have no < and > outside of mathematics."""
    return "".join("\\" + c if c in "&%$#_{}" else f"${c}$" if c in "<>" else c for c in text)
