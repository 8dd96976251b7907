"""What electrons of deep-inelastic scattering are judged by: variables, bands, cross sections."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure

from benchmarks.common.results import Results
from mleg_ray.evaluation.statistics.ensemble import Band, pulls
from mleg_ray.events import Events, members
from mleg_ray.physics import dis
from mleg_ray.report.drawing import GENERATED, TRUTH, draw_band, draw_pulls

BEAM_ENERGY = 50.0
EDGES = {
    "nu1": np.linspace(-4, 2, 41),
    "nu2": np.linspace(1.6, 4.6, 41),
    "log10 x": np.linspace(-3, 0, 41),
    "log10 Q2": np.linspace(0.3, 2.5, 41),
}
Q2_BINS = 10 ** EDGES["log10 Q2"][::4]
# About the x of the combined data of H1 and ZEUS, arXiv:1506.06042, from 0.002 to 0.4.
X_EDGES = (
    0.0016,
    0.0025,
    0.004,
    0.0064,
    0.01,
    0.016,
    0.025,
    0.04,
    0.064,
    0.1,
    0.15,
    0.21,
    0.32,
    0.5,
)
X_BINS = tuple(itertools.pairwise(X_EDGES))

Columns = dict[str, np.ndarray]
XBin = tuple[float, float]
# σ_r in bins of Q², its spread, the truth's σ_r and its error, in each bin of x.
CrossSections = dict[XBin, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


def electrons(events: Events, group: str = "electron") -> Columns:
    """Return ν1, ν2, log x, log Q² and y of the electrons of a group of n events, each (n,)."""
    px, py, pz = (events.columns[name].double() for name in members(group, "px", "py", "pz"))
    beam = torch.full_like(px, BEAM_ENERGY)
    q2, y = (f(px, py, pz, beam).clamp(min=1e-9) for f in (dis.q2, dis.inelasticity))
    x = dis.x_bj(px, py, pz, beam, beam).clamp(min=1e-9)
    columns = {
        "nu1": (q2 / (2 * BEAM_ENERGY)).log(),
        "nu2": (2 * BEAM_ENERGY * y).log(),
        "log10 x": x.log10(),
        "log10 Q2": q2.log10(),
        "y": y,
    }
    return {name: column.numpy() for name, column in columns.items()}


def reduced(events: Columns, x_bin: XBin) -> tuple[np.ndarray, np.ndarray]:
    """Return σ_r in `Q2_BINS` at x in a bin, over the total cross section, and its error."""
    q2, x, y = 10 ** events["log10 Q2"], 10 ** events["log10 x"], events["y"]
    factor = dis.reduction(*(torch.from_numpy(values) for values in (q2, x, y))).numpy()
    inside = (x > x_bin[0]) & (x < x_bin[1])
    sums, squares = (
        np.histogram(q2[inside], Q2_BINS, weights=factor[inside] ** power)[0] for power in (1, 2)
    )
    volume = np.diff(Q2_BINS) * (x_bin[1] - x_bin[0]) * len(q2)
    return sums / volume, np.sqrt(squares) / volume


def judge_bands(
    true: Mapping[str, Columns],
    ensemble: Mapping[str, Sequence[Columns]],
    seed: int,
    results: Results,
) -> None:
    """Keep pulls and coverage of each variable at each level, and draw the bands.

    Both map a level to its electrons: true ones, and those of each replica.
    """
    bands = {}
    for level, variable in ((a, b) for a in true for b in EDGES):
        values = true[level][variable]
        made = [columns[variable] for columns in ensemble[level]]
        found = pulls(values, np.ones(len(values)), made, EDGES[variable])
        bands[level, variable] = found
        figures = {
            "within 1 σ": found.coverage[0.683],
            "within 2 σ": found.coverage[0.954],
            "mean |pull|": float(np.abs(found.pulls).mean()),
        }
        results.add({"level": level, "variable": variable}, figures, seed=seed)
    results.draw(_spectra, bands)


def _filled(expected: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return which bins have an error of less than a third: some ten true events or more."""
    return error < expected / 3


def judge_cross_sections(
    true: Columns, ensembles: Mapping[str, Sequence[Columns]], seed: int, results: Results
) -> None:
    """Keep the median deviation of σ_r from the truth's in each bin of x, and draw it.

    Of each of the ensembles, by name: the electrons of its replicas.
    """
    found: dict[str, CrossSections] = {name: {} for name in ensembles}
    for name, x_bin in itertools.product(ensembles, X_BINS):
        expected, error = reduced(true, x_bin)
        made = np.array([reduced(columns, x_bin)[0] for columns in ensembles[name]])
        middle, spread = made.mean(axis=0), made.std(axis=0, ddof=1)
        filled = _filled(expected, error)
        if not filled.any():
            continue
        deviations = {
            "|ratio - 1|": np.abs(middle - expected),
            "spread of replicas": spread,
            "error of the truth": error,
        }
        figures = {
            f"median {what}": float(np.median(deviation[filled] / expected[filled]))
            for what, deviation in deviations.items()
        }
        labels = {"σ_r of": name, "x": x_bin, "bins of Q2": int(filled.sum())}
        results.add(labels, figures, seed=seed)
        found[name][x_bin] = middle, spread, expected, error
    results.draw(_cross_sections, found, name="sigma-r")


def kinematic_plane(true: Columns) -> Figure:
    """Draw which ν2 true electrons have against Q² in bins of x, and what it is at their middle.

    ν2 = ln(2E_b y) is that of Q² and x, y = Q² / (s x): where it is badly known, so is σ_r. Source:
    Alanazi, Machine Learning-Based Event Generator, Old Dominion University 2022, Fig. 37.
    """
    figure = Figure(figsize=(5.4, 4), layout="constrained")
    axes = figure.subplots()
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(X_BINS)))
    s = 4 * BEAM_ENERGY**2
    for colour, (low, high) in zip(colours, X_BINS, strict=True):
        x, q2 = 10 ** true["log10 x"], 10 ** true["log10 Q2"]
        inside = (x > low) & (x < high)
        axes.plot(q2[inside], true["nu2"][inside], ".", ms=1, alpha=0.3, color=colour)
        middle = math.sqrt(low * high)
        nu2 = np.log(2 * BEAM_ENERGY * Q2_BINS / (s * middle))
        there = (nu2 > EDGES["nu2"][0]) & (nu2 < EDGES["nu2"][-1])
        axes.plot(Q2_BINS[there], nu2[there], color=colour, label=f"x = {middle:.2g}")
    axes.set(xscale="log", xlabel="Q² [GeV²]", ylabel="ν2")
    figure.legend(loc="outside right center", fontsize=7.5)
    return figure


def _spectra(bands: Mapping[tuple[str, str], Band]) -> Figure:
    """Draw truth, bands of the replicas and, below, their pulls; a row for each level."""
    rows = len(bands) // len(EDGES)
    figure = Figure(figsize=(11, 3.4 * rows), layout="constrained")
    ratios = {"height_ratios": [2.6, 1] * rows}
    panels = figure.subplots(2 * rows, len(EDGES), sharex="col", gridspec_kw=ratios)
    pairs = zip(panels[::2].flat, panels[1::2].flat, strict=True)
    for (top, bottom), ((level, variable), band) in zip(pairs, bands.items(), strict=True):
        top.stairs(band.truth, band.edges, color=TRUTH, label="truth")
        draw_band(top, band.edges, band.generated, band.generated_error)
        top.stairs(band.generated, band.edges, color=GENERATED, label="replicas")
        top.set_title(f"{variable}, {level}")
        draw_pulls(bottom, band)
    figure.axes[0].legend(fontsize=7.5)
    return figure


def _cross_sections(found: Mapping[str, CrossSections]) -> Figure:
    """Draw σ_r of the truth and each ensemble's band against Q², times 2^i in the bin i of x.

    Bins count from the largest x, and only where there are ten true events are they drawn.
    """
    figure = Figure(figsize=(5.2 * len(found), 6.5), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
    centres = np.sqrt(Q2_BINS[1:] * Q2_BINS[:-1])
    for axes, (name, of) in zip(panels, found.items(), strict=True):
        for i, (x_bin, cross_section) in enumerate(reversed(of.items())):
            filled = _filled(*cross_section[2:])
            q2 = centres[filled]
            middle, spread, expected, error = (2**i * part[filled] for part in cross_section)
            lowest = np.maximum(middle - spread, expected / 30)  # the axis has no zero
            band = {"color": GENERATED, "alpha": 0.5, "linewidth": 1.5}
            axes.fill_between(q2, lowest, np.maximum(middle + spread, lowest), **band)
            axes.errorbar(q2, expected, error, fmt="o", ms=3, color=TRUTH)
            text = f"x = {math.sqrt(x_bin[0] * x_bin[1]):.2g}, i = {i}"
            axes.text(1.15 * q2[-1], expected[-1], text, fontsize=7, va="center")
        axes.set(
            xscale="log", yscale="log", xlabel="Q² [GeV²]", title=f"points: truth, band: {name}"
        )
        axes.set_xlim(Q2_BINS[0], 4 * Q2_BINS[-1])  # room for the texts
    panels[0].set_ylabel("σ_r · 2^i, arbitrary units")
    return figure
