"""Pythia 8's electrons beside the FAT-GAN authors' events.

Means, distances and tails of observables, and a picture of four spectra.
"""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy.stats import ks_2samp

from benchmarks.common.options import TAPE2, Options, Tapes
from benchmarks.common.results import Results
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.commands.options import Events

OBSERVABLES = ("electron.energy", "electron.pz", "pt", "theta", "phi", "q2", "y", "x_bj")
SHOWN = {
    "electron.energy": ("$E'$ (GeV)", np.linspace(0, 50.5, 52)),
    "pt": ("$p_T$ (GeV)", np.geomspace(1.2, 30, 52)),
    "q2": ("$Q^2$ (GeV²)", np.geomspace(1.7, 2000, 52)),
    "x_bj": ("$x_{bj}$", np.geomspace(1e-3, 1.1, 52)),
}


@dataclass(frozen=True, kw_only=True)
class Asked(Options):
    """What is compared."""

    root: Tapes
    events: Events = 100_000


def measure(options: Asked, results: Results) -> None:
    """Generate as many events of Pythia, and compare."""
    generated = (f"source.events={options.few(options.events, 5000)}",)
    pythia = observables(DatasetSpec.load("dis-ep-50", generated))
    tape = observables(options.tapes(TAPE2, options.root))
    floor = 1.36 * (1 / len(pythia["q2"]) + 1 / len(tape["q2"])) ** 0.5
    for name in OBSERVABLES:
        means = {
            f"mean of {of}": [float(x.mean()), float(x.std() / len(x) ** 0.5)]
            for of, x in (("Pythia 8", pythia[name]), ("tape2.txt", tape[name]))
        }
        distance = float(ks_2samp(pythia[name], tape[name]).statistic)
        results.add({"observable": name}, means | {"KS": distance, "95% of floors below": floor})
    of_tape = tails(tape)
    for name, value in tails(pythia).items():
        results.add({"tail": name}, {"Pythia 8": value, "tape2.txt": of_tape[name]})
    results.draw(spectra, pythia, tape)


def observables(spec: DatasetSpec) -> dict[str, np.ndarray]:
    """Return all events of a dataset: its fields and observables, each of shape (events,)."""
    source = spec.source.open(spec.schema_, spec.conditions, spec.shard_events)
    n_shards = sum(map(len, source.shard_rows()))
    shards = [source.shard(index) for index in range(n_shards)]
    columns = {
        field.name: torch.from_numpy(np.concatenate([shard[field.name] for shard in shards]))
        for field in spec.stored.fields
    }
    events = spec.joined(spec.schema_.events(columns, spec.conditions))
    return {name: column.numpy() for name, column in events.columns.items()}


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


def spectra(pythia: dict[str, np.ndarray], tape: dict[str, np.ndarray]) -> Figure:
    """Draw four spectra with the ratio of Pythia to the tape below each."""
    figure = Figure(figsize=(10, 7.5), layout="constrained")
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
    figure.axes[0].legend()
    return figure


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
