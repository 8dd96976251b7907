"""HepMC event records in ASCII."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import weights
from mleg_ray.catalog.formats.particles import (
    Fault,
    RecordFormat,
    Records,
    final_state,
    require_record,
)
from mleg_ray.errors import library
from mleg_ray.events import MOMENTUM, Unit

BEAM, FINAL = 4, 1  # status of particles
END = re.compile(rb"HepMC::\w+-END_EVENT_LISTING")
# Of version 3: the particles that a vertex takes in, and how many an event says that it has.
TAKES_IN = re.compile(rb"(?m)^V \S+ \S+ \[([^\]]*)\]")
PARTICLES = re.compile(rb"E \S+ \S+ (\d+)")
# Attributes are not taken, and HepMC crashes on one of an object that is numbered ±2³¹.
ATTRIBUTE = re.compile(rb"(?m)^A .*\n?")
# It takes energies in any other unit for GeV.
OTHER_UNIT = re.compile(rb"(?m)^U (?!GEV |MEV )(\S*)")
# Of particles' numbers it leaves 32 bits: 4294967309 would be a muon.
LONG_NUMBER = re.compile(rb"(?m)^P(?: -?\d+){1,2} (-?\d{10,}) ")
MOST_PDG = 2**31 - 1
ASCII_2, ASCII_3 = b"IO_GenEvent", b"Asciiv3"  # the format's two versions
MALFORMED = "malformed event"
NO_WEIGHT = "event without the weight"


class HepMC(RecordFormat):
    """Vertices and particles, in units that each event tells; read are those of the final state.

    Written is version 3, read also version 2.

    Source: A. Buckley et al., Comput. Phys. Commun. 260 (2021) 107310, arXiv:1912.08005.
    """

    suffix = ".hepmc3"
    endings = (".hepmc", ".hepmc3")
    begins = re.compile(rb"(?m)^E ")
    numbers: ClassVar[Mapping[str, Unit]] = {
        "weight": "1",
        **dict.fromkeys((f"beam1.{part}" for part in MOMENTUM), "GeV"),
        **dict.fromkeys((f"beam2.{part}" for part in MOMENTUM), "GeV"),
    }

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write one vertex, at which the beams meet and all particles begin, if there are some."""
        pyhepmc = library("pyhepmc", "HepMC")
        doubles = {name: values.astype(np.float64) for name, values in columns.items()}
        weight = weights(manifest, doubles)
        n = len(weight)
        beams = [(beam.pdg_id, beam.four_momentum(doubles, n)) for beam in manifest.beams]
        incoming: list[list[Any]] = [[] for _ in range(n)]
        for pdg_id, momentum in beams:
            for own, values in zip(incoming, momentum.tolist(), strict=True):
                own.append(pyhepmc.GenParticle(values, pdg_id, BEAM))
        outgoing: list[list[Any]] = [[] for _ in range(n)]
        for particles in final_state(manifest, columns):
            for i, values in zip(particles.owner, particles.momentum.tolist(), strict=True):
                outgoing[i].append(pyhepmc.GenParticle(values, particles.pdg_id, FINAL))
        run = pyhepmc.GenRunInfo()
        run.weight_names = ["Default"]
        with pyhepmc.open(str(place), "w") as file:
            for i in range(n):
                event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
                event.run_info = run
                event.event_number = first + i + 1
                if outgoing[i]:
                    vertex = pyhepmc.GenVertex()
                    for particle in incoming[i]:
                        vertex.add_particle_in(particle)
                    for particle in outgoing[i]:
                        vertex.add_particle_out(particle)
                    event.add_vertex(vertex)
                else:  # HepMC would count a vertex that nothing leaves, and not write it
                    for particle in incoming[i]:
                        event.add_particle(particle)
                event.weights = [weight[i]]
                file.write(event)

    def require(self, manifest: DatasetManifest) -> None:
        """Refuse events without particles or beams."""
        require_record(manifest)

    def identity(self, text: bytes) -> bytes:
        """Return the event without its number, the second word."""
        return END.sub(b"", text).split(maxsplit=2)[-1].strip()

    def read(
        self, head: bytes, texts: Sequence[bytes], scale: float, weight: str | None
    ) -> Records:
        """Read the particles of the final state, and the beams."""
        pyhepmc = library("pyhepmc", "HepMC")
        version = ASCII_2 if ASCII_2 in head else ASCII_3
        end = b"\nHepMC::" + version + b"-END_EVENT_LISTING\n"
        numbers = {name: np.zeros(len(texts)) for name in self.numbers}
        counts = np.zeros(len(texts), dtype=np.int64)
        pdg_id: list[np.ndarray] = []
        momenta: list[np.ndarray] = []
        faults: dict[int, Fault] = {}
        for i, text in enumerate(texts):
            try:
                _require_readable(text)
                # Each alone: what follows a damaged event is read nevertheless.
                content = head + ATTRIBUTE.sub(b"", END.sub(b"", text)).rstrip() + end
                with pyhepmc.open(io.BytesIO(content)) as file:
                    event = file.read()
                if event is None:
                    raise ValueError("HepMC finds no event")
                event.set_units(pyhepmc.Units.GEV, pyhepmc.Units.MM)
                names = event.weight_names if weight is not None else []
                if weight is not None and weight not in names:
                    faults[i] = Fault(NO_WEIGHT, f"there is no weight '{weight}'")
                    continue
                index = names.index(weight) if weight is not None else 0
                numbers["weight"][i] = event.weights[index] if event.weights else np.nan
                beams = [beam.momentum for beam in event.beams] or [(np.nan,) * 4] * 2
                for k, beam in enumerate(beams[:2], start=1):
                    for part, value in zip(MOMENTUM, beam, strict=True):
                        numbers[f"beam{k}.{part}"][i] = value
                particles = event.numpy.particles
                final = particles.status == FINAL
            except (RuntimeError, ValueError, OSError) as error:
                faults[i] = Fault(MALFORMED, str(error))
                continue
            counts[i] = final.sum()
            pdg_id.append(particles.pid[final])
            columns = (particles.px, particles.py, particles.pz, particles.e)
            momenta.append(np.stack(columns, axis=1)[final])
        px, py, pz, e = np.concatenate([np.empty((0, 4)), *momenta]).T
        return Records(
            numbers,
            counts,
            np.concatenate([np.empty(0, dtype=np.int64), *pdg_id]).astype(np.int64),
            {"px": px, "py": py, "pz": pz, "energy": e},
            faults,
        )


def _require_readable(text: bytes) -> None:
    """Raise `ValueError` of what HepMC would crash on, or misread.

    That are a vertex that takes in a particle which is none, an unknown unit of energies, and
    numbers of particles that are too large.
    """
    if other := OTHER_UNIT.search(text):
        raise ValueError(f"energies are in {other[1].decode(errors='replace')}, not GEV or MEV")
    if large := [n for n in map(int, LONG_NUMBER.findall(text)) if abs(n) > MOST_PDG]:
        raise ValueError(f"{large[0]} is no PDG number")
    taken = {int(word) for words in TAKES_IN.findall(text) for word in words.split(b",") if word}
    said = PARTICLES.match(text)
    last = int(said[1]) if said else 0
    if none := [number for number in taken if not 1 <= number <= last]:
        raise ValueError(f"a vertex takes in particle {none[0]} of {last}")
