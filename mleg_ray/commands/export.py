"""Write a checkpoint as one file for other programs."""

from typing import Annotated, Literal

import typer

from mleg_ray.commands.options import CheckpointPlace, target_of, uri_of
from mleg_ray.console import tell_place


def export(
    checkpoint: CheckpointPlace,
    to: Annotated[
        Literal["onnx", "torchscript", "cpp"],
        typer.Option(help="onnx, torchscript or cpp: a header without dependencies."),
    ],
    *,
    out: Annotated[
        str | None,
        typer.Option(help="The file; also s3://.", show_default="the run's name, in this folder"),
    ] = None,
) -> str:
    """Write a checkpoint as one file that makes physical events of noise and conditions."""
    from mleg_ray.checkpoint import Checkpoint
    from mleg_ray.exporting.generation import Generation
    from mleg_ray.exporting.targets import TARGETS
    from mleg_ray.storage import write_bytes

    generation = Generation(Checkpoint.load(uri_of(checkpoint)))
    target = TARGETS[to]
    place = target_of(out, f"{generation.card.name}{target.suffix}")
    write_bytes(place, target.write(generation))
    tell_place(place)
    return place
