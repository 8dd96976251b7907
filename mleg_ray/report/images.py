"""Pictures of images: of their means, their cells and single ones; every function returns PNGs."""

import numpy as np
from matplotlib import style
from matplotlib.colors import LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mleg_ray.evaluation.metrics.cell_spectrum import cells_in_bins, spectrum_edges
from mleg_ray.evaluation.metrics.mean_images import row_moments
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.samples.histogram import Histogram
from mleg_ray.evaluation.samples.images import Images
from mleg_ray.evaluation.samples.sample import EventSample
from mleg_ray.evaluation.statistics.estimate import NotComputableError
from mleg_ray.report.drawing import GENERATED, LEGEND, STYLE, TRUTH, panel, png
from mleg_ray.report.figures import above_ratio, draw_densities, draw_ratio, set_log_scale

DECADES = 5  # of energy that a colour scale spans
GALLERY = 5  # true images beside their nearest
GALLERY_OF = 20_000  # images of each sample among which the nearest are sought
NO_ENERGY = "#f4f6f8"


def image_pngs(name: str, truth: EventSample, generated: EventSample) -> dict[str, bytes]:
    """Draw mean images and their difference, rows of these, the cells' spectrum and a gallery.

    Layers are added up. What has no energy, or is not finite, is left out.
    """
    both = [sample.images[name] for sample in (truth, generated)]
    if not all(images.cells.nnz and np.isfinite(images.cells.data).all() for images in both):
        return {}
    means = [_plane(sample.images[name].mean(sample.weight)) for sample in (truth, generated)]
    highest = max(float(mean.max()) for mean in means)
    if highest <= 0:
        return {}
    colours = LogNorm(highest / 10**DECADES, highest)
    difference = means[1] - means[0]
    limit = float(np.abs(difference).max()) or highest
    pictures = {
        "mean-truth": _plane_png(means[0], colours, "mean energy of a cell"),
        "mean-generated": _plane_png(means[1], colours, "mean energy of a cell"),
        "mean-difference": _plane_png(
            difference, SymLogNorm(limit / 1000, vmin=-limit, vmax=limit), "generated − truth"
        ),
        "rows": _rows_png(*means),
        "gallery": _gallery_png(*both),
    }
    threshold = truth.definitions.threshold(name)
    lit = [images.above(threshold) for images in both]
    try:
        edges = spectrum_edges(lit[0], truth.weight)
    except NotComputableError:
        return pictures
    counts = [
        _histogram(images, sample.weight, edges)
        for images, sample in zip(lit, (truth, generated), strict=True)
    ]
    return pictures | {"spectrum": _spectrum_png(edges, *counts)}


def _plane(image: FloatArray) -> FloatArray:
    """Return the sum (rows, columns) of an image's layers."""
    plane: FloatArray = image.reshape(-1, *image.shape[-2:]).sum(axis=0)
    return plane


def _histogram(images: Images, weights: FloatArray, edges: FloatArray) -> Histogram:
    counts = cells_in_bins(images, edges)
    return Histogram(np.asarray(weights @ counts), np.asarray(weights**2 @ counts))


@style.context(STYLE)
def _plane_png(plane: FloatArray, colours: Normalize, text: str) -> bytes:
    figure, axes = panel(4.4, 3.6, "column", "row")
    log = isinstance(colours, LogNorm)
    values = np.ma.masked_less_equal(plane, 0) if log else plane
    axes.set_facecolor(NO_ENERGY)
    mesh = axes.imshow(
        values,
        cmap="viridis" if log else "RdBu_r",
        norm=colours,
        origin="lower",
        interpolation="nearest",
    )
    figure.colorbar(mesh, ax=axes, pad=0.02).set_label(text)
    return png(figure)


@style.context(STYLE)
def _rows_png(truth: FloatArray, generated: FloatArray) -> bytes:
    """Draw mean and spread of the rows of the mean images that hold 99% of the truth's energy."""
    energy = truth.sum(axis=1)
    order = np.argsort(-energy)
    held = int(np.searchsorted(np.cumsum(energy[order]), 0.99 * energy.sum())) + 1
    rows = np.sort(order[:held])
    figure = Figure(figsize=(4.4, 3.9), layout="constrained")
    panels = figure.subplots(2, sharex=True)
    texts = ("mean [cells]", "spread [cells]")
    for axes, text, t, g in zip(
        panels, texts, row_moments(truth), row_moments(generated), strict=True
    ):
        axes.plot(rows, t[rows], "s", color=TRUTH, markersize=5, label="truth")
        axes.plot(rows, g[rows], "o", color=GENERATED, markersize=2.6, label="generated")
        axes.set_ylabel(text)
    panels[0].legend(**LEGEND)
    panels[1].set_xlabel("row")
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return png(figure)


@style.context(STYLE)
def _spectrum_png(edges: FloatArray, t: Histogram, g: Histogram) -> bytes:
    figure, top, bottom = above_ratio()
    draw_densities(top, edges, t, g)
    draw_ratio(bottom, edges, t, g)
    top.set_ylabel("density")
    bottom.set(xlabel="energy of a lit cell", ylabel="gen. / truth", xlim=(edges[0], edges[-1]))
    set_log_scale(bottom, edges)
    figure.align_ylabels()
    return png(figure)


@style.context(STYLE)
def _gallery_png(truth: Images, generated: Images) -> bytes:
    """Draw true images, the nearest other true ones and the nearest generated ones below.

    Distances are Euclidean, of cells.
    """
    n = min(len(truth), GALLERY_OF)
    true = truth.take(np.arange(len(truth))[:: -(-len(truth) // n)])
    made = generated.take(np.arange(len(generated))[:: -(-len(generated) // n)])
    lit = np.flatnonzero(np.diff(true.cells.indptr))
    shown = lit[np.linspace(0, len(lit) - 1, min(GALLERY, len(lit))).astype(np.intp)]
    rows = {
        "truth": true.take(shown),
        "nearest true": true.take(nearest(true, shown, true, but=shown)),
        "nearest generated": made.take(nearest(true, shown, made)),
    }
    planes = {text: [_plane(image) for image in images.dense] for text, images in rows.items()}
    highest = max(float(plane.max()) for some in planes.values() for plane in some)
    colours = LogNorm(highest / 10**DECADES, highest)
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    grid = figure.subplots(len(rows), len(shown), squeeze=False)
    for line, (text, some) in zip(grid, planes.items(), strict=True):
        for axes, plane in zip(line, some, strict=True):
            mesh = axes.imshow(
                np.ma.masked_less_equal(plane, 0),
                norm=colours,
                origin="lower",
                interpolation="nearest",
            )
            axes.set(xticks=[], yticks=[], facecolor=NO_ENERGY)
        line[0].set_ylabel(text)
    figure.colorbar(mesh, ax=grid, pad=0.02).set_label("energy of a cell")
    return png(figure)


def nearest(
    images: Images, rows: NDArray[np.intp], among: Images, but: NDArray[np.intp] | None = None
) -> NDArray[np.intp]:
    """Return the image of `among` (k,) nearest to each of k images, by cells; not that of `but`."""
    asking, cells = images.cells[rows].astype(np.float64), among.cells.astype(np.float64)
    own: FloatArray = np.asarray(cells.power(2).sum(axis=1)).ravel()
    distance = own[None, :] - 2 * (asking @ cells.T).toarray()
    if but is not None:
        distance[np.arange(len(rows)), but] = np.inf
    found: NDArray[np.intp] = distance.argmin(axis=1)
    return found
