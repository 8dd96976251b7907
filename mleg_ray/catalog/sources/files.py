"""Files of the user's own that sources read."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import Source, cut
from mleg_ray.catalog.sources.images import Found, constant
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


class FileStretches(Source):
    """One stratum a file; a shard is a stretch of one, in its order, so that nothing is drawn.

    Splits take turns along the file.
    """

    def __init__(self, files: Sequence[Input], shard_events: int) -> None:
        self._inputs = files
        self._shard_events = shard_events
        self._found: list[Found] = []
        self._rows: list[list[int]] = []

    @abstractmethod
    def examine(self, file: Input) -> Found:
        """Read a file through and check all of its events; `DataError` of what is wrong."""

    @abstractmethod
    def read(self, file: Input, start: int, stop: int) -> Columns:
        """Return the events of a file from `start` to `stop` in the units of the schema."""

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a file; every file is read and checked."""
        if not self._rows:
            self._found = [self.examine(file) for file in self._inputs]
            self._rows = [cut(found.events, self._shard_events) for found in self._found]
        return self._rows

    def shard(self, index: int) -> Columns:
        """Return the events of one stretch of a file."""
        stratum, number = self.locate(index)
        rows = self._rows[stratum]
        start = sum(rows[:number])
        return self.read(self._inputs[stratum], start, start + rows[number])

    def seed(self, index: int) -> int:
        """Return 0: nothing is drawn."""
        return 0

    def provenance(self) -> dict[str, Any]:
        """Return each file's path as the catalog names it, its size and SHA-256."""
        return {"files": [file.provenance() for file in self._inputs]}

    def constants(self) -> dict[str, tuple[float, float]]:
        """Return the conditions that are the same in all events of all files."""
        return constant(self._found)
