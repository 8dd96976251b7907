"""Import the user's own tables of events: text, Parquet, NumPy or HDF5, local or remote."""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import NonNegativeInt

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig, cut
from mleg_ray.catalog.sources.readers import FileFormat, Key, read_table
from mleg_ray.catalog.units import conversion
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import EventSchema, Unit
from mleg_ray.randomness import derive_seed
from mleg_ray.storage import (
    absolute,
    exists,
    is_remote,
    join,
    matching,
    read_bytes,
    sha256,
    size,
    version,
)

ROOT_VARIABLE = "MLEG_IMPORT_ROOT"


class Column(Config):
    """Where a field's numbers stand, by the column's name or its number from 0, and their unit."""

    column: NonNegativeInt | str
    unit: Unit = "1"


class InputFiles(Config):
    """One file, or all that a glob pattern matches, and what is constant in them.

    `constants` are in the schema's units: a beam energy that only the file's name tells, say.
    """

    path: str
    constants: dict[str, float] = {}


@SOURCES.register
class ImportConfig(SourceConfig):
    """Columns of files become fields of events.

    Relative paths start at `root`, else at the environment's `MLEG_IMPORT_ROOT`, else at the
    working directory; each may be a URI. Where the files lie is not part of what a dataset is, so
    `root` enters no digest and no record. Each file's events are shuffled by `seed`, so that
    neither shards nor splits inherit the file's order; a file must fit into memory.
    """

    kind: Literal["import"] = "import"
    files: tuple[InputFiles, ...] = Option(min_length=1)
    columns: dict[str, Column]
    format: FileFormat = FileFormat()
    seed: int
    root: str | None = Option(default=None, exclude=True)

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless each stored field has exactly one origin of a fitting unit."""
        units = {field.name: field.unit for field in schema.fields}
        stored = {name for name in units if name not in conditions}
        for files in self.files:
            origins = [*self.columns, *files.constants]
            missing, unknown = stored - set(origins), set(origins) - stored
            if missing or unknown or len(set(origins)) < len(origins):
                raise ConfigError(
                    f"columns: with the constants of {files.path} they must name each of "
                    f"{', '.join(sorted(stored))} once; they name {', '.join(sorted(origins))}"
                )
        taken: dict[int | str, str] = {}
        for name, column in self.columns.items():
            conversion(column.unit, units[name], f"columns.{name}")
            other = taken.setdefault(column.column, name)
            if other != name:
                raise ConfigError(f"columns: {other} and {name} both read column {column.column!r}")

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "Tables":
        """Find the files; `DataError` if some are absent."""
        self.check(schema, conditions)
        units = {field.name: field.unit for field in schema.fields}
        scales = {
            name: conversion(column.unit, units[name], name)
            for name, column in self.columns.items()
        }
        root = absolute(self.root or os.environ.get(ROOT_VARIABLE) or ".")
        inputs = [Input(uri, files) for files in self.files for uri in _matches(root, files.path)]
        return Tables(self, inputs, scales, shard_events)


@dataclass(frozen=True)
class Input:
    """One file to read, and the entry of the catalog that names it."""

    uri: str
    entry: InputFiles


class Tables(Source):
    """One stratum a file; each process keeps the last file it read."""

    def __init__(
        self,
        config: ImportConfig,
        inputs: Sequence[Input],
        scales: Mapping[str, float],
        shard_events: int,
    ) -> None:
        self._config = config
        self._inputs = inputs
        self._scales = scales
        self._shard_events = shard_events
        self._digests: list[str] = []
        self._rows: list[list[int]] = []

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a file; every file is read and checked."""
        if not self._rows:
            self._rows = [cut(self._n_rows(file), self._shard_events) for file in self._inputs]
        return self._rows

    def shard(self, index: int) -> Columns:
        """Return one slice of a file's shuffled events."""
        stratum, number = self.locate(index)
        file = self._inputs[stratum]
        rows = self._rows[stratum]
        table = self._read(file)
        order = np.random.default_rng(self.seed(index)).permutation(sum(rows))
        start = sum(rows[:number])
        chosen = order[start : start + rows[number]]
        columns = {name: table[name][chosen] * scale for name, scale in self._scales.items()}
        constants = {
            name: np.full(len(chosen), value) for name, value in file.entry.constants.items()
        }
        return columns | constants

    def seed(self, index: int) -> int:
        """Return the seed that shuffles the file which shard `index` is a slice of."""
        return derive_seed(self._config.seed, "import", self.locate(index)[0])

    def provenance(self) -> dict[str, Any]:
        """Return each file's path as the catalog names it, its size and its SHA-256."""
        if not self._digests:
            self._digests = [sha256(read_bytes(file.uri)) for file in self._inputs]
        files = [
            {
                "path": file.entry.path,
                "name": file.uri.rsplit("/", 1)[-1],
                "bytes": size(file.uri),
                "sha256": digest,
            }
            for file, digest in zip(self._inputs, self._digests, strict=True)
        ]
        return {"files": files, "seed": self._config.seed}

    def _n_rows(self, file: Input) -> int:
        rows = len(next(iter(self._read(file).values())))
        if not rows:
            raise DataError(f"{file.uri}: no events")
        return rows

    def _read(self, file: Input) -> Mapping[str, NDArray[np.float64]]:
        keys = {name: column.column for name, column in self._config.columns.items()}
        table = _read_cached(file.uri, version(file.uri), tuple(keys.values()), self._config.format)
        return {name: table[key] for name, key in keys.items()}


@functools.lru_cache(maxsize=1)
def _read_cached(
    uri: str, _version: str, keys: tuple[Key, ...], file_format: FileFormat
) -> Mapping[Key, NDArray[np.float64]]:
    return read_table(uri, keys, file_format)


def _matches(root: str, path: str) -> list[str]:
    """Return the files of a path or pattern below the root, sorted by name."""
    place = path if is_remote(path) else join(root, path)
    found = [place] if exists(place) else matching(place)
    if not found:
        raise DataError(
            f"{place}: no such file; name the folder of the input files with "
            f"--set source.root=FOLDER or the environment variable {ROOT_VARIABLE}"
        )
    return found
