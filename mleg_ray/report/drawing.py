"""What the pictures of a report share: colours, style, axes, labels, and how one becomes a PNG.

Truth is the filled grey-blue shape with its statistical band, generated events are orange points:
distinct in hue, lightness and shape, so also in print and to colour-blind readers.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.sample import Axis
from mleg_ray.evaluation.statistics.ensemble import Band

DPI = 180
PULLS = 4  # deviations to which pulls are drawn
INK, FAINT = "#1d2733", "#8a95a3"
TRUTH, TRUTH_FILL, GENERATED = "#52677d", "#d5dee8", "#d1570c"
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}
LEGEND: dict[str, Any] = {
    "fontsize": 7.5,
    "framealpha": 0.85,
    "frameon": True,
    "edgecolor": "none",
}


def panel(width: float, height: float, x: str = "", y: str = "") -> tuple[Figure, Axes]:
    """Return a figure of so many inches, and its only axes with their labels."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def axis_label(name: str, axis: Axis) -> str:
    """Return the text of an axis: symbol and unit."""
    symbol = f"${axis.label}$" if axis.label else name
    return f"{symbol} [{unit_text(axis.unit)}]" if axis.unit != "1" else symbol


def unit_text(unit: str) -> str:
    """Write a power in a unit's name as a superscript: GeV2 -> GeV²."""
    return unit.replace("2", "²").replace("3", "³")


def png(figure: Figure) -> bytes:
    """Return a finished figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def draw_band(axes: Axes, edges: FloatArray, middle: FloatArray, error: FloatArray) -> None:
    """Shade the truth's statistical error around `middle`, bin by bin."""
    axes.stairs(
        middle + error,
        edges,
        baseline=middle - error,
        fill=True,
        color=TRUTH,
        alpha=0.35,
        linewidth=0,
    )


def draw_matrix(
    axes: Axes, matrix: FloatArray, labels: Sequence[str], limit: float = 1.0
) -> AxesImage:
    """Draw a matrix (d, d) of entries within ± `limit`, with the labels of rows and columns."""
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
    size = 9.5 if len(labels) <= 10 else 6.5
    letters = [len(label.strip("$")) for label in labels]
    turn = 90 if (max(letters) > 3 and len(labels) > 6) or sum(letters) > 40 else 0
    axes.set_xticks(range(len(labels)), labels, rotation=turn, fontsize=size)
    axes.set_yticks(range(len(labels)), labels, fontsize=size)
    axes.tick_params(length=0)
    return image


def mark_beyond(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    """Mark points (n,) above or below a panel by triangles at its edge: none vanishes silently."""
    low, high = axes.get_ylim()
    look: dict[str, Any] = {"color": GENERATED, "markersize": 4, "clip_on": False, "zorder": 5}
    for beyond, edge, marker in ((y > high, high, "^"), (y < low, low, "v")):
        if beyond.any():  # an empty line that is not clipped counts as one at the figure's corner
            axes.plot(x[beyond], np.full(beyond.sum(), edge), marker, **look)


def draw_pulls(axes: Axes, band: Band) -> None:
    """Draw the pulls of the bins used as points; dotted lines are at one deviation.

    Of a good ensemble two in three lie between them. Source: Alanazi, Machine Learning-Based Event
    Generator, Old Dominion University 2022, eq. 29 and Fig. 30.
    """
    centres = (band.edges[1:] + band.edges[:-1])[band.used] / 2
    axes.axhline(0, color=TRUTH, linewidth=0.9)
    for deviation in (-1, 1):
        axes.axhline(deviation, color=TRUTH, linestyle=":", linewidth=0.9)
    axes.plot(centres, band.pulls, "o", color=GENERATED, markersize=2.6)
    axes.set(ylabel="pull", ylim=(-PULLS, PULLS))
    mark_beyond(axes, centres, band.pulls)
