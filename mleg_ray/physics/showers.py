"""Electromagnetic showers in slabs of matter: a Monte Carlo cascade of many showers at once.

All particles in flight are arrays: each round moves every electron, positron and photon by one
step, to its next interaction or the next slab, and adds what they make. Photons scatter (Compton),
make pairs, and are absorbed (photoelectric effect) above `PHOTON_CUT`. Electrons and positrons
radiate photons above `PHOTON_CUT`, knock on electrons above `ELECTRON_CUT`, and lose smaller
portions continuously, with Gaussian fluctuations; positrons annihilate in flight and at rest. Below
their cuts particles leave their energy where they are.

Elastic scattering, too frequent to follow, becomes fewer collisions, a mean distance s apart and
with a mean 1 - cos θ = s/λ, λ the transport mean free path. So the direction's mean decays as
exp(-distance/λ), as it does in truth, and no step needs to know of slabs.

Left out: Rayleigh scattering, binding of electrons in Compton scattering, fluorescence, the angle
of photoelectrons, nuclear reactions of photons, and the Landau-Pomeranchuk-Migdal effect, by which
electrons above some 10 GeV radiate fewer soft photons.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mleg_ray.physics import electromagnetic as em
from mleg_ray.physics.electromagnetic import MASS
from mleg_ray.physics.materials import MATERIALS, Element, Material

Array = NDArray[np.float64]

ELECTRON_CUT, PHOTON_CUT = 0.3, 0.03  # MeV, kinetic
HIGHEST = 1e5  # MeV, of the tables
LOSS = 0.2  # the largest share of its energy that an electron loses in a step
DEFLECTION = 0.5  # the largest mean 1 - cos θ of a collision
APART = 0.3  # cm, the largest mean distance of collisions, by which energy is left
ACROSS = 10  # collisions in the thickness of a slab, at least in the mean
TOGETHER = 2000  # showers that are followed at once: their arrays fit a processor's cache
MOST_CELLS = 2**24  # of showers that are followed at once, for the memory of their images
MOST_ENERGY = 2e6  # MeV, of showers that are followed at once, for the memory of their particles
GRID, LEVELS, POINTS = 600, 129, 200  # energies, quantiles, points of an integral
ROWS = 100  # energies of a table of quantiles

# Rows of the arrays of particles (ROW, n): cm, unit vectors and MeV.
EVENT, X, Y, Z, U, V, W, ENERGY, CHARGE, SLAB = range(10)
SPACE, DIRECTION = slice(X, Z + 1), slice(U, W + 1)


@dataclass(frozen=True)
class Slab:
    """A slab across the z axis: the name of its material, and its thickness in cm."""

    material: str
    thickness: float


@dataclass(frozen=True)
class Showers:
    """What n showers leave: images (n, slabs, cells, cells), MeV, and what these have not.

    Rows run along y, columns along x. `outside` (n,) is deposited in the slabs beyond the window,
    `leaked` (n,) leaves them, a positron's mass and that of its electron included. The sum of all
    is the energy that came in.
    """

    images: NDArray[np.float32]
    outside: Array
    leaked: Array


class Quantiles:
    """Draws from a density f(E, q) of 0 < q < 1, from its quantiles at energies E.

    An energy between two of them takes the one or the other by chance, as close as it is.
    """

    def __init__(self, low: float, density: Callable[[Array, Array], Array]) -> None:
        energies = np.geomspace(low, HIGHEST, ROWS)
        q = np.linspace(0, 1, 4 * LEVELS)
        middle = (q[1:] + q[:-1]) / 2
        f = np.broadcast_to(density(energies[:, None], middle), (ROWS, len(middle)))
        cumulative = np.cumsum(f, axis=1)
        levels = np.linspace(0, 1, LEVELS)
        self._table = np.stack(
            [np.interp(levels, np.append(0, row / row[-1]), q) for row in cumulative]
        ).ravel()
        self._low, self._steps = math.log(low), (ROWS - 1) / math.log(HIGHEST / low)

    def draw(self, rng: np.random.Generator, energy: Array) -> Array:
        """Return q (n,) at energies (n,)."""
        row = (np.log(energy) - self._low) * self._steps + rng.random(len(energy))
        level = rng.random(len(energy)) * (LEVELS - 1)
        below = level.astype(np.int64)
        at = np.clip(row.astype(np.int64), 0, ROWS - 1) * LEVELS + below
        table = self._table
        return np.asarray(table[at] + (level - below) * (table[at + 1] - table[at]))


# Columns of the tables of rates: 1/cm up to each process, then MeV/cm, MeV²/cm and 1 - cos θ.
COMPTON, PAIR, PHOTOELECTRIC = range(3)
SCATTERING, RADIATING, KNOCKING, ANNIHILATING, LOSING, STRAGGLING, DEFLECTING = range(7)


class Matter:
    """Tables of a material's cross sections, on a grid of energies."""

    def __init__(self, material: Material, apart: float) -> None:
        self.binding = max(element.binding for element, _ in material.atoms)
        energies = np.geomspace(PHOTON_CUT, HIGHEST, GRID)
        self.photons = np.cumsum(
            [
                material.electrons * em.klein_nishina(energies),
                _macroscopic(material, em.pair_production, energies),
                _macroscopic(material, em.photoelectric, energies),
            ],
            axis=0,
        ).T.copy()
        self.pairs = Quantiles(
            2.001 * MASS,
            lambda k, q: _of_atoms(material, em.pair_spectrum, k, _share_of_pair(k, q)),
        )
        electrons = np.geomspace(ELECTRON_CUT, HIGHEST, GRID)
        self.charged = [_rates(material, electrons, charge, apart) for charge in (-1, 1)]
        self.radiation = Quantiles(
            ELECTRON_CUT,
            lambda t, q: _of_atoms(material, em.bremsstrahlung_spectrum, t, _photon(t, q)),
        )


def _rates(material: Material, energy: Array, charge: int, apart: float) -> Array:
    """Return the table (GRID, 7) of electrons or positrons."""
    q = (np.arange(POINTS) + 0.5) / POINTS
    T = energy[:, None]
    # Bremsstrahlung, of the total energy loss that is published: k dσ/dk over ln k.
    soft = T * np.geomspace(1e-7, 1, 4 * POINTS)
    spectrum = _of_atoms(material, em.bremsstrahlung_spectrum, T, soft)
    whole = np.trapezoid(spectrum, soft, axis=1)
    scale = em.radiative_loss(material, energy, charge) / whole
    below = np.trapezoid(np.where(soft < PHOTON_CUT, spectrum, 0), soft, axis=1) * scale
    above = _of_atoms(material, em.bremsstrahlung_spectrum, T, _photon(T, q)).mean(axis=1)
    radiating = above * np.log(energy / PHOTON_CUT) * scale
    # Knocked-on electrons, W of which dW = W ln(largest/cut) dq.
    g2 = (energy / MASS + 1) ** 2
    beta2 = 1 - 1 / g2
    width = np.maximum(_largest_transfer(energy, charge) / ELECTRON_CUT, 1)
    transfer = _transfer(T, q, charge)
    of_one = em.moller if charge < 0 else em.bhabha
    rate = em.electron_scale(material) / beta2[:, None] * of_one(T, transfer) * transfer
    knocking = rate.mean(axis=1) * np.log(width)
    hard = (rate * transfer).mean(axis=1) * np.log(width)
    losing = em.collision_loss(material, energy, charge) - hard + below
    most = np.minimum(ELECTRON_CUT, _largest_transfer(energy, charge))
    straggling = em.electron_scale(material) / beta2 * most * (1 - beta2 / 2)
    transport = em.transport_rate(material, energy, charge)
    distance = np.minimum(DEFLECTION / transport, apart)
    annihilating = material.electrons * em.annihilation(energy) if charge > 0 else 0 * energy
    chances = np.cumsum([1 / distance, radiating, knocking, annihilating], axis=0)
    return np.stack([*chances, losing, straggling, distance * transport], axis=1)


def _macroscopic(
    material: Material, of_atom: Callable[[Element, Array], Array], energy: Array
) -> Array:
    total = sum(number * of_atom(element, energy) for element, number in material.atoms)
    return np.asarray(material.molecules * total)


def _of_atoms(
    material: Material, of_atom: Callable[[float, Array, Array], Array], energy: Array, at: Array
) -> Array:
    """Return a spectrum of all atoms, which count by Z (Z + 1)."""
    spectrum = sum(n * e.Z * (e.Z + 1) * of_atom(e.Z, energy, at) for e, n in material.atoms)
    return np.asarray(spectrum)


def _share_of_pair(photon: Array, q: Array) -> Array:
    """Return the positron's share of a photon's energy, even in its kinetic energy."""
    least = MASS / photon
    return least + q * (1 - 2 * least)


def _photon(energy: Array, q: Array) -> Array:
    """Return a radiated photon's energy, even in its logarithm, between the cut and all."""
    return np.asarray(PHOTON_CUT * (energy / PHOTON_CUT) ** q)


def _largest_transfer(energy: Array, charge: int) -> Array:
    return energy / 2 if charge < 0 else energy


def _transfer(energy: Array, q: Array, charge: int) -> Array:
    """Return the energy of an electron that is knocked on, even in its logarithm, from the cut."""
    largest = _largest_transfer(energy, charge)
    width = np.maximum(largest / ELECTRON_CUT, 1)
    return np.asarray(np.minimum(ELECTRON_CUT * width**q, largest))


def _kept(energy: Array, q: Array) -> Array:
    """Return the share of its energy that a scattered photon keeps, even in its logarithm."""
    return np.asarray((1 + 2 * energy / MASS) ** (q - 1))


def _share_of_annihilation(energy: Array, q: Array) -> Array:
    """Return one photon's share, even in its logarithm, between the least and 1/2."""
    g = energy / MASS + 1
    least = 1 / (g + 1 + np.sqrt(g**2 - 1))
    return np.asarray(least * (0.5 / least) ** q)


def _knocked(charge: int) -> Quantiles:
    of_one = em.moller if charge < 0 else em.bhabha

    def density(energy: Array, q: Array) -> Array:
        transfer = _transfer(energy, q, charge)
        return of_one(energy, transfer) * transfer

    return Quantiles(ELECTRON_CUT, density)


@dataclass(frozen=True)
class Common:
    """What no material changes."""

    compton: Quantiles
    knocked: tuple[Quantiles, Quantiles]
    annihilation: Quantiles


@functools.cache
def _common() -> Common:
    return Common(
        Quantiles(
            PHOTON_CUT,
            lambda k, q: em.compton_spectrum(k, _kept(k, q)) * _kept(k, q),
        ),
        (_knocked(-1), _knocked(1)),
        Quantiles(
            ELECTRON_CUT,
            lambda t, q: (
                em.annihilation_spectrum(t, _share_of_annihilation(t, q))
                * _share_of_annihilation(t, q)
            ),
        ),
    )


@functools.cache
def _matter(name: str, apart: float) -> Matter:
    return Matter(MATERIALS[name], apart)


class Calorimeter:
    """Slabs one after the other from z = 0, wide without end, read out in square cells.

    The cells are those of a square `window` (cm) around the z axis, `cells` in each direction.
    """

    def __init__(self, slabs: Sequence[Slab], window: float, cells: int) -> None:
        self.edges = np.append(0.0, np.cumsum([slab.thickness for slab in slabs]))
        self.window, self.cells, self.slabs = window, cells, len(slabs)
        self.common = _common()
        kinds = list(dict.fromkeys(slabs))
        self.matter = [
            _matter(kind.material, min(APART, kind.thickness / ACROSS)) for kind in kinds
        ]
        self.kind = np.array([kinds.index(slab) for slab in slabs])
        self.binding = np.array([matter.binding for matter in self.matter])
        self.photons = np.concatenate([matter.photons for matter in self.matter])
        self.charged = np.concatenate([c for matter in self.matter for c in matter.charged])

    def showers(
        self, rng: np.random.Generator, energy: Array, theta: Array, x: Array, y: Array
    ) -> Showers:
        """Follow electrons that come in at (x, y) (n,), cm, with kinetic energies (n,), MeV.

        They are inclined by `theta` (n,), rad, against the z axis, towards x.
        """
        parts = []
        most = min(MOST_CELLS / (self.slabs * self.cells**2), MOST_ENERGY / energy.max())
        together = max(1, min(TOGETHER, int(most)))
        for start in range(0, len(energy), together):
            some = slice(start, start + together)
            flight = _Flight(self, rng, len(energy[some]))
            parts.append(flight.showers(energy[some], theta[some], x[some], y[some]))
        fields = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("images", "outside", "leaked")
        )
        return Showers(*fields)


class _Flight:
    """Particles in flight, of a few showers."""

    def __init__(self, calorimeter: Calorimeter, rng: np.random.Generator, n: int) -> None:
        self._of, self._rng, self._n = calorimeter, rng, n
        self._hits: list[tuple[NDArray[np.int64], Array]] = []
        self._outside, self._leaked = np.zeros(n), np.zeros(n)
        self._charged: list[Array] = []
        self._photons: list[Array] = []

    def showers(self, energy: Array, theta: Array, x: Array, y: Array) -> Showers:
        n, zero = self._n, np.zeros(self._n)
        u, w = np.sin(theta), np.cos(theta)
        first = np.stack([np.arange(n), x, y, zero, u, zero, w, energy, zero - 1, zero])
        self._charged.append(first)
        while self._charged or self._photons:
            charged, self._charged = self._charged, []
            photons, self._photons = self._photons, []
            if charged:
                self._move_charged(np.concatenate(charged, axis=1))
            if photons:
                self._move_photons(np.concatenate(photons, axis=1))
        size = self._of.slabs * self._of.cells**2
        cells, energies = (np.concatenate(parts) for parts in zip(*self._hits, strict=True))
        images = np.bincount(cells, energies, n * size).astype(np.float32)
        shape = (n, self._of.slabs, self._of.cells, self._of.cells)
        return Showers(images.reshape(shape), self._outside, self._leaked)

    # ---- electrons and positrons ----

    def _move_charged(self, some: Array) -> None:
        """Move electrons and positrons by one step each."""
        of, rng = self._of, self._rng
        some = self._stop(some)
        energy = some[ENERGY]
        # Tables come by slab, electrons before positrons.
        table = 2 * of.kind[some[SLAB].astype(np.int64)] + (some[CHARGE] > 0)
        rates = _interpolated(of.charged, table, energy, ELECTRON_CUT)
        total = rates[:, ANNIHILATING]
        free = rng.standard_exponential(len(energy)) / total
        step = np.minimum(free, LOSS * energy / rates[:, LOSING])
        border, step = self._to_border(some, step)
        mean = step * rates[:, LOSING]
        spread = np.sqrt(step * rates[:, STRAGGLING]) * rng.standard_normal(len(energy))
        lost = np.minimum(mean + np.clip(spread, -mean, mean), energy)
        self._deposit(some, some[SPACE] + rng.random(len(energy)) * step * some[DIRECTION], lost)
        some[SPACE] += step * some[DIRECTION]
        some[ENERGY] -= lost
        some[Z][border >= 0] = of.edges[border[border >= 0]]
        acting = np.flatnonzero((step == free) & (some[ENERGY] > ELECTRON_CUT))
        self._interact(some, acting, rates)
        self._keep(self._charged, some, border)

    def _stop(self, some: Array) -> Array:
        """Return those above their cut; others leave their energy, and positrons annihilate."""
        slow = some[ENERGY] <= ELECTRON_CUT
        if not slow.any():
            return some
        ended = some[:, slow]
        self._deposit(ended, ended[SPACE], ended[ENERGY])
        positrons = ended[:, ended[CHARGE] > 0]
        if positrons.size:
            n: int = positrons.shape[1]
            cos = self._rng.uniform(-1, 1, n)
            photon = turned(positrons[DIRECTION], cos, self._azimuth(n))
            for direction in (photon, -photon):
                self._make(self._photons, positrons, np.full(n, MASS), direction)
        return some[:, ~slow]

    def _interact(self, some: Array, acting: NDArray[np.intp], rates: Array) -> None:
        chances = rates[acting, : ANNIHILATING + 1]
        u = self._rng.random(len(acting)) * chances[:, ANNIHILATING]
        process = (u[:, None] > chances[:, :ANNIHILATING]).sum(axis=1)
        scattered = acting[process == SCATTERING]
        cos = 1 - self._deflection(rates[scattered, DEFLECTING])
        around = self._azimuth(len(cos))
        some[DIRECTION, scattered] = turned(some[DIRECTION, scattered], cos, around)
        self._radiate(some, acting[process == RADIATING])
        self._knock(some, acting[process == KNOCKING])
        self._annihilate(some, acting[process == ANNIHILATING])

    def _deflection(self, mean: Array) -> Array:
        """Draw 1 - cos θ with this mean: exponential, as of a Gaussian θ, and below 2."""
        return np.minimum(mean * self._rng.standard_exponential(len(mean)), 2)

    def _radiate(self, some: Array, which: NDArray[np.intp]) -> None:
        """Radiate a photon each, at an angle of about m/E (Tsai's, as Geant4's manual fits it)."""
        for matter, own in self._by_matter(some, which):
            energy = some[ENERGY, own]
            photon = _photon(energy, matter.radiation.draw(self._rng, energy))
            cos = self._narrow(energy)
            direction = turned(some[DIRECTION, own], cos, self._azimuth(len(own)))
            self._make(self._photons, some[:, own], photon, direction)
            some[ENERGY, own] -= photon

    def _knock(self, some: Array, which: NDArray[np.intp]) -> None:
        """Knock on an electron each, which with the other conserves energy and momentum."""
        for charge, knocked in zip((-1, 1), self._of.common.knocked, strict=True):
            own = which[some[CHARGE, which] == charge]
            energy = some[ENERGY, own]
            enough = _largest_transfer(energy, charge) > ELECTRON_CUT
            own, energy = own[enough], energy[enough]
            transfer = _transfer(energy, knocked.draw(self._rng, energy), charge)
            rest = energy - transfer
            azimuth = self._azimuth(len(own))
            cos = [
                np.sqrt(part * (energy + 2 * MASS) / (energy * (part + 2 * MASS)))
                for part in (transfer, rest)
            ]
            electron = turned(some[DIRECTION, own], np.minimum(cos[0], 1), azimuth)
            self._make(self._charged, some[:, own], transfer, electron, charge=-1)
            some[DIRECTION, own] = turned(
                some[DIRECTION, own], np.minimum(cos[1], 1), azimuth + math.pi
            )
            some[ENERGY, own] = rest

    def _annihilate(self, some: Array, which: NDArray[np.intp]) -> None:
        """Make two photons of each positron, which is no more."""
        energy = some[ENERGY, which]
        share = _share_of_annihilation(energy, self._of.common.annihilation.draw(self._rng, energy))
        share = np.where(self._rng.random(len(share)) < 0.5, share, 1 - share)
        g = energy / MASS + 1
        root = np.sqrt(g**2 - 1)
        azimuth = self._azimuth(len(which))
        for part, around in ((share, azimuth), (1 - share, azimuth + math.pi)):
            cos = np.clip((g + 1 - 1 / part) / root, -1, 1)
            photon = turned(some[DIRECTION, which], cos, around)
            self._make(self._photons, some[:, which], part * (energy + 2 * MASS), photon)
        some[EVENT, which] = -1

    # ---- photons ----

    def _move_photons(self, some: Array) -> None:
        """Move photons to their next interaction, or to the border of their slab."""
        of, rng = self._of, self._rng
        slow = some[ENERGY] <= PHOTON_CUT
        if slow.any():
            self._deposit(some[:, slow], some[SPACE, slow], some[ENERGY, slow])
            some = some[:, ~slow]
        energy = some[ENERGY]
        rates = _interpolated(of.photons, of.kind[some[SLAB].astype(np.int64)], energy, PHOTON_CUT)
        free = rng.standard_exponential(len(energy)) / rates[:, PHOTOELECTRIC]
        border, step = self._to_border(some, free)
        some[SPACE] += step * some[DIRECTION]
        some[Z][border >= 0] = of.edges[border[border >= 0]]
        acting = np.flatnonzero(border < 0)
        u = rng.random(len(acting)) * rates[acting, PHOTOELECTRIC]
        process = (u[:, None] > rates[acting, :PHOTOELECTRIC]).sum(axis=1)
        self._scatter(some, acting[process == COMPTON])
        self._make_pairs(some, acting[process == PAIR])
        self._absorb(some, acting[process == PHOTOELECTRIC])
        self._keep(self._photons, some, border)

    def _scatter(self, some: Array, which: NDArray[np.intp]) -> None:
        """Scatter photons off electrons at rest, to which goes what these lose."""
        energy = some[ENERGY, which]
        photon = energy * _kept(energy, self._of.common.compton.draw(self._rng, energy))
        electron = energy - photon
        azimuth = self._azimuth(len(which))
        before = some[DIRECTION, which]
        cos = np.clip(1 - MASS / photon + MASS / energy, -1, 1)
        after = turned(before, cos, azimuth)
        fast = electron > ELECTRON_CUT
        self._deposit(some[:, which[~fast]], some[SPACE, which[~fast]], electron[~fast])
        recoil = (energy * before - photon * after)[:, fast]
        recoil /= np.sqrt((recoil**2).sum(axis=0))
        self._make(self._charged, some[:, which[fast]], electron[fast], recoil, charge=-1)
        some[DIRECTION, which] = after
        some[ENERGY, which] = photon

    def _make_pairs(self, some: Array, which: NDArray[np.intp]) -> None:
        for matter, own in self._by_matter(some, which):
            photon = some[ENERGY, own]
            positron = photon * _share_of_pair(photon, matter.pairs.draw(self._rng, photon))
            azimuth = self._azimuth(len(own))
            for charge, total in ((1, positron), (-1, photon - positron)):
                kinetic = np.maximum(total - MASS, 0)
                turn = azimuth + (math.pi if charge < 0 else 0)
                direction = turned(some[DIRECTION, own], self._narrow(kinetic), turn)
                self._make(self._charged, some[:, own], kinetic, direction, charge=charge)
            some[EVENT, own] = -1

    def _absorb(self, some: Array, which: NDArray[np.intp]) -> None:
        """Free an electron each; the shell's energy stays where it is."""
        gone = some[:, which]
        energy = gone[ENERGY]
        binding = np.minimum(self._of.binding[self._of.kind[gone[SLAB].astype(np.int64)]], energy)
        self._deposit(gone, gone[SPACE], binding)
        self._make(self._charged, gone, energy - binding, gone[DIRECTION], charge=-1)
        some[EVENT, which] = -1

    # ---- all ----

    def _to_border(self, some: Array, step: Array) -> tuple[NDArray[np.int64], Array]:
        """Return the edge that each reaches within its step, -1 if none, and how far it goes."""
        slab = some[SLAB].astype(np.int64)
        edge = slab + (some[W] > 0)
        away = self._of.edges[edge] - some[Z]
        # Those that fly along the slabs reach their lower edge, the one chosen, after an age.
        distance = away / np.where(some[W] == 0, -1e-300, some[W])
        reached = distance <= step
        return np.where(reached, edge, -1), np.where(reached, np.maximum(distance, 0), step)

    def _keep(self, pool: list[Array], some: Array, border: NDArray[np.int64]) -> None:
        """Keep those that are still there, those at a border in the next slab, or as leaked."""
        some[SLAB] += np.where(border < 0, 0, np.where(some[W] > 0, 1, -1))
        there = some[EVENT] >= 0
        inside = (some[SLAB] >= 0) & (some[SLAB] < self._of.slabs)
        left = some[:, there & ~inside]
        self._leaked += self._summed(left, left[ENERGY] + 2 * MASS * (left[CHARGE] > 0))
        if (kept := some[:, there & inside]).size:
            pool.append(kept)

    def _make(
        self, pool: list[Array], parents: Array, energy: Array, direction: Array, charge: float = 0
    ) -> None:
        """Add particles where their parents are."""
        made = parents.copy()
        made[DIRECTION], made[ENERGY], made[CHARGE] = direction, energy, charge
        if made.size:
            pool.append(made)

    def _deposit(self, some: Array, place: Array, energy: Array) -> None:
        """Leave energies (n,) at places (3, n)."""
        of = self._of
        column, row = np.floor((place[:2] / of.window + 0.5) * of.cells).astype(np.int64)
        inside = (column >= 0) & (column < of.cells) & (row >= 0) & (row < of.cells)
        plane = some[EVENT].astype(np.int64) * of.slabs + some[SLAB].astype(np.int64)
        cell = (plane * of.cells + row) * of.cells + column
        self._hits.append((cell[inside], energy[inside]))
        if not inside.all():
            self._outside += self._summed(some[:, ~inside], energy[~inside])

    def _summed(self, some: Array, energy: Array) -> Array:
        return np.bincount(some[EVENT].astype(np.int64), energy, self._n).astype(np.float64)

    def _by_matter(
        self, some: Array, which: NDArray[np.intp]
    ) -> list[tuple[Matter, NDArray[np.intp]]]:
        kind = self._of.kind[some[SLAB, which].astype(np.int64)]
        return [(matter, which[kind == k]) for k, matter in enumerate(self._of.matter)]

    def _azimuth(self, n: int) -> Array:
        return self._rng.uniform(-math.pi, math.pi, n)

    def _narrow(self, energy: Array) -> Array:
        """Return cos θ of what is made by or makes a particle of this energy, θ of about m/E."""
        rng, n = self._rng, len(energy)
        slope = np.where(rng.random(n) < 0.25, 0.625, 1.875)
        angle = rng.standard_gamma(2.0, n) / slope * MASS / (energy + MASS)
        return np.asarray(np.cos(np.minimum(angle, math.pi)))


def _interpolated(table: Array, which: NDArray[np.int64], energy: Array, low: float) -> Array:
    """Return rows (n, columns) of stacked tables of GRID rows, at energies from `low`."""
    at = (np.log(energy) - math.log(low)) * ((GRID - 1) / math.log(HIGHEST / low))
    below = np.minimum(at.astype(np.int64), GRID - 2)
    part = (at - below)[:, None]
    below += GRID * which
    first = table[below]
    first += part * (table[below + 1] - first)
    return first


def turned(direction: Array, cos: Array, azimuth: Array) -> Array:
    """Return unit vectors (3, n) at angles of these cosines to others, around them by azimuths."""
    u, v, w = direction
    across = np.sqrt(u**2 + v**2)
    along = across < 1e-9  # the z axis, around which any azimuth is as good
    across[along] = 1e-9
    a, b = u / across, v / across
    a[along], b[along] = 1.0, 0.0
    sin = np.sqrt((1 - cos) * (1 + cos))
    c, s = sin * np.cos(azimuth), sin * np.sin(azimuth)
    return np.stack(
        [u * cos + a * w * c - b * s, v * cos + b * w * c + a * s, w * cos - across * c]
    )
