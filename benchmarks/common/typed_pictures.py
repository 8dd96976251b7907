"""Pictures of events of typed objects, generated beside true, as R. Balanzá García has them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.common import typed_objects
from benchmarks.common.conditional import histogram
from benchmarks.common.ratio import draw_ratio
from benchmarks.common.typed_objects import COLUMNS, LEPTONS, PARTS, TYPES, Array
from mleg_ray.events import Events
from mleg_ray.report.drawing import GENERATED, INK, TRUTH, TRUTH_FILL, draw_matrix

FREQUENT = 0.85  # of the true events have one of the frequent masks
RARE = 60  # of the rare masks that are drawn


def shapes(truth: Events, made: Mapping[str, Events], objects: tuple[str, ...]) -> Figure:
    """Draw spectra over the truth's, with ratios below: of the event, and of leading objects."""
    panels = _panels(truth, objects)
    rows = 1 + len(objects)
    figure = Figure(figsize=(13, 2.7 * rows), layout="constrained")
    grid = figure.add_gridspec(2 * rows, 4, height_ratios=[3, 1] * rows)
    for number, (title, values) in enumerate(panels.items()):
        row, column = divmod(number if number < 3 else number + 1, 4)
        axes = figure.add_subplot(grid[2 * row, column])
        below = figure.add_subplot(grid[2 * row + 1, column], sharex=axes)
        true = values(truth)
        edges = _edges(true)
        samples = {label: histogram(values(events), edges) for label, events in made.items()}
        draw_ratio(axes, below, edges, histogram(true, edges), samples, reach=1)
        below.set_xlabel(title)
        axes.tick_params(labelbottom=False)
        if number == 0:
            figure.legend(*axes.get_legend_handles_labels(), loc="upper right")
    return figure


def _panels(truth: Events, objects: tuple[str, ...]) -> dict[str, Any]:
    """Return what is drawn, by its label: functions of events."""
    panels = _event_panels()
    for name in objects:
        groups = {"first lepton": LEPTONS, "first photon": ("photon",)}.get(name, ("jet",))
        rank = int(name[-1]) if name.startswith("jet") else 1
        for part in PARTS:
            panels[_label(part, name)] = partial(_leading, groups, part, rank)
    return panels


def _event_panels() -> dict[str, Any]:
    """Return those of the event, by their label: functions of events."""
    return {
        "log10 MET [GeV]": partial(typed_objects.numbers, "met.pt"),
        "φ of MET": partial(typed_objects.numbers, "met.phi"),
        "log10 total energy [GeV]": lambda events: typed_objects.scaled(
            typed_objects.total_energy(events), "energy"
        ),
    }


def _label(part: str, name: str) -> str:
    return f"{'log10 ' if part in typed_objects.LOGARITHMIC else ''}{part}, {name}"


def _edges(values: Array) -> Array:
    """Return the edges of bins of all but the outer 1/2000 of the values at either end."""
    low, high = np.quantile(values, (0.0005, 0.9995)) if len(values) else (0.0, 1.0)
    return np.linspace(float(low), float(high), 41)


def _leading(groups: tuple[str, ...], part: str, rank: int, events: Events) -> Array:
    values = typed_objects.leading(events, groups, part, rank)
    return typed_objects.scaled(values[np.isfinite(values)], part)


def spectra(samples: Mapping[str, Events]) -> Figure:
    """Draw what events of several processes are like, each distribution with the integral one.

    These are figures 7.2, 7.3 and B.1 to B.8: the missing momentum and the total energy, and of
    each type E, pT, η and φ of all objects.
    """
    figure = Figure(figsize=(13, 2.2 * (1 + len(TYPES))), layout="constrained")
    grid = figure.subplots(1 + len(TYPES), 4)
    rows = [_event_panels()] + [
        {_label(part, name): partial(typed_objects.numbers, f"{name}.{part}") for part in PARTS}
        for name in TYPES
    ]
    for row, panels in zip(grid, rows, strict=True):
        for axes in row[len(panels) :]:
            axes.set_axis_off()
        for axes, (title, values) in zip(row, panels.items(), strict=False):
            found = {label: values(events) for label, events in samples.items()}
            edges = _edges(np.concatenate(list(found.values())))
            for label, numbers in found.items():
                axes.stairs(histogram(numbers, edges).value, edges, label=label)
            axes.set_xlabel(title)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="upper right")
    return figure


def heatmaps(matrices: Mapping[str, Array]) -> Figure:
    """Draw correlation matrices side by side, with their numbers."""
    figure = Figure(figsize=(6.4 * len(matrices), 6), layout="constrained")
    for axes, (name, matrix) in zip(
        np.atleast_1d(figure.subplots(1, len(matrices))), matrices.items(), strict=True
    ):
        draw_matrix(axes, matrix, COLUMNS)
        axes.set_title(name)
        for i in range(len(COLUMNS)):
            for j in range(len(COLUMNS)):
                if np.isfinite(matrix[i, j]):
                    ink = "white" if abs(matrix[i, j]) > 0.6 else INK
                    place = {"ha": "center", "va": "center", "fontsize": 6.5, "color": ink}
                    axes.text(j, i, f"{matrix[i, j]:.2f}", **place)
    return figure


def masks(truth: Events, made: Events) -> Figure:
    """Draw how often masks, vectors of counts, are made over how often they are true.

    These are figures 7.33 and 7.34: the frequent masks, of which `FREQUENT` of the true events have
    one, and the first of the rare ones. Points have the error of the number of generated events.
    """
    vectors, true, found = typed_objects.mask_shares(truth, made)
    frequent = int(np.searchsorted(true.cumsum(), FREQUENT)) + 1
    known = int(np.count_nonzero(true))
    shown = min(known, frequent + RARE)
    figure = Figure(figsize=(13, 8), layout="constrained")
    above, below = figure.subplots(2, 1)
    for axes, some in ((above, slice(frequent)), (below, slice(frequent, shown))):
        _bars(axes, vectors[some], true[some], found[some], len(made))
    above.set(title=f"{frequent} frequent masks: {true[:frequent].sum():.1%} of true events")
    below.set(
        yscale="log",
        xlabel=f"numbers of {', '.join(TYPES)}",
        title=f"{shown - frequent} of {known - frequent} rare masks; {found[known:].sum():.2%} of "
        "generated events have a mask that no true one has",
    )
    above.legend()
    return figure


def _bars(axes: Axes, vectors: NDArray[np.int64], true: Array, found: Array, events: int) -> None:
    places = np.arange(len(vectors))
    axes.bar(places, true, width=0.9, color=TRUTH_FILL, edgecolor=TRUTH, label="truth")
    points: dict[str, Any] = {"fmt": "o", "markersize": 3, "color": GENERATED, "linewidth": 0.9}
    axes.errorbar(places, found, np.sqrt(found / events), label="generated", **points)
    labels = [" ".join(str(count) for count in vector) for vector in vectors]
    axes.set_xticks(places, labels, rotation=90, fontsize=7)
    axes.set_ylabel("share of events")
    axes.margins(x=0.01)
