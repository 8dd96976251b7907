"""The main job, end to end: events, training, a generated dataset, and the proof of its worth."""

import time

from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster.evaluate import evaluate, report_folder
from mleg_ray.cluster.prepare import prepare
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.session import ray_session
from mleg_ray.cluster.train import run_name, train
from mleg_ray.console import say
from mleg_ray.run import RunConfig
from mleg_ray.storage import join

SEED = 1
SHARD_EVENTS = 100_000  # ten shards of the million, so that several workers share them


def quickstart(storage: str, recipe: str, events: int) -> None:
    """Prepare a recipe's dataset, train, sample `events` events and evaluate them.

    Every stage keeps what is there already, so the same call completes an interrupted one.
    """
    started = time.monotonic()
    run = RunConfig.load(recipe)
    spec = DatasetSpec.load(run.dataset)
    with ray_session():
        _stage(1, f"Events of {spec.name}: {spec.description}")
        dataset = prepare(spec, storage)
        _stage(2, f"Training {recipe} on {dataset.rows('train'):,} events")
        checkpoint = train(run, dataset, storage, name=run_name(recipe, run, dataset))
        say(f"Best snapshot: step {checkpoint.card.step}, {checkpoint.uri}")
        _stage(3, f"Sampling {events:,} events")
        target = default_target(storage, checkpoint.uri, events, SEED)
        generated = sample(checkpoint.uri, events, target, seed=SEED, shard_events=SHARD_EVENTS)
        _stage(4, f"Judging them by the {dataset.rows('test'):,} events of the test split")
        report = report_folder(storage, [generated.uri], dataset, "test")
        evaluate(generated.uri, dataset, "test", report, seed=SEED)
    say(f"Finished in {time.monotonic() - started:.0f} s.")
    say(f"Dataset: {generated.uri}")
    say(f"Report:  {join(report, 'report.html')}")


def _stage(number: int, title: str) -> None:
    say(f"\n{number}/4 {title}", style="bold")
