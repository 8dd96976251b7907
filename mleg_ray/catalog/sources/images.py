"""What is checked of images while a file is read through, before any shard is made."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns, checked, rows_of
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import UNITS, EventSchema, Field, conversion

# Median of deposited over incident energy, between which that of any calorimeter lies: a mistaken
# factor of 1000 does not lead from one such median to another.
PLAUSIBLE_RESPONSE = (0.005, 5.0)


class Found(NamedTuple):
    """The events of a file, and from where to where each of their stored conditions reaches."""

    events: int
    ranges: Mapping[str, tuple[float, float]]


def constant(files: Sequence[Found], within: float = 0.0) -> dict[str, tuple[float, float]]:
    """Return from where to where the conditions reach that are the same in all events.

    They differ by at most the share `within` of the largest value.
    """
    ranges: dict[str, tuple[float, float]] = {}
    for name in files[0].ranges:
        lows, highs = zip(*(found.ranges[name] for found in files), strict=True)
        low, high = min(lows), max(highs)
        if high - low <= within * max(abs(low), abs(high)):
            ranges[name] = (low, high)
    return ranges


class Scan:
    """Sees the events of a file, all at once or part after part, and says what is wrong with them.

    Images are looked at if their unit is one of energy. `incident` names the condition that has the
    energy of the incident particle, among `fixed` ones or the stored ones; None if there is none.
    Unless `negative` energies are allowed, images that have any are refused.
    """

    def __init__(
        self,
        uri: str,
        stored: EventSchema,
        fixed: Mapping[str, float],
        incident: Field | None,
        *,
        negative: bool,
    ) -> None:
        self._uri = uri
        self._stored = stored
        self._fixed = fixed
        self._incident = incident
        self._negative = negative
        self._images = [f for f in stored.fields if f.shape and is_energy(f)]
        self._events = 0
        self._below: dict[str, list[tuple[int, float]]] = {f.name: [] for f in self._images}
        self._responses: list[NDArray[np.float64]] = []
        self._ranges: dict[str, tuple[float, float]] = {}

    def see(self, columns: Columns) -> None:
        """Take the next events; `DataError` if they cannot be stored as declared."""
        n = rows_of(columns, self._stored)
        if not n:
            return
        checked(columns, self._stored, self._uri)
        for name in self._stored.conditions:
            low, high = self._ranges.get(name, (np.inf, -np.inf))
            values = columns[name]
            self._ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))
        for field in self._images:
            lowest = columns[field.name].reshape(n, -1).min(axis=1)
            below = np.flatnonzero(lowest < 0)
            self._below[field.name] += [(self._events + int(i), float(lowest[i])) for i in below]
        if self._incident is not None:
            self._see_responses(columns, self._incident, n)
        self._events += n

    def conclude(self) -> Found:
        """Return what was found.

        Raises:
            DataError: there are no events, images with cells below zero, incident energies that are
                not above zero, or deposits of another unit than these.
        """
        if not self._events:
            raise DataError(f"{self._uri}: no events; remove the file, or name the others alone")
        for name, below in self._below.items():
            if below and not self._negative:
                first, _ = below[0]
                raise DataError(
                    f"{self._uri}: {len(below):,} of {self._events:,} images of '{name}' have "
                    f"energies below zero, the first is event {first} (from 0), the lowest energy "
                    f"{min(lowest for _, lowest in below):g}; mend them, or say source.negative = "
                    "'keep' where a detector's noise makes them so"
                )
        if self._responses:
            self._require_unit(np.concatenate(self._responses))
        return Found(self._events, self._ranges)

    def _see_responses(self, columns: Columns, incident: Field, n: int) -> None:
        name = incident.name
        energy = np.full(n, self._fixed[name]) if name in self._fixed else columns[name]
        if (bad := ~(energy > 0)).any():
            row = int(bad.argmax())
            raise DataError(
                f"{self._uri}: '{name}' of {bad.sum():,} events is not above zero, first that of "
                f"event {self._events + row} (from 0): {energy[row]:g}; an incident particle has "
                "energy: remove or mend these events"
            )
        deposit = np.zeros(n)
        for field in self._images:
            pixels = columns[field.name].reshape(n, -1)
            deposit += pixels.sum(axis=1, dtype=np.float64) * conversion(
                field.unit, incident.unit, field.name
            )
        self._responses.append((deposit / energy)[deposit > 0])

    def _require_unit(self, response: NDArray[np.float64]) -> None:
        low, high = PLAUSIBLE_RESPONSE
        if len(response) and not low < np.median(response) < high:
            assert self._incident is not None
            image = self._images[0]
            raise DataError(
                f"{self._uri}: the median of deposited over incident energy is "
                f"{np.median(response):.3g}, of any calorimeter it lies between {low:g} and "
                f"{high:g}: '{image.name}' or '{self._incident.name}' is in another unit than the "
                "source declares, MeV in place of GeV, say; declare the unit that the file has"
            )


def is_energy(field: Field) -> bool:
    """Tell whether a field is in a unit of energy."""
    return UNITS[field.unit][0] == "energy"


def require_incident(schema: EventSchema, name: str | None) -> Field | None:
    """Return the field of the incident energy; `ConfigError` if it is no condition in its unit."""
    if name is None:
        return None
    energies = [f for f in schema.fields if f.role == "condition" and is_energy(f)]
    for field in energies:
        if field.name == name:
            return field
    known = ", ".join(f.name for f in energies) or "none"
    raise ConfigError(f"incident: '{name}' is no condition in a unit of energy; there are {known}")
