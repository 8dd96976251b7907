"""Generated top-quark pairs beside true ones: objects, masses, yields, tails, speed, anomalies.

Trains a recipe on ttbar-13tev and generates as many events as the test split has. Samples are told
from it by three classifiers, which see the numbers of objects, up to eight of each kind, missing
momentum and the observables H_T, m_jj, m_bjj, m_lb: the worst area under the ROC curve is quoted,
0.5 being the floor. Beside what is generated stand a bootstrap of the train split, which is true
but for repetitions, and its numbers of objects with independent objects. Then, of the test split
and of each sample in percent, with their difference in standard deviations: events in channels of
the Dark Machines challenge, and beyond what one in a thousand true events exceeds. How much there
is of the truth's peak of W bosons in m_jj comes with its error.

Speed: milliseconds an event, of one process in a call of 1,000, and sustained by the pool from
noise to Parquet, after its start-up; beside those of Pythia and the detector on one core.

With `--anomaly` a second model learns as many generated events. Both score true top quarks of the
test split and top squarks of 300 and 100 GeV by the density of events: areas under their ROC
curves, and how the second's differs from the first's.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.common import tops
from benchmarks.common.options import Training, generated
from benchmarks.common.results import Results, Row, budget, timed
from benchmarks.common.typed_objects import independent
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.commands.options import Events as Number
from mleg_ray.evaluation.metrics.c2st import prepare_auc
from mleg_ray.evaluation.statistics.resampling import RESAMPLES
from mleg_ray.events import Events
from mleg_ray.storage import join
from mleg_ray.training.trainee import Trainee

SQUARKS = "stop-300-100"
CALL = 1000  # events
# In the small form: a model that has learned nothing makes momenta at the edge, of which a second
# one is to learn.
COARSE = ("features.most_outside=1",)


@dataclass(frozen=True, kw_only=True)
class Asked(Training):
    """What is trained, and for how many events speed is measured."""

    recipe: Annotated[str, typer.Argument(help="One on ttbar-13tev.")] = "sequence-ttbar"
    events: Number = 1_000_000
    pairs: Annotated[int, typer.Option(min=1, help="True events that are prepared.")] = 300_000
    simulated: Annotated[int, typer.Option(min=1, help="By Pythia, for speed.")] = 2000
    squarks: Annotated[int, typer.Option(min=1, help="Top squarks, for --anomaly.")] = 50_000
    anomaly: Annotated[
        bool, typer.Option("--anomaly", help="Learn generated events too, and score squarks.")
    ] = False


def measure(options: Asked, results: Results) -> None:
    """Train with each seed, and compare."""
    options.require(options.recipe, dataset=tops.ENTRY)
    dataset = options.prepared(tops.ENTRY, options.pairs)
    test, train = dataset.load("test"), dataset.load("train")
    truth = tops.sample(test, "test split")
    labels = {"recipe": options.recipe, "dataset": dataset.manifest.name}
    for seed in options.seeds:
        rng = np.random.default_rng(seed)
        coarse = COARSE if options.small else ()
        checkpoint = options.trained(options.recipe, seed, *coarse, dataset=dataset)
        drawn = torch.from_numpy(rng.integers(len(train), size=len(test)))
        samples = {
            "generated": generated(checkpoint, len(test), seed),
            "bootstrap of the train split": train[drawn],
            "independent objects": independent(train[drawn], rng.permutation),
        }
        compared = {name: tops.sample(events, name) for name, events in samples.items()}
        for name, events in samples.items():
            own = labels | {"sample": name}
            figures = tops.told(truth, compared[name], seed) | tops.invalid(compared[name])
            results.add(own, figures, seed=seed)
            results.add(
                own | {"of": "W bosons"},
                {"share of the peak": tops.w_peak(truth, compared[name])},
                seed=seed,
            )
            results.add(own | {"of": "channels"}, tops.shares(test, events), seed=seed)
            results.add(own | {"of": "tails"}, tops.tails(truth, compared[name]), seed=seed)
        outside = tops.invalid(truth)
        spent = {"truth " + name: share for name, share in outside.items()} | budget(checkpoint)
        spent.pop("features")
        results.add(labels | {"of": "training"}, spent, seed=seed)
        results.add(labels | {"of": "speed"}, speed(options, checkpoint, seed), seed=seed)
        drawings = {name: one for name, one in compared.items() if "bootstrap" not in name}
        results.draw(tops.picture, truth, drawings)
        results.draw(tops.correlations, truth, compared["generated"], name="correlations")
        if options.anomaly:
            results.add(
                labels | {"of": "anomaly"}, anomaly(options, checkpoint, dataset, seed), seed=seed
            )


def speed(options: Asked, checkpoint: Checkpoint, seed: int) -> Row:
    """Return milliseconds an event of the generator and of Pythia with the detector."""
    generated(checkpoint, CALL, seed)  # what is done once
    _, call = timed(partial(generated, checkpoint, CALL, seed))
    events = options.few(options.events)
    target = join(options.place, "samples", f"benchmark-tops-{seed}")
    shutil.rmtree(target, ignore_errors=True)
    made = sample(checkpoint.uri, events, target, seed=seed)
    provenance = made.manifest.provenance
    steady = provenance["production"]["steady_events_per_second"]
    n = options.few(options.simulated, 10)
    spec = DatasetSpec.load(tops.ENTRY, (f"source.events={n}", f"shard_events={n}"))
    _, simulation = timed(partial(spec.source.open(spec.schema_, spec.conditions, n).shard, 0))
    return {
        f"ms/event, {CALL} in one call": 1e3 * call / CALL,
        "ms/event, sustained": 1e3 / steady if steady else "one shard alone",
        "sampled": events,
        "of what is made, in the selection, %": 100 * provenance["efficiency"]["value"],
        "ms/event, Pythia and detector, one core": 1e3 * simulation / n,
    }


def anomaly(options: Asked, checkpoint: Checkpoint, dataset: Dataset, seed: int) -> Row:
    """Return the area under the ROC curve of both models' densities, and how they differ.

    Errors are those of a bootstrap of the events that are scored.
    """
    validating = dataset.rows("validation")
    target = join(options.place, "samples", f"benchmark-tops-learned-{seed}")
    shutil.rmtree(target, ignore_errors=True)
    number = dataset.rows("train") + validating
    made = sample(checkpoint.uri, number, target, seed=seed + 1, shard_events=validating)
    again = learned_of(checkpoint, made)
    squarks = options.prepared(SQUARKS, options.squarks).load("test")
    tested = Events.concatenate([dataset.load("test")[: len(squarks)], squarks])
    signal = torch.arange(len(tested)) >= len(tested) - len(squarks)
    areas = [prepare_auc(-one.log_density(tested).numpy()) for one in (checkpoint, again)]
    rng = np.random.default_rng(seed)
    weights = [np.ones(len(tested)), *rng.poisson(1.0, (RESAMPLES, len(tested)))]
    found = np.array(
        [[area(w * ~signal.numpy(), w * signal.numpy()) for area in areas] for w in weights]
    )
    difference = found[:, 1] - found[:, 0]
    return {
        "AUC, trained on true events": [found[0, 0], found[1:, 0].std(ddof=1)],
        "AUC, trained on generated events": [found[0, 1], found[1:, 1].std(ddof=1)],
        "difference": [difference[0], difference[1:].std(ddof=1)],
    }


def learned_of(checkpoint: Checkpoint, made: Dataset) -> Checkpoint:
    """Return a model that has learned generated events, of which the last shard validates."""
    *train, last = made.manifest.shards
    own = [shard.model_copy(update={"split": "train"}) for shard in train]
    shards = (*own, last.model_copy(update={"split": "validation"}))
    dataset = Dataset(made.uri, made.manifest.model_copy(update={"shards": shards}))
    trainee = Trainee.alone(
        checkpoint.run,
        dataset,
        environment=checkpoint.card.environment,
        device=checkpoint.device,
    )
    for _ in trainee.train():
        pass
    best = trainee.best()
    assert best is not None
    return best
