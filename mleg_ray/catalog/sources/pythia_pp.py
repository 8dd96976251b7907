"""Reconstructed events of p p collisions: Pythia 8, pile-up and a declared detector.

Pythia and fastjet are optional packages (GPL).
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Option
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import SOURCES, Source, SourceConfig, cut, divide
from mleg_ray.catalog.sources.pythia import MAX_SEED
from mleg_ray.catalog.sources.pythia_settings import require_settings
from mleg_ray.catalog.sources.reconstruction import (
    Heavy,
    Kind,
    Marks,
    NamedCard,
    Objects,
    Particles,
    Range,
    Reconstructed,
    pairs,
)
from mleg_ray.catalog.sources.slha import Stop, read_slha
from mleg_ray.config import Config, inside
from mleg_ray.errors import ConfigError, DataError, library
from mleg_ray.events import COUNT, EventSchema, Unit, conversion
from mleg_ray.randomness import derive_seed

MINIMUM_BIAS = {"SoftQCD:nonDiffractive": "on"}
# What lives longer than 10 mm/c reaches the detector: K_S, Λ and charged kaons and pions.
ALWAYS = {"Print:quiet": "on", "ParticleDecays:limitTau0": "on", "SLHA:verbose": "0"}
BATCH = 200  # collisions at a time
MOST_OVERLAID = 4000  # collisions on those of a batch: they take some 100 MB
HOPELESS = 1000  # collisions of which none passes; as many for each that does
MB_TO_PB, PB_TO_FB = 1e9, 1e3
HEAVY_PT = 5.0  # GeV, of a hadron that gives a jet its flavour

# What a field of an object or of the missing momentum is, and its unit.
OF_OBJECTS: dict[str, Unit] = {
    "pt": "GeV",
    "eta": "1",
    "phi": "rad",
    "px": "GeV",
    "py": "GeV",
    "pz": "GeV",
    "energy": "GeV",
    "mass": "GeV",
    "charge": "1",
    "isolation": "1",
    "b_tag": "1",
}
OF_EVENTS: dict[str, Unit] = {
    "met.px": "GeV",
    "met.py": "GeV",
    "met.pt": "GeV",
    "met.phi": "rad",
    "n_vtx": "1",
    "process": "1",
}


class Cut(Config):
    """Objects `of` a kind: of at least `pt` (GeV), within |η| < `eta`, not within the `gap` of |η|.

    `charge` and `b_tag` choose those of one sign, or with or without a tag.
    """

    of: Kind
    pt: NonNegativeFloat = 0.0
    eta: PositiveFloat | None = None
    gap: Range | None = None
    charge: Literal[-1, 1] | None = None
    b_tag: bool | None = None

    def kept(self, objects: Mapping[Kind, Objects]) -> Objects:
        """Return the objects that are within the cuts."""
        found = objects[self.of]
        away = np.abs(found.eta)
        marks: Marks = found.pt >= self.pt
        if self.eta is not None:
            marks &= away < self.eta
        if self.gap is not None:
            marks &= ~((away > self.gap[0]) & (away < self.gap[1]))
        if self.charge is not None:
            marks &= found.charge == self.charge
        if self.b_tag is not None:
            marks &= found.b_tag == self.b_tag
        return found[marks]


class Kept(Cut):
    """The objects of a group; of one that is there once, that of `rank` by pt, from 1.

    An event that has none of that rank is left out.
    """

    rank: PositiveInt | None = None


class Required(Cut):
    """At least `number` objects."""

    number: PositiveInt = 1

    def passed(self, objects: Mapping[Kind, Objects], n: int) -> Marks:
        """Return which of n events (n,) have them."""
        return np.asarray(np.bincount(self.kept(objects).event, minlength=n) >= self.number)


class Pair(Cut):
    """Exactly two objects, of opposite charges, whose mass is within `mass` (GeV)."""

    mass: Range

    def passed(self, objects: Mapping[Kind, Objects], n: int) -> Marks:
        """Return which of n events (n,) have such a pair and no other object of the kind."""
        found = self.kept(objects)
        marks: Marks = np.bincount(found.event, minlength=n) == 2
        two = found[marks[found.event]]
        mass, [one, other] = _pair_mass(two), two.charge.reshape(-1, 2).T
        low, high = self.mass
        marks[marks] = (one * other < 0) & (mass > low) & (mass < high)
        return marks


class Selection(Config):
    """The events that are kept: with `any` of these objects, if there are such, and the `pair`."""

    any: tuple[Required, ...] = ()
    pair: Pair | None = None

    def passed(self, objects: Mapping[Kind, Objects], n: int) -> Marks:
        """Return which of n events (n,) are kept."""
        marks = np.ones(n, dtype=bool)
        if self.any:
            marks &= np.any([required.passed(objects, n) for required in self.any], axis=0)
        if self.pair:
            marks &= self.pair.passed(objects, n)
        return marks


class Process(Config):
    """A process by Pythia's `settings`, and the values of `conditions` under which it goes on.

    A spectrum of supersymmetry is written from `stop`, or a file of the user's, `slha`. The
    `cross_section` (pb), where events have weights, is Pythia's own unless it is given.
    """

    settings: Annotated[dict[str, str], Option(min_length=1)]
    cross_section: PositiveFloat | None = None
    stop: Stop | None = None
    slha: str = ""
    conditions: dict[str, float] = {}

    @model_validator(mode="after")
    def _has_one_spectrum(self) -> Self:
        if self.stop and self.slha:
            raise ConfigError("slha: the masses of `stop` make a spectrum: give one of them")
        return self

    @property
    def spectrum(self) -> str:
        """The text of the spectrum, empty if there is none; `DataError` if it has no masses."""
        if self.stop:
            return self.stop.slha()
        return read_slha(self.slha) if self.slha else ""


@SOURCES.register
class PythiaPPConfig(SourceConfig):
    """Reconstructed objects of p p collisions at √s = `energy` (GeV).

    Each of the `processes` is a stratum of as many of the `events`; the label `process` numbers
    them from 0 in their order. With a `luminosity` L (fb⁻¹) each of a process's N events has the
    weight σ ε L/N, ε the share that is kept: so weights sum to the events that L brings. `objects`
    says what each group has. On every collision
    Poisson(`pile_up`) others are overlaid, see `overlaid`; each of these is used `pile_up_reuse`
    times on average, always in the same shard. `detector` is a card, or the name of one in
    `data_catalog/detectors`.
    """

    kind: Literal["pythia-pp"] = "pythia-pp"
    events: PositiveInt
    energy: PositiveFloat
    processes: Annotated[dict[str, Process], Option(min_length=1)]
    luminosity: PositiveFloat | None = None
    pile_up: NonNegativeFloat = 0.0
    pile_up_reuse: PositiveInt = 20
    detector: NamedCard
    objects: dict[str, Kept]
    selection: Selection = Selection()
    seed: int

    def check(self, schema: EventSchema, conditions: Mapping[str, float]) -> None:
        """Raise `ConfigError` unless all fields can be made, and the conditions are known."""
        made = [f for f in schema.fields if f.role not in ("condition", "weight")]
        groups = {f.group for f in made if f.group and f.name not in OF_EVENTS}
        if groups != set(self.objects):
            raise ConfigError(
                f"objects: one table for each group of objects, {', '.join(sorted(groups))}; there "
                f"are {', '.join(sorted(self.objects))}; fields of no object are "
                f"{', '.join(OF_EVENTS)}"
            )
        for name, kept in self.objects.items():
            if (name in schema.objects) == (kept.rank is not None):
                raise ConfigError(
                    f"objects.{name}.rank: a group that is there once needs the rank of its object "
                    "by pt, and one of up to `most` objects has none"
                )
        if (schema.weight is None) != (self.luminosity is None):
            raise ConfigError(
                "luminosity: events of a luminosity (fb⁻¹) have weights; give it together with a "
                "field of role 'weight', or neither of them"
            )
        varying = schema.varying(conditions)
        for name, process in self.processes.items():
            if process.cross_section and self.luminosity is None:
                raise ConfigError(
                    f"processes.{name}.cross_section: it is for weights; give a luminosity (fb⁻¹)"
                )
            if set(process.conditions) != set(varying):
                raise ConfigError(
                    f"processes.{name}.conditions: give {', '.join(varying) or 'none'}: the "
                    "conditions of the dataset that have no fixed value "
                    f"(got {', '.join(process.conditions) or 'none'})"
                )
        for field in made:
            self._require(field.name, field.unit)

    def _require(self, name: str, unit: Unit) -> None:
        group, _, part = name.partition(".")
        made = OF_OBJECTS.get(part) if group in self.objects else OF_EVENTS.get(name)
        if made is None:
            raise ConfigError(
                f"kind: {self.kind} makes no field '{name}'; of an object it makes "
                f"{', '.join(OF_OBJECTS)}, of an event {', '.join(OF_EVENTS)}"
            )
        conversion(made, unit, f"kind: {self.kind} makes the field '{name}'")

    def open(
        self, schema: EventSchema, conditions: Mapping[str, float], shard_events: int
    ) -> "PythiaPP":
        """Build the source.

        Raises:
            UserError: Pythia or fastjet is not installed.
            ConfigError: Pythia has no such setting, or not with such a value.
            DataError: a spectrum has no masses.
        """
        library("fastjet", f"source {self.kind}", extra="pythia")
        pythia = _pythia()
        for name, process in self.processes.items():
            with inside(f"source.processes.{name}.settings"):
                require_settings(pythia, process.settings)
        spectra = [process.spectrum for process in self.processes.values()]
        version = f"{pythia.settings.parm('Pythia:versionNumber')}"
        return PythiaPP(self, schema.without(conditions), spectra, shard_events, version)

    def planned_events(self) -> int:
        """Return how many events there will be."""
        return self.events


class Collisions(NamedTuple):
    """What Pythia makes of n collisions."""

    n: int
    particles: Particles
    heavy: Heavy


@dataclass(frozen=True)
class Counts:
    """Collisions that were made, and those of them that were kept."""

    made: int = 0
    kept: int = 0

    def next_batch(self, rows: int, pile_up: float = 0.0) -> int:
        """Return how many collisions to make for `rows` events in all: no more than will do.

        On each there are `pile_up` others.
        """
        crowded = pile_up * BATCH > MOST_OVERLAID
        most = max(1, int(MOST_OVERLAID / pile_up)) if crowded else BATCH
        if not self.kept:
            return most
        return min(most, math.ceil(1.1 * (rows - self.kept) * self.made / self.kept) + 1)


class PythiaPP(Source):
    """Two freshly initialised Pythias a shard, of the process and of the pile-up."""

    def __init__(
        self,
        config: PythiaPPConfig,
        schema: EventSchema,
        spectra: Sequence[str],
        shard_events: int,
        version: str,
    ) -> None:
        self._config = config
        self._schema = schema
        self._spectra = spectra
        self._shard_events = shard_events
        self._version = version

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a process."""
        events = divide(self._config.events, len(self._config.processes))
        return [cut(rows, self._shard_events) for rows in events]

    def shard(self, index: int) -> Columns:
        """Make collisions until as many as promised are kept.

        Raises:
            ConfigError: Pythia finds no phase space.
            DataError: hardly a collision is kept.
        """
        stratum, number = self.locate(index)
        rows = self.shard_rows()[stratum][number]
        rng = np.random.default_rng(self.seed(index))
        name, process = list(self._config.processes.items())[stratum]
        hard = self._engine(process.settings, self._spectra[stratum], index, "process")
        soft = None
        if self._config.pile_up:
            soft = self._engine(MINIMUM_BIAS, "", index, "minimum bias")
        counts, made = Counts(), []
        while counts.kept < rows:
            n = counts.next_batch(rows, self._config.pile_up)
            n, events = self._batch(hard, soft, n, rng)
            columns, passed = self._columns(events, n)
            made.append(columns)
            counts = Counts(counts.made + n, counts.kept + passed)
            if counts.made > HOPELESS * (counts.kept + 1):
                raise DataError(
                    f"source.processes.{name}: of {counts.made:,} collisions {counts.kept:,} are "
                    f"kept, too few for {rows:,} events; loosen source.selection and the cuts of "
                    "source.objects, or choose another process"
                )
        columns = self._first(made, rows)
        columns["process"] = np.full(rows, stratum)
        if self._schema.weight and self._config.luminosity:
            cross_section = process.cross_section or hard.cross_section()
            expected = cross_section * PB_TO_FB * self._config.luminosity
            expected *= counts.kept / counts.made
            columns[self._schema.weight] = np.full(rows, expected / self._events(stratum))
        return columns | {key: np.full(rows, value) for key, value in process.conditions.items()}

    def _events(self, stratum: int) -> int:
        """Return how many events a process has."""
        return sum(self.shard_rows()[stratum])

    def seed(self, index: int) -> int:
        """Return the seed of the detector and the pile-up of shard `index`."""
        return derive_seed(self._config.seed, "pythia-pp", index)

    def provenance(self) -> dict[str, Any]:
        """Return versions, all settings, and how pile-up is made."""
        config = self._config
        reuse = (
            f"Poisson({config.pile_up:g}) non-diffractive collisions on each; every one of them is "
            f"used {config.pile_up_reuse} times on average, turned in phi and mirrored in z at "
            "random, and never in two shards"
        )
        return {
            "generator": f"Pythia {self._version}",
            "jets": f"fastjet {library('fastjet', 'source pythia-pp', extra='pythia').__version__}",
            "settings": config.model_dump(mode="json", exclude_none=True),
            "spectra": list(self._spectra),
            "minimum_bias": MINIMUM_BIAS if config.pile_up else {},
            "pile_up": reuse if config.pile_up else "none",
        }

    def _engine(
        self, settings: Mapping[str, str], spectrum: str, index: int, what: str
    ) -> "Engine":
        # One after the other, so that no two shards have the same.
        seed = (derive_seed(self._config.seed, f"pythia-pp {what}") + index) % MAX_SEED + 1
        beams = {
            "Beams:eCM": f"{self._config.energy}",
            "Random:setSeed": "on",
            "Random:seed": f"{seed}",
        }
        return Engine(ALWAYS | dict(settings) | beams, spectrum)

    def _batch(
        self, hard: "Engine", soft: "Engine | None", n: int, rng: np.random.Generator
    ) -> tuple[int, Reconstructed]:
        collisions = hard.collisions(n)
        particles = collisions.particles
        if soft:
            mean, reuse = self._config.pile_up, self._config.pile_up_reuse
            pool = soft.collisions(math.ceil(collisions.n * mean / reuse))
            particles = Particles.concatenate([particles, overlaid(pool, collisions.n, mean, rng)])
        n, heavy = collisions.n, collisions.heavy
        return n, self._config.detector.reconstructed(particles, heavy, n, rng)

    def _columns(self, events: Reconstructed, n: int) -> tuple[dict[str, NDArray[Any]], int]:
        """Return the columns of the events that are kept, of all groups flat, and their number."""
        kept = {name: own.kept(events.objects) for name, own in self._config.objects.items()}
        counts = {name: np.bincount(own.event, minlength=n) for name, own in kept.items()}
        passed = self._config.selection.passed(events.objects, n)
        for name, own in self._config.objects.items():
            if own.rank is not None:
                passed &= counts[name] >= own.rank
        px, py = events.met_px, events.met_py
        numbers = {
            "met.px": px,
            "met.py": py,
            "met.pt": np.hypot(px, py),
            "met.phi": np.arctan2(py, px),
            "n_vtx": events.n_vtx,
        }
        columns: dict[str, NDArray[Any]] = {name: v[passed] for name, v in numbers.items()}
        for name, own in self._config.objects.items():
            chosen = kept[name][passed[kept[name].event]]
            if own.rank is None:
                columns[f"{name}.{COUNT}"] = counts[name][passed]
            else:
                chosen = chosen[_ranks(chosen.event) == own.rank]
            mass = self._schema.groups[name].mass
            columns |= {f"{name}.{part}": v for part, v in _parts(chosen, mass).items()}
        return columns, int(passed.sum())

    def _first(
        self, parts: Sequence[Mapping[str, NDArray[Any]]], rows: int
    ) -> dict[str, NDArray[Any]]:
        """Return the first events of all parts, in the units of the fields."""
        counts = [f"{group}.{COUNT}" for group in self._schema.objects]
        found = {name: np.concatenate([part[name] for part in parts])[:rows] for name in counts}
        for field in self._schema.fields:
            name = field.name
            if field.role in ("condition", "weight") or name == "process":
                continue
            made = OF_EVENTS.get(name) or OF_OBJECTS[name.partition(".")[2]]
            values = np.concatenate([part[name] for part in parts])
            count = found.get(f"{field.group}.{COUNT}")
            end = rows if count is None else int(count.sum())
            found[name] = values[:end] * conversion(made, field.unit, name)
        return found


class Engine:
    """An initialised Pythia."""

    def __init__(self, settings: Mapping[str, str], spectrum: str) -> None:
        self._pythia = _pythia()
        for key, value in settings.items():
            if not self._pythia.readString(f"{key} = {value}"):
                raise ConfigError(f"source pythia-pp: Pythia cannot read '{key} = {value}'")
        with tempfile.TemporaryDirectory() as folder:
            if spectrum:
                file = Path(folder) / "spectrum.slha"
                file.write_text(spectrum, encoding="utf-8")
                self._pythia.readString(f"SLHA:file = {file}")
            if not self._pythia.init():
                told = ", ".join(f"{key} = {value}" for key, value in settings.items())
                raise ConfigError(f"source pythia-pp: Pythia cannot be initialised with {told}")

    def cross_section(self) -> float:
        """Return Pythia's estimate, pb, of the collisions that were made."""
        return float(self._pythia.infoPython().sigmaGen()) * MB_TO_PB

    def collisions(self, n: int) -> Collisions:
        """Return what n collisions leave; fewer if Pythia gives one up.

        Raises:
            DataError: it gives up all of them.
        """
        awkward = library("awkward", "source pythia-pp", extra="pythia")
        record = self._pythia.nextBatch(n).prt
        if not len(record):
            raise DataError(
                f"source pythia-pp: Pythia gives up all of {n:,} collisions; see the settings of "
                "masses and decays in source.processes"
            )
        number = awkward.to_numpy(awkward.num(record.id))

        def flat(values: Any) -> NDArray[Any]:  # noqa: ANN401 - awkward has no types
            array: NDArray[Any] = awkward.to_numpy(awkward.flatten(values))
            return array

        event = np.repeat(np.arange(len(number)), number)
        pdg_id, momentum = flat(record.id).astype(np.int64), record.p
        px, py, pz = (flat(momentum[part]) for part in ("px", "py", "pz"))
        kinds, which = np.unique(pdg_id, return_inverse=True)
        known = self._pythia.particleData
        visible = np.array([known.isVisible(int(kind)) for kind in kinds], dtype=bool)[which]
        charge = np.array([known.charge(int(kind)) for kind in kinds], dtype=float)[which]
        pt = np.hypot(px, py)
        final = (flat(record.status) > 0) & visible & (pt > 0)
        particles = Particles(
            event=event[final],
            vertex=np.zeros(final.sum(), dtype=np.int64),
            pdg_id=pdg_id[final],
            charge=charge[final],
            pt=pt[final],
            eta=np.arcsinh(pz[final] / pt[final]),
            phi=np.arctan2(py[final], px[final]),
            mass=np.maximum(flat(record.m)[final], 0),
        )
        flavour = quark(pdg_id)
        marks = (flavour >= 4) & (pt > HEAVY_PT)
        heavy = Heavy(
            event=event[marks],
            flavour=flavour[marks],
            eta=np.arcsinh(pz[marks] / pt[marks]),
            phi=np.arctan2(py[marks], px[marks]),
        )
        return Collisions(len(number), particles, heavy)


def overlaid(pool: Collisions, n: int, mean: float, rng: np.random.Generator) -> Particles:
    """Return the particles of Poisson(mean) collisions of the pool for each of n events.

    A collision is turned around the beam, and mirrored in z, at random: what the beams are is
    symmetric, so each use is another event, whose particles keep their distances.
    """
    count = rng.poisson(mean, n)
    total = int(count.sum())
    chosen = rng.integers(0, pool.n, total)
    turn = rng.uniform(-math.pi, math.pi, total)
    side = rng.choice([-1.0, 1.0], total)
    use, index = pairs(chosen, pool.particles.event)
    found = pool.particles[index]
    event = np.repeat(np.arange(n), count)
    phi = np.remainder(found.phi + turn[use] + math.pi, 2 * math.pi) - math.pi
    moved = {
        "event": event[use],
        "vertex": _ranks(event)[use],
        "eta": found.eta * side[use],
        "phi": phi,
    }
    return Particles(**{**vars(found), **moved})


def quark(pdg_id: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of a hadron's heaviest quark, 0 of what is no hadron.

    It is the third digit of mesons and the fourth of baryons, by the Monte Carlo numbering scheme.

    >>> quark(np.array([511, -5122, 411, 211, 5, 2101]))  # B⁰, Λ_b, D⁺, π⁺, b and a diquark
    array([5, 5, 4, 2, 0, 0])
    """
    number = np.abs(pdg_id)
    thousands, hundreds, tens = (number // 10**k % 10 for k in (3, 2, 1))
    hadron = (number > 100) & (tens > 0) & (number < 10**7)
    heaviest: NDArray[np.int64] = np.where(hadron, np.maximum(thousands, hundreds), 0)
    return heaviest


def _ranks(event: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each entry in its event, from 1; events must be in order."""
    first = np.searchsorted(event, event, "left")
    ranks: NDArray[np.int64] = np.arange(len(event)) - first + 1
    return ranks


def _parts(objects: Objects, mass: float | None) -> dict[str, NDArray[np.float64]]:
    pt, eta, phi = objects.pt, objects.eta, objects.phi
    own = objects.mass if mass is None else np.full(len(pt), mass)
    return {
        "pt": pt,
        "eta": eta,
        "phi": phi,
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "energy": np.hypot(pt * np.cosh(eta), own),
        "mass": own,
        "charge": objects.charge,
        "isolation": objects.isolation,
        "b_tag": objects.b_tag.astype(float),
    }


def _pair_mass(two: Objects) -> NDArray[np.float64]:
    """Return the masses of consecutive pairs, GeV."""
    parts = _parts(two, None)
    px, py, pz, energy = (
        parts[name].reshape(-1, 2).sum(axis=1) for name in ("px", "py", "pz", "energy")
    )
    squared = energy**2 - px**2 - py**2 - pz**2
    mass: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0))
    return mass


def _pythia() -> Any:  # noqa: ANN401 - an optional package without types
    return library("pythia8mc", "source pythia-pp", extra="pythia").Pythia("", False)  # no banner
