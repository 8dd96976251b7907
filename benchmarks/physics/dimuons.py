"""A generator of muon pairs as an analysis would use it, beside true events and cheap rivals.

Trains, samples through the pool, and judges by the test split. Each figure stands beside what it is
for other true events (the train split: the floor), for a bootstrap of these, and for events whose
fields are each that of another event (independent).

AUC: of the three classifiers on all fields and observables the largest. KS of the mass. Bins, of
each of which a figure is the largest difference over its error, and how many of how many exceed 3:
P(isolation = 0) of each muon, and P(N_jets = k), in bins of p_T(Z); the missing p_T of events with
fewer than 15 vertices, and with more than 25; the median p_T(Z) by the leading jet's p_T. Mass,
width and resolution of a Breit-Wigner smeared by a Gaussian, in GeV, each with its error and, for
others than the truth, the difference from it over both errors.

Events a second: of the pool from noise to Parquet, after its start-up, and of Pythia and the
detector on one core. The picture is of the last seed's events.
"""

import shutil
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.common.conditional import Bins, agreement, histogram, medians, shares
from benchmarks.common.dimuon_pictures import FEW, MANY
from benchmarks.common.options import Training
from benchmarks.common.ratio import draw_ratio
from benchmarks.common.resonance import Resonance, fitted
from benchmarks.common.results import Results, Row, budget, estimate
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.sample import sample
from mleg_ray.commands.options import Events as Number
from mleg_ray.evaluation.samples.datasets import from_events, independent_fields
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.evaluation.statistics.estimate import Estimate
from mleg_ray.events import Events
from mleg_ray.report.drawing import LEGEND
from mleg_ray.storage import join

Array = NDArray[np.float64]

DATASET = "zmumu-13tev"
GENERATED_EVENTS, TRUE, BOOTSTRAP, INDEPENDENT = "generated", "true", "bootstrap", "independent"
SHARDS = 8  # of the sample, so that its rate after the first ones is known
JUDGED = 400_000  # generated events at most, for the bins and the fits
RIVALS_SEED = 1
WINDOW = (81.0, 101.0)  # GeV, of the fit
START = Resonance((91.0, 0.0), (2.5, 0.0), (1.5, 0.0))  # GeV
PT_EDGES = np.array([0, 3, 6, 10, 15, 20, 30, 45, 70, 1000.0])  # GeV, of the pair
MET_EDGES = np.array([0, 5, 10, 15, 20, 25, 30, 40, 50, 70, 1000.0])  # GeV
JET_EDGES = np.array([10, 15, 20, 25, 30, 40, 50, 65, 80, 120, 200.0])  # GeV, of the leading jet
MOST_JETS = 5
# In the small form: so few events make coarse tails.
COARSE = (
    'features.steps.10.open=["low", "high"]',
    "features.steps.10.tail=0.2",
    "features.steps.11.tail=0.2",
)


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """What is trained and sampled."""

    recipe: Annotated[str, typer.Option(help="One on zmumu-13tev.")] = "autoregressive-zmumu"
    events: Number = 3_000_000
    pairs: Annotated[int, typer.Option(min=1, help="True events that are prepared.")] = 200_000
    simulated: Annotated[int, typer.Option(min=1, help="By Pythia and detector, to time.")] = 500


def measure(options: Asked, results: Results) -> None:
    """Train, sample and compare with each seed."""
    options.require(options.recipe, dataset=DATASET)
    dataset = options.prepared(DATASET, options.pairs)
    joined = dataset.manifest.joined
    truth, train = joined(dataset.load("test")), joined(dataset.load("train"))
    rng = np.random.default_rng(RIVALS_SEED)
    unknowing = independent_fields(train, dataset.schema.event, rng)
    rivals = {
        TRUE: train,
        BOOTSTRAP: train[torch.from_numpy(rng.integers(len(train), size=len(train)))],
        INDEPENDENT: joined(unknowing.choose(dataset.schema.event)),
    }
    results.add({"events": "truth that judges"}, {"of": len(truth)} | masses(truth))
    for name, events in rivals.items():
        peak = {} if name == INDEPENDENT else masses(events, truth)  # which has none
        results.add({"events": name}, figures(events, truth, dataset) | peak)
    for seed in options.seeds:
        coarse = COARSE if options.small else ()
        checkpoint = options.trained(options.recipe, seed, *coarse, dataset=dataset)
        target = join(options.place, "samples", f"benchmark-{options.recipe}-{seed}")
        shutil.rmtree(target, ignore_errors=True)
        n = options.few(options.events)
        made = sample(checkpoint.uri, n, target, seed=seed, shard_events=-(-n // SHARDS))
        events = joined(made.load(max_events=JUDGED))
        labels = {"recipe": options.recipe, "events": GENERATED_EVENTS}
        found = figures(events, truth, dataset) | masses(events, truth)
        given = budget(checkpoint)
        cost = {name: given[name] for name in ("steps x batch", "training s")}
        results.add(labels, cost | found, seed=seed)
        production = made.manifest.provenance["production"]
        speed = {
            "sampled": made.rows(),
            "events/s of the pool": production["steady_events_per_second"],
            "events/s of Pythia and detector, a core": simulated(options),
        }
        results.add({"recipe": options.recipe, "speed": "events/s"}, speed, seed=seed)
        results.draw(picture, truth, events)


def figures(events: Events, truth: Events, dataset: Dataset) -> Row:
    """Return how far events are from the truth, by classifiers, distances and bins."""
    both = (
        from_events(some.choose(dataset.schema.event), dataset.manifest) for some in (truth, events)
    )
    card = scorecard(*both, metrics=("c2st_auc", "ks", "unphysical_rate"))
    areas = card.figures["c2st_auc"]
    known = [area for area in areas.values() if isinstance(area, Estimate)]
    worst = max(known, key=lambda area: area.value) if known else next(iter(areas.values()))
    found: Row = {
        "AUC": estimate(worst),
        "KS of M": estimate(card.figures["ks"]["m_ll"]),
        "unphysical": estimate(card.figures["unphysical_rate"]["any"]),
    }
    for name, numbers in agreement(bins(events), bins(truth)).items():
        found[f"{name}: largest, beyond 3, of"] = list(numbers)
    return found


def bins(events: Events) -> dict[str, Bins]:
    """Return all joint distributions."""
    columns = {name: column.numpy() for name, column in events.columns.items()}
    pt, vertices = columns["pt_ll"], columns["n_vtx"]
    result = {
        f"P(I{muon} = 0) by pT": shares(columns[f"mu{muon}.isolation"] == 0, pt, PT_EDGES)
        for muon in (1, 2)
    }
    for k in range(MOST_JETS + 1):
        result[f"P(N = {k}) by pT"] = shares(columns["n_jets"] == k, pt, PT_EDGES)
    for name, chosen in ((f"< {FEW}", vertices < FEW), (f"> {MANY}", vertices > MANY)):
        result[f"MET, n {name}"] = histogram(columns["met"][chosen], MET_EDGES)
    result["median pT by jet"] = medians(pt, columns["leading_jet"], JET_EDGES)
    return result


def masses(events: Events, truth: Events | None = None) -> Row:
    """Return the fitted resonance, with errors, and how far it is from that of the truth."""
    own = fitted(events.columns["m_ll"].double().numpy(), WINDOW, START)
    found: Row = {"M": list(own.mass), "Γ": list(own.width), "σ": list(own.resolution)}
    if truth is None:
        return found
    other = fitted(truth.columns["m_ll"].double().numpy(), WINDOW, START)
    return found | {"pulls of M, Γ, σ": list(own.pulls(other))}


def simulated(options: Asked) -> float:
    """Return the events of Pythia with pile-up and detector in a second of one core's time."""
    n = options.few(options.simulated, 5)
    spec = DatasetSpec.load(DATASET, (f"source.events={n}", f"shard_events={n}"))
    source = spec.source.open(spec.schema_, spec.conditions, n)
    start = time.process_time()
    source.shard(0)
    return n / (time.process_time() - start)


def picture(truth: Events, generated: Events) -> Figure:
    """Draw mass, jets, isolation and profile, each above its ratio to the truth."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    panels = figure.subplots(2, 4, sharex="col", gridspec_kw={"height_ratios": [2.6, 1]})
    densities = (
        ("m_ll", np.linspace(60, 120, 61), r"$M_{\mu\mu}$ [GeV]", True),
        ("n_jets", np.arange(-0.5, MOST_JETS + 1), r"$N_{jets}$", False),
        ("mu1.isolation", np.linspace(0, 0.5, 26), "isolation, first muon", True),
    )
    for (top, bottom), (name, edges, label, log) in zip(panels.T, densities, strict=False):
        true, made = (
            histogram(events.columns[name].double().numpy(), edges) for events in (truth, generated)
        )
        draw_ratio(top, bottom, edges, true, {"generated": made}, reach=0.3)
        top.set(yscale="log" if log else "linear", ylabel="share of events")
        bottom.set_xlabel(label)
    true, made = (bins(events)["median pT by jet"] for events in (truth, generated))
    draw_ratio(panels[0, 3], panels[1, 3], JET_EDGES, true, {"generated": made}, reach=0.3)
    panels[0, 3].set_ylabel(r"median $p_T^{\mu\mu}$ [GeV]")
    panels[1, 3].set_xlabel(r"$p_T$ of the leading jet [GeV]")
    panels[1, 0].set_ylabel("gen. / truth")
    panels[0, 0].legend(**LEGEND)
    return figure
