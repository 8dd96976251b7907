"""The pictures of a hidden layer: events in planes, marked by what is known of them."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.events import Field
from mleg_ray.interpret.latent import (
    CLUSTER,
    NONE,
)
from mleg_ray.report.drawing import FAINT, STYLE, png, unit_text

COLOURS = (*colormaps["tab10"].colors[:7], *colormaps["tab10"].colors[8:])  # type: ignore[attr-defined]
MARKS = ("o", "^", "s", "v", "D", "P", "X")  # of another number: their cycles meet late
GROUPS = len(COLOURS) * len(MARKS)  # those that differ in colour or mark
ROWS = 16  # of a legend's column, as high as a panel
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


def _draw_groups(axes: Axes, points: FloatArray, values: FloatArray, groups: FloatArray) -> None:
    for number, value in enumerate(groups):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        x, y = points[values == value].T
        axes.scatter(x, y, s=12, color=colour, marker=mark, label=f"{value:g}", **DOTS)
