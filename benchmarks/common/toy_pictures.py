"""Pictures of toys: what was generated beside the exact answer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.common import exact_jets
from benchmarks.common.conditional import means
from benchmarks.common.exact_images import moments
from mleg_ray.events import Events
from mleg_ray.physics import images, toy_jets
from mleg_ray.physics.toy_images import ENERGIES, Blob
from mleg_ray.report.drawing import GENERATED, INK, TRUTH, TRUTH_FILL

Array = NDArray[np.float64]

LOOKS = {"generated": GENERATED, "floor": TRUTH, "doing nothing": INK}
NAMES = {"generated": "generated", "floor": "the toy itself", "doing nothing": "doing nothing"}
POINTS: dict[str, Any] = {"marker": "o", "markersize": 3.0}
PT_EDGES = np.array([25.0, 35, 50, 70, 95, 125, 160, 200, 250, 320])  # GeV
HT_EDGES = np.array([25.0, 75, 125, 175, 225, 300, 400, 500, 650, 900])  # GeV
SHOWN = 3  # energies, and single images at each


def jets_picture(compared: dict[str, Events]) -> Figure:
    """Return the number of jets, both pt spectra over the exact ones, and MET against H_T."""
    figure = Figure(figsize=(10, 7), layout="constrained")
    counts, profile, pt, leading = figure.subplots(2, 2).flat
    counts.stairs(
        exact_jets.number_table(),
        np.arange(-0.5, toy_jets.MOST + 1),
        fill=True,
        color=TRUTH_FILL,
        label="exact",
    )
    for name, events in compared.items():
        look: dict[str, Any] = {"color": LOOKS[name], "label": NAMES[name], **POINTS}
        weight = events.weight.numpy()
        present = events.present["jet"].numpy()
        number = present.sum(axis=1)
        table = np.bincount(number, weight, toy_jets.MOST + 1) / weight.sum()
        counts.plot(np.arange(len(table)), table, linestyle="", **look)
        values = events.columns["jet.pt"].double().numpy()
        some = number > 0
        of_jet = np.repeat(weight, number)
        _ratio(pt, values[present], of_jet, exact_jets.pt_cdf, look)
        _ratio(leading, values[some, 0], weight[some], exact_jets.leading_pt_cdf, look)
        ht, met = values.sum(axis=1), events.columns["met.pt"].double().numpy()
        mean = means(met, ht, weight, HT_EDGES)
        profile.plot((HT_EDGES[1:] + HT_EDGES[:-1]) / 2, mean, linewidth=0.8, **look)
    counts.set(xlabel="jets in an event", ylabel="share of events")
    profile.set(xlabel="$H_T$ [GeV]", ylabel="mean missing $p_T$ [GeV]")
    pt.set(xlabel="$p_T$ of all jets [GeV]", ylabel="jets over the exact number")
    leading.set(xlabel="$p_T$ of the leading jet [GeV]", ylabel="events over the exact number")
    for axes in (pt, leading):
        axes.axhline(1, color=INK, linewidth=0.6)
        axes.set(xscale="log", ylim=(0.8, 1.2))
        axes.set_xticks(PT_EDGES[::2], [f"{edge:.0f}" for edge in PT_EDGES[::2]])
        axes.minorticks_off()
    counts.legend()
    return figure


def _ratio(
    axes: Axes,
    values: Array,
    weights: Array,
    cdf: Callable[[Array], Array],
    look: dict[str, Any],
) -> None:
    found, _ = np.histogram(values, PT_EDGES, weights=weights)
    squares, _ = np.histogram(values, PT_EDGES, weights=weights**2)
    exact = np.diff(cdf(PT_EDGES)) * weights.sum()
    middle = np.sqrt(PT_EDGES[1:] * PT_EDGES[:-1])
    axes.errorbar(middle, found / exact, np.sqrt(squares) / exact, linewidth=0.8, **look)


def images_picture(compared: dict[str, Events], blob: Blob) -> Figure:
    """Return single images at three energies, the toy's above, and how three sums are spread."""
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    grid = figure.add_gridspec(3, SHOWN**2)
    energies = np.geomspace(*ENERGIES, SHOWN)
    for row, name in enumerate(("floor", "generated")):
        events = compared[name]
        there = events.columns["energy"].numpy()
        for block, energy in enumerate(energies):
            nearest = np.argsort(np.abs(np.log(there / energy)))[:SHOWN]
            for column, event in enumerate(np.sort(nearest)):
                axes = figure.add_subplot(grid[row, block * SHOWN + column])
                # Layers stand one above the other; empty cells are white.
                image = events.columns["image"][event].reshape(-1, blob.cells).numpy()
                lit = np.where(image > 0, image, np.nan)
                scale = float(energy) * 0.1
                axes.imshow(lit, cmap="magma_r", vmin=0, vmax=scale, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                if column == SHOWN // 2:
                    axes.set_title(f"{NAMES[name]}, {energy:.3g} GeV", fontsize=9)
    _pulls(figure.add_subplot(grid[2, :3]), compared, blob)
    _columns(figure.add_subplot(grid[2, 3:6]), compared)
    _sums(figure.add_subplot(grid[2, 6:]), compared)
    return figure


def _pulls(axes: Axes, compared: dict[str, Events], blob: Blob) -> None:
    for name, events in compared.items():
        exact = moments(blob, events.columns["energy"].numpy())
        total = images.total(events.columns["image"]).numpy()
        pull = (total - exact.total) / np.sqrt(exact.total_variance)
        counts, edges = np.histogram(pull, np.linspace(-5, 5, 51), density=True)
        axes.stairs(counts, edges, color=LOOKS[name], label=NAMES[name])
    axes.set(xlabel="(sum - exact mean) / exact spread", yticks=[])
    axes.legend(fontsize=7)


def _columns(axes: Axes, compared: dict[str, Events]) -> None:
    for name, events in compared.items():
        column = images.barycentre(events.columns["image"], -1).numpy()
        counts, edges = np.histogram(column, np.linspace(-4, 4, 81), density=True)
        axes.stairs(counts, edges, color=LOOKS[name])
    axes.set(xlabel="column of the barycentre", yticks=[])


def _sums(axes: Axes, compared: dict[str, Events]) -> None:
    edges = np.geomspace(*ENERGIES, 13)
    for name, events in compared.items():
        energy = events.columns["energy"].numpy()
        lit = images.occupancy(events.columns["image"], 0.0).numpy()
        mean = means(lit, energy, np.ones(len(energy)), edges)
        axes.stairs(100 * mean, edges, baseline=None, color=LOOKS[name])
    axes.set(xlabel="E [GeV]", ylabel="lit cells [%]", xscale="log")
