"""Which columns are the parts of a particle's momentum, by their names and by the mass shell."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mleg_ray.fitting.nature import Numbers

PARTS = {
    "px": "px",
    "py": "py",
    "pz": "pz",
    "pt": "pt",
    "eta": "eta",
    "phi": "phi",
    "e": "energy",
    "energy": "energy",
    "m": "mass",
    "mass": "mass",
}
PART_LAST = re.compile(
    r"^(?P<stem>.*?)[_. ]?(?P<part>px|py|pz|pt|eta|phi|energy|mass|e|m)(?P<rank>\d*)$"
)
PART_FIRST = re.compile(
    r"^(?P<part>px|py|pz|pt|eta|phi|energy|mass|e|m)[_. ](?P<stem>.+)(?P<rank>)$"
)
ALONE = ("e", "m")  # letters that end many words: a part only behind a separator, or by themselves
CARTESIAN = ("px", "py", "pz")
POLAR = ("pt", "eta", "phi")
KNOWN_MASSES = (0.0, 0.00051099895, 0.1056583755, 0.13957039, 0.493677, 0.93827208816)  # GeV, PDG
ON_SHELL = 1e-4  # of the energy, as `kinematics.OFF_SHELL`
ALMOST_ALL = 0.999  # of the events
SAME = 1e-3  # relative: of what follows from printed numbers


@dataclass(frozen=True)
class Particle:
    """The columns of a particle's parts, by part: px, py, pz, energy, or pt, eta, phi, mass.

    `mass` is that of its shell in GeV, None if it differs from event to event or nothing tells it.
    `follow` are columns that the others determine.
    """

    name: str
    columns: Mapping[str, str]
    mass: float | None = None
    residual: float = 0.0
    follow: tuple[str, ...] = ()

    @property
    def cartesian(self) -> bool:
        """Whether its momentum is px, py, pz."""
        return "px" in self.columns

    def polar(self, table: Mapping[str, Numbers]) -> dict[str, Numbers]:
        """Return p_T, η and φ (n,)."""
        if not self.cartesian:
            return {part: table[self.columns[part]] for part in POLAR}
        px, py, pz = (table[self.columns[part]] for part in CARTESIAN)
        pt = np.hypot(px, py)
        with np.errstate(divide="ignore", invalid="ignore"):
            eta = np.arcsinh(pz / pt)
        return {"pt": pt, "eta": np.nan_to_num(eta), "phi": np.arctan2(py, px)}


def part_of(name: str) -> tuple[str, str] | None:
    """Return the particle and the part that a column's name tells: ("mu1", "px") of "mu1_px"."""
    lower = name.lower()
    for pattern in (PART_LAST, PART_FIRST):
        found = pattern.match(lower)
        if found is None:
            continue
        stem, part, rank = found["stem"].strip("_. "), found["part"], found["rank"]
        separated = found["stem"] != stem or lower[len(stem) : len(stem) + 1] in ("_", ".", " ")
        if part in ALONE and stem and not separated:
            continue
        if stem and part not in ALONE and not separated and part in ("eta", "phi"):
            return None  # theta, deltaphi
        return re.sub(r"\W+", "_", stem + rank) or "particle", PARTS[part]
    return None


def particles(table: Mapping[str, Numbers], among: Iterable[str]) -> list[Particle]:
    """Return the particles of which all three parts of the momentum are `among` the columns.

    Columns without names are taken four by four: those of which one squared is the sum of the
    squares of the others, up to a mass that is the same in all events.
    """
    among = list(among)
    if all(name.isdecimal() for name in among):
        return list(_unnamed(table, among))
    groups: dict[str, dict[str, str]] = {}
    for name in among:
        if told := part_of(name):
            groups.setdefault(told[0], {}).setdefault(told[1], name)
    found = []
    for group, columns in groups.items():
        for form in (CARTESIAN, POLAR):
            if set(form) <= set(columns):
                own = {part: columns[part] for part in (*form, "energy", "mass") if part in columns}
                found.append(_complete(Particle(_named(group), own), columns, table))
                break
    return found


def _named(group: str) -> str:
    """Return the name of a group, which begins with a letter: particle1 of "1"."""
    return f"particle{group}" if group[0].isdecimal() else group


def _unnamed(table: Mapping[str, Numbers], among: Sequence[str]) -> Iterable[Particle]:
    start = 0
    while start + 4 <= len(among):
        four = among[start : start + 4]
        for energy in (four[0], four[3]):
            momentum = [name for name in four if name != energy]
            own = dict(zip((*CARTESIAN, "energy"), (*momentum, energy), strict=True))
            particle = _complete(Particle("particle", own), own, table)
            if particle.mass is not None:
                number = start // 4 + 1
                name = "particle" if len(among) < 8 else f"particle{number}"
                yield Particle(name, own, particle.mass, particle.residual)
                start += 3
                break
        start += 1


def _complete(
    particle: Particle, columns: Mapping[str, str], table: Mapping[str, Numbers]
) -> Particle:
    """Return the particle with its mass, and with what follows from its momentum."""
    polar = particle.polar(table)
    p = polar["pt"] * np.cosh(polar["eta"])
    own, follow = dict(particle.columns), []
    if particle.cartesian:
        for part in POLAR:
            if part in columns and _same(table[columns[part]], polar[part], part == "phi"):
                follow.append(columns[part])
    mass, residual = None, 0.0
    if "energy" in own:
        energy = table[own["energy"]]
        mass, residual = _shell(energy, p)
        if "mass" in own:
            square = np.maximum(energy**2 - p**2, 0)
            if mass is not None or _same(table[own["mass"]], np.sqrt(square)):
                follow.append(own.pop("mass"))
    elif "mass" in own and np.ptp(table[own["mass"]]) == 0:
        mass = float(table[own["mass"]][0])
    return Particle(particle.name, own, mass, residual, tuple(follow))


def _shell(energy: Numbers, p: Numbers) -> tuple[float | None, float]:
    """Return the mass that all events have, and the largest residual of E relative to it.

    The known mass with the smallest residual is taken, the smaller one of two that are as good;
    else the median, if that is one of all events.
    """
    square = float(np.median(energy**2 - p**2))
    candidates = (*KNOWN_MASSES, float(np.sqrt(max(square, 0.0))))
    fits = []
    for mass in candidates:
        residual = np.abs(energy - np.hypot(p, mass)) / np.maximum(energy, 1e-300)
        if (residual <= ON_SHELL).mean() >= ALMOST_ALL:
            fits.append((float(np.sqrt((residual**2).mean())), mass, float(residual.max())))
    if not fits:
        return None, 0.0
    best = min(rms for rms, _, _ in fits)
    _, mass, residual_max = next(fit for fit in fits if fit[0] <= 1.05 * best + 1e-12)
    return mass, residual_max


def _same(given: Numbers, expected: Numbers, turns: bool = False) -> bool:
    """Tell whether numbers are what follows from others, up to printing, in almost all events."""
    off = np.abs(given - expected)
    if turns:
        off = np.minimum(off, 2 * np.pi - off)
    scale = np.maximum(np.abs(expected), np.median(np.abs(expected)))
    return bool((off <= SAME * np.maximum(scale, 1e-12)).mean() >= ALMOST_ALL)


def pair_mass(first: Particle, second: Particle, table: Mapping[str, Numbers]) -> Numbers:
    """Return the invariant mass (n,) of two particles; of unknown masses, as if they had none."""
    sums = np.zeros((4, len(next(iter(table.values())))))
    for particle in (first, second):
        polar = particle.polar(table)
        px, py = polar["pt"] * np.cos(polar["phi"]), polar["pt"] * np.sin(polar["phi"])
        pz = polar["pt"] * np.sinh(polar["eta"])
        if "energy" in particle.columns:
            energy = table[particle.columns["energy"]]
        else:
            energy = np.sqrt(px**2 + py**2 + pz**2 + (particle.mass or 0.0) ** 2)
        sums += np.stack([energy, px, py, pz])
    square = sums[0] ** 2 - (sums[1:] ** 2).sum(axis=0)
    mass: Numbers = np.sqrt(np.maximum(square, 0))
    return mass
