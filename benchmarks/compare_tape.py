"""Compare Pythia 8's scattered electrons with the FAT-GAN authors' training events.

    python benchmarks/compare_tape.py --root FOLDER_OF_THE_TAPES

Prints a table, and writes it as JSON with a figure beside docs/physics/dis-datasets.md.
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from common.tapes import tapes
from scipy.stats import ks_2samp

from mleg_ray.catalog.spec import DatasetSpec

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

DOCS = Path(__file__).parents[1] / "docs" / "physics"
OBSERVABLES = ("electron.energy", "electron.pz", "pt", "theta", "phi", "q2", "y", "x_bj")
SHOWN = {
    "electron.energy": ("$E'$ (GeV)", np.linspace(0, 50.5, 52)),
    "pt": ("$p_T$ (GeV)", np.geomspace(1.2, 30, 52)),
    "q2": ("$Q^2$ (GeV²)", np.geomspace(1.7, 2000, 52)),
    "x_bj": ("$x_{bj}$", np.geomspace(1e-3, 1.1, 52)),
}


def observables(spec: DatasetSpec) -> dict[str, np.ndarray]:
    """Return all events of a dataset: its fields and observables, each of shape (events,)."""
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    n_shards = sum(map(len, source.shard_rows()))
    shards = [source.shard(index) for index in range(n_shards)]
    columns = {
        field.name: torch.from_numpy(np.concatenate([shard[field.name] for shard in shards]))
        for field in spec.stored_fields
    }
    events = spec.joined(spec.schema_.events(columns, spec.conditions))
    return {name: column.numpy() for name, column in events.columns.items()}


def compare(
    pythia: dict[str, np.ndarray], tape: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Return the means with their errors, and the KS distance, of each observable."""
    return {
        name: {
            "pythia_mean": float(pythia[name].mean()),
            "pythia_error": float(pythia[name].std() / len(pythia[name]) ** 0.5),
            "tape_mean": float(tape[name].mean()),
            "tape_error": float(tape[name].std() / len(tape[name]) ** 0.5),
            "ks": float(ks_2samp(pythia[name], tape[name]).statistic),
        }
        for name in OBSERVABLES
    }


def tails(events: dict[str, np.ndarray]) -> dict[str, float]:
    """Return where the two differ by construction: radiation and the largest x."""
    return {
        "fraction with Q² < 2 GeV²": float((events["q2"] < 2).mean()),
        "lowest Q² (GeV²)": float(events["q2"].min()),
        "fraction with x > 0.5": float((events["x_bj"] > 0.5).mean()),
        "largest x": float(events["x_bj"].max()),
        "fraction with E' < 5 GeV": float((events["electron.energy"] < 5).mean()),
        "lowest E' (GeV)": float(events["electron.energy"].min()),
        "fraction with x s < 16 GeV²": float((events["x_bj"] * 1e4 < 16).mean()),
    }


def draw(pythia: dict[str, np.ndarray], tape: dict[str, np.ndarray], file: Path) -> None:
    """Draw four spectra with the ratio of Pythia to the tape below each."""
    figure = plt.figure(figsize=(10, 7.5), layout="constrained")
    grid = figure.add_gridspec(4, 2, height_ratios=(3, 1, 3, 1))
    for i, (name, (label, edges)) in enumerate(SHOWN.items()):
        row, column = 2 * (i // 2), i % 2
        upper = figure.add_subplot(grid[row, column])
        lower = figure.add_subplot(grid[row + 1, column], sharex=upper)
        _spectra(upper, lower, pythia[name], tape[name], edges)
        upper.set_yscale("log")
        upper.tick_params(labelbottom=False)
        if name != "electron.energy":
            upper.set_xscale("log")
            lower.xaxis.set_minor_formatter(NullFormatter())
        upper.set_ylabel("fraction of events a bin")
        lower.set_ylabel("Pythia / tape")
        lower.set_xlabel(label)
        lower.set_ylim(0.5, 1.5)
    figure.axes[0].legend(frameon=False)
    figure.savefig(file, dpi=90)


def _spectra(
    upper: Axes, lower: Axes, pythia: np.ndarray, tape: np.ndarray, edges: np.ndarray
) -> None:
    counts = [np.histogram(values, edges)[0] for values in (tape, pythia)]
    sizes = [len(tape), len(pythia)]
    for n, size, label in zip(counts, sizes, ("tape2.txt", "Pythia 8"), strict=True):
        upper.stairs(n / size, edges, label=label)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (counts[1] / sizes[1]) / (counts[0] / sizes[0])
        error = ratio * np.sqrt(1 / counts[0] + 1 / counts[1])
    centres = (edges[1:] + edges[:-1]) / 2
    filled = (counts[0] > 0) & (counts[1] > 0)
    lower.errorbar(centres[filled], ratio[filled], error[filled], fmt=".", ms=3, lw=1, color="C1")
    lower.axhline(1, lw=0.8, color="C0")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="the folder that holds fat-gan/tape2.txt")
    parser.add_argument("--events", type=int, default=100_000, help="of Pythia")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()

    pythia = observables(DatasetSpec.load("dis-ep-50", (f"source.events={options.events}",)))
    tape = observables(tapes("dis-ep-50-tape2", options.root))
    table = compare(pythia, tape)
    floor = 1.36 * (1 / len(pythia["q2"]) + 1 / len(tape["q2"])) ** 0.5
    print(f"{'':8} {'Pythia 8':>20} {'tape2.txt':>20} {'KS':>8}   (95% floor {floor:.4f})")
    for name, row in table.items():
        print(
            f"{name:8} {row['pythia_mean']:11.4f} ± {row['pythia_error']:.4f} "
            f"{row['tape_mean']:11.4f} ± {row['tape_error']:.4f} {row['ks']:8.4f}"
        )
    result = {
        "ks_floor_95": floor,
        "observables": table,
        "tails": {"pythia": tails(pythia), "tape": tails(tape)},
    }
    for name, value in result["tails"]["pythia"].items():
        print(f"{name:28} {value:10.4g} {result['tails']['tape'][name]:10.4g}")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "dis-pythia-and-tape.json").write_text(json.dumps(result, indent=2) + "\n")
    draw(pythia, tape, options.out / "dis-pythia-and-tape.png")


if __name__ == "__main__":
    main()
