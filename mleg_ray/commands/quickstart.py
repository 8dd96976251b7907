"""Run the main job."""

from typing import Annotated

import typer

from mleg_ray.commands.options import Events, Storage


def quickstart(
    *,
    storage: Storage = None,
    events: Events = 1_000_000,
    recipe: Annotated[str, typer.Option(help="A recipe of tuning/, or a TOML file.")] = (
        "fatgan-quick"
    ),
) -> None:
    """Run the main job: prepare, train, sample, evaluate; again completes what is missing."""
    from mleg_ray.cluster.quickstart import quickstart
    from mleg_ray.storage import storage_root

    quickstart(storage_root(storage), recipe, events)
