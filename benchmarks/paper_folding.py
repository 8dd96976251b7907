"""Detectors, as in the machine-learning event generator dissertation: folding, and unfolding.

    python benchmarks/paper_folding.py folding
    python benchmarks/paper_folding.py unfolding --replicas 10

`folding` trains the direct and the conditional folding GAN on a toy and a response on electrons
spread evenly, and judges each on its own test split and on another spectrum. `unfolding` is a
closure test: bootstrap replicas of a generator at the vertex, taught by measured events alone,
against the truth at both levels, and OmniFold on the same data. Prints tables, writes JSON and
pictures.
"""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import style
from matplotlib.figure import Figure
from tape2_quality import rounded

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint, environment
from mleg_ray.cluster.evaluate import evaluate
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import complete
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.evaluation.estimate import Estimate
from mleg_ray.evaluation.pulls import Pulls, pulls
from mleg_ray.physics import dis
from mleg_ray.report.drawing import GENERATED, STYLE, TRUTH, draw_band, png
from mleg_ray.run import RunConfig
from mleg_ray.sampling.manifest import plan_fold
from mleg_ray.sampling.omnifold import Simulated, omnifold
from mleg_ray.storage import absolute, join

FOLDINGS = {  # recipe: the dataset it is trained on, and the one whose spectrum is another
    "fold-toy-direct": ("folding-toy-normal", "folding-toy-uniform"),
    "fold-toy": ("folding-toy-normal", "folding-toy-uniform"),
    "response-electrons": ("folding-electrons-flat", "folding-electrons-dis"),
}
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
RESULTS = Path(__file__).parent / "results"

Columns = dict[str, np.ndarray]


def trained(recipe: str, storage: str, *assignments: str) -> Checkpoint:
    """Train a recipe on its own dataset, which is prepared first."""
    run = RunConfig.load(recipe, assignments)
    dataset = prepare(DatasetSpec.load(run.dataset), storage)
    return train(run, dataset, storage, name=run_name(recipe, run, dataset))


def folded(checkpoint: Checkpoint, dataset: Dataset, storage: str) -> Dataset:
    """Fold the test split of a dataset; a few events lie beyond the last of the train split."""
    name = "-of-".join((checkpoint.run.dataset, checkpoint.digest[:8], dataset.manifest.name))
    target = join(storage, "folded", name)
    return complete(plan_fold(checkpoint, dataset, "test", target, seed=1, extrapolate=True))


def folding(storage: str, assignments: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a row for each folding GAN and each spectrum on which it is judged."""
    rows = []
    for recipe, datasets in FOLDINGS.items():
        checkpoint = trained(recipe, storage, *assignments)
        for name in datasets:
            truth = prepare(DatasetSpec.load(name), storage)
            generated = folded(checkpoint, truth, storage)
            report = join(storage, "reports", generated.uri.rsplit("/", 1)[-1])
            card = evaluate(generated.uri, truth, "test", report, seed=1)
            row: dict[str, Any] = {"recipe": recipe, "judged on": name}
            row["training_s"] = checkpoint.card.seconds
            aucs = {k: v for k, v in card.figures["c2st_auc"].items() if isinstance(v, Estimate)}
            worst = max(aucs.values(), key=lambda figure: figure.value)
            row |= {"auc": worst.value, "auc_floor_spread": worst.floor_spread}
            for observable in ("x", "error", "energy_ratio", "theta_error"):
                figure = card.figures["ks"].get(observable)
                if isinstance(figure, Estimate):
                    row[f"ks {observable}"] = figure.value
                    row[f"ks {observable} floor"] = figure.floor
            rows.append(row)
            print(rounded(row), flush=True)
    return rows


def electrons(events: torch.Tensor) -> Columns:
    """Return ν1, ν2, log x, log Q² and y of electrons (n, 4): px, py, pz, energy."""
    px, py, pz = events[:, :3].double().unbind(1)
    beam = torch.full_like(px, BEAM_ENERGY)
    q2, x, y = (f(px, py, pz, beam).clamp(min=1e-9) for f in (dis.q2, dis.x_bj, dis.inelasticity))
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


def unfolding(
    storage: str, replicas: int, assignments: tuple[str, ...]
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Return a row for each level and variable of the closure test, and its pictures."""
    response = trained("response-electrons", storage)
    vertex = prepare(DatasetSpec.load("dis-ep-50-y"), storage)
    measured = prepare(DatasetSpec.load("dis-ep-50-measured"), storage)
    truth = {"vertex": vertex.load("test").x, "measured": measured.load("test").x}
    ensemble: dict[str, list[Columns]] = {"vertex": [], "measured": []}
    for seed in range(1, replicas + 1):
        own = (f"training.seed={seed}", "training.bootstrap=true", f"teacher={response.uri}")
        generator = trained("unfold-dis", storage, *own, *assignments)
        rng = torch.Generator().manual_seed(seed)
        context = torch.full((EVENTS, 1), BEAM_ENERGY, dtype=torch.float64)
        made = generator.generate(context, generator=rng)
        noise = response.noise_shape.draw(EVENTS, rng)
        seen = response.decode(noise, torch.cat([made, context], dim=1))
        for level, events in (("vertex", made), ("measured", seen)):
            ensemble[level].append(electrons(events))
    true = {level: electrons(events) for level, events in truth.items()}
    rows, bands = [], {}
    for level, variable in ((a, b) for a in true for b in EDGES):
        values = true[level][variable]
        found = pulls(
            values,
            np.ones(len(values)),
            [columns[variable] for columns in ensemble[level]],
            EDGES[variable],
        )
        bands[level, variable] = found
        row = {"level": level, "variable": variable, "within 1 σ": found.coverage[0.683]}
        row |= {"within 2 σ": found.coverage[0.954], "mean |pull|": np.abs(found.values).mean()}
        rows.append({key: float(v) if isinstance(v, float) else v for key, v in row.items()})
        print(rounded(rows[-1]), flush=True)
    cross_sections, picture = _sigma_r(true["vertex"], ensemble["vertex"])
    rows += cross_sections
    rows += _omnifold(storage, measured.load("train").x, true["vertex"], ensemble["vertex"])
    return rows, {"unfolding": _picture(bands), "sigma-r": picture}


def _sigma_r(true: Columns, ensemble: list[Columns]) -> tuple[list[dict[str, Any]], bytes]:
    """Return the median deviation of σ_r from the truth's in each bin of x, and its picture."""
    rows = []
    with style.context(STYLE):
        figure = Figure(figsize=(11, 3.0), layout="constrained")
        for axes, x_bin in zip(figure.subplots(1, len(X_BINS)), X_BINS, strict=True):
            expected, error = reduced(true, x_bin)
            made = np.array([reduced(columns, x_bin)[0] for columns in ensemble])
            middle, spread = made.mean(axis=0), made.std(axis=0, ddof=1)
            filled = expected > 0
            row: dict[str, Any] = {"x": x_bin, "bins of Q2": int(filled.sum())}
            for name, deviation in (
                ("|ratio - 1|", np.abs(middle - expected)),
                ("spread of replicas", spread),
                ("error of the truth", error),
            ):
                row[f"σ_r, median {name}"] = float(np.median(deviation[filled] / expected[filled]))
            rows.append(row)
            print(rounded(row), flush=True)
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
        return rows, png(figure)


def _omnifold(
    storage: str, measured: torch.Tensor, true: Columns, ensemble: list[Columns]
) -> list[dict[str, Any]]:
    """Return KS distances from the truth at the vertex: of OmniFold and of the first replica."""
    pairs = prepare(DatasetSpec.load("folding-electrons-flat"), storage).load("train")
    at_vertex = pairs.context[:, :4]
    simulated = Simulated(_coordinates(at_vertex), _coordinates(pairs.x), np.ones(len(pairs)))
    data, ones = _coordinates(measured), np.ones(len(measured))
    *_, weights = omnifold(simulated, data, ones, iterations=ITERATIONS, seed=1)
    own = electrons(at_vertex)
    rows = []
    for variable in EDGES:
        row = {"at the vertex": variable}
        row["ks of OmniFold"] = _ks(true[variable], own[variable], weights)
        values = ensemble[0][variable]
        row["ks of one replica"] = _ks(true[variable], values, np.ones(len(values)))
        half = true[variable]
        row["floor"] = _ks(half[::2], half[1::2], np.ones(len(half) // 2))
        rows.append(row)
        print(rounded(row), flush=True)
    return rows


def _coordinates(events: torch.Tensor) -> np.ndarray:
    """Return ν1 and ν2 of electrons (n, 2): what its rival's critic sees, but for the azimuth."""
    columns = electrons(events)
    return np.stack([columns["nu1"], columns["nu2"]], axis=1)


def _ks(truth: np.ndarray, values: np.ndarray, weight: np.ndarray) -> float:
    order, grid = np.argsort(values), np.sort(truth)
    share = np.concatenate([[0.0], np.cumsum(weight[order])]) / weight.sum()
    at = share[np.searchsorted(values[order], grid, side="right")]
    return float(np.abs(at - np.arange(1, len(grid) + 1) / len(grid)).max())


def _picture(bands: Mapping[tuple[str, str], Pulls]) -> bytes:
    """Draw truth and bands of the replicas at both levels."""
    with style.context(STYLE):
        figure = Figure(figsize=(11, 5.2), layout="constrained")
        axes = figure.subplots(2, len(EDGES))
        for axis, ((level, variable), found) in zip(axes.flat, bands.items(), strict=True):
            axis.stairs(found.truth, found.edges, color=TRUTH, label="truth")
            draw_band(axis, found.edges, found.generated, found.generated_error)
            axis.stairs(found.generated, found.edges, color=GENERATED, label="replicas")
            axis.set_xlabel(f"{variable}, {level}")
        axes.flat[0].legend(fontsize=7.5)
        return png(figure)


def main() -> None:
    """Measure one of the two, print its table, write the JSON and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=["folding", "unfolding"])
    parser.add_argument("--replicas", type=int, default=10)
    parser.add_argument("--set", nargs="*", default=[], dest="assignments")
    parser.add_argument("--storage", default="mleg-storage/benchmarks")
    options = parser.parse_args()
    storage, assignments = absolute(options.storage), tuple(options.assignments)
    RESULTS.mkdir(exist_ok=True)
    with ray_session():
        if options.row == "folding":
            rows = folding(storage, assignments)
        else:
            rows, pictures = unfolding(storage, options.replicas, assignments)
            for name, picture in pictures.items():
                (RESULTS / f"paper-{name}.png").write_bytes(picture)
    result = {"cores": os.cpu_count(), "set": assignments, "rows": rows, "with": environment()}
    place = RESULTS / f"paper-{options.row}.json"
    place.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
