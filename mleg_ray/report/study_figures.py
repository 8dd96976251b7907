"""Pictures of a study; every function returns PNGs by name."""

import itertools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mleg_ray.evaluation.metrics import c2st
from mleg_ray.report.drawing import FAINT, GENERATED, INK, LEGEND, STYLE, TRUTH, panel, png
from mleg_ray.study.plan import DIRECTIONS
from mleg_ray.study.summary import Summary, Trial

COLOURS = "viridis_r"
LABELS = {
    "ks_sum": "ks_sum",
    "c2st_auc": c2st.AUC.title,
    "throughput": "generated events per second",
    "flops": "operations per event",
    "seconds": "training time [s]",
}
FEWEST = 5  # points of a contour
FEW = 3  # values of a number that stand in rows, as those of a choice do
LETTERS = 24  # of a line of the label of a choice
MOST_LINES = 8  # parameters side by side; more could not be read


def study_pngs(summary: Summary, importance: Mapping[str, float]) -> dict[str, bytes]:
    """Draw a study: its history and curves, importance, slices, contour, parallel lines, costs."""
    with style.context(STYLE):
        pictures = {"history": _history(summary), "curves": _curves(summary)}
        if importance:
            pictures["importance"] = _importance(importance)
        names = _searched(summary, importance)
        for i, name in enumerate(names):
            pictures[f"slice-{i}"] = _slice(summary, name)
        numeric = [name for name in names if _is_numeric(summary, name)]
        if len(numeric) >= 2 and len(_comparable(summary, *numeric[:2])) >= FEWEST:
            pictures["contour"] = _contour(summary, numeric[0], numeric[1])
        if len(names) >= 2:
            pictures["parallel"] = _parallel(summary, names[:MOST_LINES])
        for figure in other_figures(summary):
            if len({trial.figures.get(figure) for trial in summary.ranked}) >= 2:
                pictures[f"cost-{figure}"] = _cost(summary, figure)
        if any(trial.repeats for trial in summary.trials):
            pictures["repeats"] = _repeats(summary)
    return pictures


def other_figures(summary: Summary) -> list[str]:
    """Return what the ranked trials were measured by besides their quality."""
    others = [name for name in DIRECTIONS if name != summary.plan.study.quality]
    return [name for name in others if any(name in trial.figures for trial in summary.ranked)]


def front_of(trials: Sequence[Trial], figure: str) -> list[Trial]:
    """Return the trials that none beats both in quality and in `figure`, the best first."""
    sign = 1 if DIRECTIONS[figure] == "minimize" else -1
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda t: (_quality(t), sign * t.figures[figure])):
        if not front or sign * trial.figures[figure] < sign * front[-1].figures[figure]:
            front.append(trial)
    return front


def _history(summary: Summary) -> bytes:
    figure, axes = _axes("trial", _label(summary))
    looks = {
        "complete": ("o", TRUTH, TRUTH, "complete"),
        "pruned": ("o", "none", FAINT, "pruned"),
        "running": ("s", "none", GENERATED, "unfinished"),
    }
    for state, (marker, face, edge, label) in looks.items():
        trials = [t for t in summary.trials if t.state == state and t.quality is not None]
        x, y = [int(t.name) for t in trials], [_quality(t) for t in trials]
        if x:
            axes.scatter(
                x, y, marker=marker, s=22, facecolors=face, edgecolors=edge, label=label, zorder=3
            )
    complete = [trial for trial in summary.trials if trial.state == "complete"]
    x, best = [int(t.name) for t in complete], itertools.accumulate(map(_quality, complete), min)
    axes.step(x, list(best), where="post", color=GENERATED, label="best so far")
    return _finished(figure, axes, "y")


def _curves(summary: Summary) -> bytes:
    figure, axes = _axes("step", "ks_sum on validation events")
    labelled = set()
    for trial in summary.trials:
        if not trial.curve:
            continue
        steps, values = zip(*trial.curve, strict=True)
        pruned = trial.state == "pruned"
        label = None if trial.state in labelled else trial.state
        labelled.add(trial.state)
        colour = FAINT if pruned else TRUTH
        axes.plot(steps, values, color=colour, alpha=0.6, linewidth=0.9, label=label)
        if pruned:
            axes.plot(steps[-1], values[-1], "x", color=INK, markersize=4)
    best = summary.ranked[0]
    axes.plot(*zip(*best.curve, strict=True), color=GENERATED, label=f"best: {best.name}")
    return _finished(figure, axes, "y")


def _importance(importance: Mapping[str, float]) -> bytes:
    figure, axes = _axes("share of the variance of the log quality", "", rows=len(importance))
    names = list(importance)[::-1]
    axes.barh(range(len(names)), [importance[name] for name in names], color=TRUTH, height=0.6)
    axes.set_yticks(range(len(names)), [short_path(name, importance) for name in names])
    axes.tick_params(axis="y", length=0)
    return png(figure)


def _slice(summary: Summary, name: str) -> bytes:
    """Draw the quality over a parameter; a choice, or few values, in rows that can be read."""
    scale = _scale(summary, name)
    values = sorted({scale.place(value): value for value in scale.values}.items())
    in_rows = not _is_numeric(summary, name) or len(values) <= FEW
    if in_rows:
        figure, axes = panel(5.4, 0.9 + 0.36 * len(values), x=_label(summary))
        axes.set_title(name, loc="left", fontsize=9.5)
        rows = {place: row for row, (place, _) in enumerate(values)}
        axes.set_yticks([*rows.values()], [_lines(value) for _, value in values])
        axes.set_ylim(-0.6, len(values) - 0.4)
    else:
        figure, axes = _axes(name, _label(summary))
        scale.mark(axes.xaxis)
    for state, face, edge in (("pruned", "none", FAINT), ("complete", TRUTH, TRUTH)):
        trials = [trial for trial in _with(summary, name) if trial.state == state]
        places = [scale.place(trial.parameters[name]) for trial in trials]
        qualities = [_quality(trial) for trial in trials]
        x, y = (qualities, [rows[p] for p in places]) if in_rows else (places, qualities)
        axes.scatter(x, y, s=22, facecolors=face, edgecolors=edge, label=state, zorder=3)
    if in_rows:
        _logarithmic(axes, "x")
        return png(figure)  # filled dots are complete trials here, too
    return _finished(figure, axes, "y")


def _lines(value: object) -> str:
    """Return a value of a parameter as a label of one or two lines."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return textwrap.fill(text, LETTERS, max_lines=2, placeholder="…")


def _contour(summary: Summary, first: str, second: str) -> bytes:
    figure, axes = _axes(first, second)
    trials = _comparable(summary, first, second)
    _, quality = summary.comparable()
    scales = {name: _scale(summary, name) for name in (first, second)}
    x, y = (np.array([s.place(t.parameters[n]) for t in trials]) for n, s in scales.items())
    values = np.array([quality[t.name] for t in trials])
    spans = np.linalg.matrix_rank(np.stack([x - x.mean(), y - y.mean()]), tol=1e-9) == 2
    norm = LogNorm(values.min(), values.max())
    if spans:
        levels = np.geomspace(values.min(), values.max() * (1 + 1e-6), 12)
        axes.tricontourf(x, y, values, levels, norm=norm, cmap=COLOURS, alpha=0.8)
    dots = axes.scatter(x, y, c=values, norm=norm, cmap=COLOURS, edgecolors="white", s=26)
    _colour_bar(figure, axes, dots, _label(summary))
    scales[first].mark(axes.xaxis)
    scales[second].mark(axes.yaxis)
    return png(figure)


def _parallel(summary: Summary, names: Sequence[str]) -> bytes:
    trials = [t for t in _with(summary) if t.state in ("complete", "pruned")]
    values = [_quality(t) for t in trials]
    norm = LogNorm(min(values), max(values))
    scales = [_scale(summary, name) for name in names]
    figure, axes = panel(max(5.4, 1.5 * len(names) + 1.5), 3.8)
    for trial, value in sorted(zip(trials, values, strict=True), key=lambda pair: -pair[1]):
        present = [i for i, name in enumerate(names) if name in trial.parameters]
        heights = [scales[i].height(trial.parameters[names[i]]) for i in present]
        look = "-" if trial.state == "complete" else ":"
        axes.plot(present, heights, look, color=colormaps[COLOURS](norm(value)), linewidth=1)
    for i, scale in enumerate(scales):
        axes.axvline(i, color=FAINT, linewidth=0.8)
        low, high = (textwrap.shorten(_lines(v), LETTERS // 2, placeholder="…") for v in scale.ends)
        axes.text(i, -0.03, low, ha="center", va="top", fontsize=7.5)
        axes.text(i, 1.03, high, ha="center", va="bottom", fontsize=7.5)
    axes.set_xticks(range(len(names)), [short_path(n, names).replace(".", "\n") for n in names])
    axes.tick_params(axis="x", length=0, pad=14, labelsize=7.5)
    axes.set_yticks([])
    axes.set_ylim(-0.02, 1.02)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _colour_bar(figure, axes, ScalarMappable(norm, COLOURS), _label(summary))
    return png(figure)


def _cost(summary: Summary, name: str) -> bytes:
    figure, axes = _axes(LABELS[name], _label(summary))
    trials = [t for t in summary.ranked if name in t.figures]
    costs, values = [t.figures[name] for t in trials], [_quality(t) for t in trials]
    axes.scatter(costs, values, s=22, color=TRUTH, label="trials")
    front = front_of(trials, name)
    places = [(t.figures[name], _quality(t)) for t in front]
    axes.plot(*zip(*places, strict=True), "o-", color=GENERATED, label="Pareto front")
    for trial, place in zip(front, places, strict=True):
        axes.annotate(
            trial.name, place, xytext=(4, 4), textcoords="offset points", fontsize=7.5, color=INK
        )
    return _finished(figure, axes, "x", "y")


def _repeats(summary: Summary) -> bytes:
    trials = [trial for trial in summary.ranked if trial.repeats]
    figure, axes = _axes("trial", _label(summary))
    seeds = [(i, repeat.quality) for i, trial in enumerate(trials) for repeat in trial.repeats]
    axes.plot(*zip(*seeds, strict=True), "o", color=TRUTH, label="other seeds")
    medians = [trial.median for trial in trials]
    places = range(len(trials))
    axes.plot(places, medians, "_", color=GENERATED, markersize=18, label="their median")
    chosen = [_quality(trial) for trial in trials]
    axes.plot(places, chosen, "x", color=INK, label="as the search saw it")
    axes.set_xticks(places, [trial.name for trial in trials])
    axes.margins(x=0.2)
    return _finished(figure, axes)


def short_path(name: str, names: Sequence[str] | Mapping[str, float]) -> str:
    """Return the end of a dotted path that tells it from the others."""
    parts = name.split(".")
    for n in range(1, len(parts)):
        tail = ".".join(parts[-n:])
        if sum(other == tail or other.endswith(f".{tail}") for other in names) == 1:
            return tail
    return name


def _quality(trial: Trial) -> float:
    assert trial.quality is not None  # only judged trials are drawn
    return trial.quality


def _label(summary: Summary) -> str:
    return f"best {LABELS[summary.plan.study.quality]}"


def _searched(summary: Summary, importance: Mapping[str, float]) -> list[str]:
    """Return Optuna's parameters of judged trials, the important ones first."""
    found = (name for trial in _with(summary) for name in trial.parameters)
    return list(dict.fromkeys((*importance, *found)))


def _with(summary: Summary, *names: str) -> list[Trial]:
    judged = [trial for trial in summary.trials if trial.quality is not None]
    return [trial for trial in judged if all(name in trial.parameters for name in names)]


def _comparable(summary: Summary, *names: str) -> list[Trial]:
    _, quality = summary.comparable()
    return [trial for trial in _with(summary, *names) if trial.name in quality]


def _is_numeric(summary: Summary, name: str) -> bool:
    value = _with(summary, name)[0].parameters[name]
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class _Scale:
    """Where a parameter's values lie on an axis, and the axis's ticks (none: its own)."""

    place: Callable[[Any], float]
    values: Sequence[Any]  # of the judged trials
    ticks: Sequence[tuple[float, str]] = ()

    @property
    def ends(self) -> tuple[object, object]:
        """The values that lie lowest and highest."""
        return min(self.values, key=self.place), max(self.values, key=self.place)

    def height(self, value: object) -> float:
        """Return the place of a value as a share of the way between the ends."""
        low, high = map(self.place, self.ends)
        return (self.place(value) - low) / (high - low) if high > low else 0.5

    def mark(self, axis: Axis) -> None:
        """Set the ticks of an axis."""
        if self.ticks:
            axis.set_ticks([place for place, _ in self.ticks], [text for _, text in self.ticks])


def _scale(summary: Summary, name: str) -> _Scale:
    values = [trial.parameters[name] for trial in _with(summary, name)]
    if not _is_numeric(summary, name):
        labels = sorted(set(map(str, values)))
        return _Scale(lambda v: float(labels.index(str(v))), values, list(enumerate(labels)))
    parameter = summary.plan.space.get(name)
    if not (
        name.endswith(".width")
        or (parameter and (parameter.kind == "log-uniform" or getattr(parameter, "log", False)))
    ):
        return _Scale(float, values)
    low, high = math.log10(min(values)), math.log10(max(values))
    decades = range(math.floor(low), math.ceil(high) + 1)
    marks = (m * 10.0**k for k in decades for m in (1, 2, 5))
    ticks = [(math.log10(mark), f"{mark:g}") for mark in marks]
    within = [tick for tick in ticks if low - 0.1 <= tick[0] <= high + 0.1]
    return _Scale(math.log10, values, within)


def _axes(x_label: str, y_label: str, rows: int = 10) -> tuple[Figure, Axes]:
    figure, axes = panel(5.4, max(1.6, 0.35 * rows), x_label, y_label)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return figure, axes


def _colour_bar(figure: Figure, axes: Axes, of: ScalarMappable, label: str) -> None:
    bar = figure.colorbar(of, ax=axes, label=label, pad=0.02)
    _logarithmic(bar.ax, "y")


def _logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make the axis of drawn points logarithmic, with plain numbers: few values span a decade."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    subs = (1, 1.5, 2, 3, 5, 7) if decades < 1 else (1, 2, 5) if decades < 1.5 else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())


def _finished(figure: Figure, axes: Axes, *logarithmic: Literal["x", "y"]) -> bytes:
    for which in logarithmic:
        _logarithmic(axes, which)
    axes.legend(**LEGEND)
    return png(figure)
