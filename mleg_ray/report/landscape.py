"""The report of a loss's landscape: its surface and contours as pictures, its figures as JSON."""

from typing import Literal

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.console import progress_bar, say
from mleg_ray.folder import SealedFolder
from mleg_ray.interpret.events import own_dataset, validation_events
from mleg_ray.interpret.landscape import Landscape, LandscapeSpec, landscape, player_of
from mleg_ray.report.drawing import GENERATED, INK, STYLE, png
from mleg_ray.report.folder import ResultsPlan, renew
from mleg_ray.storage import join, write_bytes, write_json

SURFACE, CONTOURS, JSON = "surface.png", "contours.png", "landscape.json"
COLOURS = "cividis"  # also for colour-blind readers, and monotonic in grey
LEVELS = 12  # each between two lines: a twelfth of the plane


class LandscapePlan(ResultsPlan):
    """What the folder of a landscape is for."""

    kind: Literal["landscape"] = "landscape"


def survey(checkpoint: Checkpoint, spec: LandscapeSpec, storage: str, out: str) -> Landscape:
    """Compute a landscape on the validation split of the checkpoint's own dataset, and write it.

    `out` gets its figures and the pictures of the first pair's surface and of every pair's
    contours; an earlier one that is there is replaced when all is computed. The player, the dataset
    and the folder are checked before.

    Raises:
        CheckpointError: see `landscape`.
        ConfigError: `out` holds something else.
        DataError: the dataset is not there, or has too few events.
        ResourceError: nothing can be written.
    """
    player_of(checkpoint, checkpoint.model, spec.player)
    events = validation_events(own_dataset(checkpoint, storage), spec.events, spec.seed)
    of = {"checkpoint": checkpoint.digest, "spec": spec.model_dump(mode="json")}
    folder = SealedFolder(out, LandscapePlan(of=of, results=(SURFACE, CONTOURS, JSON)))
    with folder.work():
        with progress_bar("Moving the weights", spec.pairs * spec.grid**2) as bar:
            found = landscape(checkpoint, events, spec, bar.update)
        renew(folder)
        with style.context(STYLE):
            for name, draw in ((SURFACE, _surface), (CONTOURS, _contours)):
                write_bytes(join(out, name), png(draw(found)))
        write_json(join(out, JSON), found.model_dump(mode="json"))
    say(
        f"Loss {found.loss:.4g}; roughness {found.roughness.value:.3g} ± "
        f"{found.roughness.uncertainty:.2g} of a bowl's; not convex at "
        f"{found.nonconvex_share.value:.0%} of the points"
    )
    return found


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
