"""Events as lists of particles: Les Houches events, and the CSV form of Dark Machines."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import Format, header, library, weights
from mleg_ray.errors import ConfigError
from mleg_ray.physics.particles import beams

UNKNOWN = -1.0  # a scale or coupling

# Dark Machines' names of objects, by the size of their PDG number; leptons have a sign behind.
OBJECTS = {11: "e", 13: "m", 22: "g", 5: "b", 1: "j", 2: "j", 3: "j", 4: "j", 21: "j"}
LEPTONS = ("e", "m")
MISSING = ("met", "met_phi")
MEV = 1000.0  # in a GeV


def _les_houches(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    """Source: J. Alwall et al., Comput. Phys. Commun. 176 (2007) 300, hep-ph/0609017."""
    pylhe = library("pylhe", "Les Houches events")
    doubles = {name: values.astype(np.float64) for name, values in columns.items()}
    momenta = [particle.four_momentum(doubles) for particle in manifest.particles]
    masses = [
        np.sqrt(np.clip(p[:, 3] ** 2 - (p[:, :3] ** 2).sum(axis=1), 0, None)) for p in momenta
    ]
    weight = weights(manifest, doubles)
    first, second = beams(manifest.particles)
    energies = [float(beam.four_momentum(doubles)[:, 3].mean()) for beam in (first, second)]
    init = pylhe.LHEInit(
        initInfo=pylhe.LHEInitInfo(
            beamA=first.pdg_id,
            beamB=second.pdg_id,
            energyA=energies[0],
            energyB=energies[1],
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

    def event(i: int) -> Any:  # noqa: ANN401 - the library has no types
        particles = []
        mothers = [k + 1 for k, particle in enumerate(manifest.particles) if particle.incoming]
        for particle, momentum, mass in zip(manifest.particles, momenta, masses, strict=True):
            px, py, pz, energy = (float(component) for component in momentum[i])
            parents = (0, 0) if particle.incoming else (mothers[0], mothers[1])
            particles.append(
                pylhe.LHEParticle(
                    id=particle.pdg_id,
                    status=-1 if particle.incoming else 1,
                    mother1=parents[0],
                    mother2=parents[1],
                    color1=0,
                    color2=0,
                    px=px,
                    py=py,
                    pz=pz,
                    e=energy,
                    m=float(mass[i]),
                    lifetime=0.0,
                    spin=9.0,
                )
            )
        info = pylhe.LHEEventInfo(
            nparticles=len(particles),
            pid=1,
            weight=float(weight[i]),
            scale=UNKNOWN,
            aqed=UNKNOWN,
            aqcd=UNKNOWN,
        )
        return pylhe.LHEEvent(eventinfo=info, particles=particles)

    events = (event(i) for i in range(len(weight)))
    comment = json.dumps(header(manifest)).replace("--", "- -")
    pylhe.LHEFile(init=init, events=events, comment=comment, version="3.0").tofile(str(place))


def _require_les_houches(manifest: DatasetManifest) -> None:
    if not any(not particle.incoming for particle in manifest.particles):
        raise ConfigError(
            f"{manifest.name}: an event record needs [[particles]] in the dataset's definition: "
            "two that are incoming, and those of the final state"
        )
    beams(manifest.particles)
    _require_particles(manifest)


def _require_particles(manifest: DatasetManifest) -> None:
    units = {field.name: field.unit for field in manifest.fields}
    for particle in manifest.particles:
        particle.require(units)


def _dark_machines(place: Path, columns: Columns, manifest: DatasetManifest) -> None:
    """Lines of event number; process; weight; MET; METphi; object,E,pt,eta,phi; ... in MeV.

    Source: T. Aarrestad et al., SciPost Phys. 12 (2022) 043, section 2.
    """
    doubles = {name: values.astype(np.float64) for name, values in columns.items()}
    objects = []
    for particle in manifest.particles:
        if particle.incoming:
            continue
        px, py, pz, energy = particle.four_momentum(doubles).T
        pt = np.hypot(px, py)
        eta = np.arcsinh(np.divide(pz, pt, out=np.zeros_like(pz), where=pt > 0))
        kinematics = (MEV * energy, MEV * pt, eta, np.arctan2(py, px))
        objects.append((_object_name(particle.pdg_id), np.stack(kinematics, axis=1)))
    met = MEV * doubles[MISSING[0]]
    weight = weights(manifest, doubles)
    with place.open("w", newline="") as stream:
        lines = csv.writer(stream, delimiter=";", lineterminator=";\n")
        for i in range(len(met)):
            seen = [
                ",".join([name, *(f"{value:.8g}" for value in values[i])])
                for name, values in objects
            ]
            missing = (f"{met[i]:.8g}", f"{doubles[MISSING[1]][i]:.8g}")
            lines.writerow([i + 1, manifest.name, f"{weight[i]:.8g}", *missing, *seen])


def _require_dark_machines(manifest: DatasetManifest) -> None:
    units = {field.name: field.unit for field in manifest.fields}
    lacking = [name for name in MISSING if name not in units]
    outgoing = [particle for particle in manifest.particles if not particle.incoming]
    unknown = [p.pdg_id for p in outgoing if abs(p.pdg_id) not in OBJECTS]
    if lacking or not outgoing or unknown:
        raise ConfigError(
            f"{manifest.name}: Dark Machines' form needs the fields {' and '.join(MISSING)} and "
            "particles that are electrons, muons, photons or jets; "
            + (f"there is no field {lacking[0]}" if lacking else f"particles are {unknown}")
        )
    _require_particles(manifest)


def _object_name(pdg_id: int) -> str:
    name = OBJECTS[abs(pdg_id)]
    sign = "-" if pdg_id > 0 else "+"
    return name + sign if name in LEPTONS else name


LES_HOUCHES = Format(".lhe", _les_houches, _require_les_houches)
DARK_MACHINES = Format(".csv", _dark_machines, _require_dark_machines)
