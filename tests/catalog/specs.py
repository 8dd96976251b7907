"""Small dataset specifications for tests."""

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mleg_ray.catalog.dataset import PREPARED, Dataset, DatasetManifest
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.events import EventSchema, Field, Group
from mleg_ray.physics.particles import Beam
from mleg_ray.storage import write_json


def pythia_spec(*assignments: str) -> DatasetSpec:
    """Return dis-ep-50 with 600 events in 10 shards."""
    return DatasetSpec.load(
        "dis-ep-50", ("source.events=600", "shard_events=60", "name=small", *assignments)
    )


def pp_spec(folder: Path, *assignments: str) -> DatasetSpec:
    """Return Z/γ* → μμ of 60 events in 10 shards: two muons, jets, no pile-up nor underlying event.

    Only few of the fields are there, and what takes Pythia long is off.
    """
    entry = folder / "pp.toml"
    entry.write_text(
        """
extends = "zmumu-13tev"
name = "small"
shard_events = 6
fields = [
  { name = "mu1.px", unit = "GeV" }, { name = "mu1.energy", unit = "GeV" },
  { name = "mu1.isolation" }, { name = "mu1.charge", role = "label" },
  { name = "mu2.charge", role = "label" }, { name = "mu2.pt", unit = "GeV" },
  { name = "jet.pt", unit = "GeV" }, { name = "n_vtx", dtype = "int16" },
  { name = "met.phi", unit = "rad" }, { name = "process", role = "label", dtype = "int8" },
]
planes = []
[groups]
mu1 = { mass = 0.1056584 }
mu2 = { mass = 0.1056584 }
jet = { most = 20, ordered_by = "pt" }
met = {}
[source]
events = 60
pile_up = 0.0
seed = 1
[source.processes.zmumu.settings]
"PartonLevel:MPI" = "off"
"HadronLevel:all" = "off"
[source.objects]
extends = false
mu1 = { of = "muon", rank = 1 }
mu2 = { of = "muon", rank = 2 }
jet = { of = "jet" }
[source.selection]
extends = false
pair = { of = "muon", mass = [50.0, 150.0] }
[observables]
[constraints]
"""
    )
    return DatasetSpec.load(str(entry), assignments)


def table_spec(root: Path, *assignments: str) -> DatasetSpec:
    """Return dis-ep-50-tape2 with the files below `root`, in shards of 20 events."""
    return DatasetSpec.load(
        "dis-ep-50-tape2", (f"source.root={root}", "shard_events=20", "name=small", *assignments)
    )


def write_tape(root: Path, events: int = 400) -> Path:
    """Write events with every number different, as the file that `table_spec` reads."""
    file = root / "fat-gan" / "tape2.txt"
    file.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    pt, phi, energy = (
        rng.uniform(2, 3, events),
        rng.uniform(-3, 3, events),
        np.linspace(40, 49, events),
    )
    columns = [energy, pt * np.cos(phi), pt * np.sin(phi), np.sqrt(energy**2 - pt**2)]
    np.savetxt(file, np.column_stack(columns), delimiter=",", fmt="%.7g")
    return file


SHAPED = EventSchema(
    [
        Field(name="met.pt", unit="GeV"),
        Field(name="met.phi", unit="rad"),
        *(Field(name=f"muon.{part}", unit="GeV") for part in ("px", "py", "pz")),
        Field(name="jet.pt", unit="GeV"),
        Field(name="jet.eta"),
        Field(name="jet.phi", unit="rad"),
        Field(name="jet.energy", unit="GeV"),
        Field(name="jet.tracks", dtype="int8"),
        Field(name="cells", unit="MeV", shape=(2, 3), dtype="int16"),
        Field(name="hits", shape=(3, 4, 5), storage="sparse"),
        Field(name="energy", unit="GeV", role="condition"),
        Field(name="weight", role="weight"),
    ],
    {
        "met": Group(),
        "muon": Group(pdg_id=-13, mass=0.10566),
        "jet": Group(most=3, ordered_by="pt", pdg_id=21),
    },
)


def shaped_columns(n: int) -> dict[str, np.ndarray]:
    """Return n events of 0 to 3 jets, ordered by pt, a muon, two images and weights of any sign."""
    rng = np.random.default_rng(n)
    count = rng.integers(0, 4, n)
    jets = int(count.sum())
    owner = np.repeat(np.arange(n), count)
    pt = rng.exponential(50, jets)
    columns: dict[str, np.ndarray] = {
        "met.pt": rng.exponential(30, n),
        "met.phi": rng.uniform(-np.pi, np.pi, n),
        **{f"muon.{part}": rng.normal(0, 20, n) for part in ("px", "py", "pz")},
        "jet.count": count,
        "jet.pt": pt[np.lexsort((-pt, owner))],
        "jet.eta": rng.uniform(-2.5, 2.5, jets),
        "jet.phi": rng.uniform(-np.pi, np.pi, jets),
        "jet.tracks": rng.integers(-128, 127, jets, endpoint=True),
        "cells": rng.integers(-1000, 1000, (n, 2, 3)),
        "hits": rng.exponential(1, (n, 3, 4, 5)) * (rng.random((n, 3, 4, 5)) < 0.1),
        "weight": rng.choice([-0.5, 1.0], n),
    }
    columns["jet.energy"] = 1.1 * columns["jet.pt"] * np.cosh(columns["jet.eta"])
    return {
        field.name: columns[field.name].astype(field.dtype)
        for field in SHAPED.fields
        if field.name in columns
    } | {"jet.count": count}


def shaped_spec(folder: Path) -> DatasetSpec:
    """Return an import of 200 `shaped_columns` from Parquet: lists, numbers and arrays."""
    columns = shaped_columns(200)
    ends = np.cumsum(columns["jet.count"])[:-1]
    table = {name: values for name, values in columns.items() if name != "jet.count"}
    for field in SHAPED.fields:
        if field.group == "jet":
            table[field.name] = np.split(columns[field.name], ends)
        elif field.shape:
            table[field.name] = list(columns[field.name].reshape(200, -1))
    pq.write_table(pa.table({name: list(v) for name, v in table.items()}), folder / "t.parquet")
    source = {
        "kind": "import",
        "files": [{"path": "t.parquet"}],
        "root": str(folder),
        "columns": {f.name: {"column": f.name, "unit": f.unit} for f in SHAPED.fields},
        "negative": "keep",
        "seed": 3,
    }
    del source["columns"]["energy"]
    return DatasetSpec.model_validate(
        {
            "name": "shaped",
            "version": 1,
            "description": "",
            "citation": "",
            "licence": "",
            "shard_events": 20,
            "fields": SHAPED.fields,
            "groups": SHAPED.groups,
            "conditions": {"energy": 50.0},
            "source": source,
            "splits": {"train": 0.5, "validation": 0.25, "test": 0.25},
        }
    )


def shaped_dataset(folder: Path, columns: dict[str, np.ndarray] | None = None) -> Dataset:
    """Write a dataset of 50 `shaped_columns` or others in one shard, at an energy of 50 GeV."""
    columns = columns or shaped_columns(50)
    stored = SHAPED.without({"energy"})
    entry = write_shard(str(folder), "shards/0.parquet", columns, stored, {}, split="test")
    manifest = DatasetManifest(
        name="shaped",
        fields=SHAPED.fields,
        groups=SHAPED.groups,
        conditions={"energy": 50.0},
        beams=(
            Beam(pdg_id=2212, pz="energy", energy="energy"),
            Beam(pdg_id=2212, pz="-energy", energy="energy"),
        ),
        provenance={},
        shards=(entry,),
    )
    write_json(str(folder / PREPARED), manifest.model_dump(mode="json"))
    return Dataset.open(str(folder))


def record_spec(folder: Path) -> DatasetSpec:
    """Return an import of 200 events of Dark Machines' lines: an electron and 0 to 3 jets each."""
    rng = np.random.default_rng(3)
    lines = []
    for i in range(200):
        pt, phi = rng.uniform(2e4, 1e5, 4), rng.uniform(-3, 3, 4)
        objects = [f"j,{1.1 * pt[k]:.6g},{pt[k]:.6g},0,{phi[k]:.6g}" for k in range(i % 4)]
        electron = f"e-,{pt[3]:.6g},{pt[3]:.6g},0,{phi[3]:.6g}"
        head = f"{i};x;1;{rng.uniform(0, 1e5):.6g};0.5"
        lines.append(";".join([head, electron, *objects]) + ";\n")
    (folder / "t.csv").write_text("".join(lines))
    fields = [Field(name="met.pt", unit="GeV"), Field(name="electron.pt", unit="GeV")]
    parts = {"pt": "GeV", "eta": "1", "phi": "rad", "mass": "GeV"}
    jets = [{"name": f"jet.{part}", "unit": unit} for part, unit in parts.items()]
    return DatasetSpec.model_validate(
        {
            "name": "records",
            "version": 1,
            "description": "",
            "citation": "",
            "licence": "",
            "shard_events": 20,
            "fields": [*fields, *jets],
            "groups": {
                "met": Group(),
                "electron": Group(pdg_id=11, mass=0.0),
                "jet": Group(most=3, ordered_by="pt", pdg_id=21),
            },
            "source": {"kind": "records", "files": [{"path": "t.csv"}], "root": str(folder)},
            "splits": {"train": 0.5, "validation": 0.25, "test": 0.25},
        }
    )


# Layers of 1 x 3, 2 x 2 and 2 x 2 voxels, and one without any.
CALORIMETER = """<Bins><Bin pid="22" etaMin="0" etaMax="130" name="photon">
  <Layer id="0" r_edges="0,1,2,4" n_bin_alpha="1"/>
  <Layer id="1" r_edges="0" n_bin_alpha="1"/>
  <Layer id="2" r_edges="0,5,10" n_bin_alpha="2"/>
  <Layer id="3" r_edges="0,5,20" n_bin_alpha="2"/>
</Bin></Bins>"""


def write_calochallenge(root: Path, events: int, energies: np.ndarray | None = None) -> None:
    """Write showers with every number different, and the geometry that `calochallenge_spec` has."""
    rng = np.random.default_rng(events)
    if energies is None:
        energies = 10 ** rng.uniform(3, 6, events)
    (root / "binning.xml").write_text(CALORIMETER)
    with h5py.File(root / "showers.hdf5", "w") as file:
        file["incident_energies"] = energies[:, None]
        file["showers"] = energies[:, None] * rng.exponential(0.05, (events, 11))


def calochallenge_spec(root: Path, *assignments: str) -> DatasetSpec:
    """Return an import of the files that `write_calochallenge` writes, in shards of 4 events."""
    entry = root / "showers.toml"
    entry.write_text(
        """
extends = "calochallenge-2"
name = "showers"
shard_events = 4
fields = [
  { name = "front", unit = "MeV", dtype = "float64", shape = [1, 3] },
  { name = "back", unit = "MeV", dtype = "float64", shape = [2, 2, 2], storage = "sparse" },
  { name = "energy", unit = "MeV", dtype = "float64", role = "condition" },
]
[source]
files = [{ path = "showers.hdf5" }]
geometry = "binning.xml"
[observables]
[constraints]
"""
    )
    return DatasetSpec.load(str(entry), (f"source.root={root}", *assignments))


def write_tpc(root: Path, events: int) -> None:
    """Write events of the form that the source `tpc` reads, the pad row 23 and pT near 0.48 GeV."""
    rng = np.random.default_rng(events)
    lines = []
    for _ in range(events):
        drift, pad = rng.uniform(30, 290), rng.uniform(27, 41)
        angles = rng.uniform(-20, 20, 2)
        numbers = [*angles, drift, pad]
        lines.append("params: " + " ".join(f"{x:.3f}" for x in numbers) + f" 23 {0.477:.3f}")
        hits = [
            f"{int(pad) + k} {int(drift) + 2 * k} {rng.exponential(50):.3e}" for k in range(-2, 3)
        ]
        lines.append("  ".join(hits))
    (root / "tpc").mkdir(exist_ok=True)
    (root / "tpc" / "digits_v4plus_shortFixedPt.dat").write_text("\n".join(lines) + "\n")


def tpc_spec(root: Path, *assignments: str) -> DatasetSpec:
    """Return the entry `tpc` with the file below `root`, in shards of 10 events."""
    return DatasetSpec.load("tpc", (f"source.root={root}", "shard_events=10", *assignments))
