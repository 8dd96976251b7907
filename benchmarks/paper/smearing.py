"""A measured pt given the true one: a dissertation's GAN and a flow, beside its tables.

M. S. Albergo (2018), ch. 3, on `electron-pt-smearing`, whose widths its table 3.4 implies. KL
(table 3.3), the mean over draws of 10,000 events of Σ p ln(p/q) in 100 bins over the truth's range
with 1e-5 added to each (the dissertation does not tell its bins): of true less measured pt, Δ, and
of Δ/√pt. φ: how far the widths of Δ/σ in 12 sectors of the azimuth are apart, over their mean;
truth does not depend on it. Full widths at half maximum of Δ in MeV (table 3.4), with bootstrap
errors, of electrons of one energy within a range of η; `exact` are those of the entry's widths.

`truth` is measured anew, the floor of all of it; `another event's` has no conditions: Δ of another
electron. Of that the KL of Δ cannot tell. With `--scorecard` also a classifier's AUC, value, floor
and the floor's spread. Without `--full` the GAN has `--steps` steps, and as many the flow.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from benchmarks.common.divergence import SIZE, Array, fwhm, mean_divergence
from benchmarks.common.options import Paper
from benchmarks.common.results import Results, Row, budget, estimates
from benchmarks.physics.detector_toys import TABLE, smearing
from benchmarks.physics.detector_toys import fwhm as exact_fwhm
from mleg_ray.catalog.sources.gun import ETA, PT
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.events import Events
from mleg_ray.physics.particles import ELECTRON_MASS
from mleg_ray.report.drawing import GENERATED, INK, LEGEND, TRUTH_FILL

DATASET = "electron-pt-smearing"
RECIPES = {"GAN-DP": "gan-dp-smearing-paper", "flow": "flow-smearing"}
PHI, TRUE_PT = "electron.phi", "vertex.pt"
PER_CELL = 20_000  # electrons, as the dissertation has them
SECTORS = 12
MEV = 1000  # of a GeV
# What the dissertation has: its KL of Δ and of Δ/√pt, and its GAN's widths in the order of TABLE.
PRINTED = {"KL, Δ": 0.163, "KL, Δ/√pt": 0.127}
PRINTED_WIDTHS = (5.2, 2.93, 1.46, 149.34, 74.77, 29.52)

Measured = Callable[[Events], Array]  # conditions -> Δ (n,), GeV
Cell = tuple[float, tuple[float, float]]  # an energy, GeV, and a range of η


@dataclass(frozen=True, kw_only=True)
class Asked(Paper):
    """How long is trained, and on what is judged."""

    steps: Annotated[int, typer.Option(min=1, help="Unless in full.")] = 5000
    draws: Annotated[int, typer.Option(min=1, help="Of 10,000 events, for each KL.")] = 10
    scorecard: Annotated[bool, typer.Option("--scorecard", help="Judge by classifiers too.")] = (
        False
    )


def measure(options: Asked, results: Results) -> None:
    """Train both, and judge them beside the truth and the dissertation."""
    dataset = options.prepared(DATASET)
    test = dataset.load("test", max_events=options.few(options.draws * SIZE, 300))
    rng = np.random.default_rng(1)
    n = options.few(PER_CELL, 300)
    cells: dict[Cell, Events] = {cell: electrons(cell, n, rng) for cell in TABLE}
    truth = delta_of(test)
    results.add({"events": "dissertation, Delphes"}, widths_row(TABLE.values()))
    results.add({"events": "dissertation, GAN"}, PRINTED | widths_row(PRINTED_WIDTHS))
    results.add(
        {"events": "exact"}, widths_row(MEV * exact_fwhm(smearing(DATASET), *c) for c in TABLE)
    )
    samples: dict[str, Measured] = {
        "truth": lambda given: true_delta(given, rng),
        "another event's": lambda given: rng.permutation(truth)[: len(given)],
    }
    drawn: dict[str, dict[Cell, Array]] = {}
    for name, measured in samples.items():
        results.add({"events": name}, judged(measured, test, truth, cells, rng))
        drawn[name] = {cell: measured(given) for cell, given in cells.items()}
    for name, recipe in RECIPES.items():
        for seed in options.seeds:
            short = options.quick(f"training.steps={options.steps}")
            checkpoint = options.trained(recipe, seed, *short, dataset=dataset)
            measured = measured_by(checkpoint, seed)
            figures = judged(measured, test, truth, cells, rng)
            if options.scorecard:
                _, card = options.judged(checkpoint, dataset, seed)
                figures |= estimates(card, "c2st_auc")
            figures |= budget(checkpoint)
            results.add({"events": name, "recipe": recipe}, figures, seed=seed)
            drawn[name] = {cell: measured(given) for cell, given in cells.items()}
    results.draw(picture, drawn)


def electrons(cell: Cell, n: int, rng: np.random.Generator) -> Events:
    """Return the conditions of n electrons of one energy, even in φ and, in a range of η, cos θ."""
    energy, (low, high) = cell
    eta = np.arctanh(rng.uniform(math.tanh(low), math.tanh(high), n))
    pt = math.sqrt(energy**2 - ELECTRON_MASS**2) / np.cosh(eta)
    columns = {TRUE_PT: pt, ETA: eta, PHI: rng.uniform(-math.pi, math.pi, n)}
    tensors = {name: torch.from_numpy(values) for name, values in columns.items()}
    return Events(tensors, {}, torch.ones(n, dtype=torch.float64))


def delta_of(events: Events) -> Array:
    """Return true less measured pt (n,), GeV."""
    return np.asarray((events.columns[TRUE_PT] - events.columns[PT]).double().numpy())


def true_delta(given: Events, rng: np.random.Generator) -> Array:
    """Return true less measured pt (n,), GeV, of electrons that are measured anew."""
    pt, eta = (given.columns[name].double().numpy() for name in (TRUE_PT, ETA))
    return np.asarray(pt - smearing(DATASET).measured({PT: pt, ETA: eta}, rng)[PT])


def measured_by(checkpoint: Checkpoint, seed: int) -> Measured:
    """Return what draws true less measured pt of a generator."""
    generator = torch.Generator().manual_seed(seed)
    names = checkpoint.schema.conditions

    def measured(given: Events) -> Array:
        columns = {name: given.columns[name] for name in names}
        return delta_of(checkpoint.generate(Events(columns, {}, given.weight), generator=generator))

    return measured


def judged(
    measured: Measured,
    test: Events,
    truth: Array,
    cells: Mapping[Cell, Events],
    rng: np.random.Generator,
) -> Row:
    """Return divergences, the dependence on φ, and widths with their errors."""
    delta = measured(test)
    pt = test.columns[TRUE_PT].double()
    root = pt.sqrt().numpy()
    sigma = (pt * smearing(DATASET).resolution(pt, test.columns[ETA].double())).numpy()
    row: Row = {
        "KL, Δ": mean_divergence(truth, delta),
        "KL, Δ/√pt": mean_divergence(truth / root, delta / root),
        "φ": apart(delta / sigma, test.columns[PHI].numpy()),
    }
    widths = [fwhm(measured(given), rng) for given in cells.values()]
    return row | widths_row([[MEV * value, MEV * error] for value, error in widths])


def apart(pull: Array, phi: Array) -> float:
    """Return how far the widths of a number in sectors of φ are apart, over their mean."""
    sector = np.floor((phi / (2 * math.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    quartiles = [np.quantile(pull[sector == k], (0.25, 0.75)) for k in range(SECTORS)]
    widths = np.array([high - low for low, high in quartiles])
    return float((widths.max() - widths.min()) / widths.mean())


def widths_row(widths: Iterable[float | list[float]]) -> Row:
    """Return widths in MeV in the order of the dissertation's table, by what they are of."""
    names = (f"{MEV * energy:g} MeV, η {low:g} to {high:g}" for energy, (low, high) in TABLE)
    return dict(zip(names, widths, strict=True))


def picture(drawn: Mapping[str, Mapping[Cell, Array]]) -> Figure:
    """Return Δ of each cell of the dissertation's table 3.4: the truth and what is made."""
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    colors = {"another event's": INK, "GAN-DP": GENERATED, "flow": "#2a7f62"}
    for axes, cell in zip(figure.subplots(2, 3).flat, TABLE, strict=True):
        energy, (low, high) = cell
        truth = MEV * drawn["truth"][cell]
        low_end, high_end = np.quantile(truth, (0.002, 0.998))
        edges = np.linspace(low_end, high_end, 61)
        # As shares of all events: what lies beyond the axis is not made up for.
        axes.hist(truth, edges, weights=_shares(truth), color=TRUTH_FILL, label="truth")
        for name, color in colors.items():
            made = MEV * drawn[name][cell]
            axes.hist(made, edges, weights=_shares(made), histtype="step", color=color, label=name)
        axes.set(
            title=f"{energy:g} GeV, η {low:g} to {high:g}", xlabel=r"$\Delta$ [MeV]", yticks=[]
        )
    figure.axes[0].legend(**LEGEND)
    return figure


def _shares(values: Array) -> Array:
    return np.full(len(values), 1 / len(values))
