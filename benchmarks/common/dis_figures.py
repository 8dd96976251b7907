"""What electrons of deep-inelastic scattering are judged by: variables, bands, cross sections."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
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
X_BINS = ((0.002, 0.005), (0.005, 0.013), (0.013, 0.032), (0.032, 0.08))

Columns = dict[str, np.ndarray]
XBin = tuple[float, float]


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


def judge_cross_sections(
    true: Columns, ensemble: Sequence[Columns], seed: int, results: Results
) -> None:
    """Keep the median deviation of σ_r from the truth's in each bin of x, and draw it."""
    found = {}
    for x_bin in X_BINS:
        expected, error = reduced(true, x_bin)
        made = np.array([reduced(columns, x_bin)[0] for columns in ensemble])
        middle, spread = made.mean(axis=0), made.std(axis=0, ddof=1)
        filled = expected > 0
        deviations = {
            "|ratio - 1|": np.abs(middle - expected),
            "spread of replicas": spread,
            "error of the truth": error,
        }
        figures = {
            f"σ_r, median {name}": float(np.median(deviation[filled] / expected[filled]))
            for name, deviation in deviations.items()
        }
        results.add({"x": x_bin, "bins of Q2": int(filled.sum())}, figures, seed=seed)
        found[x_bin] = middle, spread, expected, error
    results.draw(_cross_sections, found, name="sigma-r")


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


def _cross_sections(found: Mapping[XBin, tuple[np.ndarray, ...]]) -> Figure:
    """Draw σ_r of the replicas, with their spread, and of the truth, in each bin of x."""
    figure = Figure(figsize=(11, 3.0), layout="constrained")
    panels = figure.subplots(1, len(found))
    for axes, (x_bin, (middle, spread, expected, error)) in zip(panels, found.items(), strict=True):
        draw_band(axes, Q2_BINS, middle, spread)
        axes.stairs(middle, Q2_BINS, color=GENERATED, label="replicas")
        centres = np.sqrt(Q2_BINS[1:] * Q2_BINS[:-1])
        axes.errorbar(centres, expected, error, fmt="o", ms=3, color=TRUTH, label="truth")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"{x_bin[0]:g} < x < {x_bin[1]:g}")
        axes.set_xlabel("Q² [GeV²]")
    figure.axes[0].set_ylabel("σ_r, arbitrary units")
    figure.axes[0].legend(fontsize=7.5)
    return figure
