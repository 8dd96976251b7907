"""Les Houches events."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.catalog.formats.base import header, weights
from mleg_ray.catalog.formats.particles import (
    Fault,
    RecordFormat,
    Records,
    final_state,
    require_record,
)
from mleg_ray.errors import library

UNKNOWN = -1.0  # a scale or coupling
WEIGHTED, UNWEIGHTED = 4, 3  # IDWTUP, below zero if weights are; hep-ph/0109068, section 3
MOST_PDG = 10**10  # of nuclei
FINAL = 1  # status of what leaves the hard process
WORDS = 13  # of a particle's line
WEIGHT = re.compile(rb"<wgt\s+id\s*=\s*['\"]\s*([^'\"]*?)\s*['\"]\s*>([^<]*)</wgt>")
MALFORMED = "malformed event"
NO_WEIGHT = "event without the weight"


class LesHouches(RecordFormat):
    """An event's line of numbers and a line for each particle, in GeV.

    Sources: J. Alwall et al., Comput. Phys. Commun. 176 (2007) 300, hep-ph/0609017; weights with
    names: J. R. Andersen et al., arXiv:1405.1067, section 2.
    """

    suffix = ".lhe"
    endings = (".lhe",)
    begins = re.compile(rb"(?m)^[ \t]*<event[ \t\r\n>]")
    numbers = {"weight": "1", "process": "1", "scale": "GeV"}

    def write(
        self, place: Path, columns: Columns, manifest: DatasetManifest, first: int = 0
    ) -> None:
        """Write the beams as incoming particles, and all others as their children."""
        pylhe = library("pylhe", "Les Houches events")
        doubles = {name: values.astype(np.float64) for name, values in columns.items()}
        weight = weights(manifest, doubles)
        n = len(weight)
        strategy = WEIGHTED if manifest.schema_.weight else UNWEIGHTED
        if (weight < 0).any():
            strategy = -strategy  # or Pythia 8 takes negative weights for zero
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
                weightingStrategy=strategy,
                numProcesses=1,
            ),
            # A model samples a distribution: of its cross-section it knows nothing.
            procInfo=[pylhe.LHEProcInfo(xSection=0.0, error=0.0, unitWeight=1.0, procId=1)],
            generators=[],
        )
        everything = [(pdg_id, -1, np.arange(n), momentum) for pdg_id, momentum in beams]
        everything += [
            (p.pdg_id, FINAL, p.owner, p.momentum) for p in final_state(manifest, columns)
        ]
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
        file = pylhe.LHEFile(init=init, events=events, comment=comment, version="3.0")
        file.tofile(str(place))

    def require(self, manifest: DatasetManifest) -> None:
        """Refuse events without particles or beams."""
        require_record(manifest)

    def read(
        self, head: bytes, texts: Sequence[bytes], scale: float, weight: str | None
    ) -> Records:
        """Read the particles that leave the hard process; the mass is the file's own."""
        numbers = np.zeros((len(texts), 3))
        counts = np.zeros(len(texts), dtype=np.int64)
        rows: list[list[float]] = []
        faults: dict[int, Fault] = {}
        for i, text in enumerate(texts):
            try:
                (process, own, energy), particles = _event(text)
                if weight is not None:
                    own = float(dict(WEIGHT.findall(text))[weight.encode()])
            except KeyError:
                faults[i] = Fault(NO_WEIGHT, f"there is no weight '{weight}'")
            except (ValueError, IndexError, OverflowError) as error:
                faults[i] = Fault(MALFORMED, str(error))
            else:
                numbers[i] = own, process, energy
                counts[i] = len(particles)
                rows += particles
        pdg_id, px, py, pz, e, mass = np.array(rows).reshape(-1, 6).T
        return Records(
            dict(zip(self.numbers, numbers.T, strict=True)),
            counts,
            pdg_id.astype(np.int64),
            {"px": px, "py": py, "pz": pz, "energy": e, "mass": mass},
            faults,
        )


def _event(text: bytes) -> tuple[tuple[float, float, float], list[list[float]]]:
    """Return process, weight and scale, and each final particle's number, momentum, E and mass."""
    if b"</event>" not in text:
        raise ValueError("there is no </event>; the file is truncated")
    first, *lines = text[text.index(b">") + 1 :].strip().splitlines()
    number_of, *numbers = first.split()
    n = int(number_of)
    process, weight, scale, *_ = map(float, numbers)
    # Behind the particles there may be comments and other elements.
    if n < 0 or any(len(line.split()) == WORDS and line[:1] != b"#" for line in lines[n : n + 1]):
        raise ValueError(f"it is said to have {n} particles, and has more")
    particles = []
    for k in range(n):
        words = lines[k].split()
        if len(words) != WORDS:
            raise ValueError(f"particle {k + 1} of {n} has {len(words)} numbers, not {WORDS}")
        if int(words[1]) == FINAL:
            number = int(words[0])
            if abs(number) > MOST_PDG:
                raise ValueError(f"{number} is no PDG number")
            particles.append([number, *(float(word) for word in words[6:11])])
    return (process, weight, scale), particles
