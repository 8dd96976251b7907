"""Events as lists of particles: what their formats have in common, written and read."""

import re
from abc import ABC, abstractmethod
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import Format
from mleg_ray.errors import ConfigError
from mleg_ray.events import COUNT, Unit

# The fields of a momentum and their units, either of which will do.
CARTESIAN = {"px": "GeV", "py": "GeV", "pz": "GeV"}
POLAR = {"pt": "GeV", "eta": "1", "phi": "rad"}
# What can be read of each particle.
PARTS: dict[str, Unit] = {
    "px": "GeV",
    "py": "GeV",
    "pz": "GeV",
    "pt": "GeV",
    "eta": "1",
    "phi": "rad",
    "energy": "GeV",
    "mass": "GeV",
    "pdg_id": "1",
}
MASSLESS = (11, 13, 22)  # electrons, muons and photons, at the energies of a collider
# Of the energy: what E and p printed with six digits leave of a mass, and by what E may be below p.
MASS_NOISE = 3e-3
PRINTED = 2e-5
BLOCK = 1 << 23  # bytes of a file in memory at once
NOT_FINITE = "not a finite number"
NEGATIVE_ENERGY = "negative energy"
NEGATIVE_PT = "negative transverse momentum"
NEGATIVE_MASS = "negative mass"
BELOW_SHELL = "energy below the mass shell"


class Particles(NamedTuple):
    """The particles of a group: whose events' they are (m,), and px, py, pz, E (m, 4) in GeV."""

    pdg_id: int
    owner: NDArray[np.intp]
    momentum: NDArray[np.float64]


def final_state(manifest: DatasetManifest, columns: Columns) -> list[Particles]:
    """Return the particles of the groups of event fields that have a `pdg_id`."""
    found = []
    for name in groups_of_particles(manifest):
        group = manifest.groups[name]
        parts = {
            field.name.partition(".")[2]: columns[field.name].astype(np.float64)
            for field in manifest.fields
            if field.group == name
        }
        momentum = _momentum(parts, group.mass)
        owner = np.arange(len(momentum))
        if group.most:
            count = columns[f"{name}.{COUNT}"]
            owner = np.repeat(np.arange(len(count)), count)
        assert group.pdg_id is not None
        found.append(Particles(group.pdg_id, owner, momentum))
    return found


def groups_of_particles(manifest: DatasetManifest) -> list[str]:
    """Return the groups of event fields that have a `pdg_id`."""
    generated = {field.group for field in manifest.fields if field.role == "event"}
    return [n for n, g in manifest.groups.items() if g.pdg_id is not None and n in generated]


def require_momenta(manifest: DatasetManifest) -> None:
    """Raise `ConfigError` unless each particle's fields tell its momentum and energy in GeV."""
    for name in groups_of_particles(manifest):
        fields = [field for field in manifest.fields if field.group == name]
        own = {field.name.partition(".")[2]: field.unit for field in fields}
        known = manifest.groups[name].mass is not None
        known |= "GeV" in (own.get("energy"), own.get("mass"))
        if not known or not any(form.items() <= own.items() for form in (CARTESIAN, POLAR)):
            raise ConfigError(
                f"{manifest.name}: an event record needs px, py, pz, or pt, eta, phi, of '{name}' "
                f"in GeV and rad, and its energy or mass, or groups.{name}.mass"
            )


def require_record(manifest: DatasetManifest) -> None:
    """Raise `ConfigError` unless there are particles, with momenta, of two beams."""
    if not groups_of_particles(manifest):
        raise ConfigError(
            f"{manifest.name}: an event record needs particles: groups of event fields with a "
            "pdg_id in the dataset's definition"
        )
    if len(manifest.beams) != 2:
        raise ConfigError(
            f"{manifest.name}: beams: an event record needs two, there are {len(manifest.beams)}"
        )
    require_momenta(manifest)
    units = {field.name: field.unit for field in manifest.fields}
    for beam in manifest.beams:
        beam.require(units)


def _momentum(parts: Mapping[str, NDArray[Any]], mass: float | None) -> NDArray[np.float64]:
    if "px" in parts:
        px, py, pz = (parts[name] for name in CARTESIAN)
    else:
        pt, eta, phi = (parts[name] for name in POLAR)
        px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = parts.get("energy")
    if energy is None:
        energy = np.sqrt(px**2 + py**2 + pz**2 + parts.get("mass", mass or 0.0) ** 2)
    return np.stack([px, py, pz, energy], axis=1)


class Fault(NamedTuple):
    """Why an event cannot be read: the kind of fault, by which they are counted, and what it is."""

    kind: str
    told: str


@dataclass(frozen=True)
class Records:
    """n events as they are read: numbers (n,) of each, and its particles, event after event.

    `count` (n,) are the numbers of particles, `parts` (m,) their momenta as the file has them,
    Cartesian or polar, with energies, in GeV and radians. `faults` has the events, by their place,
    that cannot be read; their numbers mean nothing. So has `faults_of`, of those of which a number
    is not known. `rounded` says that the parts have few digits.
    """

    numbers: Mapping[str, NDArray[Any]]
    count: NDArray[np.int64]
    pdg_id: NDArray[np.int64]
    parts: Mapping[str, NDArray[np.float64]]
    faults: Mapping[int, Fault]
    faults_of: Mapping[str, Mapping[int, Fault]] = field(default_factory=dict)
    rounded: bool = False

    @property
    def owner(self) -> NDArray[np.intp]:
        """The event (m,) of each particle."""
        return np.repeat(np.arange(len(self.count)), self.count)

    def part(self, name: str) -> NDArray[Any]:
        """Return one of `PARTS` of each particle (m,).

        The mass is zero of leptons and photons, and where it is below `MASS_NOISE` of the energy,
        which is the momentum then if it was rounded: a classifier would know printed events by what
        rounding leaves of them.
        """
        if name == "pdg_id":
            return self.pdg_id
        if name == "energy" and self.rounded:
            return np.where(self.part("mass") > 0, self.parts["energy"], self.momentum)
        if name in self.parts:
            return self.parts[name]
        # Of a particle along the beam η is infinite: whoever stores it finds that.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self._derived(name)

    def _derived(self, name: str) -> NDArray[np.float64]:
        parts = self.parts
        if name == "mass":
            squared = parts["energy"] ** 2 - self.momentum**2
            noise = (MASS_NOISE * parts["energy"]) ** 2
            real = (squared > noise) & ~np.isin(np.abs(self.pdg_id), MASSLESS)
            return np.sqrt(np.where(real, squared, 0.0))
        if name == "pt":
            return np.hypot(parts["px"], parts["py"])
        if name == "phi":
            return np.arctan2(parts["py"], parts["px"])
        if name == "eta":
            return np.arcsinh(parts["pz"] / np.hypot(parts["px"], parts["py"]))
        if name == "pz":
            return parts["pt"] * np.sinh(parts["eta"])
        return parts["pt"] * (np.cos(parts["phi"]) if name == "px" else np.sin(parts["phi"]))

    @property
    def momentum(self) -> NDArray[np.float64]:
        """The length (m,) of each momentum."""
        parts = self.parts
        with np.errstate(over="ignore", invalid="ignore"):  # `checked` finds what is not finite
            if "px" in parts:
                return np.sqrt(parts["px"] ** 2 + parts["py"] ** 2 + parts["pz"] ** 2)
            return parts["pt"] * np.cosh(parts["eta"])

    def checked(self, used: Container[str]) -> "Records":
        """Return the events with their further faults: energies and `used` numbers that cannot be.

        An energy may be below the mass shell by what printing six digits changes; the mass counts
        where the file has it.
        """
        faults = dict(self.faults)
        energy, momentum = self.parts["energy"], self.momentum
        none = np.zeros(len(energy))
        mass, pt = self.parts.get("mass", none), self.parts.get("pt", none)
        owner = self.owner
        finite = np.isfinite([momentum, *self.parts.values()]).all(axis=0)
        for kind, bad in (
            (NOT_FINITE, ~finite),
            (NEGATIVE_ENERGY, energy < 0),
            (NEGATIVE_PT, pt < 0),
            (NEGATIVE_MASS, mass < 0),
            (BELOW_SHELL, energy < np.hypot(momentum, mass) * (1 - PRINTED)),
        ):
            for i in np.nonzero(bad)[0]:
                others = {name: own[i] for name, own in self.parts.items() if name != "energy"}
                told = ", ".join(
                    [
                        f"E = {energy[i]:g}, p = {momentum[i]:g} GeV",
                        *(f"{name} = {number:g}" for name, number in others.items()),
                    ]
                )
                told += f" of particle {self.pdg_id[i]}"
                faults.setdefault(int(owner[i]), Fault(kind, told))
        for name, faulty in self.faults_of.items():
            faults = {**faulty, **faults} if name in used else faults
        for name, numbers in self.numbers.items():
            for i in np.nonzero(~np.isfinite(numbers))[0] if name in used else ():
                faults.setdefault(int(i), Fault(NOT_FINITE, f"{name} = {numbers[i]}"))
        return replace(self, faults=faults)

    def whole(self) -> "Records":
        """Return the events without faults."""
        if not self.faults:
            return self
        good = np.ones(len(self.count), dtype=bool)
        good[list(self.faults)] = False
        kept = good[self.owner]
        return replace(
            self,
            numbers={name: values[good] for name, values in self.numbers.items()},
            count=self.count[good],
            pdg_id=self.pdg_id[kept],
            parts={name: values[kept] for name, values in self.parts.items()},
            faults={},
            faults_of={},
        )


class RecordFormat(Format, ABC):
    """A format of events as lists of particles, which is read event by event.

    `endings` end the names of its files, `begins` is what an event begins with, and `numbers` are
    those that it has beside its particles. Energies are read in `unit`, in which all files are if
    there is `one_unit`. An event may have several weights if they are `named_weights`.
    """

    endings: ClassVar[tuple[str, ...]]
    begins: ClassVar[re.Pattern[bytes]]
    numbers: ClassVar[Mapping[str, Unit]]
    unit: ClassVar[Unit] = "GeV"
    one_unit: ClassVar[bool] = True
    named_weights: ClassVar[bool] = True

    @abstractmethod
    def read(
        self, head: bytes, texts: Sequence[bytes], scale: float, weight: str | None
    ) -> Records:
        """Read events; `head` is what the file has before the first one.

        Energies are multiplied by `scale`; `weight` names the weight to take, where an event has
        several, None for its own. Raises `UserError` if a library is missing.
        """

    def alike(self, pdg_id: int) -> int:
        """Return by which number the format knows a particle."""
        return pdg_id

    def identity(self, text: bytes) -> bytes:
        """Return what two events have in common only if one is a copy of the other."""
        return text


@dataclass(frozen=True)
class Block:
    """Whole events of a file: where they begin, and their texts; `head` is what comes before."""

    head: bytes
    offsets: Sequence[int]
    texts: Sequence[bytes]


def blocks(stream: IO[bytes], begins: re.Pattern[bytes], size: int = BLOCK) -> Iterator[Block]:
    """Yield a file's events, some `size` bytes at a time, or one event if it is larger."""
    head, offset, rest = b"", 0, b""
    first = True
    while True:
        chunk = stream.read(size)
        rest += chunk
        starts = [match.start() for match in begins.finditer(rest)]
        if chunk and len(starts) < 2:
            continue
        if first and starts:
            head, first = rest[: starts[0]], False
        # The last event may go on in the next chunk.
        ends = starts[1:] if chunk else [*starts[1:], len(rest)]
        texts = [rest[a:b] for a, b in zip(starts, ends, strict=False)]
        yield Block(head, [offset + start for start in starts[: len(texts)]], texts)
        if not chunk:
            return
        offset, rest = offset + starts[-1], rest[starts[-1] :]
