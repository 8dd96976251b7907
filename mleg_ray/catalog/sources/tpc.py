"""Import the signals of a time projection chamber: pads, times and amplitudes as text."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import NonNegativeFloat, model_validator

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES, SourceConfig
from mleg_ray.catalog.sources.drawn import require_schema
from mleg_ray.catalog.sources.files import FileStretches, Input, InputFiles, inputs, unpacked
from mleg_ray.catalog.sources.images import Found, Scan, constant
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import EventSchema, Field, Unit
from mleg_ray.storage import version

BEGINS = "params:"
# In the order of the file.
CONDITIONS: dict[str, Unit] = {
    "crossing_angle": "deg",
    "dip_angle": "deg",
    "drift_length": "1",
    "pad_coordinate": "1",
    "pad_row": "1",
    "pt": "GeV",
}


@SOURCES.register
class TpcConfig(SourceConfig):
    """Signals that a track leaves in one row of pads of a time projection chamber.

    Files have two lines for each event: `params:` with the six numbers of `CONDITIONS`, angles in
    degrees, the drift length in time bins, the coordinate in pads, pT in GeV; and triplets of pad,
    time bin and amplitude in ADC counts. They become `image`, of the pads and times in a window
    around the track: pads from `pads[0]` up to `pads[1]` relative to the whole part of the pad
    coordinate, the last one excluded, and `times` likewise relative to that of the drift length. A
    signal outside of it is refused. A condition is constant, and fixed, if its values differ by at
    most the share `constant_within` of the largest one.

    Source: A. Maevskiy et al., arXiv:2012.04595, of the detector MPD at NICA.
    """

    kind: Literal["tpc"] = "tpc"
    files: tuple[InputFiles, ...] = Option(min_length=1)
    pads: tuple[int, int] = (-3, 5)
    times: tuple[int, int] = (-7, 9)
    constant_within: NonNegativeFloat = 0.02
    root: str | None = Option(default=None, exclude=True)

    @model_validator(mode="after")
    def _windows(self) -> Self:
        for name, (first, end) in {"pads": self.pads, "times": self.times}.items():
            if first >= end:
                raise ConfigError(f"{name}: a window [first, end) needs first < end")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """The pads and times of an image."""
        return self.pads[1] - self.pads[0], self.times[1] - self.times[0]

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless the schema has the image and the six conditions."""
        if conditions:
            raise ConfigError(
                f"kind: {self.kind} reads all conditions; leave them out of [conditions]"
            )
        given = (Field(name=n, unit=unit, role="condition") for n, unit in CONDITIONS.items())
        require_schema(
            self.kind, schema, EventSchema((Field(name="image", shape=self.shape), *given))
        )

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "TpcFiles":
        """Find the files; `DataError` if some are absent."""
        return TpcFiles(self, inputs(self.files, self.root), schema, shard_events)


class TpcFiles(FileStretches):
    """Stretches of text files; each process keeps the last file it read."""

    def __init__(
        self, config: TpcConfig, files: Sequence[Input], schema: EventSchema, shard_events: int
    ) -> None:
        super().__init__(files, shard_events)
        self._config = config
        self._schema = schema

    def constants(self) -> dict[str, tuple[float, float]]:
        """Return the conditions that hardly differ in all events of all files."""
        return constant(self._found, self._config.constant_within)

    def examine(self, file: Input) -> Found:
        """Check all events; `DataError` names the line, or counts the signals outside."""
        scan = Scan(file.uri, self._schema, {}, None, negative=False)
        scan.see(self.read(file, 0, len(self._signals(file).given)))
        return scan.conclude()

    def read(self, file: Input, start: int, stop: int) -> Columns:
        """Return the images and conditions of some events of a file."""
        signals = self._signals(file)
        pads, times = self._config.shape
        images = np.zeros((stop - start, pads, times))
        here = (signals.event >= start) & (signals.event < stop)
        images[signals.event[here] - start, signals.pad[here], signals.time[here]] = (
            signals.amplitude[here]
        )
        return {"image": images, **dict(zip(CONDITIONS, signals.given[start:stop].T, strict=True))}

    def _signals(self, file: Input) -> "Signals":
        config = self._config
        return _read_cached(file.uri, version(file.uri), config.pads, config.times)


@dataclass(frozen=True)
class Signals:
    """The signals of a file, each of an event, pad and time of its window, and what is given."""

    given: NDArray[np.float64]
    event: NDArray[np.int64]
    pad: NDArray[np.int64]
    time: NDArray[np.int64]
    amplitude: NDArray[np.float64]


@functools.lru_cache(maxsize=1)
def _read_cached(uri: str, _version: str, pads: tuple[int, int], times: tuple[int, int]) -> Signals:
    with unpacked(uri) as (stream, _):
        lines = stream.read().decode("utf-8-sig", errors="replace").splitlines()
    if len(lines) % 2 and not lines[-1].strip():
        lines.pop()  # the second line of an event without signals is blank; this is none
    if len(lines) % 2:
        raise DataError(
            f"{uri}: {len(lines):,} lines, and each event has two; the file is truncated, or "
            "written in another format"
        )
    given = np.zeros((len(lines) // 2, len(CONDITIONS)))
    triplets = []
    for event in range(len(given)):
        given[event] = _conditions(uri, 2 * event + 1, lines[2 * event])
        triplets.append(_triplets(uri, 2 * event + 2, lines[2 * event + 1]))
    owner = np.repeat(np.arange(len(given)), [len(own) for own in triplets])
    pad, time, amplitude = np.concatenate([np.empty((0, 3)), *triplets]).T
    of = dict(zip(CONDITIONS, given[owner].T, strict=True))
    return Signals(
        given,
        owner,
        _in_window(uri, "pads", owner, pad - np.trunc(of["pad_coordinate"]), pads),
        _in_window(uri, "times", owner, time - np.trunc(of["drift_length"]), times),
        amplitude,
    )


def _in_window(
    uri: str,
    name: str,
    owner: NDArray[np.int64],
    offset: NDArray[np.float64],
    window: tuple[int, int],
) -> NDArray[np.int64]:
    """Return the places of signals in a window, from 0, of their offsets from the track."""
    first, end = window
    outside = (offset < first) | (offset >= end)
    if outside.any():
        low, high = int(min(first, offset.min())), int(max(end, offset.max() + 1))
        raise DataError(
            f"{uri}: {outside.sum():,} signals of {len(np.unique(owner[outside])):,} events lie "
            f"outside of the {name} from {first} to {end - 1} around the track, the first in line "
            f"{2 * owner[outside][0] + 2}; source.{name} = [{low}, {high}] has them all"
        )
    return (offset - first).astype(np.int64)


def _conditions(uri: str, line: int, text: str) -> NDArray[np.float64]:
    begin, _, rest = text.strip().partition(BEGINS)
    values = _floats(uri, line, rest)
    if begin or BEGINS not in text or len(values) != len(CONDITIONS):
        raise DataError(
            f"{uri}: line {line} is not '{BEGINS}' with {', '.join(CONDITIONS)}: {text[:60]!r}; "
            "remove or mend this event"
        )
    return values


def _triplets(uri: str, line: int, text: str) -> NDArray[np.float64]:
    values = _floats(uri, line, text)
    if len(values) % 3:
        raise DataError(
            f"{uri}: line {line} has {len(values)} numbers, which are no triplets of pad, time and "
            "amplitude; it is truncated: remove or mend this event"
        )
    own = values.reshape(-1, 3)
    if (own[:, :2] % 1).any() or (own[:, 2] < 0).any():
        raise DataError(
            f"{uri}: line {line}: pads and times are whole numbers, and amplitudes not below zero; "
            "remove or mend this event"
        )
    if len({*map(tuple, own[:, :2].tolist())}) < len(own):
        raise DataError(f"{uri}: line {line} has a pad and time twice; remove or mend this event")
    return own


def _floats(uri: str, line: int, text: str) -> NDArray[np.float64]:
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError as error:
        raise DataError(f"{uri}: line {line}: {error}; remove or mend this event") from None
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values)][0]
        raise DataError(
            f"{uri}: line {line}: {bad} is not a finite number; remove or mend this event"
        )
    return values
