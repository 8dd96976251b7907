"""What rows of top quarks and top squarks compare: classifiers, yields of regions, tails, nulls."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure as Picture
from torch import Tensor

from benchmarks.common.results import Row, estimate
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.evaluation.samples.datasets import compared_axes
from mleg_ray.evaluation.samples.sample import EventSample, sample_of
from mleg_ray.evaluation.samples.unphysical import ANY
from mleg_ray.evaluation.scorecards import scorecard, worst
from mleg_ray.events import Events, group_of
from mleg_ray.report.drawing import GENERATED, TRUTH

ENTRY = "ttbar-13tev"  # of which all others of the kind inherit objects and observables
LEPTONS = ("electron", "positron", "muon", "antimuon")
TAIL = 1e-3
TAILS = ("ht", "met.pt", "m_jj", "m_bjj", "m_lb")
CORRELATED = (
    "met.pt",
    "ht",
    "jet1_pt",
    "jet2_pt",
    "b_jet1_pt",
    "m_jj",
    "m_bjj",
    "m_lb",
    "jet.count",
    "b_jet.count",
)
DRAWN = (
    ("ht", 0.0, 1200.0, 40),
    ("m_jj", 0.0, 300.0, 40),
    ("m_bjj", 0.0, 600.0, 40),
    ("m_lb", 1.0, 250.0, 40),
    ("jet.count", -0.5, 10.5, 11),
)


def sample(events: Events, name: str) -> EventSample:
    """Return events with objects like those of `ENTRY` as they are compared, by its definitions.

    Conditions are not compared.
    """
    spec = DatasetSpec.load(ENTRY)
    own = {field.name for field in spec.fields}
    kept = Events(
        {key: column for key, column in events.columns.items() if key in own},
        events.present,
        events.weight,
    )
    axes = compared_axes(spec, {})
    return sample_of(kept, axes, spec.schema_.event, spec.definitions, name)


def told(truth: EventSample, other: EventSample, seed: int) -> Row:
    """Return the AUC of each of three classifiers, and the worst with its floor and spread."""
    areas = scorecard(truth, other, metrics=("c2st_auc",), seed=seed).figures["c2st_auc"]
    name, figure = worst(areas)
    each = {f"AUC, {which}": getattr(area, "value", str(area)) for which, area in areas.items()}
    return {"worst AUC": estimate(figure), "by": name} | each


def invalid(sample: EventSample) -> Row:
    """Return shares of events outside a constraint, and of those off a mass shell or below it."""
    shells = [name for name in sample.unphysical.violating if "shell" in name or "energy" in name]
    return {
        "invalid, %": 100 * sample.unphysical.rate(ANY)[0],
        "off shell, %": 100 * max(sample.unphysical.rate(name)[0] for name in shells),
    }


def regions(events: Events) -> dict[str, Tensor]:
    """Return which events (n,) pass the channels of the Dark Machines challenge.

    H_T is the sum of p_T of jets and b-jets, GeV. Source: T. Aarrestad et al., arXiv:2105.14027.
    """
    jets = torch.cat([events.columns["jet.pt"], events.columns["b_jet.pt"]], dim=1)
    ht, met = jets.sum(dim=1), events.columns["met.pt"]
    leptons = sum(events.present[name].sum(dim=1) for name in LEPTONS)
    hard = (ht >= 600) & (met >= 200) & (met >= 0.2 * ht)
    assert isinstance(leptons, Tensor)
    return {
        "1": hard & ((jets > 50).sum(dim=1) >= 4) & ((jets > 200).sum(dim=1) >= 1),
        "2a": (leptons >= 3) & (met >= 50),
        "2b": (leptons >= 2) & (ht >= 50) & (met >= 50),
        "3": (ht >= 600) & (met >= 100),
    }


def shares(truth: Events, other: Events) -> Row:
    """Return what passes each channel of as many events: both shares, and their pull.

    Errors are those of numbers of events without weights.
    """
    row: Row = {}
    of_other = regions(other)
    for name, passed in regions(truth).items():
        row[f"channel {name}, %"] = compared(passed, of_other[name])
    return row


def tails(truth: EventSample, other: EventSample) -> Row:
    """Return the shares beyond what one in a thousand true events exceeds: truth, other, pull."""
    row: Row = {}
    for name in TAILS:
        values = truth.columns[name].values
        edge = np.quantile(values, 1 - TAIL)
        beyond = (torch.from_numpy(part.columns[name].values > edge) for part in (truth, other))
        row[f"{name} > {edge:.0f}, %"] = compared(*beyond)
    return row


def compared(truth: Tensor, other: Tensor) -> list[float]:
    """Return both shares in percent, and their difference in standard deviations."""
    p, q = (float(passed.double().mean()) for passed in (truth, other))
    variance = p * (1 - p) / len(truth) + q * (1 - q) / len(other)
    return [100 * p, 100 * q, (q - p) / math.sqrt(variance) if variance else 0.0]


def independent(events: Events, rng: np.random.Generator) -> Events:
    """Return events with the numbers of objects of each, and objects and the rest of any others.

    Of a group all objects of all events are shuffled, then each event's are put in order; the rest,
    missing momentum, is that of another event.
    """
    columns: dict[str, Tensor] = {}
    other = torch.from_numpy(rng.permutation(len(events)))
    for name, column in events.columns.items():
        if group_of(name) not in events.present:
            columns[name] = column[other]
    for group, present in events.present.items():
        shuffled = torch.from_numpy(rng.permutation(int(present.sum())))
        own = [name for name in events.columns if group_of(name) == group]
        made = {}
        for name in own:
            column = events.columns[name]
            made[name] = torch.zeros_like(column)
            made[name][present] = column[present][shuffled]
        order = made[f"{group}.pt"].argsort(dim=1, descending=True, stable=True)
        columns |= {name: column.gather(1, order) for name, column in made.items()}
    return Events(columns, events.present, events.weight)


def picture(truth: EventSample, samples: Mapping[str, EventSample]) -> Picture:
    """Draw what an analysis would plot, with ratios to the truth, and correlations."""
    figure = Picture(figsize=(3 * len(DRAWN), 4), layout="constrained")
    axes = figure.subplots(2, len(DRAWN), sharex="col", height_ratios=[3, 1])
    for (name, low, high, bins), (above, below) in zip(DRAWN, axes.T, strict=True):
        edges = np.linspace(low, high, bins + 1)
        true = np.histogram(truth.columns[name].values, edges)[0]
        above.stairs(true / len(truth), edges, color=TRUTH, label="truth", fill=True, alpha=0.3)
        for number, (label, one) in enumerate(samples.items()):
            found = np.histogram(one.columns[name].values, edges)[0]
            colour = GENERATED if number == 0 else f"C{number + 2}"
            above.stairs(found / len(one), edges, color=colour, label=label)
            some = (true > 0) & (found > 0)
            ratio = np.full(bins, np.nan)
            ratio[some] = found[some] / len(one) / (true[some] / len(truth))
            error = np.zeros(bins)
            error[some] = ratio[some] * np.sqrt(1 / found[some] + 1 / true[some])
            middle = (edges[1:] + edges[:-1]) / 2
            below.errorbar(middle, ratio, error, fmt=".", color=colour, markersize=3)
        axis = truth.axes[name]
        unit = f" [{axis.unit}]" if axis.unit != "1" else ""
        below.set_xlabel(f"${axis.label}${unit}" if axis.label else name)
        below.set_ylim(0.5, 1.5)
        below.axhline(1, color="grey", linewidth=0.5)
    axes[0, 0].legend()
    axes[1, 0].set_ylabel("ratio")
    return figure


def correlations(truth: EventSample, generated: EventSample) -> Picture:
    """Draw the correlation matrices of both, and their difference."""
    matrices = [
        np.corrcoef([one.columns[name].values for name in CORRELATED]) for one in (truth, generated)
    ]
    drawn = {
        "truth": matrices[0],
        "generated": matrices[1],
        "difference": matrices[1] - matrices[0],
    }
    figure = Picture(figsize=(12, 4), layout="constrained")
    for axes, (title, matrix) in zip(figure.subplots(1, 3), drawn.items(), strict=True):
        limit = 0.1 if title == "difference" else 1.0
        image = axes.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(title)
        axes.set_xticks(range(len(CORRELATED)), CORRELATED, rotation=90)
        axes.set_yticks(range(len(CORRELATED)), CORRELATED)
        figure.colorbar(image, ax=axes)
    return figure
