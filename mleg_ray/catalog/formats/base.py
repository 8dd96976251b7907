"""What the writers of all formats share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest

HEADER = "mleg"  # the name under which a file tells where its events are from


@dataclass(frozen=True)
class Format:
    """A format: what ends its files' names, what writes one, and what a dataset must have for it.

    `write` takes a local path, the columns (n,) of all fields by name in their stored precision,
    and the dataset's manifest; units are those of the fields unless the format fixes its own.
    `require` raises `ConfigError` for a dataset that cannot be written so.
    """

    suffix: str
    write: Callable[[Path, Columns, DatasetManifest], None]
    require: Callable[[DatasetManifest], None] = lambda manifest: None


def weights(manifest: DatasetManifest, columns: Columns) -> NDArray[np.float64]:
    """Return the events' weights (n,), 1 where the dataset has none."""
    if manifest.schema_.weight:
        return columns[manifest.schema_.weight]
    return np.ones(len(next(iter(columns.values()))))


def header(manifest: DatasetManifest) -> dict[str, Any]:
    """Return what a file tells of its events: fields with units, conditions, provenance."""
    included = {"name", "fields", "groups", "conditions", "where"}
    told = manifest.model_dump(mode="json", include=included)
    spec = manifest.provenance.get("spec")
    return told | ({"sample": spec} if spec else {})
