"""The CSV form of the Dark Machines' anomaly score challenge."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import weights
from mleg_ray.catalog.formats.particles import (
    NEGATIVE_PT,
    PRINTED,
    Fault,
    RecordFormat,
    Records,
    final_state,
    groups_of_particles,
    require_momenta,
)
from mleg_ray.errors import ConfigError

# The symbols of objects in the order of a line, by PDG number: `j` is a jet of any light flavour.
SYMBOLS = {"b": 5, "j": 1, "e-": 11, "e+": -11, "m-": 13, "m+": -13, "g": 22}
JETS = {5: "b", 1: "j", 2: "j", 3: "j", 4: "j", 21: "j"}  # of quarks, antiquarks and gluons
ALIASES = {"a": "g", "mu-": "m-", "mu+": "m+"}  # of older writers
# The challenge's processes, which files call in upper or lower case: of the standard model, then
# others, in the order of their table, from 0.
PROCESSES = (
    *("njets", "w_jets", "gam_jets", "z_jets", "ttbar", "wtop", "wtopbar", "ww", "single_top"),
    *("single_topbar", "2gam", "wgam", "zw", "zgam", "zz", "single_higgs", "ttbargam", "ttbarz"),
    *("ttbarhiggs", "atop", "ttbarw", "atopbar", "ztop", "ztopbar", "4top", "ttbarww"),
    *(f"gluino_0{number}" for number in range(1, 8)),
    *(f"stop_0{number}" for number in range(1, 5)),
    *(f"zp_0{number}" for number in range(1, 6)),
)
PROCESS = "process"
MISSING = ("met.pt", "met.phi")
MEV = 1000.0  # in a GeV
MOST_ETA = 100.0  # beyond it exp(η) is no energy
HEAD = 5  # fields before the objects
# A photon whose comma an older writer left out: g288384,245272,...
NO_COMMA = re.compile(r"g(?=[\d.])")
MALFORMED = "malformed line"
UNKNOWN = "unknown object symbol"
UNKNOWN_PROCESS = "unknown process"
NO_ENERGY = "jet without an energy"
NO_AZIMUTH = "azimuth beyond a full turn"


class DarkMachines(RecordFormat):
    """Lines of event number; process; weight; MET; METphi; object,E,pt,eta,phi; ... in MeV.

    Sources: T. Aarrestad et al., SciPost Phys. 12 (2022) 043, section 2; older lines, with other
    symbols and without energies: G. Brooijmans et al., arXiv:2002.12220. A lepton or photon
    without an energy is massless, and a jet without one cannot be read. The number `process` is
    the place of the line's process among `PROCESSES`, of which it has to be one if that is used.
    """

    suffix = ".csv"
    endings = (".csv",)
    begins = re.compile(rb"(?m)^.*\S")
    numbers = {"weight": "1", "met.pt": "GeV", "met.phi": "rad", PROCESS: "1"}
    unit = "MeV"
    one_unit = False
    named_weights = False

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write b-jets, jets, leptons and photons, the hardest of each first, with six digits."""
        met, met_phi = (columns[name].astype(np.float64) for name in MISSING)
        weight = weights(manifest, columns)
        order = list(SYMBOLS)
        seen: list[list[tuple[int, float, str]]] = [[] for _ in met]
        for particles in final_state(manifest, columns):
            px, py, pz, energy = particles.momentum.T
            pt = np.hypot(px, py)
            eta = np.arcsinh(np.divide(pz, pt, out=np.zeros_like(pz), where=pt > 0))
            kinematics = np.stack((MEV * energy, MEV * pt, eta, np.arctan2(py, px)), axis=1)
            symbol = _symbol(particles.pdg_id)
            assert symbol, "require() has seen all particles"
            for i, values in zip(particles.owner, kinematics.tolist(), strict=True):
                text = ",".join([symbol, *(f"{value:.6g}" for value in values)])
                seen[i].append((order.index(symbol), -values[1], text))
        with place.open("w", newline="") as stream:
            for i, objects in enumerate(seen):
                head = (
                    f"{first + i + 1}",
                    manifest.whole,
                    f"{weight[i]:.6g}",
                    f"{MEV * met[i]:.6g}",
                )
                texts = [text for _, _, text in sorted(objects)]
                stream.write(";".join([*head, f"{met_phi[i]:.6g}", *texts]) + ";\n")

    def require(self, manifest: DatasetManifest) -> None:
        """Refuse events without missing momentum, and particles that have no symbol."""
        names = {field.name for field in manifest.fields}
        lacking = [name for name in MISSING if name not in names]
        particles = {manifest.groups[name].pdg_id for name in groups_of_particles(manifest)}
        unknown = [pdg_id for pdg_id in particles if not _symbol(pdg_id or 0)]
        if lacking or not particles or unknown:
            raise ConfigError(
                f"{manifest.name}: Dark Machines' form needs the fields {' and '.join(MISSING)} "
                "and particles that are electrons, muons, photons or jets; "
                + (f"there is no field {lacking[0]}" if lacking else f"particles are {unknown}")
            )
        require_momenta(manifest)

    def alike(self, pdg_id: int) -> int:
        """Return the number of the symbol that the particle has."""
        return SYMBOLS.get(_symbol(pdg_id) or "", pdg_id)

    def identity(self, text: bytes) -> bytes:
        """Return the line without its event number."""
        return text.partition(b";")[2].strip()

    def read(
        self, head: bytes, texts: Sequence[bytes], scale: float, weight: str | None
    ) -> Records:
        """Read lines, their objects in any order."""
        numbers = np.zeros((len(texts), 3))
        process = np.zeros(len(texts), dtype=np.int64)
        known = {name: number for number, name in enumerate(PROCESSES)}
        unknown: dict[int, Fault] = {}
        counts = np.zeros(len(texts), dtype=np.int64)
        pdg_id: list[int] = []
        kinematics: list[float] = []
        faults: dict[int, Fault] = {}
        for i, text in enumerate(texts):
            try:
                name, event, ids, values = _line(text.decode(errors="replace").strip())
            except _FaultError as error:
                faults[i] = error.fault
                continue
            if name.lower() in known:
                process[i] = known[name.lower()]
            else:
                told = f"'{name}' is none of {', '.join(PROCESSES)}"
                unknown[i] = Fault(UNKNOWN_PROCESS, told)
            numbers[i] = event
            counts[i] = len(ids)
            pdg_id += ids
            kinematics += values
        energy, pt, eta, phi = np.array(kinematics).reshape(-1, 4).T
        return Records(
            {
                "weight": numbers[:, 0],
                "met.pt": scale * numbers[:, 1],
                "met.phi": numbers[:, 2],
                PROCESS: process,
            },
            counts,
            np.array(pdg_id, dtype=np.int64),
            {"energy": scale * energy, "pt": scale * pt, "eta": eta, "phi": phi},
            faults,
            {PROCESS: unknown},
            rounded=True,
        )


class _FaultError(Exception):
    def __init__(self, kind: str, told: str) -> None:
        super().__init__(told)
        self.fault = Fault(kind, told)


def _line(line: str) -> tuple[str, list[float], list[int], list[float]]:
    """Return process, weight, MET and METphi, and of each object its number and E, pT, η and φ."""
    cells = line.removesuffix(";").split(";")
    if len(cells) < HEAD:
        raise _FaultError(MALFORMED, f"{len(cells)} fields, and {HEAD} stand before the objects")
    ids: list[int] = []
    kinematics: list[float] = []
    for cell in cells[HEAD:]:
        symbol, *texts = NO_COMMA.sub("g,", cell.strip(), count=1).split(",")
        symbol = symbol.strip()
        pdg_id = SYMBOLS.get(ALIASES.get(symbol, symbol))
        if pdg_id is None:
            raise _FaultError(UNKNOWN, f"'{symbol}' is none of {', '.join(SYMBOLS)}")
        values = _floats(texts)
        if len(values) == 3 and abs(pdg_id) in JETS:
            raise _FaultError(NO_ENERGY, f"'{cell.strip()}' has no energy, as older files")
        if len(values) == 3 and abs(values[1]) < MOST_ETA:
            values.insert(0, values[0] * math.cosh(values[1]))
        if len(values) != 4:
            raise _FaultError(MALFORMED, f"'{cell.strip()}' is not a symbol, E, pT, eta and phi")
        ids.append(pdg_id)
        kinematics += [*values[:3], _azimuth(values[3])]
    weight, met, phi = _floats(cells[2:HEAD])
    if met < 0:
        raise _FaultError(NEGATIVE_PT, f"MET = {met:g}")
    return cells[1].strip(), [weight, met, _azimuth(phi)], ids, kinematics


def _floats(texts: Sequence[Any]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise _FaultError(MALFORMED, str(error)) from None


def _azimuth(phi: float) -> float:
    """Return φ between -π and π: other writers have it between 0 and 2π."""
    if abs(phi) > 2 * math.pi * (1 + PRINTED):
        raise _FaultError(NO_AZIMUTH, f"phi = {phi:g} rad; are these degrees?")
    return phi if abs(phi) <= math.pi else phi - math.copysign(2 * math.pi, phi)


def _symbol(pdg_id: int) -> str | None:
    by_number = {number: symbol for symbol, number in SYMBOLS.items()}
    return by_number.get(pdg_id) or JETS.get(abs(pdg_id))
