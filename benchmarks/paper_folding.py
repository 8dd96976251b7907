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


def reduced(events: Columns, weight: np.ndarray, x_bin: tuple[float, float]) -> np.ndarray:
    """Return σ_r over its mean in bins of Q² at x in a bin, up to the total cross section."""
    q2, x, y = 10 ** events["log10 Q2"], 10 ** events["log10 x"], events["y"]
    factor = dis.reduction(*(torch.from_numpy(values) for values in (q2, x, y))).numpy()
    inside = (x > x_bin[0]) & (x < x_bin[1])
    edges = 10 ** EDGES["log10 Q2"][::4]
    value = np.histogram(q2[inside], edges, weights=(factor * weight)[inside])[0]
    result: np.ndarray = value / (np.diff(edges) * weight.sum())
    return result


def unfolding(
    storage: str, replicas: int, assignments: tuple[str, ...]
) -> tuple[list[dict[str, Any]], bytes]:
    """Return a row for each level and variable of the closure test, and its picture."""
    response = trained("response-electrons", storage)
    truth = {
        "vertex": prepare(DatasetSpec.load("dis-ep-50-y"), storage).load("test").x,
        "measured": prepare(DatasetSpec.load("dis-ep-50-measured"), storage).load("test").x,
    }
    ensemble: dict[str, list[Columns]] = {"vertex": [], "measured": []}
    for seed in range(1, replicas + 1):
        own = (f"training.seed={seed}", "training.bootstrap=true", f"teacher={response.uri}")
        generator = trained("unfold-dis", storage, *own, *assignments)
        rng = torch.Generator().manual_seed(seed)
        context = torch.full((EVENTS, 1), BEAM_ENERGY, dtype=torch.float64)
        vertex = generator.generate(context, generator=rng)
        seen = response.decode(
            response.noise_shape.draw(EVENTS, rng), torch.cat([vertex, context], dim=1)
        )
        for level, events in (("vertex", vertex), ("measured", seen)):
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
    rows += _sigma_r(true["vertex"], ensemble["vertex"])
    rows += _omnifold(storage, truth["measured"], true["vertex"], ensemble["vertex"])
    return rows, _picture(bands)


def _sigma_r(true: Columns, ensemble: list[Columns]) -> list[dict[str, Any]]:
    """Return the mean deviation of σ_r from the truth's, over bins of Q², in each bin of x."""
    rows = []
    for x_bin in X_BINS:
        expected = reduced(true, np.ones(len(true["y"])), x_bin)
        filled = expected > 0
        made = [reduced(c, np.ones(EVENTS), x_bin)[filled] / expected[filled] for c in ensemble]
        ratio = np.mean(made, axis=0)
        rows.append(
            {
                "reduced cross section, x in": x_bin,
                "bins": int(filled.sum()),
                "mean |ratio - 1|": float(np.abs(ratio - 1).mean()),
                "spread of replicas": float(np.std(made, axis=0, ddof=1).mean()),
            }
        )
        print(rounded(rows[-1]), flush=True)
    return rows


def _omnifold(
    storage: str, measured: torch.Tensor, true: Columns, ensemble: list[Columns]
) -> list[dict[str, Any]]:
    """Return KS distances from the truth at the vertex: of OmniFold and of the first replica."""
    pairs = prepare(DatasetSpec.load("folding-electrons-flat"), storage).load("train")
    simulated = Simulated(_momentum(pairs.context), _momentum(pairs.x), np.ones(len(pairs)))
    weights = list(
        omnifold(
            simulated, _momentum(measured), np.ones(len(measured)), iterations=ITERATIONS, seed=1
        )
    )[-1]
    own = electrons(pairs.context[:, :4])
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


def _momentum(events: torch.Tensor) -> np.ndarray:
    """Return log pT, the pseudorapidity and |p| of events (n, >= 3): what tells ν1 and ν2."""
    px, py, pz = events[:, :3].double().unbind(1)
    p = (px**2 + py**2 + pz**2).sqrt()
    pt = torch.hypot(px, py)
    return torch.stack([pt.log(), torch.asinh(pz / pt), p], dim=1).numpy()


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
            rows, picture = unfolding(storage, options.replicas, assignments)
            (RESULTS / "paper-unfolding.png").write_bytes(picture)
    result = {"cores": os.cpu_count(), "set": assignments, "rows": rows, "with": environment()}
    place = RESULTS / f"paper-{options.row}.json"
    place.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
