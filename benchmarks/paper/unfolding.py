"""Unfolding by replicas of a generator, and by OmniFold.

Measured events alone teach a generator at the vertex. A closure test against the truth at both
levels: bands and pulls, the reduced cross section, and OmniFold on the same data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from benchmarks.common.omnifold import Simulated, omnifold
from benchmarks.common.options import Training
from benchmarks.common.results import Results
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.evaluation.statistics.ensemble import Band, pulls
from mleg_ray.events import Events, members
from mleg_ray.physics import dis
from mleg_ray.report.drawing import GENERATED, TRUTH, draw_band

BEAM_ENERGY = 50.0
EVENTS = 100_000  # of each replica
ITERATIONS = 5
EDGES = {
    "nu1": np.linspace(-4, 2, 41),
    "nu2": np.linspace(1.6, 4.6, 41),
    "log10 x": np.linspace(-3, 0, 41),
    "log10 Q2": np.linspace(0.3, 2.5, 41),
}
Q2_BINS = 10 ** EDGES["log10 Q2"][::4]
X_BINS = ((0.002, 0.005), (0.005, 0.013), (0.013, 0.032), (0.032, 0.08))

Columns = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """The size of the ensemble: of fewer than three the spread means nothing."""

    replicas: Annotated[int, typer.Option(min=3, help="Of an ensemble.")] = 10


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


def reduced(events: Columns, x_bin: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return σ_r in `Q2_BINS` at x in a bin, over the total cross section, and its error."""
    q2, x, y = 10 ** events["log10 Q2"], 10 ** events["log10 x"], events["y"]
    factor = dis.reduction(*(torch.from_numpy(values) for values in (q2, x, y))).numpy()
    inside = (x > x_bin[0]) & (x < x_bin[1])
    sums, squares = (
        np.histogram(q2[inside], Q2_BINS, weights=factor[inside] ** power)[0] for power in (1, 2)
    )
    volume = np.diff(Q2_BINS) * (x_bin[1] - x_bin[0]) * len(q2)
    return sums / volume, np.sqrt(squares) / volume


def measure(options: Asked, results: Results) -> None:
    """Train as many replicas for each seed; judge the ensemble, and its rival."""
    options.require("response-electrons", "unfold-dis")
    response = options.trained("response-electrons", 1)
    vertex = options.prepared("dis-ep-50-y")
    measured = options.prepared("dis-ep-50-measured")
    true = {
        "vertex": electrons(vertex.load("test")),
        "measured": electrons(measured.load("test")),
    }
    for seed in options.seeds:
        ensemble = replicas(options, seed, response)
        _bands(true, ensemble, seed, results)
        _sigma_r(true["vertex"], ensemble["vertex"], seed, results)
        data = measured.load("train")
        pairs = options.prepared("folding-electrons-flat").load("train")
        _omnifold(pairs, data, true["vertex"], ensemble["vertex"], seed, results)


def replicas(options: Asked, seed: int, response: Checkpoint) -> dict[str, list[Columns]]:
    """Train an ensemble's bootstrap replicas; return `EVENTS` events of each at both levels."""
    ensemble: dict[str, list[Columns]] = {"vertex": [], "measured": []}
    size = options.few(options.replicas, 3)
    for replica in range((seed - 1) * size + 1, seed * size + 1):
        own = ("training.bootstrap=true", f"teacher={response.uri}")
        generator = options.trained("unfold-dis", replica, *own)
        rng = torch.Generator().manual_seed(replica)
        made = generator.generate(generator.given(options.few(EVENTS)), generator=rng)
        true = {name: made.columns[field] for name, field in response.schema.truth.items()}
        noise = response.noise_space.draw(len(made), rng)
        seen = response.decode(noise, made.replacing((), true))
        for level, found in (("vertex", made), ("measured", seen)):
            ensemble[level].append(electrons(found))
    return ensemble


def _bands(
    true: Mapping[str, Columns], ensemble: Mapping[str, list[Columns]], seed: int, results: Results
) -> None:
    """Keep pulls and coverage of each variable at each level, and draw the bands."""
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
    results.draw(_levels, bands)


def _sigma_r(true: Columns, ensemble: list[Columns], seed: int, results: Results) -> None:
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


def _omnifold(
    pairs: Events,
    measured: Events,
    true: Columns,
    ensemble: list[Columns],
    seed: int,
    results: Results,
) -> None:
    """Keep KS distances from the truth at the vertex: of OmniFold and of the first replica."""
    at_vertex = _coordinates(pairs, "vertex")
    simulated = Simulated(at_vertex, _coordinates(pairs), np.ones(len(pairs)))
    data, ones = _coordinates(measured), np.ones(len(measured))
    *_, weights = omnifold(simulated, data, ones, iterations=ITERATIONS, seed=seed)
    own = electrons(pairs, "vertex")
    for variable in EDGES:
        values, half = ensemble[0][variable], true[variable]
        figures = {
            "ks of OmniFold": _ks(true[variable], own[variable], weights),
            "ks of one replica": _ks(true[variable], values, np.ones(len(values))),
            "floor": _ks(half[::2], half[1::2], np.ones(len(half) // 2)),
        }
        results.add({"at the vertex": variable}, figures, seed=seed)


def _coordinates(events: Events, group: str = "electron") -> np.ndarray:
    """Return ν1 and ν2 of electrons (n, 2): what its rival's critic sees, but for the azimuth."""
    columns = electrons(events, group)
    return np.stack([columns["nu1"], columns["nu2"]], axis=1)


def _ks(truth: np.ndarray, values: np.ndarray, weight: np.ndarray) -> float:
    order, grid = np.argsort(values), np.sort(truth)
    share = np.concatenate([[0.0], np.cumsum(weight[order])]) / weight.sum()
    at = share[np.searchsorted(values[order], grid, side="right")]
    return float(np.abs(at - np.arange(1, len(grid) + 1) / len(grid)).max())


def _levels(bands: Mapping[tuple[str, str], Band]) -> Figure:
    """Draw truth and bands of the replicas at both levels."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    axes = figure.subplots(2, len(EDGES))
    for axis, ((level, variable), found) in zip(axes.flat, bands.items(), strict=True):
        axis.stairs(found.truth, found.edges, color=TRUTH, label="truth")
        draw_band(axis, found.edges, found.generated, found.generated_error)
        axis.stairs(found.generated, found.edges, color=GENERATED, label="replicas")
        axis.set_xlabel(f"{variable}, {level}")
    axes.flat[0].legend(fontsize=7.5)
    return figure


def _cross_sections(found: Mapping[tuple[float, float], tuple[np.ndarray, ...]]) -> Figure:
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
