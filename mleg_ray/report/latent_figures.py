"""Pictures of a hidden layer's activations in a plane; the function returns a PNG."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mleg_ray.evaluation.distances import FloatArray
from mleg_ray.report.drawing import FAINT, STYLE, png, unit_text

NONE = -1  # the number of what is in no cluster, drawn in grey
COLOURS = (*colormaps["tab10"].colors[:7], *colormaps["tab10"].colors[8:])  # type: ignore[attr-defined]
DOTS: dict[str, Any] = {"s": 5, "linewidth": 0, "alpha": 0.75}


def planes_png(
    planes: Mapping[str, FloatArray], values: FloatArray, name: str, unit: str = "1"
) -> bytes:
    """Draw events as dots in several planes, coloured by a number of each.

    Args:
        planes: points (n, 2) by what they are: the principal components, t-SNE.
        values: numbers (n,); few different ones are groups, -1 are dots in grey, others a scale.
        name: what the numbers are.
        unit: theirs, "1" if none.
    """
    with style.context(STYLE):
        figure = Figure(figsize=(4.2 * len(planes) + 0.9, 3.9), layout="constrained")
        panels = figure.subplots(1, len(planes), squeeze=False)[0]
        for axes, (title, points) in zip(panels, planes.items(), strict=True):
            axes.set(title=title, xticks=[], yticks=[])
            _draw(axes, points, values)
        label = name if unit == "1" else f"{name} [{unit_text(unit)}]"
        if _grouped(values):
            panels[-1].legend(
                title=label, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2.5
            )
        else:
            figure.colorbar(panels[-1].collections[0], ax=list(panels), label=label)
        return png(figure)


def _grouped(values: FloatArray) -> bool:
    return len(np.unique(values[values != NONE])) <= len(COLOURS)


def _draw(axes: Axes, points: FloatArray, values: FloatArray) -> None:
    if not _grouped(values):
        axes.scatter(points[:, 0], points[:, 1], c=values, cmap="viridis", **DOTS)
        return
    colours = iter(COLOURS)
    for value in np.unique(values):
        colour = FAINT if value == NONE else next(colours)
        x, y = points[values == value].T
        axes.scatter(x, y, color=colour, label=f"{value:g}", **DOTS)
