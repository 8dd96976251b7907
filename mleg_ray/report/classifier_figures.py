"""Pictures of what classifiers make of truth and generated events; every function returns a PNG."""

import itertools
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure

from mleg_ray.evaluation.statistics.estimate import Curve
from mleg_ray.report.drawing import FAINT, POINTS, STYLE, TRUTH, TRUTH_FILL, draw_band, png

# Of classifiers, which truth and generated events do not share.
CLASSIFIERS: tuple[dict[str, Any], ...] = (
    {"color": "#1f6f8b"},
    {"color": "#8a3b78", "linestyle": "--"},
    {"color": "#4d7c2a", "linestyle": "-."},
)


def roc_png(curves: Mapping[str, Curve]) -> bytes:
    """Draw the ROC curves of the classifiers, by name; the diagonal is "cannot be told apart"."""
    return _curves_png(curves, "share of true events", "lower right")


def calibration_png(curves: Mapping[str, Curve]) -> bytes:
    """Draw the share of generated events by the share that each classifier predicted."""
    points = {"marker": "o", "markersize": 2.6}
    return _curves_png(curves, "predicted share of generated", "upper left", **points)


def weights_png(truth: Curve, generated: Curve, tails: tuple[float, float]) -> bytes:
    """Draw one classifier's weights of true and generated events; dotted lines mark the tails."""
    with style.context(STYLE):
        figure = Figure(figsize=(4.4, 3.6), layout="constrained")
        axes = figure.subplots()
        x = np.array(truth.x)
        half = (x[1] - x[0]) / 2
        edges = 10 ** np.append(x - half, x[-1] + half)
        axes.stairs(truth.y, edges, fill=True, color=TRUTH_FILL)
        axes.stairs(truth.y, edges, color=TRUTH, label="truth")
        draw_band(axes, edges, np.array(truth.y), np.array(truth.error))
        axes.errorbar(10**x, generated.y, generated.error, label="generated", **POINTS)
        for tail in tails:
            axes.axvline(tail, color=FAINT, linestyle=":", linewidth=1)
        positive = [y for y in (*truth.y, *generated.y) if y > 0]
        axes.set(xscale="log", yscale="log", xlim=(edges[0], edges[-1]))
        axes.set_ylim(min(positive) / 2, max(positive) * 8)
        axes.set_xlabel("weight = p(truth) / p(generated)")
        axes.set_ylabel("share of events per bin")
        axes.legend(loc="upper right", ncols=2, handlelength=1.2, columnspacing=1.2)
        return png(figure)


def _curves_png(
    curves: Mapping[str, Curve],
    x: str,
    corner: Literal["lower right", "upper left"],
    **points: Any,  # noqa: ANN401 - how points look, as matplotlib takes it
) -> bytes:
    """Draw shares of generated events over other shares beside the diagonal."""
    with style.context(STYLE):
        figure = Figure(figsize=(4.4, 3.9), layout="constrained")
        axes = figure.subplots()
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=x)
        axes.set_ylabel("share of generated events")
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
        for (name, curve), look in zip(curves.items(), itertools.cycle(CLASSIFIERS), strict=False):
            axes.errorbar(curve.x, curve.y, curve.error or None, label=name, **points, **look)
        axes.legend(loc=corner)
        return png(figure)
