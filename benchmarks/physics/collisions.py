"""Events of p p collisions: what they take on one core, and what they look like.

Z/γ* → μμ with a pool of pile-up and with fresh pile-up for each event, t t̄ and a pair of top
squarks. The processor's time includes the initialisation of Pythia, once a shard. The picture shows
the mass of the two muons, the number of jets and the isolation.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from benchmarks.common.options import Options
from benchmarks.common.results import Results, Row, timed
from mleg_ray.catalog.codec import checked, to_events
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.definitions import violates
from mleg_ray.events import Events
from mleg_ray.report.drawing import GENERATED, TRUTH

POOL, FRESH = "pool", "fresh"
ROWS = (
    ("zmumu-13tev", POOL, ()),
    ("zmumu-13tev", FRESH, ("source.pile_up_reuse=1",)),
    ("ttbar-13tev", "none", ()),
    ("stop-300-100", "none", ()),
)


@dataclass(frozen=True, kw_only=True)
class Made(Options):
    """How many events to make."""

    events: Annotated[int, typer.Option(min=1, help="Of each entry of the catalog.")] = 2000


def measure(options: Made, results: Results) -> None:
    """Make a shard of each."""
    muons: dict[str, Events] = {}
    for name, pile_up, assignments in ROWS:
        n = options.few(options.events, 10)
        spec = DatasetSpec.load(name, (f"source.events={n}", f"shard_events={n}", *assignments))
        source = spec.source.open(spec.schema_, spec.conditions, n)
        columns, seconds = timed(partial(source.shard, 0), time.process_time)
        stored, dropped = checked(columns, spec.stored, name)
        events = spec.joined(to_events(stored, spec.schema_, spec.conditions))
        broken = [violates(rule, events) for rule in spec.constraints.values()]
        labels = {"dataset": name, "pile-up": pile_up}
        figures = {"events": n, "events/s": n / seconds}
        figures["outside constraints"] = int(torch.stack(broken).any(dim=0).sum())
        if pile_up == "none":
            results.add(labels, figures | of_objects(events, sum(dropped.values())))
        else:
            muons[pile_up] = events
            results.add(labels, figures | of_muons(events))
    results.draw(_picture, muons)


def of_muons(events: Events) -> Row:
    """Return what tells of a sample of muon pairs whether it is sane."""
    values = {name: column.numpy() for name, column in events.columns.items()}
    mass = values["m_ll"]
    return {
        "mean M, GeV": float(mass.mean()),
        "deviation of M, GeV": float(mass.std()),
        "isolation 0, %": [float(100 * (values[f"mu{i}.isolation"] == 0).mean()) for i in (1, 2)],
        "mean n_vtx": float(values["n_vtx"].mean()),
        "mean MET, GeV": float(values["met"].mean()),
        "0 to 5 jets, %": [float(100 * (values["n_jets"] == k).mean()) for k in range(6)],
    }


def of_objects(events: Events, dropped: int) -> Row:
    """Return the numbers of objects of each kind, of all in an event, and the missing momentum."""
    counts = {name.removesuffix(".count"): number for name, number in events.counts.items()}
    total = torch.stack(list(counts.values())).sum(dim=0)
    return {
        **{f"mean of {name}": float(number.mean()) for name, number in counts.items()},
        "mean of all": float(total.mean()),
        "most": int(total.max()),
        "dropped": dropped,
        "mean MET, GeV": float(events.columns["met.pt"].mean()),
        "mean H_T, GeV": float(events.columns["ht"].mean()),
    }


def _picture(muons: dict[str, Events]) -> Figure:
    """Draw both kinds of pile-up over each other."""
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes = figure.subplots(1, 3)
    drawn = (
        ("m_ll", np.linspace(50, 150, 51), r"$M_{\mu\mu}$ [GeV]"),
        ("n_jets", np.arange(-0.5, 6), r"$N_{jets}$, $p_T > 15$ GeV"),
        ("mu1.isolation", np.linspace(0, 0.5, 51), "isolation of the first muon"),
    )
    for panel, (name, edges, label) in zip(axes, drawn, strict=True):
        for (pile_up, events), colour in zip(muons.items(), (TRUTH, GENERATED), strict=True):
            values = events.columns[name].numpy()
            panel.hist(values, edges, density=True, histtype="step", color=colour, label=pile_up)
        panel.set_xlabel(label)
    axes[0].set_ylabel("density")
    axes[0].legend(title="pile-up")
    axes[2].set_yscale("log")
    return figure
