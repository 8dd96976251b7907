"""Unfolding by replicas of a generator, and by OmniFold.

Measured events alone teach a generator at the vertex. A closure test against the truth at both
levels: bands and pulls, the reduced cross section, and OmniFold on the same data.
"""

import numpy as np
import torch

from benchmarks.common.dis_figures import (
    EDGES,
    Columns,
    electrons,
    judge_bands,
    judge_cross_sections,
)
from benchmarks.common.omnifold import Simulated, omnifold
from benchmarks.common.options import Ensemble
from benchmarks.common.results import Results
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.events import Events

EVENTS = 100_000  # of each replica
ITERATIONS = 5


def measure(options: Ensemble, results: Results) -> None:
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
        judge_bands(true, ensemble, seed, results)
        judge_cross_sections(true["vertex"], {"unfolded": ensemble["vertex"]}, seed, results)
        data = measured.load("train")
        pairs = options.prepared("folding-electrons-flat").load("train")
        _omnifold(pairs, data, true["vertex"], ensemble["vertex"], seed, results)


def replicas(options: Ensemble, seed: int, response: Checkpoint) -> dict[str, list[Columns]]:
    """Train an ensemble's bootstrap replicas; return `EVENTS` events of each at both levels."""
    ensemble: dict[str, list[Columns]] = {"vertex": [], "measured": []}
    teacher = f"teacher={response.uri}"
    for replica, generator in options.bootstrapped("unfold-dis", seed, teacher):
        rng = torch.Generator().manual_seed(replica)
        made = generator.generate(generator.given(options.few(EVENTS)), generator=rng)
        true = {name: made.columns[field] for name, field in response.schema.truth.items()}
        noise = response.noise_space.draw(len(made), rng)
        seen = response.decode(noise, made.replacing((), true))
        for level, found in (("vertex", made), ("measured", seen)):
            ensemble[level].append(electrons(found))
    return ensemble


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
