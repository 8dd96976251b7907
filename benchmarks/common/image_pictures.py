"""Pictures of shower images: single ones on one logarithmic scale, means, rows, curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mleg_ray.evaluation.metrics.mean_images import row_moments
from mleg_ray.report.drawing import GENERATED, INK, TRUTH

SHOWN = 6  # single images of a kind
ROWS = 12  # in the middle, as the dissertation shows them
DIMMEST = 0.01  # MeV: what is below is white

Array = NDArray[np.float64]


def images_picture(truth: Sequence[Array], made: Sequence[Array], means: Sequence[Array]) -> Figure:
    """Return single images above each other, true and generated, and below what the means tell.

    Images are (rows, columns), MeV; `means` are the true one and the generated one.
    """
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[3.6, 2.9])[:, 0]
    brightest = max(float(np.max(image)) for image in (*truth, *made))
    panels = above.subplots(2, SHOWN)
    for line, name, images in zip(panels, ("truth", "generated"), (truth, made), strict=True):
        line[0].set_ylabel(name)
        for axes, image in zip(line, images, strict=True):
            shown = _draw(axes, image, norm=LogNorm(DIMMEST, brightest), cmap="magma_r")
    above.colorbar(shown, ax=panels, label="MeV", pad=0.01)
    true, found = means
    *maps, change, rows = below.subplots(1, 4, width_ratios=[1, 1, 1, 1.2])
    peak = float(true.max())
    for axes, name, mean in zip(maps, ("truth", "generated"), means, strict=True):
        shown = _draw(axes, mean, norm=LogNorm(peak * 1e-5, peak), cmap="magma_r")
        axes.set_title(f"mean, {name}", fontsize=9)
    below.colorbar(shown, ax=maps, label="MeV", location="bottom")
    limit = float(np.abs(found - true).max()) or 1.0
    shown = _draw(change, found - true, vmin=-limit, vmax=limit, cmap="RdBu_r")
    change.set_title("generated - truth", fontsize=9)
    below.colorbar(shown, ax=change, label="MeV", location="bottom")
    _rows(rows, true, found)
    return figure


def _draw(axes: Axes, image: Array, **look: Any) -> Any:  # noqa: ANN401 - Matplotlib's own
    axes.set(xticks=[], yticks=[])
    return axes.imshow(image, interpolation="nearest", origin="lower", **look)


def _rows(axes: Axes, true: Array, found: Array) -> None:
    first = max(0, (len(true) - ROWS) // 2)
    rows = np.arange(first, min(len(true), first + ROWS))
    for mean, colour, name in ((true, TRUTH, "truth"), (found, GENERATED, "generated")):
        centre, spread = row_moments(mean)
        axes.plot(rows, centre[rows], "o", markersize=3, color=colour, label=f"mean, {name}")
        axes.plot(rows, spread[rows], color=colour, label=f"spread, {name}")
    axes.set(xlabel="row", ylabel="cells")
    axes.legend(fontsize=7)


def reconstructions_picture(pairs: Sequence[tuple[Array, Array]]) -> Figure:
    """Return images above what an autoencoder makes of them, on one logarithmic scale, MeV."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    brightest = max(float(image.max()) for pair in pairs for image in pair)
    panels = figure.subplots(2, len(pairs), squeeze=False)
    for column, pair in enumerate(pairs):
        for axes, image in zip(panels[:, column], pair, strict=True):
            shown = _draw(axes, image, norm=LogNorm(DIMMEST, brightest), cmap="magma_r")
    for axes, name in zip(panels[:, 0], ("truth", "reconstructed"), strict=True):
        axes.set_ylabel(name)
    figure.colorbar(shown, ax=panels, label="MeV", shrink=0.8, pad=0.01)
    return figure


def steps_picture(curves: Mapping[str, Sequence[tuple[float, float]]], truth: float) -> Figure:
    """Return the mean cell, MeV, of what systems make at each judged step, beside the truth's."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        axes.plot(*zip(*curve, strict=True), marker="o", markersize=2.5, label=name)
    axes.axhline(truth, color=INK, linewidth=0.8, label="truth")
    axes.set(xlabel="step", ylabel="mean cell [MeV]")
    axes.legend(fontsize=7)
    return figure
