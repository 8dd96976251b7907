"""Showers by PENELOPE, which runs in a process of its own: pyPenred is under the AGPL.

PenRed (V. Giménez-Alventosa et al., Comput. Phys. Commun. 267 (2021) 108065) has the physics of
PENELOPE-2018 and its data. Every electron is a source of its own, with one history, as only so are
energies and directions known event by event; the tally SINGLES tells each deposit's place, time and
history. Deposits are joined only if they are of one instant, as what a secondary particle carries
away is a negative deposit.
"""

import importlib.metadata
import importlib.util
import json
import math
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mleg_ray.errors import DataError, ResourceError, UserError
from mleg_ray.physics.materials import MATERIALS, Material
from mleg_ray.physics.showers import ELECTRON_CUT, PHOTON_CUT, Slab

Array = NDArray[np.float64]

HIGHEST = 1000.0  # MeV, of PENELOPE's data
EV = 1e6  # in a MeV
WIDE = 1000.0  # cm, half of the slabs' width
SOFT = 0.2  # C1 and C2: deflection and energy loss between two collisions that are followed
MAX_SEED = 2_147_483_398
HIT = np.dtype(
    [
        *(("energy", "<f4"), ("place", "<f4", 3), ("weight", "<f4"), ("time", "<f8")),
        *(("metadata", "u1", 3), ("history", "<u8")),
    ]
)
TALLY = "hits"
PROGRAM = """
import json
from pyPenred import simulation
with open("job.json", encoding="utf-8") as file:
    job = json.load(file)
for material in job["materials"]:
    simulation.materials.create(**material)
simulator = simulation.create()
simulator.configFromString(job["config"])
simulator.simulate()
"""


def installed() -> bool:
    """Return whether pyPenred is there; it is not imported."""
    return importlib.util.find_spec("pyPenred") is not None


def version() -> str:
    """Return pyPenred's version; `UserError` if it is not installed."""
    if not installed():
        raise UserError(
            "source showers: program = 'penelope' needs pyPenred; install it with: "
            "pip install 'mleg-ray[penelope]'"
        )
    return importlib.metadata.version("pyPenred")


def images(
    rng: np.random.Generator,
    slabs: Sequence[Slab],
    window: float,
    cells: int,
    energy: Array,
    theta: Array,
    x: Array,
    y: Array,
) -> NDArray[np.float32]:
    """Return images (n, slabs, cells, cells), MeV, of electrons (n,); see `Calorimeter`.

    Raises:
        DataError: PENELOPE ends with an error.
        ResourceError: it is killed, as for want of memory.
    """
    seeds = rng.integers(1, MAX_SEED, 2)
    found = np.zeros((len(energy), len(slabs), cells, cells))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        used = list(dict.fromkeys(slab.material for slab in slabs))
        config = [*_sources(energy, theta, x, y), *_geometry(slabs), *_materials(used)]
        config += [f'tallies/{TALLY}/type "SINGLES"', f"tallies/{TALLY}/time/join 1.0e-20"]
        config += [f"tallies/{TALLY}/filters/pileup false"]
        config += [f"tallies/{TALLY}/detectors {list(range(1, len(slabs) + 1))}"]
        config += [f"simulation/seed{i} {seed}" for i, seed in enumerate(seeds, start=1)]
        config += ["simulation/threads 1"]
        (folder / "slabs.geo").write_text(_surfaces(slabs, used), encoding="ascii")
        job = {
            "config": "\n".join(config) + "\n",
            "materials": [_composition(name, MATERIALS[name]) for name in used],
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        _run(folder)
        for number in range(len(slabs)):
            hits = np.fromfile(folder / f"{TALLY}-th0-singles_det_{number + 1}.dat", HIT)
            event = hits["history"].astype(np.int64) - 1
            column, row = np.floor((hits["place"][:, :2].T / window + 0.5) * cells).astype(int)
            inside = (column >= 0) & (column < cells) & (row >= 0) & (row < cells)
            where = (event[inside], number, row[inside], column[inside])
            np.add.at(found, where, hits["energy"][inside].astype(np.float64) / EV)
    return found.astype(np.float32)


def _run(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=False
    )
    if ended.returncode < 0:
        raise ResourceError(
            f"source showers: PENELOPE was ended by {signal.Signals(-ended.returncode).name}; run "
            "the same command again, with a lower shard_events if memory was short"
        )
    if ended.returncode or not list(folder.glob(f"{TALLY}-*.dat")):
        told = (ended.stderr or ended.stdout).strip().splitlines() or ["without a word"]
        raise DataError(f"source showers: PENELOPE ended with an error: {told[-1]}")


def _sources(energy: Array, theta: Array, x: Array, y: Array) -> list[str]:
    """Return a source for each electron, which starts 1 cm before the first slab."""
    lines = []
    start = x - np.tan(theta)
    for i in range(len(energy)):
        of = f"sources/generic/e{i:07d}"
        lines += [
            f"{of}/nhist 1",
            f'{of}/kpar "electron"',
            f"{of}/record-time true",
            f'{of}/direction/type "CONE"',
            f"{of}/direction/theta {math.degrees(theta[i]):.9e}",
            f"{of}/direction/phi 0.0",
            f"{of}/direction/alpha 0.0",
            f'{of}/energy/type "MONOENERGETIC"',
            f"{of}/energy/energy {energy[i] * EV:.9e}",
            f'{of}/spatial/type "POINT"',
            f"{of}/spatial/position/x {start[i]:.9e}",
            f"{of}/spatial/position/y {y[i]:.9e}",
            f"{of}/spatial/position/z -1.0",
        ]
    return lines


def _geometry(slabs: Sequence[Slab]) -> list[str]:
    lines = ['geometry/type "PEN_QUADRIC"', 'geometry/input-file "slabs.geo"']
    lines += ['geometry/processed-geo-file "report.geo"']
    return lines + [f"geometry/kdet/{i} {i}" for i in range(1, len(slabs) + 1)]


def _materials(names: Sequence[str]) -> list[str]:
    lines = []
    for number, name in enumerate(names, start=1):
        of = f"materials/{name}"
        lines += [
            f"{of}/number {number}",
            f'{of}/filename "{name}.mat"',
            f"{of}/eabs/electron {ELECTRON_CUT * EV:.1f}",
            f"{of}/eabs/positron {ELECTRON_CUT * EV:.1f}",
            f"{of}/eabs/gamma {PHOTON_CUT * EV:.1f}",
            f"{of}/C1 {SOFT}",
            f"{of}/C2 {SOFT}",
            f"{of}/WCC {ELECTRON_CUT * EV:.1f}",
            f"{of}/WCR {PHOTON_CUT * EV:.1f}",
        ]
    return lines


def _composition(name: str, material: Material) -> dict[str, object]:
    """Return what pyPenred makes a material of: its density and shares by weight."""
    shares = [(e.Z, number * e.A / material.molar_mass) for e, number in material.atoms]
    return {
        "name": name,
        "density": material.density,
        "composition": shares,
        "filename": f"{name}.mat",
    }


RULE = "0" * 64


def _surfaces(slabs: Sequence[Slab], names: Sequence[str]) -> str:
    """Return the slabs in PENGEOM's format: planes, and bodies between them."""
    edges = np.append(0.0, np.cumsum([slab.thickness for slab in slabs]))
    planes = [(0, 0, 1, -edge) for edge in edges]
    planes += [(1, 0, 0, WIDE), (1, 0, 0, -WIDE), (0, 1, 0, WIDE), (0, 1, 0, -WIDE)]
    lines = ["Slabs", RULE]
    for number, plane in enumerate(planes, start=1):
        lines += [f"SURFACE ({number:4d})", "INDICES=( 0, 0, 0, 0, 0)"]
        for axis, value in zip(("AX", "AY", "AZ", "A0"), plane, strict=True):
            lines.append(f"     {axis}=({value:+.15E},   0)")
        lines.append(RULE)
    sides = len(edges) + np.arange(1, 5)
    for number, slab in enumerate(slabs, start=1):
        lines += [f"BODY    ({number:4d})", f"MATERIAL({names.index(slab.material) + 1:4d})"]
        for surface, side in zip((number, number + 1, *sides), (1, -1) * 3, strict=True):
            lines.append(f"SURFACE ({surface:4d}), SIDE POINTER=({side:+d})")
        lines.append(RULE)
    return "\n".join([*lines, "END      " + "0" * 55, ""])
