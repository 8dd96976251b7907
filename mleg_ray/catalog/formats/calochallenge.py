"""Showers as the Fast Calorimeter Simulation Challenge has them.

An HDF5 file has `incident_energies` (N, 1) and `showers` (N, voxels), in MeV. Layers stand behind
each other, each of rings in r and sectors in α: r runs fastest, then α, then the layer. How many
rings and sectors a layer has is written in an XML file.

Source: C. Krause et al., CaloChallenge 2022, arXiv:2410.21611, section 2, and the challenge's own
readers at calochallenge.github.io/homepage.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import HEADER, Format, header
from mleg_ray.config import Config, parse
from mleg_ray.errors import ConfigError, DataError, library
from mleg_ray.events import UNITS, EventSchema, Field, Unit, conversion

ENERGIES, SHOWERS = "incident_energies", "showers"
UNIT: Unit = "MeV"


class Layer(Config):
    """One layer of an XML file: its number, edges of its rings in r (mm), and its sectors in α."""

    id: int
    r_edges: tuple[float, ...]
    n_bin_alpha: int

    @property
    def shape(self) -> tuple[int, int]:
        """Its sectors and rings."""
        return self.n_bin_alpha, len(self.r_edges) - 1


def layers_of(text: bytes, place: str) -> tuple[Layer, ...]:
    """Return the layers of an XML file that have voxels; `DataError` if it is none."""
    try:
        root = ElementTree.fromstring(text)
        layers = tuple(
            parse(
                Layer,
                {
                    "id": int(element.attrib["id"]),
                    "r_edges": tuple(float(edge) for edge in element.attrib["r_edges"].split(",")),
                    "n_bin_alpha": int(element.attrib["n_bin_alpha"]),
                },
                "Layer",
            )
            for element in root.iter("Layer")
        )
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"{place}: no geometry of the CaloChallenge: {error}") from None
    for layer in layers:
        if any(b <= a for a, b in itertools.pairwise(layer.r_edges)):
            raise DataError(f"{place}: layer {layer.id}: r_edges do not ascend: {layer.r_edges}")
    filled = tuple(layer for layer in layers if math.prod(layer.shape) > 0)
    if not filled:
        raise DataError(f"{place}: no geometry of the CaloChallenge: it has no layer with voxels")
    return filled


@dataclass(frozen=True)
class Showers:
    """The fields of a dataset that showers fill: the incident energy, and images of the layers.

    An image is of one layer, (α, r), or of several of one shape behind each other, (layers, α, r).
    """

    incident: Field
    images: tuple[Field, ...]

    @staticmethod
    def of(schema: EventSchema) -> "Showers":
        """Find the fields; `ConfigError` if there are others, or not all of them."""
        given = [f for f in schema.fields if f.role == "condition"]
        if [UNITS[f.unit][0] for f in given] != ["energy"]:
            names = ", ".join(f"{f.name} [{f.unit}]" for f in given) or "none"
            raise ConfigError(
                "fields: showers need one condition, the incident energy in a unit of energy; "
                f"there are {names}"
            )
        images = tuple(f for f in schema.fields if f.role != "condition")
        for field in images:
            if len(field.shape) not in (2, 3) or UNITS[field.unit][0] != "energy":
                raise ConfigError(
                    "fields: showers have images of energies, of the shape (sectors, rings) or "
                    f"(layers, sectors, rings), and '{field.name}' [{field.unit}] "
                    f"{field.shape or 'of one number'} is none"
                )
        return Showers(given[0], images)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """The sectors and rings of each layer."""
        return [
            (field.shape[-2], field.shape[-1])
            for field in self.images
            for _ in range(math.prod(field.shape[:-2]))
        ]

    def split(self, voxels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return voxels (N, voxels) as images (N, *shape), both in the format's unit."""
        ends = np.cumsum([math.prod(field.shape) for field in self.images])[:-1]
        parts = np.split(voxels, ends, axis=1)
        return {
            field.name: part.reshape(-1, *field.shape)
            for field, part in zip(self.images, parts, strict=True)
        }

    def join(self, columns: Columns) -> NDArray[Any]:
        """Return images in the units of their fields as voxels (N, voxels) in the format's unit."""
        return np.concatenate([_in_unit(columns, f) for f in self.images], axis=1)


def listed(layers: Sequence[tuple[int, int]]) -> str:
    """Tell the shapes of layers and their voxels: "1 x 8, 10 x 16 of 168 voxels"."""
    shapes = ", ".join(f"{alpha} x {r}" for alpha, r in layers)
    return f"{shapes} of {sum(map(math.prod, layers)):,} voxels"


class CaloChallenge(Format):
    """The two datasets of the challenge, whose programs read them."""

    suffix = ".hdf5"

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write the showers; numbers keep the precision of their fields."""
        h5py = library("h5py", "HDF5")
        showers = _showers(manifest)
        content: Mapping[str, NDArray[Any]] = {
            ENERGIES: _in_unit(columns, showers.incident),
            SHOWERS: showers.join(columns),
        }
        with h5py.File(place, "w") as file:
            file.attrs[HEADER] = json.dumps(header(manifest))
            for name, values in content.items():
                file.create_dataset(name, data=values, compression="gzip", compression_opts=1)

    def require(self, manifest: DatasetManifest) -> None:
        """Refuse events that are no showers at an energy."""
        _showers(manifest)


def _showers(manifest: DatasetManifest) -> Showers:
    """Return the fields that are written: all but labels, for which the format has no place."""
    return Showers.of(manifest.schema_.without(manifest.schema_.labels))


def _in_unit(columns: Columns, field: Field) -> NDArray[Any]:
    """Return a column (N, numbers) in the format's unit, unchanged where it is so already."""
    values = columns[field.name].reshape(len(columns[field.name]), -1)
    scale = conversion(field.unit, UNIT, field.name)
    return values if scale == 1 else values * scale
