"""Seconds a shower image takes: a dissertation's networks beside the simulation itself.

Networks as large as the dissertation's, with weights as they are drawn, as speed does not depend on
them: from noise to an image in MeV, in calls of one image and in those of the fastest of several
batch sizes. Electrons of 800 MeV by the embedded cascade and, where pyPenred is installed, by
PENELOPE, in the same run, in turn. One thread; seconds are those of processors. Table 6.1 of M. S.
Albergo, 2018, has its own numbers, of one CPU whose threads it does not say, and of Geant4.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from benchmarks.common.options import Repeated
from benchmarks.common.results import Results, timed
from benchmarks.physics.showers import CASCADE, ENTRY, PENELOPE, processors
from mleg_ray.catalog.sources import penelope
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import Events
from mleg_ray.features import FeatureMap
from mleg_ray.models import Model, generate
from mleg_ray.run import RunConfig

ENERGY = 800.0  # MeV
BATCHES = (1, 16, 128, 512)
# Recipe by name and cells, and the dissertation's seconds on a CPU.
NETWORKS = {
    ("FC-VAE", 32): ("vae-showers-paper", 0.0122),
    ("FC-VAE", 64): ("vae-showers-64-paper", 0.0305),
    ("DCGAN", 32): ("dcwgan-gp-showers-paper", 0.0233),
    ("DCGAN", 64): ("dcwgan-gp-showers-64-paper", 0.0497),
}
GEANT4 = {32: 0.791, 64: 0.798}  # s, the dissertation's
IMAGES = 512  # at least, of a batch size


@dataclass(frozen=True, kw_only=True)
class Asked(Repeated):
    """How often to measure."""


def measure(options: Asked, results: Results) -> None:
    """Measure all in turn, several times."""
    torch.set_num_threads(1)
    entries = {32: ENTRY, 64: f"{ENTRY}-64"}
    programs = (CASCADE, PENELOPE) if penelope.installed() else (CASCADE,)
    models = {of: built(recipe) for of, (recipe, _) in options.some(list(NETWORKS.items()))}
    images, showers = options.few(IMAGES, 2), options.few(2000, 20)
    for turn in options.turns:
        for (name, cells), (model, feature_map) in models.items():
            batches = options.some(BATCHES)
            seconds = {b: an_image(model, feature_map, b, max(b, images)) for b in batches}
            best = min(batches, key=lambda batch: seconds[batch])
            figures = {
                "s at batch 1": seconds[1],
                "s at best": seconds[best],
                "best batch": best,
                "dissertation, s": NETWORKS[name, cells][1],
            }
            results.add({"of": name, "pixels": cells}, figures, round=turn)
        for cells in options.some(list(entries)):
            for program in programs:
                some = showers if program == CASCADE else showers // 10
                _, taken = timed(simulation(entries[cells], program, some), processors)
                figures = {"s": taken / some, "dissertation, s": GEANT4[cells]}
                results.add({"of": program, "pixels": cells}, figures, round=turn)


def built(recipe: str) -> tuple[Model, FeatureMap]:
    """Return a recipe's model, not trained, and its map."""
    run = RunConfig.load(recipe)
    spec = DatasetSpec.load(run.dataset)
    feature_map = run.features.build(spec.schema_, spec.conditions)
    return run.build_model(feature_map).eval(), feature_map


def an_image(model: Model, feature_map: FeatureMap, batch: int, images: int) -> float:
    """Return the seconds of an image in calls of so many at once, the median of five parts."""
    ones = torch.ones(batch).double()
    given = Events({"energy": ENERGY * ones}, {}, ones)
    rng = torch.Generator().manual_seed(1)
    calls = max(1, images // batch // 5)

    def make() -> None:
        with torch.no_grad():
            for _ in range(calls):
                generate(model, feature_map, given, generator=rng)

    make()  # once before, for what is only done once
    parts = [timed(make, time.process_time)[1] for _ in range(5)]
    return statistics.median(parts) / (calls * batch)


def simulation(entry: str, program: str, events: int) -> Callable[[], object]:
    """Return what simulates so many showers."""
    told = (f"source.program='{program}'", f"source.events={events}", f"shard_events={events}")
    spec = DatasetSpec.load(entry, told)
    return partial(spec.source.open(spec.schema_, spec.conditions, events).shard, 0)
