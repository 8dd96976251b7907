"""Events as lists of particles: Les Houches events, and the CSV form of Dark Machines."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import Format, header, weights
from mleg_ray.errors import ConfigError, library
from mleg_ray.events import COUNT

# The fields of a momentum and their units, either of which will do.
CARTESIAN = {"px": "GeV", "py": "GeV", "pz": "GeV"}
POLAR = {"pt": "GeV", "eta": "1", "phi": "rad"}
UNKNOWN = -1.0  # a scale or coupling

# Dark Machines' names of objects, by the size of their PDG number; leptons have a sign behind.
OBJECTS = {11: "e", 13: "m", 22: "g", 5: "b", 1: "j", 2: "j", 3: "j", 4: "j", 21: "j"}
LEPTONS = ("e", "m")
MISSING = ("met.pt", "met.phi")
MEV = 1000.0  # in a GeV


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
        energy = {} if manifest.groups[name].mass is not None else {"energy": "GeV"}
        fields = [field for field in manifest.fields if field.group == name]
        own = {field.name.partition(".")[2]: field.unit for field in fields}
        if not any((form | energy).items() <= own.items() for form in (CARTESIAN, POLAR)):
            raise ConfigError(
                f"{manifest.name}: an event record needs px, py, pz, or pt, eta, phi, of '{name}' "
                f"in GeV and rad, and its energy, or groups.{name}.mass"
            )


def _momentum(parts: Mapping[str, NDArray[Any]], mass: float | None) -> NDArray[np.float64]:
    if "px" in parts:
        px, py, pz = (parts[name] for name in CARTESIAN)
    else:
        pt, eta, phi = (parts[name] for name in POLAR)
        px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = parts.get("energy")
    if energy is None:
        energy = np.sqrt(px**2 + py**2 + pz**2 + (mass or 0.0) ** 2)
    return np.stack([px, py, pz, energy], axis=1)


def _les_houches(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    """Source: J. Alwall et al., Comput. Phys. Commun. 176 (2007) 300, hep-ph/0609017."""
    pylhe = library("pylhe", "Les Houches events")
    doubles = {name: values.astype(np.float64) for name, values in columns.items()}
    weight = weights(manifest, doubles)
    n = len(weight)
    beams = [(beam.pdg_id, beam.four_momentum(doubles, n)) for beam in manifest.beams]
    init = pylhe.LHEInit(
        initInfo=pylhe.LHEInitInfo(
            beamA=beams[0][0],
            beamB=beams[1][0],
            energyA=float(beams[0][1][:, 3].mean()),
            energyB=float(beams[1][1][:, 3].mean()),
            PDFgroupA=0,
            PDFgroupB=0,
            PDFsetA=0,
            PDFsetB=0,
            weightingStrategy=4 if manifest.schema_.weight else 3,
            numProcesses=1,
        ),
        # A model samples a distribution: of its cross-section it knows nothing.
        procInfo=[pylhe.LHEProcInfo(xSection=0.0, error=0.0, unitWeight=1.0, procId=1)],
        generators=[],
    )
    everything = [(pdg_id, -1, np.arange(n), momentum) for pdg_id, momentum in beams]
    everything += [(p.pdg_id, 1, p.owner, p.momentum) for p in final_state(manifest, columns)]
    lines: list[list[Any]] = [[] for _ in range(n)]
    for pdg_id, status, owner, momentum in everything:
        mothers = (0, 0) if status < 0 else (1, 2)
        squares = momentum[:, 3] ** 2 - (momentum[:, :3] ** 2).sum(axis=1)
        masses = np.sqrt(np.clip(squares, 0, None)).tolist()
        for i, (px, py, pz, e), mass in zip(owner, momentum.tolist(), masses, strict=True):
            lines[i].append(
                pylhe.LHEParticle(
                    id=pdg_id,
                    status=status,
                    mother1=mothers[0],
                    mother2=mothers[1],
                    color1=0,
                    color2=0,
                    px=px,
                    py=py,
                    pz=pz,
                    e=e,
                    m=mass,
                    lifetime=0.0,
                    spin=9.0,
                )
            )
    events = (
        pylhe.LHEEvent(
            eventinfo=pylhe.LHEEventInfo(
                nparticles=len(particles),
                pid=1,
                weight=w,
                scale=UNKNOWN,
                aqed=UNKNOWN,
                aqcd=UNKNOWN,
            ),
            particles=particles,
        )
        for particles, w in zip(lines, weight.tolist(), strict=True)
    )
    comment = json.dumps(header(manifest)).replace("--", "- -")
    pylhe.LHEFile(init=init, events=events, comment=comment, version="3.0").tofile(str(place))


def _require_les_houches(manifest: DatasetManifest) -> None:
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


def _dark_machines(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    """Lines of event number; process; weight; MET; METphi; object,E,pt,eta,phi; ... in MeV.

    Source: T. Aarrestad et al., SciPost Phys. 12 (2022) 043, section 2.
    """
    doubles = {name: columns[name].astype(np.float64) for name in MISSING}
    met = MEV * doubles[MISSING[0]]
    weight = weights(manifest, columns)
    seen: list[list[str]] = [[] for _ in range(len(met))]
    for particles in final_state(manifest, columns):
        px, py, pz, energy = particles.momentum.T
        pt = np.hypot(px, py)
        eta = np.arcsinh(np.divide(pz, pt, out=np.zeros_like(pz), where=pt > 0))
        kinematics = np.stack((MEV * energy, MEV * pt, eta, np.arctan2(py, px)), axis=1)
        name = _object_name(particles.pdg_id)
        for i, values in zip(particles.owner, kinematics.tolist(), strict=True):
            seen[i].append(",".join([name, *(f"{value:.8g}" for value in values)]))
    with place.open("w", newline="") as stream:
        lines = csv.writer(stream, delimiter=";", lineterminator=";\n")
        for i, objects in enumerate(seen):
            missing = (f"{met[i]:.8g}", f"{doubles[MISSING[1]][i]:.8g}")
            lines.writerow([i + 1, manifest.name, f"{weight[i]:.8g}", *missing, *objects])


def _require_dark_machines(manifest: DatasetManifest) -> None:
    names = {field.name for field in manifest.fields}
    lacking = [name for name in MISSING if name not in names]
    particles = {manifest.groups[name].pdg_id for name in groups_of_particles(manifest)}
    unknown = [pdg_id for pdg_id in particles if abs(pdg_id or 0) not in OBJECTS]
    if lacking or not particles or unknown:
        raise ConfigError(
            f"{manifest.name}: Dark Machines' form needs the fields {' and '.join(MISSING)} and "
            "particles that are electrons, muons, photons or jets; "
            + (f"there is no field {lacking[0]}" if lacking else f"particles are {unknown}")
        )
    require_momenta(manifest)


def _object_name(pdg_id: int) -> str:
    name = OBJECTS[abs(pdg_id)]
    sign = "-" if pdg_id > 0 else "+"
    return name + sign if name in LEPTONS else name


LES_HOUCHES = Format(".lhe", _les_houches, _require_les_houches)
DARK_MACHINES = Format(".csv", _dark_machines, _require_dark_machines)
