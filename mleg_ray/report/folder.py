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
    is_vacant,
    join,
    remove_folder,
    remove_partials,
    require_writable,
)

ANALYSIS = "analysis.json"

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

    Results of an analysis that is there, also of a killed one, are removed; no other file is.

    Raises:
        ConfigError: the folder holds other files and no `analysis.json`, or one of something else.
        DataError: its `analysis.json` is damaged.
        ResourceError: nothing can be written there.
    """
    old = _results_there(folder)
    require_writable(folder)
    remove_partials(folder)
    for name in old:
        remove_folder(join(folder, name))
    write_json(join(folder, ANALYSIS), analysis.model_dump(mode="json"))


def _results_there(folder: str) -> tuple[str, ...]:
    place, mend = join(folder, ANALYSIS), "choose another --out"
    if exists(place):
        content = read_json(place, mend)
        try:
            return parse(Analysis, content, place).results
        except ConfigError:
            raise ConfigError(f"{place}: of no analysis that this version makes; {mend}") from None
    if not is_vacant(folder):
        raise ConfigError(f"{folder}: holds other files and no {ANALYSIS}; {mend}")
    return ()
