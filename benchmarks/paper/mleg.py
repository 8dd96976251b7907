"""The vertex-level generator without a detector, by bootstrap replicas.

The baseline of unfolding (dissertation, sec. 7.4.1): electrons at the vertex teach the generator
themselves. Bands and pulls of ν1, ν2, x and Q² (Fig. 30), the reduced cross section against Q² in
bins of x (Fig. 31), px-py (Figs. 36 and 49, the latter of ten times as many events), and which ν2
each bin of x and Q² hangs on (Fig. 37). Beside the replicas stand bootstrap samples of the events
that taught them, which are what learning nothing but these events scores.
"""

import numpy as np

from benchmarks.common.dis_figures import (
    cross_sections,
    electrons,
    judge,
    kinematic_plane,
    shares,
    spectra,
)
from benchmarks.common.options import Ensemble, generated
from benchmarks.common.results import Results
from benchmarks.common.transverse import planes, transverse

RECIPE, DATASET = "mleg-lightcone", "dis-ep-hera-y"
EVENTS = 100_000  # of each replica
MORE = 10  # times as many events as true ones, to look at
REACH = 10.0  # GeV, of px and py
MLEG, TAUGHT = "MLEG", "train events"


def measure(options: Ensemble, results: Results) -> None:
    """Train as many replicas for each seed, and judge the ensemble."""
    recipe = options.for_budget(RECIPE)
    options.require(recipe)
    vertex = options.prepared(DATASET)
    truth = vertex.load("test")
    true, taught = electrons(truth), electrons(vertex.load("train"))
    results.draw(kinematic_plane, true, name="kinematics")
    for seed in options.seeds:
        replicas = list(options.bootstrapped(recipe, seed))
        made = [generated(model, options.few(EVENTS), replica) for replica, model in replicas]
        weights = np.random.default_rng(seed).poisson(1.0, (len(replicas), len(taught["y"])))
        ensembles = {
            MLEG: [shares(electrons(events)) for events in made],
            TAUGHT: [shares(taught, weight.astype(float)) for weight in weights],
        }
        bands = {
            name: judge({"of": name}, true, ensemble, len(taught["y"]), seed, results)
            for name, ensemble in ensembles.items()
        }
        results.draw(spectra, bands)
        results.draw(cross_sections, bands, true, name="sigma-r")
        replica, model = replicas[0]
        more = {1: made[0], MORE: generated(model, MORE * len(truth), replica)}
        shown = {"truth": transverse(truth)} | {
            f"MLEG, {times} x": transverse(events)[: times * len(truth)]
            for times, events in more.items()
        }
        results.draw(planes, shown, REACH, name="transverse")
