"""What the formats of other programs share."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest

HEADER = "mleg"  # the name under which a file tells where its events are from


class Format(ABC):
    """A format to convert to: what ends its files' names, and what writes one."""

    suffix: ClassVar[str]

    @abstractmethod
    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write a file at a local path.

        `columns` are (n,) of all fields by name in their stored precision; units are those of the
        fields unless the format fixes its own. `first` events of the dataset come before these,
        where events are numbered. Raises `UserError` if a library is missing.
        """

    def require(self, manifest: DatasetManifest) -> None:  # noqa: B027 - most need nothing
        """Raise `ConfigError` for a dataset that cannot be written so."""


def weights(manifest: DatasetManifest, columns: Columns) -> NDArray[np.float64]:
    """Return the events' weights (n,), 1 where the dataset has none."""
    if manifest.schema_.weight:
        return columns[manifest.schema_.weight].astype(np.float64)
    return np.ones(len(next(iter(columns.values()))))


def header(manifest: DatasetManifest) -> dict[str, Any]:
    """Return what a file tells of its events: fields with units, conditions, provenance."""
    included = {"name", "fields", "groups", "conditions", "where"}
    told = manifest.model_dump(mode="json", include=included)
    spec = manifest.provenance.get("spec")
    return told | ({"sample": spec} if spec else {})
