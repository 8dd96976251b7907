"""Figures of events of typed objects as R. Balanzá García reads them, UPV master's thesis 2023.

Bins, ranges and the base of logarithms are not stated there. Here all histograms have 50 bins over
the truth's range, energies and transverse momenta in log10, and empty bins of the generated events
count half an event. These figures serve to stand beside the thesis's; the verdict is that of
`mleg evaluate`.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance
from torch import Tensor

from mleg_ray.catalog.sources.pythia_pp import Cut, PythiaPPConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.evaluation.metrics.correlations import correlation_matrix
from mleg_ray.events import Events, group_of

Array = NDArray[np.float64]

TYPES = ("jet", "b_jet", "electron", "positron", "muon", "antimuon", "photon")
LEPTONS = ("electron", "positron", "muon", "antimuon")
PARTS = ("energy", "pt", "eta", "phi")
LOGARITHMIC = ("energy", "pt")
BINS = 50
COLUMNS = ("MET", "j1E", "j1pT", "j2E", "j2pT", "j3E", "j3pT", "j4E", "j4pT", "l1E", "l1pT")


class Distances(NamedTuple):
    """How far a histogram is from the truth's."""

    heights: float  # the Wasserstein distance of the two vectors of bin heights
    w1: float  # that of the numbers, over the truth's standard deviation
    js: float  # of Jensen and Shannon, base 2, in [0, 1]
    js_nat: float  # in nats
    kl: float  # of Kullback and Leibler, truth to generated, in nats


def distances(truth: Array, made: Array) -> Distances:
    """Return the distances of generated numbers (m,) from true ones (n,); NaN without any."""
    if not len(truth) or not len(made):
        return Distances(*[float("nan")] * len(Distances._fields))
    edges = np.linspace(truth.min(), truth.max(), BINS + 1)
    counts = [np.histogram(np.clip(x, edges[0], truth.max()), edges)[0] for x in (truth, made)]
    p = counts[0] / len(truth)
    q = np.maximum(counts[1], 0.5) / np.maximum(counts[1], 0.5).sum()
    heights = counts[1] / len(made)
    middle = (p + q) / 2
    js2 = (_divergence(p, middle) + _divergence(q, middle)) / 2
    js_nat = float(np.sqrt(max(js2, 0.0)))
    return Distances(
        heights=float(wasserstein_distance(p, heights)),
        w1=float(wasserstein_distance(truth, made) / truth.std()),
        js=js_nat / float(np.sqrt(np.log(2))),
        js_nat=js_nat,
        kl=_divergence(p, q),
    )


def _divergence(p: Array, q: Array) -> float:
    some = p > 0
    return float(p[some] @ np.log(p[some] / q[some]))


def combined(truth: Events, made: Events, *, hardest: bool = False) -> Distances:
    """Return the mean distances over types, by the number of their true objects (ch. 6).

    Of a type it is the mean over energy, pt, η and φ of all objects, or of the `hardest` one of
    each event, as in the thesis's pictures. The missing momentum is a type with as many objects as
    there are events: the mean over its pt and φ. A type of which nothing is made has no distance,
    and is left out: that it is missing, numbers of objects tell.
    """
    found, weights = [], []
    for names, weight in _types(truth):
        each = [distances(*_pair(name, truth, made, hardest)) for name in names]
        if weight and not np.isnan(each).any():
            found.append(np.mean(each, axis=0))
            weights.append(weight)
    return Distances(*np.average(found, axis=0, weights=weights).tolist())


def _types(truth: Events) -> Iterator[tuple[list[str], int]]:
    yield ["met.pt", "met.phi"], len(truth)
    for group in TYPES:
        yield [f"{group}.{part}" for part in PARTS], int(truth.present[group].sum())


def _pair(name: str, truth: Events, made: Events, hardest: bool) -> list[Array]:
    return [numbers(name, events, hardest=hardest) for events in (truth, made)]


def numbers(name: str, events: Events, *, hardest: bool = False) -> Array:
    """Return the numbers (n,) of a field, of all objects that there are; some in log10.

    With `hardest` they are of each event's first object of the type.
    """
    group, _, part = name.partition(".")
    values = events.columns[name].double()
    if group in events.present:
        objects = slice(1 if hardest else None)
        values = values[:, objects][events.present[group][:, objects]]
    return scaled(values.numpy(), part)


def scaled(values: Array, part: str) -> Array:
    """Return numbers as they are binned: energies and transverse momenta as log10, if above 0."""
    return np.log10(np.maximum(values, 1e-3)) if part in LOGARITHMIC else values


def total_energy(events: Events) -> Array:
    """Return the sum of all objects' energies (n,), GeV."""
    sums = [_present(events, group, "energy").sum(dim=1) for group in TYPES]
    total: Array = torch.stack(sums).sum(dim=0).numpy()
    return total


def leading(events: Events, groups: tuple[str, ...], part: str, rank: int = 1) -> Array:
    """Return a field of each event's object number `rank` by pt among groups, NaN without (n,)."""
    pt = torch.cat([_present(events, group, "pt") for group in groups], dim=1)
    values = torch.cat([_present(events, group, part) for group in groups], dim=1)
    order = pt.argsort(dim=1, descending=True, stable=True)[:, rank - 1 : rank]
    there = pt.gather(1, order) > 0
    chosen = torch.where(there, values.gather(1, order), torch.nan)
    result: Array = chosen[:, 0].numpy()
    return result


def _present(events: Events, group: str, part: str) -> Tensor:
    return torch.where(events.present[group], events.columns[f"{group}.{part}"].double(), 0.0)


def correlations(
    events: Events,
    *,
    logarithmic: bool = False,
    zeros: bool = False,
    jets: tuple[str, ...] = ("jet",),
) -> Array:
    """Return the Pearson correlations (11, 11) of `COLUMNS`.

    Each pair is of the events that have both; with `zeros` an absent object counts as zeros. The
    thesis does not say which; nor whether numbers are in logarithms, or b-jets among the jets.
    """
    columns = [events.columns["met.pt"].double().numpy()]
    for rank in range(1, 5):
        columns += [leading(events, jets, part, rank) for part in ("energy", "pt")]
    columns += [leading(events, LEPTONS, part) for part in ("energy", "pt")]
    table = np.stack(columns, axis=1)
    if logarithmic:
        table = scaled(table, "pt")
    if zeros:
        table = np.nan_to_num(table)
    size = len(COLUMNS)
    result = np.eye(size)
    for i in range(size):
        for j in range(i):
            both = table[:, [i, j]]
            both = both[np.isfinite(both).all(axis=1)]
            value = correlation_matrix(both, np.ones(len(both)))[0, 1] if len(both) > 2 else np.nan
            result[i, j] = result[j, i] = value
    return result


class Criteria:
    """The conditions of a dataset on events and on objects, as its source declares them."""

    def __init__(self, dataset: str) -> None:
        source = DatasetSpec.load(dataset).source
        assert isinstance(source, PythiaPPConfig)
        self._objects = {group: source.objects[group] for group in TYPES}
        self._any = source.selection.any
        kinds = {"jet": TYPES[:2], "electron": LEPTONS[:2], "muon": LEPTONS[2:]}
        self._kinds = {**kinds, "photon": TYPES[6:]}

    def invalid(self, events: Events) -> dict[str, float]:
        """Return the shares of invalid events, percent.

        `event`: none of the objects of which one is enough, as the thesis counts. `object`: an
        object outside its group's cuts. `any`: either.
        """
        passed = torch.stack(
            [
                _within(events, group, required).any(dim=1)
                for required in self._any
                for group in self._kinds[required.of]
            ]
        ).any(dim=0)
        outside = torch.stack(
            [
                (events.present[group] & ~_within(events, group, cut)).any(dim=1)
                for group, cut in self._objects.items()
            ]
        ).any(dim=0)
        marks = {"event": ~passed, "object": outside, "any": ~passed | outside}
        return {name: 100 * float(mark.double().mean()) for name, mark in marks.items()}


def _within(events: Events, group: str, cut: Cut) -> Tensor:
    """Return which objects (n, K) there are, and within a cut on pt and |η|."""
    pt, away = events.columns[f"{group}.pt"].double(), events.columns[f"{group}.eta"].double().abs()
    # Numbers are stored in single precision: a cut is not one of its last digit.
    within = events.present[group] & (pt >= cut.pt * (1 - 1e-6))
    if cut.eta is not None:
        within &= away <= cut.eta * (1 + 1e-6)
    if cut.gap is not None:
        within &= (away <= cut.gap[0]) | (away >= cut.gap[1])
    return within


def below_shell(events: Events) -> float:
    """Return the share of objects with E < pT cosh η by more than rounding, percent."""
    below, number = 0.0, 0
    for group in TYPES:
        energy, pt, eta = (
            events.columns[f"{group}.{part}"][events.present[group]].double()
            for part in ("energy", "pt", "eta")
        )
        below += float((energy < pt * eta.cosh() * (1 - 1e-5)).sum())
        number += len(energy)
    return 100 * below / max(1, number)


def independent(events: Events, permutation: Callable[[int], Tensor | NDArray[np.int64]]) -> Events:
    """Return the events with every object, and the missing momentum, that of another event.

    The numbers of objects stay: this is what a perfect generator of independent objects makes, the
    idea of experiment II. Of a group all objects of all events are shuffled, then each event's are
    put in order. `permutation` draws an order of n rows, (n,).
    """
    columns: dict[str, Tensor] = {}
    other = torch.as_tensor(permutation(len(events)))
    for name, column in events.columns.items():
        if group_of(name) not in events.present:
            columns[name] = column[other]
    for group, present in events.present.items():
        shuffled = torch.as_tensor(permutation(int(present.sum())))
        made = {}
        for name, column in events.columns.items():
            if group_of(name) == group:
                made[name] = torch.zeros_like(column)
                made[name][present] = column[present][shuffled]
        order = made[f"{group}.pt"].argsort(dim=1, descending=True, stable=True)
        columns |= {name: column.gather(1, order) for name, column in made.items()}
    return Events(columns, events.present, events.weight)


def truncated(events: Events, most: int, types: Collection[str] = TYPES) -> Events:
    """Return the events with at most so many objects of each of the types, the hardest."""
    present, columns = dict(events.present), dict(events.columns)
    for group in types:
        there = present[group] & (torch.arange(present[group].shape[1]) < most)
        present[group] = there
        for part in PARTS:
            name = f"{group}.{part}"
            columns[name] = torch.where(there, columns[name], 0)
    return Events(columns, present, events.weight)


def on_shell(events: Events) -> Events:
    """Return the events with the energy of a massless object at each one's pt and η."""
    columns = dict(events.columns)
    for group in TYPES:
        pt, eta = columns[f"{group}.pt"].double(), columns[f"{group}.eta"].double()
        energy = pt * eta.cosh()
        columns[f"{group}.energy"] = torch.where(events.present[group], energy, 0.0)
    return Events(columns, events.present, events.weight)


def turned(events: Events, seed: int) -> Events:
    """Return the events with the φ of every object, and of the missing momentum, drawn evenly."""
    rng = torch.Generator().manual_seed(seed)
    columns = dict(events.columns)
    for name in [f"{group}.phi" for group in TYPES] + ["met.phi"]:
        phi = columns[name]
        even = math.pi * (2 * torch.rand(phi.shape, generator=rng, dtype=torch.float64) - 1)
        there = events.present.get(name.partition(".")[0])
        columns[name] = even if there is None else torch.where(there, even, 0.0)
    return Events(columns, events.present, events.weight)


def counts(events: Events) -> NDArray[np.int64]:
    """Return the numbers of objects of each type (n, 7)."""
    table = torch.stack([events.present[group].sum(dim=1) for group in TYPES], dim=1)
    result: NDArray[np.int64] = table.numpy()
    return result


def mask_shares(truth: Events, made: Events) -> tuple[NDArray[np.int64], Array, Array]:
    """Return the count vectors (m, 7), and what share of true and generated events has each (m,).

    The most frequent of the truth stand first.
    """
    rows = [counts(events) for events in (truth, made)]
    found, inverse = np.unique(np.concatenate(rows), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    of_truth = np.bincount(inverse[: len(truth)], minlength=len(found)) / len(truth)
    of_made = np.bincount(inverse[len(truth) :], minlength=len(found)) / len(made)
    order = np.argsort(-of_truth, kind="stable")
    return found[order], of_truth[order], of_made[order]


def masks(truth: Events, made: Events, train: int) -> dict[str, float]:
    """Return how generated count vectors compare with the true ones, percent.

    `rare`: the share of events whose true frequency is below 1/train; `novel`: of vectors that the
    truth has not at all; `variation`: half the sum of differences of frequencies.
    """
    _, of_truth, of_made = mask_shares(truth, made)
    return {
        "rare": 100 * float(of_made[of_truth < 1 / train].sum()),
        "novel": 100 * float(of_made[of_truth == 0].sum()),
        "variation": 50 * float(np.abs(of_truth - of_made).sum()),
    }


def figures(truth: Events, made: Events, criteria: Criteria) -> Mapping[str, float]:
    """Return all figures of generated events beside the truth."""
    found, first = combined(truth, made), combined(truth, made, hardest=True)
    energy = [total_energy(events) for events in (truth, made)]
    whole = distances(*(scaled(values, "energy") for values in energy))
    invalid = criteria.invalid(made)
    expected, matrix = correlations(truth), correlations(made)
    upper = np.triu_indices(len(COLUMNS), 1)
    off = (matrix - expected)[upper]
    return {
        "WD of heights": found.heights,
        "W1/σ": found.w1,
        "JS": found.js,
        "JS in nats": found.js_nat,
        "KL": found.kl,
        "WD of heights, hardest": first.heights,
        "JS, hardest": first.js,
        "KL, hardest": first.kl,
        **{f"invalid by {name} %": share for name, share in invalid.items()},
        "total energy, WD of heights": whole.heights,
        "total energy, σ/σ": float(energy[1].std() / energy[0].std()),
        "correlations, rms off": float(np.sqrt(np.nanmean(np.square(off)))),
        "j1pT-j2pT": float(matrix[2, 4]),
        "E < p %": below_shell(made),
    }
