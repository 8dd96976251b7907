"""Several samples side by side: the table that a paper would print, as page, CSV and LaTeX."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mleg_ray.errors import ConfigError
from mleg_ray.evaluation.estimate import Estimate, Figure, NotComputable, Reading
from mleg_ray.evaluation.resampling import WEIGHTED_MEAN
from mleg_ray.evaluation.sample import Origin
from mleg_ray.evaluation.scorecards import Scorecard, worst
from mleg_ray.evaluation.unphysical import ANY
from mleg_ray.report.html import metric_title, page_environment, rounded
from mleg_ray.storage import join, write_bytes

PAGE, CSV, LATEX = "comparison.html", "comparison.csv", "comparison.tex"

# Which subject stands for a metric of many: all that break a rule, the mean over objects, or all
# observables together; where there is none of these, the worst.
REPRESENTATIVES = (ANY, WEIGHTED_MEAN, "all")

HEADER = (
    *("sample", "metric", "subject", "value", "uncertainty", "floor", "floor_spread"),
    *("significance", "verdict", "p_value", "events", "note"),
)


@dataclass(frozen=True)
class Line:
    """One line of the table: a metric's subject and figure of each sample, None if it has none."""

    metric: str
    figures: tuple[tuple[str, Figure] | None, ...]

    @property
    def subject(self) -> str:
        """The first subject of the line; in `details` all samples have the same."""
        return next(cell[0] for cell in self.figures if cell is not None)

    @property
    def floor(self) -> Estimate | None:
        """An estimate whose floor stands for the line's: all are judged by the same truth."""
        figures = (cell[1] for cell in self.figures if cell is not None)
        return next((figure for figure in figures if isinstance(figure, Estimate)), None)


def write_comparison(cards: Mapping[str, Scorecard], out: str) -> list[str]:
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
    """Return a line for each metric that some sample has."""
    metrics = dict.fromkeys(metric for card in cards.values() for metric in card.figures)
    return [
        Line(metric, tuple(representative(card.figures.get(metric)) for card in cards.values()))
        for metric in metrics
    ]


def details(cards: Mapping[str, Scorecard]) -> list[Line]:
    """Return a line for each subject of the metrics that have several."""
    subjects = dict.fromkeys(
        (metric, subject)
        for card in cards.values()
        for metric, figures in card.figures.items()
        for subject in figures
        if len(figures) > 1
    )
    return [
        Line(
            metric,
            tuple(
                (subject, card.figures[metric][subject])
                if subject in card.figures.get(metric, {})
                else None
                for card in cards.values()
            ),
        )
        for metric, subject in subjects
    ]


def representative(figures: Mapping[str, Figure] | None) -> tuple[str, Figure] | None:
    """Return the subject and figure that stand for a metric."""
    if not figures:
        return None
    for subject in REPRESENTATIVES:
        if subject in figures:
            return subject, figures[subject]
    return worst(figures)


def render(cards: Mapping[str, Scorecard]) -> str:
    """Return the page: the table of metrics, and that of all figures."""
    first = next(iter(cards.values()))
    template = page_environment(first.axes).get_template("comparison.html.j2")
    return template.render(
        names=list(cards),
        cards=list(cards.values()),
        truth=first.truth,
        lines=lines(cards),
        details=details(cards),
    )


def to_csv(cards: Mapping[str, Scorecard]) -> str:
    """Return all figures of all samples, one a line, with the columns of `HEADER`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for name, card in cards.items():
        for metric, figures in card.figures.items():
            for subject, figure in figures.items():
                writer.writerow((name, metric, subject, *_numbers(figure)))
    return stream.getvalue()


def to_latex(cards: Mapping[str, Scorecard]) -> str:
    """Return the table as a LaTeX `tabular`; it needs no package."""
    rows = [("", *map(_escaped, cards), "floor")]
    for line in lines(cards):
        floor = line.floor
        cells = [_latex(cell[1]) if cell else "--" for cell in line.figures]
        rows.append(
            (
                _escaped(line.metric),
                *cells,
                _plus_minus(floor.floor, floor.floor_spread) if floor else "--",
            )
        )
    head, *body = (" & ".join(row) + r" \\" for row in rows)
    columns = "l" + "r" * (len(cards) + 1)
    table = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", head, r"\hline", *body, r"\hline"]
    return "\n".join([*table, r"\end{tabular}", ""])


def summary_lines(cards: Mapping[str, Scorecard]) -> Iterator[tuple[str, ...]]:
    """Yield the table's rows as plain text: metric, a cell for each sample, the floor."""
    for line in lines(cards):
        floor = line.floor
        yield (
            metric_title(line.metric),
            *(_plain(cell[1]) if cell else "" for cell in line.figures),
            _with_exponent(floor.floor, floor.floor_spread) if floor else "",
        )


def _described(truth: Origin) -> str:
    split = f":{truth.split}" if truth.split else ""
    digest = f", digest {truth.dataset_digest[:8]}" if truth.dataset_digest else ""
    return f"{truth.name}{split}, {truth.events:,} events{digest}"


def _plain(figure: Figure) -> str:
    if isinstance(figure, Estimate):
        return _with_exponent(figure.value, figure.uncertainty)
    return f"{figure.value:.4g}" if isinstance(figure, Reading) else "–"


def _with_exponent(value: float, uncertainty: float) -> str:
    number, power = rounded(value, uncertainty)
    return f"{number}e{power}" if power else number


def _latex(figure: Figure) -> str:
    if isinstance(figure, Estimate):
        return _plus_minus(figure.value, figure.uncertainty)
    return _plus_minus(figure.value, 0.0) if isinstance(figure, Reading) else "--"


def _plus_minus(value: float, uncertainty: float) -> str:
    number, power = rounded(value, uncertainty)
    number = number.replace("±", r"\pm").replace("−", "-")
    return rf"${number} \times 10^{{{power}}}$" if power else f"${number}$"


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in "&%$#_{}" else c for c in text)


def _numbers(figure: Figure) -> tuple[object, ...]:
    if isinstance(figure, NotComputable):
        return (*[""] * 8, figure.reason)
    if isinstance(figure, Reading):
        return (figure.value, *[""] * 7, figure.note)
    return (
        *(figure.value, figure.uncertainty, figure.floor, figure.floor_spread),
        *(figure.significance, figure.verdict, figure.p_value, figure.events, ""),
    )
