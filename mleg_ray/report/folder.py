"""The folder of an analysis, whose first file, `analysis.json`, says what is computed into it.

So a folder of the user's own files is never written into, and what a killed analysis left is known.
"""

from typing import Annotated, Any, Literal

from pydantic import Field as Option

from mleg_ray.catalog.dataset import read_json, write_json
from mleg_ray.config import Config, parse
from mleg_ray.errors import ConfigError
from mleg_ray.storage import (
    exists,
    join,
    remove_folder,
    remove_partials,
    require_vacant,
    require_writable,
)

ANALYSIS = "analysis.json"
MEND = "choose another --out"

Name = Annotated[str, Option(pattern=r"^[^/.][^/]*$")]  # of what lies in the folder, never outside


class Analysis(Config):
    """The content of analysis.json: what is computed of which checkpoint, named by its digest.

    `results` are the names of the files and folders that come of it.
    """

    format_version: Literal[1] = 1
    kind: Literal["landscape", "latent"]
    spec: dict[str, Any]
    checkpoint: str
    results: tuple[Name, ...]


def claim(folder: str, analysis: Analysis) -> None:
    """Make a folder an analysis's own, before anything long is computed.

    An analysis of the same kind that is there, also a killed one, stays until `renew`.

    Raises:
        ConfigError: the folder holds other files and no `analysis.json`, or one of something else.
        DataError: its `analysis.json` is damaged.
        ResourceError: nothing can be written there.
    """
    there = _there(folder)
    if there and there.kind != analysis.kind:
        raise ConfigError(f"{folder}: holds an analysis of kind '{there.kind}'; {MEND}")
    require_writable(folder)
    remove_partials(folder)
    if not there:
        _write(folder, analysis)


def renew(folder: str, analysis: Analysis) -> None:
    """Remove the results that lie in a claimed folder, and no other file, now that there are new.

    Raises:
        ResourceError: nothing can be removed or written there.
    """
    there = _there(folder)
    for name in there.results if there else ():
        remove_folder(join(folder, name))
    _write(folder, analysis)


def _write(folder: str, analysis: Analysis) -> None:
    write_json(join(folder, ANALYSIS), analysis.model_dump(mode="json"))


def _there(folder: str) -> Analysis | None:
    place = join(folder, ANALYSIS)
    if exists(place):
        content = read_json(place, MEND)
        try:
            return parse(Analysis, content, place)
        except ConfigError:
            raise ConfigError(f"{place}: of no analysis that this version makes; {MEND}") from None
    require_vacant(folder, ANALYSIS)
    return None
