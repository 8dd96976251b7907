"""The particles of events, as event records tell them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.dataset import DatasetManifest
from mleg_ray.errors import ConfigError
from mleg_ray.events import COUNT

CARTESIAN = ("px", "py", "pz")
POLAR = ("pt", "eta", "phi")


@dataclass(frozen=True)
class Particles:
    """The particles of one group: whose events' they are (m,), and px, py, pz, E (m, 4) in GeV."""

    group: str
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
        rows = len(next(iter(parts.values())))
        count = columns[f"{name}.{COUNT}"] if group.most else np.ones(rows, dtype=np.int64)
        owner = np.repeat(np.arange(len(count)), count)
        assert group.pdg_id is not None
        momentum = _momentum(parts, group.mass)
        found.append(Particles(name, group.pdg_id, owner, momentum))
    return found


def groups_of_particles(manifest: DatasetManifest) -> list[str]:
    """Return the groups of event fields that have a `pdg_id`."""
    generated = {field.group for field in manifest.fields if field.role == "event"}
    return [n for n, g in manifest.groups.items() if g.pdg_id is not None and n in generated]


def require_momenta(manifest: DatasetManifest) -> None:
    """Raise `ConfigError` unless each particle's fields tell its momentum and energy in GeV."""
    units = {field.name: field.unit for field in manifest.fields}
    for name in groups_of_particles(manifest):
        wanted = {**dict.fromkeys(CARTESIAN, "GeV"), "energy": "GeV"}
        polar = {"pt": "GeV", "eta": "1", "phi": "rad", "energy": "GeV"}
        if manifest.groups[name].mass is not None:
            del wanted["energy"], polar["energy"]
        for needed in (wanted, polar):
            if all(units.get(f"{name}.{part}") == unit for part, unit in needed.items()):
                break
        else:
            raise ConfigError(
                f"{manifest.name}: an event record needs px, py, pz, or pt, eta, phi, of '{name}' "
                "in GeV and rad, and its energy, or groups."
                f"{name}.mass"
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
