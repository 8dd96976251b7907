"""Files of the user's own that sources read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mleg_ray.config import Config
from mleg_ray.errors import DataError
from mleg_ray.storage import absolute, exists, is_remote, join, matching, sha256_of, size

ROOT_VARIABLE = "MLEG_IMPORT_ROOT"


class InputFiles(Config):
    """One file, or all that a glob pattern matches, and what is constant in them.

    `constants` are in the schema's units: a beam energy that only the file's name tells, say.
    """

    path: str
    constants: dict[str, float] = {}


@dataclass(frozen=True)
class Input:
    """One file to read, and the entry of the catalog that names it."""

    uri: str
    entry: InputFiles

    def provenance(self) -> dict[str, Any]:
        """Return the file's path as the catalog names it, its size and its SHA-256."""
        told = {"path": self.entry.path, "name": self.uri.rsplit("/", 1)[-1]}
        return told | {"bytes": size(self.uri), "sha256": sha256_of(self.uri)}


def inputs(files: Sequence[InputFiles], root: str | None) -> list[Input]:
    """Return all files, those of a pattern sorted by name.

    Relative paths start at `root`, else at the environment's `MLEG_IMPORT_ROOT`, else at the
    working directory. Raises `DataError` if one is absent.
    """
    start = absolute(root or os.environ.get(ROOT_VARIABLE) or ".")
    return [Input(uri, entry) for entry in files for uri in _matches(start, entry.path)]


def _matches(root: str, path: str) -> list[str]:
    place = path if is_remote(path) else join(root, path)
    found = [place] if exists(place) else matching(place)
    if not found:
        raise DataError(
            f"{place}: no such file; name the folder of the input files with "
            f"--set source.root=FOLDER or the environment variable {ROOT_VARIABLE}"
        )
    return found
