"""What becomes of a row's figures: a table on the terminal, JSON and pictures in a folder."""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from matplotlib import style
from matplotlib.figure import Figure as Picture

from benchmarks.common.options import Options
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.session import environment
from mleg_ray.evaluation.scorecards import Scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate, Figure
from mleg_ray.report.drawing import STYLE, png
from mleg_ray.storage import write_json

T = TypeVar("T")
Row = dict[str, Any]  # numbers, texts, or lists of them: a value with its floor and that's spread


class Results:
    """The figures of a row, `ROW.json`, and its pictures, `ROW.png` or `ROW-NAME.png`.

    Those of the small form are `ROW-small`. Figures are printed, as a table in Markdown, and
    written as they come. Rows of trainings are written beside those of other seeds and other values
    (`Options.keeps`): what was measured before, and before an interruption, is kept.
    """

    def __init__(self, row: str, options: Options) -> None:
        self._name = f"{row}-small" if options.small else row
        self._small = options.small
        self._folder = options.out
        self._folder.mkdir(parents=True, exist_ok=True)
        self._place = self._folder / f"{self._name}.json"
        self._values = options.values
        self._environment = environment()
        kept = options.keeps and self._place.exists()
        self._rows: list[Row] = json.loads(self._place.read_text())["rows"] if kept else []
        self._columns: list[str] = []
        self._pictures: list[str] = []

    def add(self, labels: Row, figures: Row, **repeated: int) -> None:
        """Keep what was measured of that which the labels name.

        `repeated` numbers what is measured several times, for its medians: `seed` or `round`.
        """
        known = json.loads(json.dumps({"of": labels, **self._values, **repeated}))
        self._rows = [row for row in self._rows if any(row.get(key) != known[key] for key in known)]
        machine = {"cores": os.cpu_count(), "load": os.getloadavg(), **self._environment}
        self._rows.append(known | {"figures": figures, "with": machine})
        self._print(labels | repeated | figures)
        write_json(str(self._place), {"rows": self._rows, "medians": self._medians()})

    def draw(self, picture: Callable[..., Picture], *drawn: object, name: str = "") -> None:
        """Keep a picture of what is drawn, in the style of reports."""
        with style.context(STYLE):
            content = png(picture(*drawn))
        place = self._folder / f"{'-'.join(filter(None, (self._name, name)))}.png"
        place.write_bytes(content)
        self._pictures.append(str(place))

    def median(self, labels: Row) -> Row:
        """Return the medians of all that was measured with these labels.

        Of what is true or false it is the share that is true.
        """
        return _median([row["figures"] for row in self._rows if row["of"] == labels])

    def finish(self) -> None:
        """Print the medians of what was measured several times, and where all of it lies."""
        for row in self._medians():
            self._print(row)
        if self._small:
            print("\nThe small form: that the row runs is shown, and its figures mean nothing.")
        print("", self._place, *dict.fromkeys(self._pictures), sep="\n")

    def _medians(self) -> list[Row]:
        groups: dict[str, list[Row]] = {}
        for row in self._rows:
            if all(row.get(key) == value for key, value in self._values.items()):
                groups.setdefault(json.dumps(row["of"]), []).append(row)
        return [
            group[0]["of"] | {"median of": len(group)} | _median([row["figures"] for row in group])
            for group in groups.values()
            if len(group) > 1
        ]

    def _print(self, row: Row) -> None:
        if list(row) != self._columns:
            self._columns = list(row)
            print("\n" + _line(row), "---".join("|" * (len(row) + 1)), sep="\n")
        print(_line(map(text, row.values())), flush=True)


def timed(work: Callable[[], T], clock: Callable[[], float] = time.perf_counter) -> tuple[T, float]:
    """Return what the work returns, and its seconds."""
    start = clock()
    result = work()
    return result, clock() - start


def budget(checkpoint: Checkpoint) -> Row:
    """Return what a training was given, without which its figures and another's do not compare.

    `features` are those that are generated. A step of a GAN has a batch for each of its updates.
    """
    run, parts = checkpoint.run, checkpoint.feature_map.space.parts.values()
    return {
        "steps x batch": f"{run.training.steps} x {run.training.batch_size}",
        "features": " ".join(name for part in parts for name in part.names),
        "training s": checkpoint.card.seconds,
    }


def estimates(card: Scorecard, *metrics: str, **quoted: Sequence[str]) -> Row:
    """Return value, floor and the floor's spread of all that a scorecard has of some metrics.

    Of a metric in `quoted`, of these subjects alone. What could not be computed is told why.
    """
    chosen = {metric: tuple(card.figures[metric]) for metric in metrics} | quoted
    return {
        f"{metric}, {subject}": estimate(card.figures[metric][subject])
        for metric, subjects in chosen.items()
        for subject in subjects
    }


def estimate(figure: Figure) -> list[float] | str:
    """Return a figure's value, its floor and the floor's spread, or why there is none."""
    if not isinstance(figure, Estimate):
        return str(figure)
    return [figure.value, figure.floor, figure.floor_spread]


def text(value: object) -> str:
    """Return a value as it is printed: numbers with four digits, large ones whole."""
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else " ".join(str(value).split())


def _line(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _median(rows: list[Row]) -> Row:
    result: Row = {}
    for name in rows[0]:
        values = [row[name] for row in rows if name in row]
        if all(isinstance(value, bool) for value in values):
            result[name] = statistics.fmean(values)
        elif all(isinstance(value, list) for value in values):
            result[name] = [statistics.median(column) for column in zip(*values, strict=True)]
        elif all(isinstance(value, int | float) for value in values):
            result[name] = statistics.median(values)
    return result
