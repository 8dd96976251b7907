"""What rows of top quarks and top squarks compare: classifiers, yields of regions, tails, nulls."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from benchmarks.common.conditional import histogram
from benchmarks.common.ratio import draw_ratio
from benchmarks.common.results import Row, estimate
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.evaluation.samples.datasets import compared_axes
from mleg_ray.evaluation.samples.sample import EventSample, sample_of
from mleg_ray.evaluation.samples.unphysical import ANY
from mleg_ray.evaluation.scorecards import scorecard, worst
from mleg_ray.events import Events
from mleg_ray.report.drawing import LEGEND, axis_label, draw_matrix

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
DRAWN = (  # masses above zero: that is the mass of objects that an event has not
    ("ht", 0.0, 1200.0, 40),
    ("m_jj", 7.5, 300.0, 39),
    ("m_bjj", 15.0, 600.0, 39),
    ("m_lb", 1.0, 250.0, 40),
    ("jet.count", -0.5, 10.5, 11),
)

W_PEAK = (68.0, 92.0)  # GeV, of m_jj
W_WINDOW = (56.0, 104.0)  # twice as wide


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
    """Return the share of events outside a constraint, and the largest one off any mass shell."""
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


def w_peak(truth: EventSample, other: EventSample) -> list[float]:
    """Return how much of the truth's peak of W bosons in m_jj another sample has, and its error.

    The peak is what lies between 68 and 92 GeV beyond a straight line through the 12 GeV on either
    side: a share of all events, whose errors are those of numbers of events.
    """
    found, variances = [], []
    for sample in (truth, other):
        masses = np.asarray(sample.columns["m_jj"].values)
        inside, beside = (((low < masses) & (masses < high)) for low, high in (W_PEAK, W_WINDOW))
        weight = np.where(inside, 1.0, np.where(beside, -1.0, 0.0))
        found.append(weight.mean())
        variances.append(weight.var() / len(weight))
    share = found[1] / found[0]
    return [share, math.sqrt(variances[1] + share**2 * variances[0]) / abs(found[0])]


def compared(truth: Tensor, other: Tensor) -> list[float]:
    """Return both shares in percent, and their difference in standard deviations."""
    p, q = (float(passed.double().mean()) for passed in (truth, other))
    variance = p * (1 - p) / len(truth) + q * (1 - q) / len(other)
    return [100 * p, 100 * q, (q - p) / math.sqrt(variance) if variance else 0.0]


def picture(truth: EventSample, samples: Mapping[str, EventSample]) -> Picture:
    """Draw what an analysis would plot, with ratios to the truth, and correlations."""
    figure = Picture(figsize=(3 * len(DRAWN), 4), layout="constrained")
    axes = figure.subplots(2, len(DRAWN), sharex="col", height_ratios=[3, 1])
    for (name, low, high, bins), (above, below) in zip(DRAWN, axes.T, strict=True):
        edges = np.linspace(low, high, bins + 1)
        true = histogram(truth.columns[name].values, edges)
        made = {label: histogram(one.columns[name].values, edges) for label, one in samples.items()}
        draw_ratio(above, below, edges, true, made, reach=0.5)
        below.set_xlabel(axis_label(name, truth.axes[name]))
    axes[1, -1].xaxis.set_major_locator(MaxNLocator(integer=True))  # of numbers of jets
    axes[0, 2].legend(loc="upper right", **LEGEND)
    axes[0, 0].set_ylabel("share of events")
    axes[1, 0].set_ylabel("over the truth")
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
        image = draw_matrix(axes, matrix, CORRELATED, limit)
        axes.set_title(title)
        figure.colorbar(image, ax=axes)
    return figure
