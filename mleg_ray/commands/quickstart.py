"""Run the main job: events, training, a generated dataset, and the proof of its worth."""

from typing import Annotated

import typer

from mleg_ray.commands.options import Events, Storage, recipe_names
from mleg_ray.commands.produce import produce
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

    if events > (most := MAX_SHARDS * SHARD_EVENTS):
        raise ConfigError(
            f"--events {events}: at most {most:,}; `mleg produce {recipe} --events N` makes larger "
            "shards"
        )
    produce(recipe, events, storage=storage, shard_events=SHARD_EVENTS)
