"""Shards in other formats: other programs read the same numbers back."""

import csv
import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pylhe
import pytest
import uproot

from mleg_ray.catalog.convert import FORMATS, convert_shard, require_convertible
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import read_shard
from mleg_ray.errors import ConfigError, DataError, UserError
from mleg_ray.events import Field
from mleg_ray.physics.particles import Particle
from tests.prepared import prepared_dataset

FIELDS = ("px", "py", "pz", "energy")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("dataset"))


def converted(dataset: Dataset, kind: str, out: Path) -> Path:
    require_convertible(dataset, kind)
    shard = dataset.shards()[0]
    entry = convert_shard(dataset.uri, dataset.manifest, shard, kind, str(out))
    assert (out / entry.file).stat().st_size == entry.bytes
    return out / entry.file


def truth(dataset: Dataset) -> dict[str, np.ndarray]:
    columns = read_shard(dataset.uri, dataset.shards()[0], dataset.manifest.stored_fields)
    return {name: column.numpy() for name, column in columns.items()}


def assert_same(found: dict[str, np.ndarray], dataset: Dataset) -> None:
    for name, values in truth(dataset).items():
        assert np.array_equal(np.asarray(found[name], dtype=np.float64), values), name
    assert set(np.asarray(found["beam_energy"]).tolist()) == {50.0}


def test_root(dataset: Dataset, tmp_path: Path) -> None:
    with uproot.open(converted(dataset, "root", tmp_path)) as file:
        found = file["events"].arrays(library="np")
        assert found["px"].dtype == np.float32
        header = json.loads(str(file["mleg"]))
    assert_same(found, dataset)
    assert header["name"] == dataset.manifest.name
    assert {field["name"]: field["unit"] for field in header["fields"]}["px"] == "GeV"


def test_hdf5(dataset: Dataset, tmp_path: Path) -> None:
    with h5py.File(converted(dataset, "hdf5", tmp_path)) as file:
        assert_same({name: column[()] for name, column in file["events"].items()}, dataset)
        assert file["events/px"].attrs["unit"] == "GeV"
        assert json.loads(file.attrs["mleg"])["conditions"] == {"beam_energy": 50.0}


def test_csv(dataset: Dataset, tmp_path: Path) -> None:
    with converted(dataset, "csv", tmp_path).open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [*FIELDS, "beam_energy"]
    found = {name: np.array([np.float32(row[name]) for row in rows]) for name in rows[0]}
    assert_same(found, dataset)


def test_les_houches_events(dataset: Dataset, tmp_path: Path) -> None:
    place = converted(dataset, "lhe", tmp_path)
    file = pylhe.LHEFile.fromfile(str(place))
    beams = file.init.initInfo
    assert (beams.beamA, beams.beamB, beams.energyA, beams.energyB) == (11, 2212, 50.0, 50.0)
    events = list(file.events)
    expected = truth(dataset)
    assert len(events) == len(expected["px"])
    for i, event in enumerate(events[:50]):
        electron, proton, scattered = event.particles
        assert [p.status for p in event.particles] == [-1, -1, 1]
        assert [p.id for p in event.particles] == [11, 2212, 11]
        assert (electron.pz, proton.pz, electron.e) == (50.0, -50.0, 50.0)
        assert (scattered.mother1, scattered.mother2) == (1, 2)
        momentum = scattered.px, scattered.py, scattered.pz, scattered.e
        assert momentum == pytest.approx([expected[name][i] for name in FIELDS], rel=1e-7)


def hadronic(dataset: Dataset) -> Dataset:
    """Return the dataset with a muon and missing momentum, made of the electron's columns."""
    fields = (
        *(field for field in dataset.manifest.fields if field.name != "beam_energy"),
        Field(name="met", unit="GeV"),
        Field(name="met_phi", unit="rad"),
    )
    muon = Particle(pdg_id=-13, px="px", py="py", pz="pz", energy="energy")
    update = {"fields": fields, "particles": (muon,), "conditions": {"met": 20.0, "met_phi": 1.5}}
    return Dataset(dataset.uri, dataset.manifest.model_copy(update=update), dataset.digest)


def test_dark_machines(dataset: Dataset, tmp_path: Path) -> None:
    place = converted(hadronic(dataset), "dark-machines", tmp_path)
    lines = place.read_text().splitlines()
    expected = truth(dataset)
    assert len(lines) == len(expected["px"])
    number, process, weight, met, met_phi, muon, end = lines[3].split(";")
    assert (number, process, end) == ("4", dataset.manifest.name, "")
    assert (float(weight), float(met), float(met_phi)) == (1, 20_000, 1.5)
    name, *kinematics = muon.split(",")
    px, py, pz, energy = (expected[field][3] for field in FIELDS)
    pt = np.hypot(px, py)
    told = (1000 * energy, 1000 * pt, np.arcsinh(pz / pt), np.arctan2(py, px))
    assert name == "m+"
    assert [float(text) for text in kinematics] == pytest.approx(told, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("xml", "--to xml: there are root, hdf5, csv, dark-machines, lhe"),
        ("dark-machines", "needs the fields met and met_phi .*there is no field met"),
    ],
)
def test_what_cannot_be_converted(dataset: Dataset, kind: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_convertible(dataset, kind)


@pytest.mark.parametrize(
    ("particles", "message"),
    [
        ([], "an event record needs"),
        ([{"pdg_id": 11, "energy": "energy"}], "0 are incoming"),
        (
            [
                {"pdg_id": 11, "incoming": True, "energy": 50.0},
                {"pdg_id": 2212, "incoming": True, "energy": "-x_bj"},
                {"pdg_id": 11, "energy": "energy"},
            ],
            "'-x_bj' is no column in GeV; those are px, py, pz, energy, beam_energy",
        ),
    ],
)
def test_particles_that_make_no_record(
    dataset: Dataset, particles: list[dict[str, object]], message: str
) -> None:
    declared = tuple(Particle.model_validate(particle) for particle in particles)
    manifest = dataset.manifest.model_copy(update={"particles": declared})
    with pytest.raises(ConfigError, match=message):
        require_convertible(Dataset(dataset.uri, manifest, dataset.digest), "lhe")


@pytest.mark.parametrize("kind", ["root", "hdf5", "lhe"])
def test_missing_library_names_the_mend(
    dataset: Dataset, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("uproot", "h5py", "pylhe"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=r"pip install 'mleg-ray\[hep\]'"):
        require_convertible(dataset, kind)


def test_what_is_there_is_kept_and_an_altered_source_is_refused(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    shard = dataset.shards()[0]
    place = converted(dataset, "csv", tmp_path / "out")
    place.write_bytes(b"as it was")
    assert converted(dataset, "csv", tmp_path / "out").read_bytes() == b"as it was"
    place.unlink()
    (Path(dataset.uri) / shard.file).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="truncated or altered"):
        converted(dataset, "csv", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert set(FORMATS) == {"root", "hdf5", "csv", "dark-machines", "lhe"}
