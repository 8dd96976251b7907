"""Pythia's reduced cross section beside the combined data of H1 and ZEUS.

Events of `dis-ep-hera`, which stand where a dissertation has those of the JAM global analysis
(Alanazi, Old Dominion University 2022, sec. 7.4): their σ_r about each published point, from the
events within 10% of its Q² and 15% of its x and Pythia's cross section, over the published one.
Medians in bins of x of points with ten events or more, away from Pythia's cuts. It is of leading
order and its electrons radiate no photons; correlated errors of the data, some percent, are left
out. The picture is Fig. 31 of that source: σ_r against Q², apart by powers of two.
"""

import csv
import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.common.options import Stored
from benchmarks.common.results import Results
from mleg_ray.catalog.sources.pythia import PythiaDISConfig, cross_section
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import four_momentum
from mleg_ray.physics import dis
from mleg_ray.report.drawing import GENERATED, TRUTH

DATASET = "dis-ep-hera"
POINTS = Path(__file__).parents[1] / "data" / "hera-nc-ep-318.csv"
NEAR_Q2, NEAR_X = 1.1, 1.15  # factors
FEWEST = 10  # events about a point
X_EDGES = (2e-4, 5e-4, 1.3e-3, 3.2e-3, 8e-3, 0.02, 0.05, 0.13, 0.4)


class Points(NamedTuple):
    """Published points: Q² (GeV²), x, y, σ_r and its error, each (n,)."""

    q2: np.ndarray
    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    error: np.ndarray


def published() -> Points:
    """Read the table; its errors are statistical and uncorrelated ones in quadrature."""
    with POINTS.open() as file:
        rows = [[float(number) for number in row] for row in list(csv.reader(file))[1:]]
    q2, x, y, sigma, statistical, uncorrelated = np.array(rows).T
    return Points(q2, x, y, sigma, sigma * np.hypot(statistical, uncorrelated) / 100)


def measure(options: Stored, results: Results) -> None:
    """Compare events with the points."""
    dataset = options.prepared(DATASET)
    source = DatasetSpec.load(DATASET).source
    assert isinstance(source, PythiaDISConfig)
    conditions = dataset.manifest.conditions
    total = cross_section(source, conditions, options.few(20_000, 200))
    columns = dataset.load().columns
    px, py, pz = (columns[name].double() for name in four_momentum("electron")[:3])
    beams = [torch.full_like(px, conditions[f"{name}_beam"]) for name in ("electron", "proton")]
    q2 = dis.q2(px, py, pz, beams[0])
    x, y = dis.x_bj(px, py, pz, *beams), dis.inelasticity(px, py, pz, beams[0])
    points = published()
    found, counts = about(points, q2.numpy(), x.numpy(), dis.reduction(q2, x, y).numpy())
    made = found * total / len(q2)
    known = counts >= options.few(FEWEST, 1)
    # About these points all events are made: none lies beyond Pythia's cuts, or y = 1.
    known &= points.y * NEAR_Q2 * NEAR_X <= 1
    known &= points.q2 / NEAR_Q2 >= source.q2_min
    known &= points.x / NEAR_X * float(dis.mandelstam_s(*beams)[0]) >= source.m_hat_min**2
    for low, high in itertools.pairwise(X_EDGES):
        inside = known & (points.x >= low) & (points.x < high)
        if not inside.any():
            continue
        figures = {
            "points": int(inside.sum()),
            "median σ_r over published": float(np.median((made / points.sigma)[inside])),
            "median error of Pythia's": float(np.median(1 / np.sqrt(counts[inside]))),
            "median error of the published": float(
                np.median((points.error / points.sigma)[inside])
            ),
        }
        results.add({"x": [low, high]}, figures)
    results.draw(_picture, points, made, counts, known)


def about(
    points: Points, q2: np.ndarray, x: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Σ factor / (ΔQ² Δx) of the events about each point, and their number, each (n,).

    `factor` is what makes d²σ/dx dQ² the reduced cross section. Times the cross section of an
    event, in GeV⁻², it is σ_r.
    """
    sums, counts = np.zeros(len(points.q2)), np.zeros(len(points.q2))
    order = np.argsort(q2)
    q2, x, factor = q2[order], x[order], factor[order]
    for i, (at_q2, at_x) in enumerate(zip(points.q2, points.x, strict=True)):
        first, last = np.searchsorted(q2, [at_q2 / NEAR_Q2, at_q2 * NEAR_Q2])
        near = x[first:last]
        inside = (near > at_x / NEAR_X) & (near < at_x * NEAR_X)
        area = at_q2 * (NEAR_Q2 - 1 / NEAR_Q2) * at_x * (NEAR_X - 1 / NEAR_X)
        sums[i], counts[i] = factor[first:last][inside].sum() / area, inside.sum()
    return sums, counts


def _picture(points: Points, made: np.ndarray, counts: np.ndarray, known: np.ndarray) -> Figure:
    """Draw σ_r against Q² at each x of five points or more, times 2^i from the largest x."""
    figure = Figure(figsize=(5.6, 7), layout="constrained")
    axes = figure.subplots()
    values, number = np.unique(points.x[known], return_counts=True)
    for i, x in enumerate(values[number >= 5][::-1]):
        at = known & (points.x == x)
        order = np.argsort(points.q2[at])
        scale, q2 = 2.0**i, points.q2[at][order]
        axes.errorbar(
            q2,
            scale * points.sigma[at][order],
            scale * points.error[at][order],
            fmt="o",
            ms=3,
            color=TRUTH,
            label="H1 and ZEUS" if i == 0 else None,
        )
        spread = made[at][order] / np.sqrt(counts[at][order])
        middle = made[at][order]
        axes.fill_between(
            q2,
            scale * (middle - spread),
            scale * (middle + spread),
            color=GENERATED,
            alpha=0.5,
            label="Pythia" if i == 0 else None,
        )
        axes.annotate(
            f"x = {x:.2g}, i = {i}",
            (q2[-1], scale * points.sigma[at][order][-1]),
            (4, 0),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
        )
    axes.set(xscale="log", yscale="log", xlabel="Q² [GeV²]", ylabel="σ_r · 2^i")
    axes.set_xlim(points.q2[known].min() / 1.3, 3 * points.q2[known].max())  # room for the texts
    axes.legend(fontsize=8)
    return figure
