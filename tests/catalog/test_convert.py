"""Shards in other formats: other programs read the same numbers back."""

import csv
import gzip
import json
import re
import sys
from pathlib import Path

import awkward
import h5py
import numpy as np
import pyarrow.parquet as pq
import pylhe
import pytest
import uproot

from mleg_ray.catalog.convert import FORMATS, Conversion, convert_shard, require_convertible
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.shards import read_columns
from mleg_ray.errors import ConfigError, DataError, UserError
from mleg_ray.events import COUNT, Field, Group
from mleg_ray.folder import SealedFolder
from mleg_ray.physics.particles import Beam
from tests.catalog.specs import SHAPED, shaped_columns, shaped_dataset
from tests.dis_events import ELECTRON
from tests.prepared import prepared_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared_dataset(tmp_path_factory.mktemp("dataset"))


def converted(dataset: Dataset, kind: str, out: Path) -> Path:
    require_convertible(dataset, kind)
    plan = Conversion(source=dataset.uri, dataset=dataset.digest, to=kind)
    entry = convert_shard(SealedFolder(str(out), plan), dataset, 0).entry
    assert (out / entry.file).stat().st_size == entry.bytes
    return out / entry.file


def truth(dataset: Dataset) -> dict[str, np.ndarray]:
    return read_columns(dataset.uri, dataset.shards()[0], dataset.manifest.stored)


def assert_same(found: dict[str, np.ndarray], dataset: Dataset) -> None:
    for name, values in truth(dataset).items():
        assert np.array_equal(np.asarray(found[name], dtype=np.float64), values), name
    assert set(np.asarray(found["beam_energy"]).tolist()) == {50.0}


def test_parquet(shaped: Dataset, tmp_path: Path) -> None:
    """Numbers, objects and images as they are stored, in an encoding that old readers know."""
    place = converted(shaped, "parquet", tmp_path)
    table, columns = pq.read_table(place), shaped_columns(50)
    assert table["energy"].to_pylist() == [50.0] * 50
    np.testing.assert_array_equal(table["met.pt"].to_numpy(), columns["met.pt"])
    jets = table["jet"].combine_chunks()
    np.testing.assert_array_equal(jets.value_lengths(), columns["jet.count"])
    np.testing.assert_array_equal(jets.flatten().field("pt"), columns["jet.pt"])
    assert table.schema.field("met.pt").metadata[b"unit"] == b"GeV"
    group = pq.ParquetFile(place).metadata.row_group(0)
    encodings = {e for i in range(group.num_columns) for e in group.column(i).encodings}
    assert "BYTE_STREAM_SPLIT" not in encodings


@pytest.mark.parametrize("kind", ["csv", "lhe"])
def test_packed_files_are_the_same_unpacked(
    dataset: Dataset, shaped: Dataset, tmp_path: Path, kind: str
) -> None:
    source = shaped if kind == "lhe" else dataset
    plain = converted(source, kind, tmp_path / "plain")
    packed = converted(source, f"{kind}.gz", tmp_path / "packed")
    assert packed.name == f"{plain.name}.gz"
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.read_bytes()[4:8] == bytes(4)  # no time in it


def test_root(dataset: Dataset, tmp_path: Path) -> None:
    with uproot.open(converted(dataset, "root", tmp_path)) as file:
        found = file["events"].arrays(library="np")
        assert found["electron_px"].dtype == np.float32
        header = json.loads(str(file["mleg"]))
    assert_same({name.replace("electron_", "electron."): v for name, v in found.items()}, dataset)
    assert header["name"] == dataset.manifest.name
    assert header["groups"]["electron"]["pdg_id"] == 11
    units = {field["name"]: field["unit"] for field in header["fields"]}
    assert units["electron.px"] == "GeV"


def test_hdf5(dataset: Dataset, tmp_path: Path) -> None:
    with h5py.File(converted(dataset, "hdf5", tmp_path)) as file:
        assert_same({name: column[()] for name, column in file["events"].items()}, dataset)
        assert file["events/electron.px"].attrs["unit"] == "GeV"
        assert json.loads(file.attrs["mleg"])["conditions"] == {"beam_energy": 50.0}


def test_csv(dataset: Dataset, tmp_path: Path) -> None:
    with converted(dataset, "csv", tmp_path).open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [*ELECTRON, "beam_energy"]
    found = {name: np.array([np.float32(row[name]) for row in rows]) for name in rows[0]}
    assert_same(found, dataset)


def test_les_houches_events(dataset: Dataset, tmp_path: Path) -> None:
    place = converted(dataset, "lhe", tmp_path)
    file = pylhe.LHEFile.fromfile(str(place))
    beams = file.init.initInfo
    assert (beams.beamA, beams.beamB, beams.energyA, beams.energyB) == (11, 2212, 50.0, 50.0)
    events = list(file.events)
    expected = truth(dataset)
    assert len(events) == len(expected["electron.px"])
    for i, event in enumerate(events[:50]):
        electron, proton, scattered = event.particles
        assert [p.status for p in event.particles] == [-1, -1, 1]
        assert [p.id for p in event.particles] == [11, 2212, 11]
        assert (electron.pz, proton.pz, electron.e) == (50.0, -50.0, 50.0)
        assert (scattered.mother1, scattered.mother2) == (1, 2)
        momentum = scattered.px, scattered.py, scattered.pz, scattered.e
        assert momentum == pytest.approx([expected[name][i] for name in ELECTRON], rel=1e-7)


@pytest.fixture(scope="module")
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Events of jets, a muon and images."""
    return shaped_dataset(tmp_path_factory.mktemp("shaped"))


def test_root_has_jagged_branches_and_images(shaped: Dataset, tmp_path: Path) -> None:
    expected = shaped_columns(50)
    jets = [field.name for field in SHAPED.fields if field.group == "jet"]
    with uproot.open(converted(shaped, "root", tmp_path)) as file:
        found = file["events"].arrays(library="ak")
        assert file["events"]["jet_tracks"].typename == "int8_t[]"
    assert found["njet"].tolist() == expected["jet.count"].tolist()
    for name in jets:
        branch = found[name.replace(".", "_")]
        assert awkward.num(branch).tolist() == expected["jet.count"].tolist()
        assert awkward.flatten(branch).tolist() == expected[name].tolist()
    for name in ("cells", "hits", "weight", "met.pt", "muon.px"):
        branch = found[name.replace(".", "_")]
        assert branch.tolist() == expected[name].tolist()
    assert set(found["energy"].tolist()) == {50.0}
    names = {field.name.replace(".", "_") for field in SHAPED.fields}
    assert set(found.fields) == names | {"njet"}


def test_hdf5_has_objects_flat_beside_their_number(shaped: Dataset, tmp_path: Path) -> None:
    expected = shaped_columns(50)
    with h5py.File(converted(shaped, "hdf5", tmp_path)) as file:
        assert set(file["events"]) == {*expected, "energy"}
        for name, values in expected.items():
            assert np.array_equal(file["events"][name][()], values), name
            assert name == f"jet.{COUNT}" or file["events"][name].dtype == values.dtype
        assert file["events/cells"].attrs["unit"] == "MeV"
        assert json.loads(file.attrs["mleg"])["groups"]["jet"]["most"] == 3


@pytest.mark.parametrize("name", ["jet_pt", "njet", "muon_px"])
def test_branches_of_one_name_are_refused(shaped: Dataset, name: str) -> None:
    fields = (*shaped.manifest.fields, Field(name=name))
    manifest = shaped.manifest.model_copy(update={"fields": fields})
    with pytest.raises(ConfigError, match=f"2 branches of a ROOT file would be called '{name}'"):
        require_convertible(Dataset(shaped.uri, manifest, shaped.digest), "root")


def test_csv_has_one_number_a_column(shaped: Dataset) -> None:
    with pytest.raises(ConfigError, match="'jet.pt' has more; convert to root or hdf5"):
        require_convertible(shaped, "csv")


def jets_and_muon(columns: dict[str, np.ndarray], event: int) -> list[tuple[int, list[float]]]:
    """Return the PDG numbers and px, py, pz, E of an event's particles, by its columns."""
    start = int(columns["jet.count"][:event].sum())
    muon = [float(columns[f"muon.{part}"][event]) for part in ("px", "py", "pz")]
    particles = [(-13, [*muon, float(np.sqrt(np.dot(muon, muon) + 0.10566**2))])]
    for k in range(start, start + int(columns["jet.count"][event])):
        pt, eta, phi, energy = (
            float(columns[f"jet.{part}"][k]) for part in ("pt", "eta", "phi", "energy")
        )
        momentum = [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy]
        particles.append((21, momentum))
    return particles


def test_les_houches_events_have_as_many_particles_as_there_are(
    shaped: Dataset, tmp_path: Path
) -> None:
    columns = shaped_columns(50)
    events = list(pylhe.LHEFile.fromfile(str(converted(shaped, "lhe", tmp_path))).events)
    assert len(events) == 50
    for i, event in enumerate(events):
        particles = jets_and_muon(columns, i)
        assert event.eventinfo.nparticles == len(event.particles) == 2 + len(particles)
        assert event.eventinfo.weight == columns["weight"][i]
        for found, (pdg_id, momentum) in zip(event.particles[2:], particles, strict=True):
            assert (found.id, found.status) == (pdg_id, 1)
            assert [found.px, found.py, found.pz, found.e] == pytest.approx(momentum, rel=1e-6)
        assert event.particles[2].m == pytest.approx(0.10566, rel=1e-3)


def test_dark_machines(shaped: Dataset, tmp_path: Path) -> None:
    columns = shaped_columns(50)
    lines = converted(shaped, "dark-machines", tmp_path).read_text().splitlines()
    assert len(lines) == 50
    for i, line in enumerate(lines):
        number, process, weight, met, met_phi, *objects, end = line.split(";")
        assert (number, process, end) == (str(i + 1), "shaped", "")
        told = [columns["weight"][i], 1000 * columns["met.pt"][i], columns["met.phi"][i]]
        assert [float(text) for text in (weight, met, met_phi)] == pytest.approx(told, rel=1e-5)
        muon, *jets = jets_and_muon(columns, i)
        particles = [*jets, muon]
        assert [text.split(",")[0] for text in objects] == [*["j"] * len(jets), "m+"]
        for text, (_, (px, py, pz, energy)) in zip(objects, particles, strict=True):
            pt = np.hypot(px, py)
            expected = (1000 * energy, 1000 * pt, np.arcsinh(pz / pt), np.arctan2(py, px))
            found = [float(value) for value in text.split(",")[1:]]
            assert found == pytest.approx(expected, rel=1e-5)


def test_events_are_numbered_through_the_dataset(tmp_path: Path) -> None:
    """Of a dataset of 50 events the second shard begins with number 51."""
    dataset = shaped_dataset(tmp_path / "dataset")
    twice = dataset.manifest.model_copy(update={"shards": dataset.manifest.shards * 2})
    both = Dataset(dataset.uri, twice, dataset.digest)
    for kind, numbers in (
        ("dark-machines", lambda text: [line.split(";")[0] for line in text.splitlines()]),
        ("hepmc", lambda text: re.findall(r"^E (\d+) ", text, re.MULTILINE)),
    ):
        plan = Conversion(source=dataset.uri, dataset=dataset.digest, to=kind)
        folder = SealedFolder(str(tmp_path / kind), plan)
        record = convert_shard(folder, both, 1)
        text = (tmp_path / kind / record.entry.file).read_text()
        assert numbers(text) == [str(i) for i in range(51, 101)]


@pytest.mark.parametrize(("least", "strategy"), [(1.0, 4), (-1.0, -4)])
def test_les_houches_events_say_that_weights_are_negative(
    tmp_path: Path, least: float, strategy: int
) -> None:
    """IDWTUP below zero: Pythia 8 takes them for zero else."""
    columns = shaped_columns(50) | {"weight": np.linspace(least, 2, 50)}
    dataset = shaped_dataset(tmp_path / "dataset", columns=columns)
    file = pylhe.LHEFile.fromfile(str(converted(dataset, "lhe", tmp_path)))
    assert file.init.initInfo.weightingStrategy == strategy
    weights = [event.eventinfo.weight for event in file.events]
    np.testing.assert_allclose(weights, columns["weight"], rtol=1e-6)


def test_dark_machines_lines_have_the_order_of_the_challenge(tmp_path: Path) -> None:
    """B-jets, jets, leptons, photons, the hardest first, in MeV with six digits.

    E of the b-jet is √(30² + 5²) = 30.4138 GeV, of the massless others pT cosh 0.
    """
    numbers = {"photon": 22, "muon": 13, "jet": 1, "bjet": 5}
    parts = {"pt": "GeV", "eta": "1", "phi": "rad", "mass": "GeV"}
    fields = [
        Field(name="met.pt", unit="GeV"),
        Field(name="met.phi", unit="rad"),
        *(Field(name=f"{g}.{p}", unit=unit) for g in numbers for p, unit in parts.items()),
    ]
    groups = {g: Group(most=2, ordered_by="eta", pdg_id=number) for g, number in numbers.items()}
    manifest = shaped_dataset(tmp_path / "dataset").manifest.model_copy(
        update={
            "name": "ttbar where met.pt > 10",  # the process is that of the whole dataset
            "fields": tuple(fields),
            "groups": {"met": Group(), **groups},
        }
    )
    columns = {"met.pt": np.array([12.3456789]), "met.phi": np.array([0.5])}
    for group in numbers:
        pt = np.array([30.0, 40.0]) if group == "jet" else np.array([30.0])
        columns |= {f"{group}.count": np.array([len(pt)]), f"{group}.pt": pt}
        columns |= {f"{group}.{part}": np.zeros(len(pt)) for part in ("eta", "phi", "mass")}
    columns["bjet.mass"] = np.array([5.0])
    FORMATS["dark-machines"].write(tmp_path / "t.csv", columns, manifest)
    assert (tmp_path / "t.csv").read_text() == (
        "1;ttbar;1;12345.7;0.5;b,30413.8,30000,0,0;j,40000,40000,0,0;j,30000,30000,0,0;"
        "m-,30000,30000,0,0;g,30000,30000,0,0;\n"
    )


def test_events_without_any_object(tmp_path: Path) -> None:
    """A shard in which no event has a jet."""
    columns = shaped_columns(4)
    columns |= {name: values[:0] for name, values in columns.items() if name.startswith("jet.")}
    columns["jet.count"] = np.zeros(4, dtype=np.int64)
    dataset = shaped_dataset(tmp_path / "dataset", columns=columns)
    with uproot.open(converted(dataset, "root", tmp_path)) as file:
        found = file["events"].arrays(library="ak")
        assert (found["jet_pt"].tolist(), found["njet"].tolist()) == ([[]] * 4, [0] * 4)
    with h5py.File(converted(dataset, "hdf5", tmp_path)) as file:
        assert file["events/jet.pt"].shape == (0,)
    events = pylhe.LHEFile.fromfile(str(converted(dataset, "lhe", tmp_path))).events
    assert [len(event.particles) for event in events] == [3] * 4
    lines = converted(dataset, "dark-machines", tmp_path).read_text().splitlines()
    assert [line.count(";") for line in lines] == [6] * 4


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "xml",
            "--to xml: there are parquet, root, hdf5, csv, .* lhe, hepmc, calochallenge, and .gz",
        ),
        ("dark-machines", "needs the fields met.pt and met.phi .*there is no field met.pt"),
    ],
)
def test_what_cannot_be_converted(dataset: Dataset, kind: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_convertible(dataset, kind)


BEAM = Beam(pdg_id=11, pz="beam_energy", energy="beam_energy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": {"electron": Group()}}, "an event record needs particles: groups of event"),
        ({"beams": (BEAM,)}, "beams: an event record needs two, there are 1"),
        (
            {"beams": (BEAM, Beam(pdg_id=2212, energy="-x_bj"))},
            "'-x_bj' is no column in GeV; those are electron.px, .*, beam_energy",
        ),
        (
            {"fields": (Field(name="electron.px", unit="GeV"),)},
            "px, py, pz, or pt, eta, phi, of 'electron' in GeV and rad",
        ),
    ],
)
def test_particles_that_make_no_record(
    dataset: Dataset, change: dict[str, object], message: str
) -> None:
    manifest = dataset.manifest.model_copy(update=change)
    with pytest.raises(ConfigError, match=message):
        require_convertible(Dataset(dataset.uri, manifest, dataset.digest), "lhe")


@pytest.mark.parametrize(
    ("parts", "mass", "units", "wanted"),
    [
        (("px", "py", "pz"), None, ("GeV",) * 3, "and its energy or mass, or groups.jet.mass"),
        (("px", "py", "pz"), 0.0, ("GeV", "GeV", "MeV"), "px, py, pz, or pt, eta, phi"),
        (("pt", "eta", "phi"), 0.0, ("GeV", "1", "deg"), "of 'jet' in GeV and rad"),
    ],
)
def test_momenta_that_no_record_can_tell(
    dataset: Dataset,
    parts: tuple[str, ...],
    mass: float | None,
    units: tuple[str, ...],
    wanted: str,
) -> None:
    fields = [
        Field.model_validate({"name": f"jet.{part}", "unit": unit})
        for part, unit in zip(parts, units, strict=True)
    ]
    groups = {"jet": Group(most=2, ordered_by=parts[0], pdg_id=21, mass=mass)}
    update = {"fields": (*fields, dataset.manifest.fields[-1]), "groups": groups}
    manifest = dataset.manifest.model_copy(update=update)
    with pytest.raises(ConfigError, match=wanted):
        require_convertible(Dataset(dataset.uri, manifest, dataset.digest), "lhe")


@pytest.mark.parametrize("kind", ["root", "hdf5", "lhe", "hepmc"])
def test_missing_library_names_the_mend(
    dataset: Dataset, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("uproot", "h5py", "pylhe", "pyhepmc"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=r"pip install 'mleg-ray\[hep\]'"):
        require_convertible(dataset, kind)


def test_an_altered_source_is_refused(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    shard = dataset.shards()[0]
    (Path(dataset.uri) / shard.file).write_bytes(b"PAR1")
    with pytest.raises(DataError, match="truncated or altered"):
        converted(dataset, "csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    records = {"dark-machines", "lhe", "hepmc"}
    assert set(FORMATS) == {"parquet", "root", "hdf5", "csv", "calochallenge"} | records
