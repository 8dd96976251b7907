"""What electrons of deep-inelastic scattering are judged by: variables, bands, cross sections.

Of HERA's beams and y > 0.05. Everything is a share of the events in bins, so that generated events,
weighted ones and unfolded histograms are judged alike.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from benchmarks.common.results import Results
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.evaluation.statistics.ensemble import Band, pulls_of_shares
from mleg_ray.events import Events, members
from mleg_ray.physics import dis
from mleg_ray.report.drawing import GENERATED, TRUTH, draw_band, draw_pulls

ELECTRON_BEAM, PROTON_BEAM = 27.5, 920.0  # GeV
# About the x of the combined data of H1 and ZEUS, arXiv:1506.06042, from 0.00025 to 0.13.
X_EDGES = (
    *(2e-4, 3.2e-4, 5e-4, 8e-4, 1.3e-3, 2e-3, 3.2e-3, 5e-3, 8e-3),
    *(0.013, 0.02, 0.032, 0.05, 0.08, 0.13, 0.21),
)
Q2_EDGES = 10 ** np.linspace(0.3, 3.5, 17)  # GeV²
NARROW, INTERVALS = 0.1, (0.1, 0.5, 0.9)  # width, and where of ν1's and ν2's quantiles
CELL = "cell"  # of x and Q², numbered by x first
CELLS = (len(X_EDGES) - 1) * (len(Q2_EDGES) - 1)
EDGES: Mapping[str, FloatArray] = {
    "nu1": np.linspace(-3.4, 3.4, 41),
    "nu2": np.linspace(0.9, 4.1, 41),
    "log10 x": np.linspace(-3.8, -0.2, 41),
    "log10 Q2": np.linspace(0.3, 3.5, 41),
}
ALL_EDGES: Mapping[str, FloatArray] = {**EDGES, CELL: np.arange(-0.5, CELLS)}

Columns = dict[str, np.ndarray]
Shares = Mapping[str, FloatArray]  # of the events in each bin of each variable


def electrons(events: Events, group: str = "electron") -> Columns:
    """Return what is binned of the electrons of a group of n events, each (n,), and their y.

    ν1 = ln(E' - pz) and ν2 = ln(2E_e - E' - pz) in GeV: Alanazi, Old Dominion University 2022, eq.
    24. An electron in no cell is in that of number -1.
    """
    px, py, pz = (events.columns[name].double() for name in members(group, "px", "py", "pz"))
    beam, proton = (events.columns[f"{name}_beam"].double() for name in ("electron", "proton"))
    q2, y = (f(px, py, pz, beam).clamp(min=1e-9) for f in (dis.q2, dis.inelasticity))
    x = q2 / (dis.mandelstam_s(beam, proton) * y)
    columns = {
        "nu1": (q2 / (2 * beam)).log(),
        "nu2": (2 * beam * y).log(),
        "log10 x": x.log10(),
        "log10 Q2": q2.log10(),
        "y": y,
    }
    found = {name: column.numpy() for name, column in columns.items()}
    at_x = np.digitize(x.numpy(), X_EDGES) - 1
    at_q2 = np.digitize(q2.numpy(), Q2_EDGES) - 1
    inside = (at_x >= 0) & (at_x < len(X_EDGES) - 1) & (at_q2 >= 0) & (at_q2 < len(Q2_EDGES) - 1)
    return found | {CELL: np.where(inside, at_x * (len(Q2_EDGES) - 1) + at_q2, -1)}


def shares(columns: Columns, weight: FloatArray | None = None) -> Shares:
    """Return the share of n events, of these weights (n,), in each bin of each variable."""
    weight = np.ones(len(columns["y"])) if weight is None else weight
    return {
        name: np.histogram(columns[name], edges, weights=weight)[0] / weight.sum()
        for name, edges in ALL_EDGES.items()
    }


def reductions(columns: Columns) -> FloatArray:
    """Return what makes the share of a cell σ_r over the cross section, (CELLS,), zero if unknown.

    It is the mean over its events of x Q⁴ / (2π α² Y₊), GeV⁴, over its area in x and Q².
    """
    numbers = (10 ** columns["log10 Q2"], 10 ** columns["log10 x"], columns["y"])
    factor = dis.reduction(*map(torch.from_numpy, numbers)).numpy()
    edges = ALL_EDGES[CELL]
    sums, counts = (np.histogram(columns[CELL], edges, weights=w)[0] for w in (factor, None))
    area = np.outer(np.diff(X_EDGES), np.diff(Q2_EDGES)).ravel()
    found: FloatArray = sums / np.maximum(counts, 1) / area
    return found


def judge(
    labels: dict[str, str],
    true: Columns,
    replicas: Sequence[Shares],
    events: int,
    seed: int,
    results: Results,
) -> dict[str, Band]:
    """Keep how far the mean of the replicas is from true electrons, and return it in bands.

    For each variable: χ²/ndf in bins of ten true events or more, of the errors that as many true
    events as there are, and `events`, have; the Kolmogorov-Smirnov distance at the bins' ends;
    pulls (eq. 29) by the replicas' spread; the correlation of neighbouring bins over replicas. For
    cells, in bins of x, the median deviation of σ_r and its error.
    """
    bands = {}
    ones = np.ones(len(true["y"]))
    for name, edges in ALL_EDGES.items():
        own = np.array([replica[name] for replica in replicas])
        band = pulls_of_shares(true[name], ones, list(own), edges)
        bands[name] = band
        used, expected = band.used, band.truth
        difference = band.generated - expected
        variance = expected * (1 / len(ones) + 1 / events)
        figures = {
            "χ²/ndf": float(np.mean(difference[used] ** 2 / variance[used])),
            "KS": float(np.abs(np.cumsum(difference)).max()),
            "within 1 σ": band.coverage[0.683],
            "within 2 σ": band.coverage[0.954],
            "mean |pull|": float(np.abs(band.pulls).mean()),
            "correlation of neighbours": _neighbours(own[:, used]),
        }
        if name == CELL:
            figures.pop("KS")
            relative = {
                "σ_r, median |ratio - 1|": np.abs(difference),
                "σ_r, median error": band.generated_error,
                "σ_r, median error of the truth": band.truth_error,
            }
            figures |= {k: float(np.median(v[used] / expected[used])) for k, v in relative.items()}
        results.add(labels | {"variable": name}, figures, seed=seed)
    return bands


def _neighbours(own: FloatArray) -> float:
    """Return the mean correlation over replicas (R, k) of a bin with the next."""
    centred = own - own.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    known = (spread[1:] > 0) & (spread[:-1] > 0)
    products = (centred[:, 1:] * centred[:, :-1]).sum(axis=0)
    correlations = products[known] / (spread[1:] * spread[:-1])[known]
    return float(correlations.mean()) if known.any() else 0.0


def spectra(bands: Mapping[str, Mapping[str, Band]]) -> Figure:
    """Draw truth, bands of the replicas and, below, their pulls; a row for each name."""
    figure = Figure(figsize=(11, 3.2 * len(bands)), layout="constrained")
    ratios = {"height_ratios": [2.6, 1] * len(bands)}
    panels = figure.subplots(2 * len(bands), len(EDGES), sharex="col", gridspec_kw=ratios)
    for row, (name, of) in enumerate(bands.items()):
        for top, bottom, variable in zip(*panels[2 * row : 2 * row + 2], EDGES, strict=True):
            band = of[variable]
            top.stairs(band.truth, band.edges, color=TRUTH, label="truth")
            draw_band(top, band.edges, band.generated, band.generated_error)
            top.stairs(band.generated, band.edges, color=GENERATED, label="replicas")
            top.set_title(f"{variable}, {name}")
            draw_pulls(bottom, band)
    figure.axes[0].legend(fontsize=7.5)
    return figure


def cross_sections(bands: Mapping[str, Mapping[str, Band]], true: Columns) -> Figure:
    """Draw σ_r of the truth and each band against Q², times 2^i in the bin i of x.

    Bins count from the largest x, and only where there are ten true events are they drawn. Source:
    Alanazi, Old Dominion University 2022, Fig. 31 and 38.
    """
    figure = Figure(figsize=(4.6 * len(bands), 7), layout="constrained")
    panels = figure.subplots(1, len(bands), squeeze=False, sharey=True)[0]
    centres, factor = np.sqrt(Q2_EDGES[1:] * Q2_EDGES[:-1]), reductions(true)
    shape = (len(X_EDGES) - 1, len(centres))
    for axes, (name, of) in zip(panels, bands.items(), strict=True):
        band = of[CELL]
        parts = (band.truth, band.truth_error, band.generated, band.generated_error)
        scaled = [(part * factor).reshape(shape) for part in parts]
        for i, row in enumerate(reversed(range(shape[0]))):
            used = band.used.reshape(shape)[row]
            if not used.any():
                continue
            expected, error, middle, spread = (2**i * part[row][used] for part in scaled)
            q2 = centres[used]
            lowest = np.maximum(middle - spread, expected / 30)  # the axis has no zero
            highest = np.maximum(middle + spread, lowest)
            axes.fill_between(q2, lowest, highest, color=GENERATED, alpha=0.5, linewidth=1.5)
            axes.errorbar(q2, expected, error, fmt="o", ms=3, color=TRUTH)
            text = f"x = {math.sqrt(X_EDGES[row] * X_EDGES[row + 1]):.2g}, i = {i}"
            axes.text(1.15 * q2[-1], expected[-1], text, fontsize=7, va="center")
        axes.set(
            xscale="log", yscale="log", xlabel="Q² [GeV²]", title=f"points: truth, band: {name}"
        )
        axes.set_xlim(Q2_EDGES[0], 4 * Q2_EDGES[-1])  # room for the texts
    panels[0].set_ylabel("σ_r · 2^i, arbitrary units")
    return figure


def distortions(true: Columns, measured: Mapping[str, Columns]) -> Figure:
    """Draw ν1 and ν2 of true electrons and of the same as measured, by a detector and its models.

    Below is what becomes of the electrons in some narrow intervals. Source: Alanazi, Machine
    Learning-Based Event Generator, Old Dominion University 2022, Fig. 32.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col")
    for (whole, parts), variable in zip(panels.T, ("nu1", "nu2"), strict=True):
        edges, own = EDGES[variable], true[variable]
        fine = np.linspace(edges[0], edges[-1], 4 * len(edges) - 3)
        whole.hist(own, edges, color=TRUTH, alpha=0.2, label="vertex")
        for k, (name, columns) in enumerate(measured.items()):
            line = {"histtype": "step", "color": f"C{k}", "linestyle": ("-", "--", ":")[k % 3]}
            whole.hist(columns[variable], edges, label=name, **line)
            for middle in np.quantile(own, INTERVALS):
                near = np.abs(own - middle) < NARROW / 2
                parts.hist(columns[variable][near], fine, **line)
        for middle in np.quantile(own, INTERVALS):
            parts.axvspan(middle - NARROW / 2, middle + NARROW / 2, color=TRUTH, alpha=0.2, lw=0)
        parts.set(xlabel=variable)
    panels[0, 0].set_ylabel("electrons")
    panels[1, 0].set_ylabel("electrons of an interval")
    panels[0, 0].legend(fontsize=7.5)
    return figure


def kinematic_plane(true: Columns) -> Figure:
    """Draw which ν2 true electrons have against Q² in bins of x, and what it is at their middle.

    ν2 = ln(2E_e y) is that of Q² and x, y = Q² / (s x): where it is badly known, so is σ_r. Source:
    Alanazi, Machine Learning-Based Event Generator, Old Dominion University 2022, Fig. 37.
    """
    figure = Figure(figsize=(5.4, 4), layout="constrained")
    axes = figure.subplots()
    pairs = list(itertools.pairwise(X_EDGES))
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(pairs)))
    s = 4 * ELECTRON_BEAM * PROTON_BEAM
    x, q2 = 10 ** true["log10 x"], 10 ** true["log10 Q2"]
    for colour, (low, high) in zip(colours, pairs, strict=True):
        inside = (x > low) & (x < high)
        axes.plot(q2[inside], true["nu2"][inside], ".", ms=1, alpha=0.3, color=colour)
        middle = math.sqrt(low * high)
        nu2 = np.log(2 * ELECTRON_BEAM * Q2_EDGES / (s * middle))
        there = (nu2 > EDGES["nu2"][0]) & (nu2 < EDGES["nu2"][-1])
        axes.plot(Q2_EDGES[there], nu2[there], color=colour, label=f"x = {middle:.2g}")
    axes.set(xscale="log", xlabel="Q² [GeV²]", ylabel="ν2")
    figure.legend(loc="outside right center", fontsize=7.5)
    return figure
