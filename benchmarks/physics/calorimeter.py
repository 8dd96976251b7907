"""A generator of showers beside the showers that it learned of.

Trains a recipe and generates a shower for each of the first true ones of the test split, of the
same electron; and for those of an energy that no generator has seen. Of all, and of each bin of
energy: the AUC of all classifiers, by observables and by cells, each with its floor and the
floor's spread. Beside stand other true showers, those of the train split, and the rivals of
`benchmarks.common.image_rivals`.

Closure: trees learn the incident energy of what is deposited. Bias and resolution of its logarithm,
with the error of the last, are those of trees that true showers taught on true ones, of such on
generated ones, and of trees that generated showers taught on true ones.

Images a second: of the pool from noise to sparse Parquet, after its start-up. Milliseconds a shower
at a batch of one on one thread, beside those of the program that simulates.
"""

import itertools
import shutil
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.common.image_rivals import RIVALS
from benchmarks.common.options import Training
from benchmarks.common.results import Results, Row, budget, estimates, timed
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.commands.options import Events as Number
from mleg_ray.evaluation.samples.datasets import from_events
from mleg_ray.evaluation.scorecards import scorecard
from mleg_ray.events import Events
from mleg_ray.sampling.spectra import LogUniformSpectrum
from mleg_ray.storage import join

DATASET, HELD_OUT = "showers-narrow", "showers-narrow-300"
EDGES = np.geomspace(50, 1000, 5)  # MeV
REGRESSED = ("absorber", "active", "occupancy", "row_width", "column_width")
SHARDS = 8  # of the sample, so that its rate after the first ones is known
ALONE = 200  # showers generated one by one

Array = NDArray[np.float64]
Columns = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """What is trained, judged and sampled."""

    recipe: Annotated[str, typer.Option(help="One on showers-narrow.")] = "hits-showers-narrow"
    showers: Annotated[
        int, typer.Option(min=1, help="True ones prepared, as many at the energy held out.")
    ] = 200_000
    compared: Annotated[int, typer.Option(min=1, help="Of each sample, by classifiers.")] = 50_000
    events: Number = 1_000_000


def measure(options: Asked, results: Results) -> None:
    """Train, generate and compare with each seed."""
    options.require(options.recipe, dataset=DATASET)
    dataset, held_out = (options.prepared(name, options.showers) for name in (DATASET, HELD_OUT))
    n = options.few(options.compared, 600)
    unseen = held_out.load(max_events=n)
    train, test = (dataset.load(split, max_events=n) for split in ("train", "test"))
    energy = test.columns["energy"].double().numpy()
    others = {
        name: rival(train, energy, np.random.default_rng(1)) for name, rival in RIVALS.items()
    }
    for name, events in {"the truth itself": train, **others}.items():
        results.add({"showers": name}, areas(events, test, dataset))
    for seed in options.seeds:
        checkpoint = options.trained(options.recipe, seed, dataset=dataset)
        labels: Row = {"recipe": options.recipe}
        made = generated(checkpoint, test, seed)
        found = areas(made, test, dataset)
        results.add(labels | {"showers": "generated"}, budget(checkpoint) | found, seed=seed)
        for low, high in itertools.pairwise(EDGES):
            own = torch.from_numpy((energy >= low) & (energy < high))
            found = areas(made[own], test[own], dataset)
            results.add(labels | {"MeV": f"{low:.0f} to {high:.0f}"}, found, seed=seed)
        found = areas(generated(checkpoint, unseen, seed), unseen, held_out)
        results.add(labels | {"MeV": "300, held out"}, found, seed=seed)
        found = closure(columns(made, dataset), columns(test, dataset))
        results.add(labels | {"of": "regressions"}, found, seed=seed)
        found = rates(options, checkpoint, dataset, seed)
        results.add(labels | {"of": "speed"}, found, seed=seed)


def generated(checkpoint: Checkpoint, given: Events, seed: int) -> Events:
    """Return a shower of each electron that is given."""
    return checkpoint.generate(given, generator=torch.Generator().manual_seed(seed))


def areas(made: Events, truth: Events, dataset: Dataset) -> Row:
    """Return the AUC of all classifiers."""
    samples = [from_events(some, dataset.manifest) for some in (truth, made)]
    return estimates(scorecard(*samples, metrics=("c2st_auc",)), "c2st_auc")


def columns(events: Events, dataset: Dataset) -> Columns:
    """Return what the energy is learned of, and the energy."""
    joined = dataset.manifest.joined(events)
    return {name: joined.columns[name].double().numpy() for name in (*REGRESSED, "energy")}


def closure(made: Columns, truth: Columns) -> Row:
    """Return bias and resolution of the energy, as regressions of both learn it."""
    half = len(truth["energy"]) // 2
    first, second = slice(0, half), slice(half, None)
    return {
        "true by true": resolution(truth, first, truth, second),
        "generated by true": resolution(truth, first, made, second),
        "true by generated": resolution(made, first, truth, second),
    }


def resolution(learned: Columns, some: slice, tested: Columns, others: slice) -> list[float]:
    """Return mean and deviation of the error of ln E, and the deviation's own, of a regression.

    It learns of `some` showers, and is tested on `others`.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    def features(columns: Columns, part: slice) -> Array:
        return np.stack([columns[name][part] for name in REGRESSED], axis=1)

    trees = HistGradientBoostingRegressor(random_state=0)
    trees.fit(features(learned, some), np.log(learned["energy"][some]))
    error = trees.predict(features(tested, others)) - np.log(tested["energy"][others])
    return [float(error.mean()), float(error.std()), float(error.std() / (2 * len(error)) ** 0.5)]


def rates(options: Asked, checkpoint: Checkpoint, dataset: Dataset, seed: int) -> Row:
    """Return how quick the pool, a single shower, and the simulation are."""
    target = join(options.place, "samples", f"benchmark-{options.recipe}-{seed}")
    shutil.rmtree(target, ignore_errors=True)
    n = options.few(options.events, 400)
    energies = {"energy": LogUniformSpectrum(low=EDGES[0], high=EDGES[-1])}
    each_shard = -(-n // SHARDS)
    made = sample(
        checkpoint.uri, n, target, seed=seed, conditions=energies, shard_events=each_shard
    )
    rng = torch.Generator().manual_seed(seed)
    each = dataset.load("test", max_events=options.few(ALONE, 4))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        taken = [
            timed(partial(checkpoint.generate, one, generator=rng))[1] for one in each.split(1)
        ]
    finally:
        torch.set_num_threads(threads)
    spec = DatasetSpec.load(DATASET, (f"source.events={len(each)}", f"shard_events={len(each)}"))
    source = spec.source.open(spec.schema_, spec.conditions, len(each))
    _, simulating = timed(partial(source.shard, 0), time.process_time)
    return {
        "written, the pool": made.manifest.provenance["production"]["steady_events_per_second"],
        "ms, one by one": 1000 * statistics.median(taken),
        "ms, simulated": 1000 * simulating / len(each),
    }
