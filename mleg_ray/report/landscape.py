"""The pictures of a loss's landscape: its surface and its contours."""

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from mleg_ray.interpret.landscape import Landscape
from mleg_ray.report.drawing import GENERATED, INK, STYLE, png

SURFACE, CONTOURS = "surface.png", "contours.png"
COLOURS = "cividis"  # also for colour-blind readers, and monotonic in grey
LEVELS = 12  # each between two lines: a twelfth of the plane


def landscape_pngs(landscape: Landscape) -> dict[str, bytes]:
    """Draw the first pair's surface, and the contours of every pair, by their files' names."""
    with style.context(STYLE):
        return {SURFACE: png(_surface(landscape)), CONTOURS: png(_contours(landscape))}


def _surface(landscape: Landscape) -> Figure:
    a, b = np.meshgrid(landscape.spec.axis, landscape.spec.axis, indexing="ij")
    figure = Figure(figsize=(5.8, 4.8), layout="constrained")
    axes = figure.add_subplot(projection="3d", computed_zorder=False)
    values = np.array(landscape.surfaces[0])
    axes.plot_surface(a, b, values, cmap=COLOURS, rcount=len(a), ccount=len(a), edgecolor="none")
    axes.scatter([0], [0], [landscape.loss], color=GENERATED, depthshade=False, label="trained")
    axes.set_xlabel("direction 1", labelpad=8)
    axes.set_ylabel("direction 2", labelpad=8)
    axes.set_zlabel(f"loss of the {landscape.spec.player}")
    axes.locator_params(nbins=5)
    axes.legend(loc="upper left")
    return figure


def draw_contours(panel: Axes, landscape: Landscape, pair: int) -> None:
    """Draw one pair's contours, and the trained weights in their middle."""
    axis, values = landscape.spec.axis, np.array(landscape.surfaces[pair])
    levels = np.unique(np.quantile(values, np.linspace(0, 1, LEVELS + 1)))
    norm = BoundaryNorm(levels, 256)
    filled = panel.contourf(axis, axis, values.T, levels, cmap=COLOURS, norm=norm)
    panel.contour(axis, axis, values.T, levels, colors=INK, linewidths=0.3)
    panel.plot(0, 0, "o", color=GENERATED, markersize=4)
    panel.set_aspect("equal")
    panel.set_xlabel(f"direction {2 * pair + 1}")
    panel.set_ylabel(f"direction {2 * pair + 2}")
    panel.figure.colorbar(filled, ax=panel, shrink=0.85, ticks=levels[::3], format="%.3g")


def _contours(landscape: Landscape) -> Figure:
    pairs = landscape.spec.pairs
    figure = Figure(figsize=(3.5 * pairs + 0.4, 3.5), layout="constrained")
    for pair, panel in enumerate(figure.subplots(1, pairs, squeeze=False)[0]):
        draw_contours(panel, landscape, pair)
    roughness, bent = landscape.roughness, landscape.nonconvex_share
    figure.suptitle(
        f"Loss of the {landscape.spec.player}: roughness {roughness.value:.2f} ± "
        f"{roughness.uncertainty:.2f}, not convex at {bent.value:.0%}",
        fontsize=9.5,
    )
    return figure
