"""Pictures of a report: of events, classifiers and a training; every function returns PNGs."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from mleg_ray.definitions import Plane
from mleg_ray.evaluation.metrics.correlations import correlation_matrix
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import MINIMUM_TRUTH_EVENTS, Histogram, are_whole
from mleg_ray.evaluation.samples.sample import EventSample, binned
from mleg_ray.evaluation.statistics.binning import weighted_quantiles
from mleg_ray.evaluation.statistics.estimate import FLOOR_SIGMAS, Curve
from mleg_ray.report.drawing import (
    FAINT,
    GENERATED,
    INK,
    LEGEND,
    STYLE,
    TRUTH,
    TRUTH_FILL,
    axis_label,
    draw_band,
    draw_matrix,
    mark_beyond,
    panel,
    png,
    unit_text,
)

PICTURE_BINS = 50
SHOWN = (0.0005, 0.9995)  # the truth's quantiles between which an observable is drawn
LOG_DENSITY_RANGE = 100.0  # densities that vary more are drawn on a logarithmic axis
POINTS: dict[str, Any] = {
    "fmt": "o",
    "color": GENERATED,
    "markersize": 2.6,
    "elinewidth": 0.9,
}
# Of classifiers, which truth and generated events do not share.
CLASSIFIERS: tuple[dict[str, Any], ...] = (
    {"color": "#1f6f8b"},
    {"color": "#8a3b78", "linestyle": "--"},
    {"color": "#4d7c2a", "linestyle": "-."},
)


@style.context(STYLE)
def observable_png(name: str, truth: EventSample, generated: EventSample) -> bytes:
    """Draw the densities of one observable above their ratio, with statistical errors."""
    axis = truth.axes[name]
    edges, t, g, _ = binned(truth, generated, name, _edges(truth, name))
    figure, top, bottom = above_ratio()
    draw_densities(top, edges, t, g)
    draw_ratio(bottom, edges, t, g)
    top.set_ylabel("density" if axis.unit == "1" else f"density [1/{unit_text(axis.unit)}]")
    bottom.set(xlabel=axis_label(name, axis), ylabel="gen. / truth", xlim=(edges[0], edges[-1]))
    if axis.log and edges[0] > 0:
        set_log_scale(bottom, edges)
    elif _is_whole(truth, name):
        bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    return png(figure)


def above_ratio() -> tuple[Figure, Axes, Axes]:
    """Return a figure of two panels, one above the other, that share their x axis."""
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    top, bottom = figure.subplots(
        2, sharex=True, gridspec_kw={"height_ratios": [2.6, 1], "hspace": 0.0}
    )
    return figure, top, bottom


def drawable(name: str, truth: EventSample) -> bool:
    """Tell whether an observable has a range: finite truth values that are not all equal."""
    column = truth.columns[name]
    if not np.isfinite(column.values[column.weights(truth.weight) != 0]).any():
        return False
    low, high = _range(truth, name)
    return bool(low < high)


def plane_pngs(plane: Plane, truth: EventSample, generated: EventSample) -> dict[str, bytes]:
    """Draw the plane's events of truth and generated on one colour scale, and their ratio.

    The ratio is shown where the truth has 10 events or more.
    """
    true, imitated = truth.cells(plane), generated.cells(plane)
    scale_to_truth = true.weight.sum() / imitated.weight.sum()
    shape = plane.bins, plane.bins
    t, g = (h.weight[:-1].reshape(shape) for h in (true, imitated.scaled(scale_to_truth)))
    populated = true.populated[:-1].reshape(shape)
    highest = float(max(t.max(), g.max()))
    if highest <= 0:
        return {}
    lowest = float(min(count[count > 0].min(initial=highest) for count in (t, g)))
    colours = LogNorm(lowest, max(highest, 10 * lowest))
    ratio = np.ma.masked_where(~populated, g / np.where(populated, t, 1.0))
    return {
        "truth": _plane_png(plane, truth, np.ma.masked_less_equal(t, 0), colours),
        "generated": _plane_png(plane, truth, np.ma.masked_less_equal(g, 0), colours),
        "ratio": _plane_png(plane, truth, ratio, None),
    }


def correlation_pngs(truth: EventSample, generated: EventSample) -> dict[str, bytes]:
    """Draw the correlation matrices of truth and generated events, and their difference.

    Observables without finite, varying values in both samples are left out.
    """
    true, made = truth.numbers, generated.numbers
    names = [
        name
        for name in true
        if all(np.isfinite(x[name]).all() and np.ptp(x[name]) > 0 for x in (true, made))
    ]
    if len(names) < 2:
        return {}
    t, g = (
        correlation_matrix(np.stack([x[name] for name in names], axis=1), sample.weight)
        for x, sample in ((true, truth), (made, generated))
    )
    labels = [f"${truth.axes[n].label}$" if truth.axes[n].label else n for n in names]
    difference = g - t
    # The colours end at a round number, so that a difference of nothing looks like nothing.
    largest = max(float(np.nanmax(np.abs(difference))), 0.01)
    limit = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0) if largest <= step)
    return {
        "truth": _matrix_png(t, labels, 1.0, "correlation"),
        "generated": _matrix_png(g, labels, 1.0, "correlation"),
        "difference": _matrix_png(difference, labels, limit, "generated − truth"),
    }


@style.context(STYLE)
def training_pngs(history: Sequence[Mapping[str, float]], kept: int) -> dict[str, bytes]:
    """Draw a run's snapshots: the sum of KS distances with each observable's, and the losses.

    Each entry holds `step` and `ks_sum`; keys `ks.NAME` are distances, keys that end in `loss` are
    losses. The snapshot of step `kept` is that of the checkpoint.
    """
    keys = list(dict.fromkeys(key for snapshot in history for key in snapshot))
    losses = [key for key in keys if key.endswith("loss")]
    distances = [key for key in keys if key.startswith("ks.")]
    figure, axes = panel(5.4, 3.5, "step", "KS distance on validation events")
    for i, key in enumerate(distances):
        label = "each observable" if i == 0 else None
        axes.plot(*_curve(history, key), color=FAINT, alpha=0.5, linewidth=0.8, label=label)
    steps, values = _curve(history, "ks_sum")
    axes.plot(steps, values, color=INK, label="sum over observables")
    if kept in steps:
        height = values[steps.index(kept)]
        axes.plot(kept, height, "o", color=GENERATED, label=f"kept: step {kept:,}")
    axes.set_yscale("log")
    pictures = {"training-ks": _step_png(figure, axes)}
    if losses:
        figure, axes = panel(5.4, 3.5, "step", "loss")
        for key in losses:
            axes.plot(*_curve(history, key), label=key.replace("_", " "))
        pictures["training-losses"] = _step_png(figure, axes)
    return pictures


def roc_png(curves: Mapping[str, Curve]) -> bytes:
    """Draw the ROC curves of the classifiers, by name; the diagonal is "cannot be told apart"."""
    return _shares_png(curves, "share of true events", "lower right")


def calibration_png(curves: Mapping[str, Curve]) -> bytes:
    """Draw the share of generated events by the share that each classifier predicted."""
    points = {"marker": "o", "markersize": 2.6}
    return _shares_png(curves, "predicted share of generated", "upper left", **points)


@style.context(STYLE)
def significance_png(curves: Mapping[str, Curve]) -> bytes:
    """Draw the significance to expect of numbers of events, of the five tests that need fewest.

    The line is 3σ, at which a sample is told apart.
    """
    figure, axes = panel(5.4, 3.6, "events of each sample", "significance to expect [σ]")
    for name, curve in sorted(curves.items(), key=lambda item: item[1].x[0])[:5]:
        y, error = np.array(curve.y), np.array(curve.error)
        [line] = axes.plot(curve.x, y, label=name)
        axes.fill_between(curve.x, y - error, y + error, color=line.get_color(), alpha=0.2)
    axes.axhline(FLOOR_SIGMAS, color=FAINT, linestyle=":", linewidth=1)
    axes.set(xscale="log", ylim=(0, 3 * FLOOR_SIGMAS))
    axes.legend(**LEGEND)
    return png(figure)


@style.context(STYLE)
def weights_png(truth: Curve, generated: Curve, tails: tuple[float, float]) -> bytes:
    """Draw one classifier's weights of true and generated events; dotted lines mark the tails."""
    figure, axes = panel(4.4, 3.6, "weight = p(truth) / p(generated)", "share of events per bin")
    x = np.array(truth.x)
    half = (x[1] - x[0]) / 2
    edges = 10 ** np.append(x - half, x[-1] + half)
    shares, errors = np.array(truth.y), np.array(truth.error)
    _draw_bins_and_points(axes, edges, 10**x, (shares, errors), (generated.y, generated.error))
    for tail in tails:
        axes.axvline(tail, color=FAINT, linestyle=":", linewidth=1)
    positive = [y for y in (*truth.y, *generated.y) if y > 0]
    axes.set(xscale="log", yscale="log", xlim=(edges[0], edges[-1]))
    axes.set_ylim(min(positive) / 2, max(positive) * 8)
    return png(figure)


def _draw_bins_and_points(
    axes: Axes,
    edges: FloatArray,
    centres: FloatArray,
    truth: tuple[FloatArray, FloatArray],
    generated: tuple[ArrayLike, ArrayLike],
) -> None:
    """Draw values of the truth in bins and of generated events as points, both with errors."""
    axes.stairs(truth[0], edges, fill=True, color=TRUTH_FILL)
    axes.stairs(truth[0], edges, color=TRUTH, label="truth")
    draw_band(axes, edges, *truth)
    axes.errorbar(centres, *generated, label="generated", **POINTS)
    axes.legend(loc="upper right", ncols=2, handlelength=1.2, columnspacing=1.2)


def draw_densities(axes: Axes, edges: FloatArray, t: Histogram, g: Histogram) -> None:
    """Draw the densities of truth and generated events between the edges, with their errors."""
    truth, generated = _density(t, edges), _density(g, edges)
    _draw_bins_and_points(axes, edges, _centres(edges), truth, generated)
    both = np.concatenate([truth[0], generated[0]])
    positive = both[both > 0]
    if len(positive) and positive.max() > LOG_DENSITY_RANGE * positive.min():
        axes.set_yscale("log")
        axes.set_ylim(positive.min() / 2, positive.max() * 6)
    else:
        axes.set_ylim(min(0.0, generated[0].min()), 1.35 * both.max() or 1.0)
        axes.ticklabel_format(axis="y", scilimits=(-2, 3))


def draw_ratio(axes: Axes, edges: FloatArray, t: Histogram, g: Histogram) -> None:
    """Draw the ratio of both densities beside the truth's error; triangles are points beyond."""
    truth, truth_error = _density(t, edges)
    generated, generated_error = _density(g, edges)
    filled = truth > 0
    truth = np.where(filled, truth, np.nan)
    ratio, error = generated / truth, generated_error / truth
    draw_band(axes, edges, np.where(filled, 1.0, np.nan), truth_error / truth)
    axes.axhline(1, color=TRUTH, linewidth=0.9)
    axes.errorbar(_centres(edges), ratio, error, **POINTS)
    precise = filled & (np.nan_to_num(error, nan=np.inf) < 0.2)
    spread = np.abs(ratio[precise] - 1).max(initial=0.1)
    half = next((step for step in (0.25, 0.5) if spread <= 0.8 * step), 1.0)
    axes.set_ylim(1 - half, 1 + half)
    mark_beyond(axes, _centres(edges), ratio)


@style.context(STYLE)
def _plane_png(
    plane: Plane, sample: EventSample, values: np.ma.MaskedArray[Any, Any], scale: LogNorm | None
) -> bytes:
    """Draw events per bin on the given colour scale, or a ratio if there is none."""
    x, y = (axis_label(name, sample.axes[name]) for name in (plane.x, plane.y))
    figure, axes = panel(4.4, 3.6, x, y)
    mesh = axes.pcolormesh(
        *plane.edges,
        values.T,
        cmap="viridis" if scale else "RdBu_r",
        norm=scale or LogNorm(1 / 3, 3),
    )
    x_scale, y_scale = ("log" if log else "linear" for log in plane.logs)
    axes.set(xscale=x_scale, yscale=y_scale)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label("events per bin" if scale else "generated / truth")
    if scale is None:
        if values.count() == 0:
            text = f"no bin holds {MINIMUM_TRUTH_EVENTS} true events"
            axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
        axes.set_facecolor("#e9edf1")  # "no comparison" is not the white of "equal"
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        bar.set_ticks([1 / 3, 1 / 2, 1, 2, 3], labels=["⅓", "½", "1", "2", "3"])
    return png(figure)


@style.context(STYLE)
def _matrix_png(values: FloatArray, labels: Sequence[str], limit: float, text: str) -> bytes:
    """Draw a matrix (d, d) with entries within ± `limit`."""
    figure, axes = panel(4.4, 3.6)
    image = draw_matrix(axes, values, labels, limit)
    figure.colorbar(image, ax=axes, pad=0.02).set_label(text)
    return png(figure)


@style.context(STYLE)
def _shares_png(
    curves: Mapping[str, Curve],
    x: str,
    corner: Literal["lower right", "upper left"],
    **points: Any,  # noqa: ANN401 - how points look, as matplotlib takes it
) -> bytes:
    """Draw shares of generated events over other shares beside the diagonal."""
    figure, axes = panel(4.4, 3.9, x, "share of generated events")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
    for (name, curve), look in zip(curves.items(), itertools.cycle(CLASSIFIERS), strict=False):
        axes.errorbar(curve.x, curve.y, curve.error or None, label=name, **points, **look)
    axes.legend(loc=corner)
    return png(figure)


def _step_png(figure: Figure, axes: Axes) -> bytes:
    axes.margins(x=0.02)
    axes.legend(**LEGEND)
    return png(figure)


def _curve(history: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Return steps and values of the snapshots that have a finite `key`."""
    present = [s for s in history if math.isfinite(s.get(key, math.nan))]
    return [snapshot["step"] for snapshot in present], [snapshot[key] for snapshot in present]


def _edges(truth: EventSample, name: str) -> FloatArray:
    low, high = _range(truth, name)
    if _is_whole(truth, name) and high - low < PICTURE_BINS:
        return np.arange(low - 0.5, high + 1.0)  # a bin for each number
    return truth.axes[name].edges(low, high, PICTURE_BINS)


def _is_whole(truth: EventSample, name: str) -> bool:
    return are_whole(truth.columns[name].values)


def _range(truth: EventSample, name: str) -> FloatArray:
    column = truth.columns[name]
    finite = np.isfinite(column.values)
    weight = column.weights(truth.weight)
    return weighted_quantiles(column.values[finite], weight[finite], SHOWN)


def set_log_scale(axes: Axes, edges: FloatArray) -> None:
    """Make the axis of the edges logarithmic, with labels enough to read it by."""
    axes.set_xscale("log")
    if edges[-1] < 300 * edges[0]:  # too few powers of ten to read the axis by
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _density(histogram: Histogram, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the density between the edges, and its error; what lies outside counts in the sum."""
    shares, widths = histogram.scaled(1 / histogram.weight.sum()), np.diff(edges)
    return shares.weight[1:-1] / widths, np.sqrt(shares.variance[1:-1]) / widths


def _centres(edges: FloatArray) -> FloatArray:
    return (edges[1:] + edges[:-1]) / 2
