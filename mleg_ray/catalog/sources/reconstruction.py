"""Declared detectors at a collider: what is seen of particles, and the objects made of it.

A detector is data, a `Card`. Particles of many events stand flat in arrays, event after event, so
that all is computed for a batch at once. Jets are found by fastjet (an optional package, GPL).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic import Field as Option

from mleg_ray.config import Config, find_named, read_toml
from mleg_ray.errors import ConfigError, library
from mleg_ray.physics.kinematics import LEAST_MASS

Numbers = NDArray[np.float64]
Whole = NDArray[np.int64]
Marks = NDArray[np.bool_]
Kind = Literal["jet", "electron", "muon", "photon"]
Share = Annotated[float, Option(ge=0, le=1)]

FOLDER = "data_catalog/detectors"
ELECTRON, MUON, PHOTON = 11, 13, 22  # Particle Data Group numbers


class Flat:
    """Arrays of equal length, one entry a particle or an object: the fields of a dataclass."""

    def __getitem__(self, kept: Marks | Whole) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[kept] for f in fields(self)})  # type: ignore[arg-type]

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Join parts in order."""
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


@dataclass(frozen=True)
class Particles(Flat):
    """Particles by event: pt and mass in GeV, φ in radians, charges in units of e.

    `vertex` is 0 for those of the hard collision, else the number of the overlaid one.
    """

    event: Whole
    vertex: Whole
    pdg_id: Whole
    charge: Numbers
    pt: Numbers
    eta: Numbers
    phi: Numbers
    mass: Numbers

    @property
    def energy(self) -> Numbers:
        """√(pt² cosh² η + m²), GeV."""
        return np.hypot(self.pt * np.cosh(self.eta), self.mass)


@dataclass(frozen=True)
class Heavy(Flat):
    """Hadrons with a heavy quark, which tell a jet's flavour: 5 of bottom, 4 of charm."""

    event: Whole
    flavour: Whole
    eta: Numbers
    phi: Numbers


@dataclass(frozen=True)
class Objects(Flat):
    """Reconstructed objects of one kind, by event and falling pt; see `Particles` for units.

    `isolation` is relative to pt, see `isolation`; `b_tag` marks jets. Jets have neither charge nor
    isolation, which are 0.
    """

    event: Whole
    pt: Numbers
    eta: Numbers
    phi: Numbers
    mass: Numbers
    charge: Numbers
    isolation: Numbers
    b_tag: Marks


@dataclass(frozen=True)
class Reconstructed:
    """What a detector makes of n events: objects, and numbers (n,) of each event.

    `met_px` and `met_py`, GeV, are minus the sum of all that is seen.
    """

    objects: Mapping[Kind, Objects]
    met_px: Numbers
    met_py: Numbers
    n_vtx: Whole


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ConfigError("the first is the lower end")
    return ends


Range = Annotated[tuple[NonNegativeFloat, PositiveFloat], AfterValidator(_ascending)]


class Region(Config):
    """A range of |η| where particles above `pt` (GeV) are seen with an `efficiency`, and how well.

    The relative error of pt is `stochastic`/√E ⊕ `constant` ⊕ `slope` pt, in GeV: the first two
    are a calorimeter's, the last two a tracker's.
    """

    eta: Range
    pt: NonNegativeFloat = 0.0
    efficiency: Share
    stochastic: NonNegativeFloat = 0.0
    constant: NonNegativeFloat = 0.0
    slope: NonNegativeFloat = 0.0

    def holds(self, particles: Particles) -> Marks:
        """Return a boolean array (P,)."""
        eta = np.abs(particles.eta)
        inside: Marks = (eta >= self.eta[0]) & (eta < self.eta[1]) & (particles.pt >= self.pt)
        return inside

    def resolution(self, particles: Particles) -> Numbers:
        """Return σ(pt)/pt (P,)."""
        squared = self.stochastic**2 / particles.energy + self.constant**2
        root: Numbers = np.sqrt(squared + (self.slope * particles.pt) ** 2)
        return root


Regions = Annotated[tuple[Region, ...], Option(min_length=1)]


class Sight(Config):
    """How particles of one kind are seen: of `regions` that hold one the last counts, else none."""

    regions: Regions


class Identified(Sight):
    """Electrons, muons or photons: objects above `pt` (GeV) if their isolation is below `isolated`.

    Without `isolated` all are. The others are parts of jets.
    """

    pt: PositiveFloat
    isolated: PositiveFloat | None = None


class Cone(Config):
    """Isolation: within `radius` in (η, φ), of what is above `pt` (GeV)."""

    radius: PositiveFloat = 0.3
    pt: NonNegativeFloat = 0.5


class BTag(Config):
    """The shares of bottom, charm and light jets within |η| < `eta` that get a tag."""

    eta: PositiveFloat
    bottom: Share
    charm: Share
    light: Share


class Jets(Config):
    """Anti-kt jets (M. Cacciari, G. Salam, G. Soyez, arXiv:0802.1189) above `pt` (GeV)."""

    radius: PositiveFloat = 0.4
    pt: PositiveFloat
    b_tag: BTag


class Card(Config):
    """A parametrised detector, declared rather than measured.

    Charged hadrons are seen in `tracks`, neutral ones in `hadrons`. A collision has a vertex if at
    least `vertex_tracks` charged particles of it are seen.
    """

    tracks: Sight
    hadrons: Sight
    electrons: Identified
    muons: Identified
    photons: Identified
    cone: Cone = Cone()
    jets: Jets
    vertex_tracks: PositiveInt = 4

    def measured(self, particles: Particles, rng: np.random.Generator) -> Particles:
        """Return what is seen of particles, with the measured pt.

        Its ratio to the true one is log-normal, of mean 1 and the deviation of the region: normal
        where that is small, and never below zero.
        """
        efficiency, error = np.zeros((2, len(particles.pt)))
        for sight, marks in self._sights(particles):
            for region in sight.regions:
                held = np.flatnonzero(marks & region.holds(particles))
                efficiency[held] = region.efficiency
                error[held] = region.resolution(particles[held])
        seen = rng.random(len(efficiency)) < efficiency
        found, width = particles[seen], np.sqrt(np.log1p(error[seen] ** 2))
        factor = np.exp(width * rng.standard_normal(len(width)) - width**2 / 2)
        return Particles(**{**vars(found), "pt": found.pt * factor})

    def reconstructed(
        self, particles: Particles, heavy: Heavy, n: int, rng: np.random.Generator
    ) -> Reconstructed:
        """Return what is seen of n events.

        An object is never a part of a jet too: identified electrons, muons and photons are left out
        where jets are found, and so are charged particles of overlaid collisions. Neutral ones
        cannot be told apart and stay.
        """
        seen = self.measured(particles, rng)
        seen = seen[np.argsort(seen.event, kind="stable")]
        objects: dict[Kind, Objects] = {}
        clustered = (seen.charge == 0) | (seen.vertex == 0)
        settings: tuple[tuple[Kind, Identified, int], ...] = (
            ("electron", self.electrons, ELECTRON),
            ("muon", self.muons, MUON),
            ("photon", self.photons, PHOTON),
        )
        for kind, identified, pdg_id in settings:
            candidates = np.flatnonzero(
                (np.abs(seen.pdg_id) == pdg_id) & (seen.pt >= identified.pt)
            )
            relative = isolation(seen, candidates, self.cone)
            if identified.isolated is not None:
                kept = relative < identified.isolated
                candidates, relative = candidates[kept], relative[kept]
            clustered[candidates] = False
            objects[kind] = _ordered(_as_objects(seen[candidates], relative))
        found = jets(seen[clustered], n, self.jets)
        tagged = self._tagged(found, heavy, rng)
        objects["jet"] = _ordered(Objects(**{**vars(found), "b_tag": tagged}))
        return Reconstructed(
            objects,
            met_px=-_total(seen.event, seen.pt * np.cos(seen.phi), n),
            met_py=-_total(seen.event, seen.pt * np.sin(seen.phi), n),
            n_vtx=vertices(seen, n, self.vertex_tracks),
        )

    def _sights(self, particles: Particles) -> Iterable[tuple[Sight, Marks]]:
        kind = np.abs(particles.pdg_id)
        charged = particles.charge != 0
        leptons = (kind == ELECTRON) | (kind == MUON)
        yield self.tracks, charged & ~leptons
        yield self.hadrons, ~charged & (kind != PHOTON)
        yield self.electrons, kind == ELECTRON
        yield self.muons, kind == MUON
        yield self.photons, kind == PHOTON

    def _tagged(self, found: Objects, heavy: Heavy, rng: np.random.Generator) -> Marks:
        flavour = flavours(found, heavy, self.jets.radius)
        tag = self.jets.b_tag
        share = np.select([flavour == 5, flavour == 4], [tag.bottom, tag.charm], tag.light)
        marks: Marks = (rng.random(len(share)) < share) & (np.abs(found.eta) < tag.eta)
        return marks


def read_card(value: object) -> object:
    """Return the table of a card in `data_catalog/detectors/NAME.toml` or a path; tables pass."""
    return read_toml(find_named(value, FOLDER)) if isinstance(value, str) else value


NamedCard = Annotated[Card, BeforeValidator(read_card)]


def isolation(seen: Particles, candidates: Whole, cone: Cone) -> Numbers:
    """Return the isolation of some of the particles seen, those at the indices `candidates`.

        [Σ_charged pt + max(0, Σ_neutral pt - ½ Σ_overlaid pt)] / pt

    over other particles of the same event within the cone: charged ones of the hard collision,
    neutral ones, and charged ones of overlaid collisions, of which half as much comes along in
    neutral ones (CMS, arXiv:1804.04528). Clipped at zero it is exactly zero for many.
    Particles must stand event after event.
    """
    first, second = pairs(seen.event[candidates], seen.event)
    index = candidates[first]
    near = distance(seen, index, seen, second) < cone.radius
    near &= (seen.pt[second] >= cone.pt) & (second != index)
    first, second = first[near], second[near]
    neutral = seen.charge[second] == 0
    overlaid = ~neutral & (seen.vertex[second] > 0)

    def total(marks: Marks) -> Numbers:
        return _total(first[marks], seen.pt[second[marks]], len(candidates))

    own = total(~neutral & ~overlaid)
    summed: Numbers = own + np.maximum(0, total(neutral) - total(overlaid) / 2)
    return summed / seen.pt[candidates]


def pairs(event: Whole, others: Whole) -> tuple[Whole, Whole]:
    """Return the indices of all pairs of the same event; `others` must be in order.

    >>> pairs(np.array([2, 0]), np.array([0, 0, 1, 2]))
    (array([0, 1, 1]), array([3, 0, 1]))
    """
    start, stop = (np.searchsorted(others, event, side) for side in ("left", "right"))
    length = stop - start
    first = np.repeat(np.arange(len(event)), length)
    place = np.arange(len(first)) - np.repeat(np.cumsum(length) - length, length)
    return first, start[first] + place


def distance(first: Particles | Objects, i: Whole, second: Particles | Heavy, j: Whole) -> Numbers:
    """Return ΔR = √(Δη² + Δφ²) of pairs of entries."""
    turn = np.remainder(first.phi[i] - second.phi[j] + math.pi, 2 * math.pi) - math.pi
    apart: Numbers = np.hypot(first.eta[i] - second.eta[j], turn)
    return apart


def flavours(found: Objects, heavy: Heavy, radius: float) -> Whole:
    """Return the flavour of jets: that of the heaviest quark of hadrons within `radius`, or 0."""
    heavy = heavy[np.argsort(heavy.event, kind="stable")]
    first, second = pairs(found.event, heavy.event)
    near = distance(found, first, heavy, second) < radius
    flavour = np.zeros(len(found.event), dtype=np.int64)
    np.maximum.at(flavour, first[near], heavy.flavour[second[near]])
    return flavour


def vertices(seen: Particles, n: int, tracks: int) -> Whole:
    """Return how many collisions (n,) of each event have at least as many charged particles."""
    charged = seen.charge != 0
    most = int(seen.vertex.max(initial=0)) + 1
    count = np.bincount(seen.event[charged] * most + seen.vertex[charged], minlength=n * most)
    number: Whole = (count.reshape(n, most) >= tracks).sum(axis=1)
    return number


def jets(particles: Particles, n: int, finder: Jets) -> Objects:
    """Return the anti-kt jets of n events, in the order of events, without tags.

    Particles must stand event after event. Masses below 0.3% of the energy are zero.
    """
    fastjet, awkward = (library(name, "finding jets", "pythia") for name in ("fastjet", "awkward"))
    # It would print a banner on standard output. (`ClusterSequence` itself is wrapped in Python.)
    fastjet.ClusterSequenceArea.set_fastjet_banner_stream(None)
    pt, eta, phi = particles.pt, particles.eta, particles.phi
    momenta = {
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
        "E": particles.energy,
    }
    counts = np.bincount(particles.event, minlength=n)
    events = awkward.unflatten(awkward.zip(momenta), counts)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, finder.radius)
    found = fastjet.ClusterSequence(events, definition).inclusive_jets(finder.pt)
    number = awkward.to_numpy(awkward.num(found))
    px, py, pz, energy = (awkward.to_numpy(awkward.flatten(found[name])) for name in momenta)
    pt = np.hypot(px, py)
    p = np.hypot(pt, pz)
    mass = np.sqrt(np.maximum((energy - p) * (energy + p), 0))
    none = np.zeros(len(pt))
    return Objects(
        event=np.repeat(np.arange(n), number),
        pt=pt,
        eta=np.arcsinh(pz / pt),
        phi=np.arctan2(py, px),
        mass=np.where(mass < LEAST_MASS * energy, 0, mass),
        charge=none,
        isolation=none,
        b_tag=none.astype(bool),
    )


def _total(owner: Whole, values: Numbers, n: int) -> Numbers:
    """Return the sum of the values of each of n owners."""
    return np.bincount(owner, values, minlength=n).astype(np.float64)


def _as_objects(particles: Particles, isolation: Numbers) -> Objects:
    same = {name: getattr(particles, name) for name in ("event", "pt", "eta", "phi", "charge")}
    zero = np.zeros(len(isolation))
    return Objects(**same, mass=particles.mass, isolation=isolation, b_tag=zero.astype(bool))


def _ordered(objects: Objects) -> Objects:
    return objects[np.lexsort((-objects.pt, objects.event))]
