"""The embedded cascade of showers beside PENELOPE: what is left in lead and plastic, and speed.

Electrons of 100 and 800 MeV, on windows of 1 m and 16 cm. Means and deviations in MeV; occupancy is
the share of cells, of both layers, above 1 keV. The cascade's means less PENELOPE's come with their
errors. AUC: of three classifiers on all observables but the response, the largest, with its floor.
Showers a second are of one core, in turn, with what PENELOPE takes to start. Where pyPenred is not
installed, the cascade stands alone. The picture is of the last energy and window.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.common.options import Options
from benchmarks.common.results import Results, Row, estimate, timed
from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.sources import penelope
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.report.drawing import GENERATED, TRUTH

ENTRY = "showers-800"
CASCADE, PENELOPE = "cascade", "penelope"
ENERGIES = (100.0, 800.0)  # MeV
WINDOWS = (1000.0, 160.0)  # mm
DEPOSITS = ("absorber", "active", "total")
UNJUDGED = ("response",)  # the total again

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Made(Options):
    """How many showers to make."""

    events: Annotated[int, typer.Option(min=2, help="Of each program, energy and window.")] = 10_000


def measure(options: Made, results: Results) -> None:
    """Make showers by both programs, and compare them."""
    n = options.few(options.events, 40)
    programs = (CASCADE, PENELOPE) if penelope.installed() else (CASCADE,)
    made: dict[str, Columns] = {}
    for energy in options.some(ENERGIES):
        for window in options.some(WINDOWS):
            for program in programs:
                shower = _shard(program, energy, window, n)
                made[program], seconds = timed(shower, processors)
                labels = {"MeV": energy, "window, mm": window, "program": program}
                results.add(labels, figures(made[program]) | {"showers/s": n / seconds})
            if PENELOPE in made:
                labels = {"MeV": energy, "window, mm": window}
                results.add(labels, compared(made[CASCADE], made[PENELOPE]))
    results.draw(_picture, made)


def _shard(program: str, energy: float, window: float, n: int) -> Callable[[], Columns]:
    """Return what makes the observables of n showers."""
    assigned = (f"conditions.energy={energy}", f"source.window={window}")
    told = (f"source.program='{program}'", f"source.events={n}", f"shard_events={n}")
    spec = DatasetSpec.load(ENTRY, (*assigned, *told))
    source = spec.source.open(spec.schema_, spec.conditions, n)

    def columns() -> Columns:
        stored, _ = checked(source.shard(0), spec.stored, ENTRY)
        events = spec.joined(to_events(stored, spec.schema_, spec.conditions))
        return {name: events.columns[name].double().numpy() for name in spec.observables}

    return columns


def processors() -> float:
    """Return the seconds of processors that this process and those it ended have taken."""
    return sum(os.times()[:4])


def figures(columns: Columns) -> Row:
    """Return means and deviations."""
    deposits: Row = {
        f"{name}, MeV": [float(columns[name].mean()), float(columns[name].std())]
        for name in DEPOSITS
    }
    return deposits | {"occupancy": float(columns["occupancy"].mean())}


def compared(cascade: Columns, truth: Columns) -> Row:
    """Return how far the cascade is from PENELOPE."""
    found: Row = {}
    for name in (*DEPOSITS, "occupancy", "row_width"):
        means = np.array([some[name].mean() for some in (cascade, truth)])
        errors = [some[name].std() / len(some[name]) ** 0.5 for some in (cascade, truth)]
        error = float(np.hypot(*errors) / means[1])
        found[f"{name}, %"] = [float(100 * (means[0] / means[1] - 1)), 100 * error]
    judged, true = (
        {name: values for name, values in some.items() if name not in UNJUDGED}
        for some in (cascade, truth)
    )
    found["AUC"] = told_apart(true, judged)
    return found


def told_apart(truth: Columns, others: Columns) -> list[float] | str:
    """Return the AUC of the classifier that tells showers apart best, with its floor and spread."""
    areas = scorecard(truth, others, metrics=("c2st_auc",)).figures["c2st_auc"].values()
    known = [area for area in areas if isinstance(area, Estimate)]
    return estimate(max(known, key=lambda area: area.value)) if known else "none"


def _picture(made: dict[str, Columns]) -> Figure:
    """Draw the deposits and the width of showers."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    drawn = (
        ("absorber", r"$E_{Pb}$ [MeV]"),
        ("active", r"$E_{PS}$ [MeV]"),
        ("row_width", r"$\sigma_y$ [cells]"),
    )
    for panel, (name, label) in zip(figure.subplots(1, 3), drawn, strict=True):
        edges = np.linspace(0, max(some[name].max() for some in made.values()), 51)
        for program, colour in zip(made, (GENERATED, TRUTH), strict=False):
            panel.hist(made[program][name], edges, histtype="step", color=colour, label=program)
        panel.set_xlabel(label)
    figure.axes[0].legend()
    return figure
