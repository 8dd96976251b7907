"""Look into a hidden layer."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import CheckpointPlace, Events, Storage, target_of, uri_of
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.interpret.latent import Latent


def latent(
    checkpoint: CheckpointPlace,
    player: Annotated[str, typer.Option(help="generator or critic.")],
    layer: Annotated[int, typer.Option(help="Hidden layer, counted from 1.")],
    *,
    events: Events = 2000,
    truth: Annotated[
        str | None,
        typer.Option(
            help="True events, or for the generator their conditions: DATASET, or DATASET:SPLIT; "
            "the validation split of what it was trained on, else."
        ),
    ] = None,
    perplexity: Annotated[float, typer.Option(help="Of t-SNE.")] = 100.0,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of t-SNE.", show_default="by the number of events")
    ] = None,
    iterations: Annotated[int, typer.Option(help="Of t-SNE.")] = 1000,
    eps: Annotated[float, typer.Option(help="Of DBSCAN, in the plane of t-SNE.")] = 2.0,
    min_samples: Annotated[int, typer.Option(help="Of DBSCAN.")] = 20,
    out: Annotated[str | None, typer.Option(help="Folder of the results.")] = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of events, noise and t-SNE.")] = 1,
) -> "Latent":
    """Look into a hidden layer: principal components, t-SNE, clusters, and what they separate."""
    from mleg_ray.catalog.dataset import Dataset
    from mleg_ray.checkpoint import Checkpoint, run_label
    from mleg_ray.commands.analyses import look
    from mleg_ray.config import parse
    from mleg_ray.interpret.latent import LatentSpec
    from mleg_ray.storage import join, storage_root

    values = {"player": player, "layer": layer, "events": events, "seed": seed}
    embedding = {
        "perplexity": perplexity,
        "learning_rate": learning_rate,
        "iterations": iterations,
    }
    clustering = {"eps": eps, "min_samples": min_samples}
    spec = parse(LatentSpec, values | embedding | clustering, "mleg latent")
    root, place = storage_root(storage), uri_of(checkpoint)
    name = f"latent-{run_label(place)}-{player}-{layer}"
    target = target_of(out, join(root, "reports", name))
    by = Dataset.find(root, truth) if truth else None
    found = look(Checkpoint.load(place), spec, root, target, by)
    refresh(root)
    tell_place(target)
    return found
