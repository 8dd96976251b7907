"""What several commands ask for, and how their answers are read from a command line."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from mleg_ray.errors import ConfigError

MOST = 10**15  # events: more than any storage holds


class Located(Protocol):
    """What lies in a folder: a `Dataset`, a `Checkpoint`."""

    @property
    def uri(self) -> str:
        """The folder."""


if TYPE_CHECKING:
    Place = str | Path | Located
else:  # a command line has texts only
    Place = str


def uri_of(place: Place) -> str:
    """Return the URI of what is named by it, by its path or by itself.

    Raises:
        ConfigError: it is an empty text.
    """
    from mleg_ray.storage import absolute

    text = str(getattr(place, "uri", place))
    if not text.strip():
        raise ConfigError(f"{text!r}: names no folder; give a path or URI, or leave the option out")
    return absolute(text)


def target_of(out: str | None, usual: str) -> str:
    """Return the URI of the folder that `--out` names, or the `usual` one without it.

    Raises as `uri_of` does.
    """
    return uri_of(usual if out is None else out)


def count(text: str) -> int:
    """Read a number of events: 1000000, 1_000_000 or 1e6."""
    try:
        value = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number") from None
    if not math.isfinite(value) or value != int(value):
        raise typer.BadParameter(f"{text!r} is not a whole number")
    if abs(value) > MOST:
        raise typer.BadParameter(f"{text!r}: at most {MOST:.0e}")
    return int(value)


def workers(text: str) -> int | None:
    """Read a number of workers; None for `auto`, as many as the cluster has or may start."""
    if text == "auto":
        return None
    number = count(text)
    if number < 1:
        raise typer.BadParameter(f"{text!r}: at least one is needed")
    return number


def size(text: str) -> int:
    """Read a size in bytes: 50MB, 200_000kB or 1GB."""
    units = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
    unit = units.get(text[-2:])
    if unit is None:
        raise typer.BadParameter(f"{text!r} has no unit: write kB, MB or GB, as in 50MB")
    number = count(text[:-2].strip())
    if number < 1:
        raise typer.BadParameter(f"{text!r}: a file has at least a byte")
    return number * unit


def assigned(assignments: Sequence[str], option: str = "--condition") -> dict[str, str]:
    """Read what an option gives as NAME=TEXT.

    Raises:
        ConfigError: a name is given twice.
    """
    found: dict[str, str] = {}
    for assignment in assignments:
        name, _, text = (part.strip() for part in assignment.partition("="))
        if name in found:
            raise ConfigError(
                f"{option} {name}: given as {found[name]} and as {text}; give it once"
            )
        found[name] = text
    return found


def recipe_names(incomplete: str) -> list[str]:
    """Complete the name of a recipe."""
    return _named("tuning", incomplete)


def dataset_names(incomplete: str) -> list[str]:
    """Complete the name of a dataset of the catalog."""
    return _named("data_catalog", incomplete)


def checkpoints(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the place of a run's checkpoint."""
    return _below_root("runs/*/checkpoint", context, incomplete)


def samples(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the place of a sample."""
    return _below_root("samples/*", context, incomplete)


def _named(folder: str, incomplete: str) -> list[str]:
    from mleg_ray.config import known_names

    return [name for name in known_names(folder) if name.startswith(incomplete)]


def _below_root(pattern: str, context: typer.Context, incomplete: str) -> list[str]:
    """Complete what lies in a storage root on this machine, and folders anywhere."""
    from mleg_ray.storage import is_remote, storage_root

    root, here = storage_root(context.params.get("storage")), f"{Path.cwd()}/"
    typed = Path(incomplete)
    near = typed.parent.glob(f"{typed.name}*") if incomplete else iter(())
    found = [str(place) for place in near if place.is_dir()]
    if not is_remote(root):
        places = map(str, Path(root).glob(pattern))
        found += [p if incomplete.startswith("/") else p.removeprefix(here) for p in places]
    return sorted({place for place in found if place.startswith(incomplete)})


Storage = Annotated[
    str | None,
    typer.Option(help="Root of datasets, runs and samples; also s3://.", envvar="MLEG_STORAGE"),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override one value: section.key=value; repeatable."),
]
Events = Annotated[int, typer.Option(parser=count, metavar="N", help="Events, such as 1e6.")]
PoolSize = Annotated[
    int | None,
    typer.Option(parser=workers, metavar="N|auto", help="Parallel workers.", show_default="auto"),
]
CheckpointPlace = Annotated[
    Place, typer.Argument(help="A checkpoint's directory or URI.", autocompletion=checkpoints)
]
DatasetPlace = Annotated[
    Place,
    typer.Argument(help="A prepared or generated dataset's folder or URI.", autocompletion=samples),
]
Target = Annotated[str | None, typer.Option(help="Where the dataset goes; also s3://.")]
ReportFolder = Annotated[str | None, typer.Option(help="Folder of the report.")]
