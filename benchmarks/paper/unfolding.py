"""Unfolding of measured electrons by five methods, beside none.

A closure test: electrons that a spectrometer of the EIC detector handbook, and one twice as bad,
smears and in part does not see are to give back the spectrum at the vertex, which is known. Beside
no unfolding, and the simulation's own spectrum, stand a correction bin by bin, D'Agostini's
iteration, OmniFold, the dissertation's vertex-level GAN (ch. 7) and the most likely flow through
the response. The first three have simulated pairs of a spectrum like the true one, of other parton
distributions; the generators learn the response from pairs that are spread evenly, and the spectrum
from measured electrons alone. All know which share of electrons is seen. Bands are of bootstrap
replicas of the measured electrons; for what the figures are, see
`benchmarks.common.dis_figures.judge`.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from benchmarks.common.dis_figures import (
    ALL_EDGES,
    Columns,
    Shares,
    cross_sections,
    distortions,
    electrons,
    judge,
    shares,
    spectra,
)
from benchmarks.common.histogram_unfolding import Migration, bin_by_bin, counted, dagostini
from benchmarks.common.omnifold import Simulated, omnifold
from benchmarks.common.options import Ensemble, generated
from benchmarks.common.results import Results
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.sources.detectors import DETECTORS, DetectorConfig
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.evaluation.samples.column import FloatArray
from mleg_ray.events import Events, four_momentum

VERTEX = "dis-ep-hera-y"
DETECTOR_NAMES = {"handbook": "", "twice as bad": "-worse"}  # endings of the datasets' names
EVENTS = 400_000  # of each generator
ITERATIONS = 5  # of OmniFold
BAYES_ITERATIONS = 4
# A recipe of electrons of equal beams, with HERA's.
AT_HERA = (
    "features.steps=[{ kind = 'dis-lightcone', electron_beam = 'electron_beam' }]",
    "features.conditions=[]",
)


class Name(enum.StrEnum):
    """The methods, and two that unfold nothing."""

    NONE = "none"
    SIMULATION = "simulation"
    BIN_BY_BIN = "bin-by-bin"
    DAGOSTINI = "dagostini"
    OMNIFOLD = "omnifold"
    GAN = "gan"
    FLOW = "flow"


DRAWN = (Name.NONE, Name.DAGOSTINI, Name.GAN, Name.FLOW)
# The recipes of a response and of a generator, and what the latter is assigned.
GENERATORS: Mapping[Name, tuple[str, str, tuple[str, ...]]] = {
    Name.GAN: ("response-electrons", "unfold-dis", AT_HERA),
    Name.FLOW: ("response-flow", "unfold-flow", ()),
}


class Known(NamedTuple):
    """What is known for an unfolding.

    Measured electrons, simulated ones as measured and at the vertex, the share (n,) of the likes of
    each of the latter that the detector sees, and how they migrate between each variable's bins.
    """

    data: Columns
    measured: Columns
    vertex: Columns
    seen: FloatArray
    migrations: Mapping[str, Migration]

    @staticmethod
    def of(measured: Dataset, pairs: Events) -> "Known":
        """Prepare what is known of the measured electrons' detector by simulated pairs."""
        vertex, found = electrons(pairs, "vertex"), electrons(pairs)
        seen = efficiency(measured, pairs, "vertex")
        migrations = {
            name: Migration.of(vertex[name], found[name], seen, edges)
            for name, edges in ALL_EDGES.items()
        }
        return Known(electrons(measured.load("train")), found, vertex, seen, migrations)


Method = Callable[[Known, FloatArray, int], Shares]  # by the weights of the data, and a seed


@dataclass(frozen=True, kw_only=True)
class Asked(Ensemble):
    """Which methods unfold."""

    methods: Annotated[
        list[Name],
        typer.Option(
            "--method", default_factory=lambda: list(Name), show_default="all", help="Repeatable."
        ),
    ]


def measure(options: Asked, results: Results) -> None:
    """Unfold what each detector measures, by each method, for each seed."""
    used = (recipe for pair in GENERATORS.values() for recipe in pair[:2])
    options.require(*map(options.for_budget, used))
    true = electrons(options.prepared(VERTEX).load())
    for detector, ending in options.some(list(DETECTOR_NAMES.items())):
        measured = options.prepared(f"dis-ep-hera-measured{ending}")
        pairs = options.prepared(f"folding-hera-simulated{ending}").load()
        known = Known.of(measured, pairs)
        name = detector.replace(" ", "-")
        responses = trained(options, ending)
        shown = {detector: known.measured}
        shown |= {f"response of {of}": fold(made, pairs) for of, made in responses.items()}
        results.draw(distortions, known.vertex, shown, name=f"response-{name}")
        for seed in options.seeds:
            bands = {}
            for method, replicas in unfolded(options, known, measured, responses, seed):
                labels = {"detector": detector, "method": method}
                events = len(known.data["y"])
                bands[method] = judge(labels, true, replicas, events, seed, results)
            drawn = {method: bands[method] for method in DRAWN if method in bands}
            if not drawn:
                continue
            results.draw(spectra, drawn, name=name)
            results.draw(cross_sections, drawn, true, name=f"sigma-r-{name}")


def trained(options: Asked, ending: str) -> dict[Name, Checkpoint]:
    """Train the responses that the methods asked for need, by method."""
    return {
        method: options.trained(
            options.for_budget(response), 1, dataset=options.prepared(f"folding-hera-flat{ending}")
        )
        for method, (response, *_) in GENERATORS.items()
        if method in options.methods
    }


def fold(response: Checkpoint, pairs: Events) -> Columns:
    """Return what a response makes of the true electrons of pairs."""
    return electrons(response.generate(pairs, generator=torch.Generator().manual_seed(1)))


def unfolded(
    options: Asked,
    known: Known,
    measured: Dataset,
    responses: Mapping[Name, Checkpoint],
    seed: int,
) -> Iterator[tuple[Name, list[Shares]]]:
    """Yield the replicas of each method."""
    size = options.few(options.replicas, 3)
    weights = np.random.default_rng(seed).poisson(1.0, (size, len(known.data["y"])))
    for method in [name for name in METHODS if name in options.methods]:
        unfold = METHODS[method]
        yield method, [unfold(known, w.astype(float), k) for k, w in enumerate(weights)]
    for method, response in responses.items():
        _, recipe, own = GENERATORS[method]
        values = (*own, f"dataset={measured.manifest.name}", f"teacher={response.uri}")
        replicas = options.bootstrapped(options.for_budget(recipe), seed, *values)
        events = options.few(EVENTS)
        yield method, [corrected(model, measured, events, k) for k, model in replicas]


def corrected(model: Checkpoint, measured: Dataset, events: int, seed: int) -> Shares:
    """Return the spectra of a generator of seen electrons, each worth one over the share seen."""
    made = generated(model, events, seed)
    return shares(electrons(made), 1 / efficiency(measured, made).clip(min=1e-3))


def simulated(known: Known, weight: FloatArray, seed: int) -> Shares:
    """Return the spectra of the simulation, whatever is measured, by a bootstrap of its own."""
    times = np.random.default_rng(seed).poisson(1.0, len(known.seen))
    return shares(known.vertex, times / known.seen)


def nothing(known: Known, weight: FloatArray, seed: int) -> Shares:
    """Return the spectra of what is measured."""
    return shares(known.data, weight)


def by_histograms(unfold: Callable[[Migration, FloatArray], FloatArray]) -> Method:
    """Return the method that unfolds each variable's histogram."""

    def spectra_of(known: Known, weight: FloatArray, seed: int) -> Shares:
        found = {}
        for name, edges in ALL_EDGES.items():
            data = counted(known.data[name], weight, edges)
            spectrum = unfold(known.migrations[name], data)
            found[name] = spectrum[1:-1] / spectrum.sum()
        return found

    return spectra_of


def by_omnifold(known: Known, weight: FloatArray, seed: int) -> Shares:
    """Return the spectra of simulated electrons, weighted in ν1 and ν2."""
    at_vertex, measured, data = (
        np.stack([columns["nu1"], columns["nu2"]], axis=1)
        for columns in (known.vertex, known.measured, known.data)
    )
    simulated = Simulated(at_vertex, measured, np.ones(len(measured)))
    *_, weights = omnifold(simulated, data, weight, iterations=ITERATIONS, seed=seed)
    return shares(known.vertex, weights / known.seen)


METHODS: Mapping[Name, Method] = {
    Name.SIMULATION: simulated,
    Name.NONE: nothing,
    Name.BIN_BY_BIN: by_histograms(bin_by_bin),
    Name.DAGOSTINI: by_histograms(lambda m, data: dagostini(m, data, iterations=BAYES_ITERATIONS)),
    Name.OMNIFOLD: by_omnifold,
}


def efficiency(measured: Dataset, events: Events, group: str = "electron") -> FloatArray:
    """Return the share (n,) of the likes of each event that the dataset's detector sees."""
    detector: DetectorConfig = DETECTORS.parse(measured.manifest.provenance["source"]["detector"])
    names = zip(four_momentum("electron"), four_momentum(group), strict=True)
    return detector.efficiency({name: events.columns[own].double().numpy() for name, own in names})
