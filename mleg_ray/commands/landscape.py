"""Draw the surface of a player's loss."""

from typing import TYPE_CHECKING, Annotated

import typer

from mleg_ray.commands.home import refresh
from mleg_ray.commands.options import (
    CheckpointPlace,
    ReportFolder,
    Storage,
    count,
    target_of,
    uri_of,
)
from mleg_ray.console import tell_place

if TYPE_CHECKING:
    from mleg_ray.interpret.landscape import Landscape


def landscape(
    checkpoint: CheckpointPlace,
    player: Annotated[str, typer.Option(help="Whose loss: critic or generator of a GAN, say.")],
    *,
    grid: Annotated[int, typer.Option(help="Points along each direction; odd.")] = 21,
    reach: Annotated[float, typer.Option(help="Farthest step, in the weights' own size.")] = 1.0,
    pairs: Annotated[int, typer.Option(help="Pairs of random directions.")] = 3,
    events: Annotated[
        int, typer.Option(parser=count, metavar="N", help="Validation events.")
    ] = 2000,
    out: ReportFolder = None,
    storage: Storage = None,
    seed: Annotated[int, typer.Option(help="Root seed of events, noise, directions.")] = 1,
) -> "Landscape":
    """Draw the surface of a player's loss around its trained weights, and say how rough it is."""
    from mleg_ray.checkpoint import Checkpoint, run_label
    from mleg_ray.commands.analyses import LANDSCAPE, survey
    from mleg_ray.config import parse
    from mleg_ray.interpret.landscape import LandscapeSpec
    from mleg_ray.storage import join, storage_root

    values = {"player": player, "grid": grid, "reach": reach, "pairs": pairs}
    spec = parse(LandscapeSpec, {**values, "events": events, "seed": seed}, "mleg landscape")
    root, place = storage_root(storage), uri_of(checkpoint)
    target = target_of(out, join(root, "reports", f"landscape-{run_label(place)}-{player}"))
    found = survey(Checkpoint.load(place), spec, root, target)
    refresh(root)
    tell_place(join(target, LANDSCAPE))
    return found
