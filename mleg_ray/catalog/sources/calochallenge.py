"""Import showers of the Fast Calorimeter Simulation Challenge."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field as Option

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.formats.calochallenge import (
    ENERGIES,
    SHOWERS,
    UNIT,
    Layer,
    Showers,
    layers_of,
    listed,
)
from mleg_ray.catalog.sources.base import SOURCES, SourceConfig
from mleg_ray.catalog.sources.files import FileStretches, Input, InputFiles, inputs, unpacked
from mleg_ray.catalog.sources.images import Found, Scan
from mleg_ray.catalog.sources.readers import DAMAGES
from mleg_ray.errors import DataError, UserError, library
from mleg_ray.events import EventSchema, conversion
from mleg_ray.storage import read_bytes

VOXELS_AT_ONCE = 10_000_000  # of a file, in memory


@SOURCES.register
class CaloChallengeConfig(SourceConfig):
    """Showers in the layers of a calorimeter, given the incident energy.

    The dataset has one condition, the incident energy, and images that take the layers with voxels
    in their order, see `mleg_ray.catalog.formats.calochallenge`: of a single layer, (α, r), or of
    several of one shape, (layers, α, r). `geometry` is the path of the XML file that tells how many
    sectors and rings each layer has; where their edges lie goes into the dataset's record. A shard
    is a stretch of a file, so that of files of any size one is in memory. Energies below zero are
    refused unless `negative` says to keep them. Relative paths start at `root`, else at the
    environment's `MLEG_IMPORT_ROOT`.
    """

    kind: Literal["calochallenge"] = "calochallenge"
    files: tuple[InputFiles, ...] = Option(min_length=1)
    geometry: str
    negative: Literal["keep"] | None = None
    root: str | None = Option(default=None, exclude=True)

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the fields are images and an energy, not fixed."""
        Showers.of(schema.without(conditions))

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "CaloChallengeFiles":
        """Find the files and read the geometry; `DataError` if it is not that of the fields."""
        [xml] = inputs((InputFiles(path=self.geometry),), self.root)
        layers = layers_of(read_bytes(xml.uri), xml.uri)
        shapes = [layer.shape for layer in layers]
        showers = Showers.of(schema)
        if shapes != showers.layers:
            raise DataError(
                f"{xml.uri}: another geometry than that of the fields: it has {listed(shapes)}, "
                f"the images {', '.join(f.name for f in showers.images)} have "
                f"{listed(showers.layers)} (sectors x rings of each layer); change source.geometry "
                "or the shapes of the fields"
            )
        files = inputs(self.files, self.root)
        return CaloChallengeFiles(self, files, xml, layers, schema, shard_events)


class CaloChallengeFiles(FileStretches):
    """Stretches of HDF5 files."""

    def __init__(
        self,
        config: CaloChallengeConfig,
        files: Sequence[Input],
        xml: Input,
        layers: Sequence[Layer],
        schema: EventSchema,
        shard_events: int,
    ) -> None:
        super().__init__(files, shard_events)
        self._config = config
        self._xml = xml
        self._layers = layers
        self._schema = schema
        self._showers = Showers.of(schema)

    def provenance(self) -> dict[str, Any]:
        """Return what is known of the files, and the geometry: the layers' rings and sectors."""
        layers = [layer.model_dump(mode="json") for layer in self._layers]
        return super().provenance() | {"geometry": self._xml.provenance() | {"layers": layers}}

    def examine(self, file: Input) -> Found:
        """Check all showers; `DataError` if they are of another geometry, or cannot be."""
        scan = Scan(
            file.uri, self._schema, {}, self._showers.incident, negative=bool(self._config.negative)
        )
        with self._opened(file.uri) as content:
            events, voxels = content[SHOWERS].shape
            step = max(1, VOXELS_AT_ONCE // voxels)
            for start in range(0, events, step):
                scan.see(self._columns(content, start, min(start + step, events)))
        return scan.conclude()

    def read(self, file: Input, start: int, stop: int) -> Columns:
        """Return the showers of a stretch of a file."""
        with self._opened(file.uri) as content:
            return self._columns(content, start, stop)

    def _columns(self, content: Mapping[str, Any], start: int, stop: int) -> Columns:
        images = self._showers.split(content[SHOWERS][start:stop])
        columns = images | {self._showers.incident.name: content[ENERGIES][start:stop, 0]}
        scales = {f.name: conversion(UNIT, f.unit, f.name) for f in self._schema.fields}
        return {
            name: values if scales[name] == 1 else values * np.float64(scales[name])
            for name, values in columns.items()
        }

    @contextlib.contextmanager
    def _opened(self, uri: str) -> Iterator[Mapping[str, Any]]:
        """Give the block the two datasets of a file; `DataError` if it is damaged or another."""
        h5py = library("h5py", f"{uri}: HDF5")
        with unpacked(uri) as (stream, _):
            try:
                with h5py.File(stream, "r") as file:
                    self._require_showers(uri, file)
                    yield file
            except UserError:
                raise
            except DAMAGES as error:
                raise DataError(f"{uri}: not a whole HDF5 file: {error}") from None

    def _require_showers(self, uri: str, file: Mapping[str, Any]) -> None:
        if not all(_is_of_numbers(file.get(name)) for name in (ENERGIES, SHOWERS)):
            raise DataError(
                f"{uri}: no file of the CaloChallenge: it needs the datasets {ENERGIES} and "
                f"{SHOWERS} of real numbers, and has {', '.join(file) or 'none'}"
            )
        energies, showers = file[ENERGIES].shape, file[SHOWERS].shape
        if len(showers) != 2 or energies != (showers[0], 1):
            raise DataError(
                f"{uri}: {ENERGIES} has the shape {energies} and {SHOWERS} {showers}, not (N, 1) "
                "and (N, voxels) of as many events; the file is truncated, or written otherwise"
            )
        layers = self._showers.layers
        if showers[1] != sum(map(math.prod, layers)):
            raise DataError(
                f"{uri}: showers of {showers[1]:,} voxels, and {self._xml.uri} has "
                f"{listed(layers)}: they are of another geometry; name theirs in "
                "source.geometry"
            )


def _is_of_numbers(member: Any) -> bool:  # noqa: ANN401 - what a file of HDF5 has
    """Tell whether a member of a file is an array of real numbers, and no group or empty place."""
    return getattr(member, "shape", None) is not None and member.dtype.kind in "fiu"
