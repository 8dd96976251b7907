"""Run the main job: events, training, a generated dataset, and the proof of its worth."""

import time
from typing import Annotated

import typer

from mleg_ray.commands.evaluate import evaluate
from mleg_ray.commands.options import Events, Storage, recipe_names
from mleg_ray.commands.prepare import prepare
from mleg_ray.commands.sample import sample
from mleg_ray.commands.train import train
from mleg_ray.console import say
from mleg_ray.errors import ConfigError

SHARD_EVENTS = 100_000  # ten shards of the million, so that several workers share them


def quickstart(
    *,
    storage: Storage = None,
    events: Events = 1_000_000,
    recipe: Annotated[
        str, typer.Option(help="A recipe of tuning/, or a TOML file.", autocompletion=recipe_names)
    ] = ("fatgan-quick"),
) -> None:
    """Run the main job: prepare, train, sample, evaluate; again completes what is missing."""
    from mleg_ray.catalog.sources.base import MAX_SHARDS
    from mleg_ray.catalog.spec import DatasetSpec
    from mleg_ray.cluster.session import ray_session
    from mleg_ray.commands.judging import report_folder
    from mleg_ray.report.html import REPORT
    from mleg_ray.run import RunConfig
    from mleg_ray.storage import join, storage_root

    started = time.monotonic()
    run = RunConfig.load(recipe)
    spec = DatasetSpec.load(run.dataset)
    if events < 1:
        raise ConfigError(
            f"--events {events}: at least one is needed, as in `mleg quickstart --events 1e6`"
        )
    if events > (most := MAX_SHARDS * SHARD_EVENTS):
        raise ConfigError(
            f"--events {events}: at most {most:,}; `mleg sample CHECKPOINT` makes larger shards"
        )
    if varying := spec.schema_.varying(spec.conditions):
        raise ConfigError(
            f"{recipe}: {', '.join(varying)} of {spec.name} varies from event to event, and the "
            f"main job has one value of each; take another recipe, or go on with `mleg prepare "
            f"{run.dataset}`, `mleg train {recipe}`, and `mleg sample CHECKPOINT`, which takes "
            "--condition"
        )
    with ray_session():
        _stage(1, f"Events of {spec.name}: {spec.description}")
        dataset = prepare(run.dataset, storage=storage)
        _stage(2, f"Training {recipe} on {dataset.rows('train'):,} events")
        checkpoint = train(recipe, storage=storage)
        say(f"Best snapshot: step {checkpoint.card.step}, {checkpoint.uri}")
        _stage(3, f"Sampling {events:,} events")
        generated = sample(checkpoint, events, storage=storage, shard_events=SHARD_EVENTS)
        assert generated is not None
        _stage(4, f"Judging them by the {dataset.rows('test'):,} events of the test split")
        report = report_folder(storage_root(storage), [generated.uri], dataset, "test")
        evaluate(generated, out=report, storage=storage)
    say(f"Finished in {time.monotonic() - started:.0f} s.")
    say(f"Dataset: {generated.uri}")
    say(f"Report:  {join(report, REPORT)}")


def _stage(number: int, title: str) -> None:
    say(f"\n{number}/4 {title}", style="bold")
