"""The pictures of a hidden layer: events in planes, marked by what is known of them."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.events import Field
from mleg_ray.interpret.latent import (
    CLUSTER,
    NONE,
)
from mleg_ray.report.drawing import FAINT, INK, STYLE, png, unit_text

COLOURS = (*colormaps["tab10"].colors[:7], *colormaps["tab10"].colors[8:])  # type: ignore[attr-defined]
MARKS = ("o", "^", "s", "v", "D", "P", "X")  # of another number: their cycles meet late
GROUPS = len(COLOURS) * len(MARKS)  # those that differ in colour or mark
ROWS = 16  # of a legend's column, as high as a panel
CELLS = 40  # of a map of heat, along each axis
HEATED = (0.002, 0.998)  # quantiles between which it is drawn
SMOOTHED = 1.5  # cells
CONTOURS = (0.05, 0.2, 0.5, 0.8)
DOTS: dict[str, Any] = {"linewidth": 0, "alpha": 0.75}
LEGEND: dict[str, Any] = {
    "loc": "outside right center",
    "markerscale": 1.8,
    "columnspacing": 0.8,
    "handletextpad": 0.2,
}


@style.context(STYLE)
def planes_png(planes: Mapping[str, FloatArray], values: FloatArray, field: Field) -> bytes:
    """Draw events, points (n, 2) in each of the planes, as marks by a number (n,) of each event.

    Up to `GROUPS` different numbers are groups, each of its own colour and mark; more are a scale.
    Small grey dots are events in no cluster. Below is the field's description, which may say what
    its numbers mean.
    """
    inside = values != NONE if field == CLUSTER else np.ones(len(values), dtype=bool)
    groups = np.unique(values[inside])
    grouped = len(groups) <= GROUPS
    columns = math.ceil((len(groups) + 1) / ROWS) if grouped else 1
    label = field.name if field.unit == "1" else f"{field.name} [{unit_text(field.unit)}]"
    width = 4.2 * len(planes)
    figure = Figure(figsize=(width + 0.4 + 0.6 * columns, 4.1), layout="constrained")
    panels = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, (title, points) in zip(panels, planes.items(), strict=True):
        axes.set(title=title, xticks=[], yticks=[])
        if not inside.all():
            axes.scatter(*points[~inside].T, s=2, color=FAINT, label=f"{NONE}", **DOTS)
        if grouped:
            _draw_groups(axes, points, values, groups)
        else:
            axes.scatter(*points[inside].T, s=5, c=values[inside], cmap="viridis", **DOTS)
    if grouped:
        entries = panels[-1].get_legend_handles_labels()
        figure.legend(*entries, title=label, ncols=columns, **LEGEND)
    else:
        figure.colorbar(panels[-1].collections[-1], ax=list(panels), label=label, pad=0.01)
    text = textwrap.fill(field.description, int(14 * width))
    figure.supxlabel(text, fontsize="small", parse_math=False)
    return png(figure)


@style.context(STYLE)
def true_generated_png(
    true: FloatArray, generated: FloatArray, groups: Mapping[str, NDArray[np.bool_]]
) -> bytes:
    """Draw generated events (n, 2) as a map of heat, true ones (n, 2) as contours, by group.

    A panel each; a group (n,) chooses among both. Contours are of the smoothed density, at shares
    of its largest value: of few events they would be ragged.
    """
    both = np.concatenate([true, generated])
    low, high = np.quantile(both, HEATED, axis=0)
    x, y = np.linspace(low, high, CELLS + 1).T
    figure = Figure(figsize=(3.2 * len(groups), 3.3), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (title, rows) in zip(panels, groups.items(), strict=True):
        heat, lines = (
            np.histogram2d(points[rows, 0], points[rows, 1], [x, y])[0]
            for points in (generated, true)
        )
        axes.pcolormesh(x, y, np.ma.masked_equal(heat, 0).T, cmap="YlOrBr")
        density = gaussian_filter(lines, SMOOTHED)
        centres = [(edges[1:] + edges[:-1]) / 2 for edges in (x, y)]
        if density.max() > 0:
            levels = density.max() * np.array(CONTOURS)
            axes.contour(*centres, density.T, levels, colors=INK, linewidths=0.8)
        axes.set(title=title, xlabel="first component")
    panels[0].set_ylabel("second component")
    figure.suptitle("lines: true events, colours: generated ones", fontsize="small")
    return png(figure)


def _draw_groups(axes: Axes, points: FloatArray, values: FloatArray, groups: FloatArray) -> None:
    for number, value in enumerate(groups):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        x, y = points[values == value].T
        axes.scatter(x, y, s=12, color=colour, marker=mark, label=f"{value:g}", **DOTS)
