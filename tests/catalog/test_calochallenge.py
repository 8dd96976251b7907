"""Showers of the CaloChallenge: what is read, what is written, and files of another geometry."""

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from mleg_ray.catalog.codec import of_events
from mleg_ray.catalog.convert import FORMATS, Conversion, convert_shard, require_convertible
from mleg_ray.catalog.dataset import Dataset, DatasetManifest
from mleg_ray.catalog.formats.calochallenge import Showers, layers_of
from mleg_ray.catalog.prepare import finish, make_shard, plan_dataset
from mleg_ray.catalog.shards import write_shard
from mleg_ray.catalog.sources.calochallenge import VOXELS_AT_ONCE, CaloChallengeConfig
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import EventSchema, Field
from mleg_ray.folder import SealedFolder
from tests.catalog.specs import (
    CALORIMETER,
    calochallenge_spec,
    shaped_dataset,
    write_calochallenge,
)

PHOTONS = "calochallenge-1-photons"
ENERGY = Field(name="energy", unit="MeV", dtype="float64", role="condition")
# Sectors and rings of the layers of each dataset, as the challenge publishes them.
PUBLISHED = {
    PHOTONS: ([(1, 8), (10, 16), (10, 19), (1, 5), (1, 5)], 368),
    "calochallenge-1-pions": (
        [(1, 8), (10, 10), (10, 10), (1, 5), (10, 15), (10, 16), (1, 10)],
        533,
    ),
    "calochallenge-2": ([(16, 9)] * 45, 6480),
    "calochallenge-3": ([(50, 18)] * 45, 40500),
}


def opened(spec: DatasetSpec):
    return spec.source.open(spec.schema_, spec.conditions, spec.shard_events)


def prepared(spec: DatasetSpec, storage: Path) -> Dataset:
    plan = plan_dataset(spec, str(storage))
    with plan.folder.work():
        records = {shard.index: make_shard(plan, shard.index) for shard in plan.shards}
    return finish(plan, records)


@pytest.mark.parametrize("name", PUBLISHED)
def test_entries_have_the_published_layers(name: str) -> None:
    showers = Showers.of(DatasetSpec.load(name).schema_)
    layers, voxels = PUBLISHED[name]
    assert showers.layers == layers
    assert sum(alpha * r for alpha, r in layers) == voxels
    assert showers.incident.name == "energy"


def test_rings_run_fastest_then_sectors_then_layers(tmp_path: Path) -> None:
    """The voxel of layer l, sector α and ring r is l's first one plus α · (rings) + r."""
    write_calochallenge(tmp_path, events=40)
    spec = calochallenge_spec(tmp_path)
    with h5py.File(tmp_path / "showers.hdf5") as file:
        showers, energies = file["showers"][()], file["incident_energies"][()]
    columns = opened(spec)
    columns.shard_rows()
    second = columns.shard(1)  # events 4 to 7
    # 1 x 3, 2 x 2 and again 2 x 2 voxels: 0 to 2, 3 to 6, 7 to 10.
    assert second["front"][1, 0, 2] == showers[5, 2]
    assert second["back"][1, 0, 1, 0] == showers[5, 3 + 1 * 2 + 0]
    assert second["back"][2, 1, 0, 1] == showers[6, 7 + 0 * 2 + 1]
    assert second["energy"].tolist() == energies[4:8, 0].tolist()


def test_a_round_trip_is_exact(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40)
    dataset = prepared(calochallenge_spec(tmp_path), tmp_path / "storage")
    require_convertible(dataset, "calochallenge")
    plan = Conversion(source=dataset.uri, dataset=dataset.digest, to="calochallenge")
    folder = SealedFolder(str(tmp_path / "out"), plan)
    files = [convert_shard(folder, dataset, k).entry.file for k in range(10)]
    assert files[3] == "00003.hdf5"
    with h5py.File(tmp_path / "showers.hdf5") as given:
        wanted = {name: (values.dtype, values[()]) for name, values in given.items()}
    found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    for name in files:
        with h5py.File(tmp_path / "out" / name) as file:
            assert set(file) == set(wanted)
            # What the challenge's evaluate.py asks of a file.
            assert file["incident_energies"].shape == (4, 1)
            assert file["showers"].shape == (4, 11)
            for key, (dtype, _) in wanted.items():
                assert file[key].dtype == dtype
                found[key].append(file[key][()])
    for key, (_, values) in wanted.items():
        np.testing.assert_array_equal(np.concatenate(found[key]), values)


def test_other_units_are_converted_both_ways(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40)
    with h5py.File(tmp_path / "showers.hdf5") as file:
        showers, energies = file["showers"][()], file["incident_energies"][()]
    schema = EventSchema(
        (
            Field(name="front", unit="GeV", dtype="float64", shape=(1, 3)),
            Field(name="back", unit="MeV", dtype="float64", shape=(2, 2, 2)),
            Field(name="energy", unit="GeV", dtype="float64", role="condition"),
        )
    )
    source = calochallenge_spec(tmp_path).source.open(schema, {}, 100)
    assert source.shard_rows() == [[40]]
    columns = source.shard(0)
    np.testing.assert_allclose(columns["front"][:, 0], showers[:, :3] / 1000)
    np.testing.assert_allclose(columns["energy"], energies[:, 0] / 1000)
    np.testing.assert_array_equal(columns["back"].reshape(40, 8), showers[:, 3:])
    entry = write_shard(str(tmp_path), "0.parquet", columns, schema, {}, split="test")
    manifest = DatasetManifest(name="x", fields=schema.fields, provenance={}, shards=(entry,))
    FORMATS["calochallenge"].write(tmp_path / "again.hdf5", columns, manifest)
    with h5py.File(tmp_path / "again.hdf5") as file:
        np.testing.assert_allclose(file["showers"][()], showers, rtol=1e-14)
        np.testing.assert_allclose(file["incident_energies"][()], energies, rtol=1e-14)


def test_the_geometry_is_kept(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40)
    geometry = opened(calochallenge_spec(tmp_path)).provenance()["geometry"]
    assert geometry["layers"][1] == {"id": 2, "r_edges": [0.0, 5.0, 10.0], "n_bin_alpha": 2}
    assert geometry["path"] == "binning.xml"
    assert str(tmp_path) not in str(geometry)


def test_one_incident_energy_is_a_fixed_condition(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40, energies=np.full(40, 800.0))
    dataset = prepared(calochallenge_spec(tmp_path), tmp_path / "storage")
    assert dataset.manifest.conditions == {"energy": 800.0}
    require_convertible(dataset, "calochallenge")


def write(folder: Path, **datasets: np.ndarray) -> None:
    with h5py.File(folder / "showers.hdf5", "w") as file:
        for name, values in datasets.items():
            file[name] = values


def refused(folder: Path, **datasets: np.ndarray) -> str:
    """What is said of a file of these datasets."""
    write_calochallenge(folder, events=40)
    write(folder, **datasets)
    with pytest.raises(DataError) as error:
        opened(calochallenge_spec(folder)).shard_rows()
    return str(error.value)


E = np.full((40, 1), 800.0)
S = np.full((40, 11), 10.0)


def at(values: np.ndarray, row: int, voxel: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[row, voxel] = value
    return changed


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"showers": S}, "the datasets incident_energies and showers of real .*, and has showers"),
        ({"incident_energies": E, "showers": h5py.Empty("f8")}, "showers of real numbers, and has"),
        ({"incident_energies": E, "showers": S.astype(complex)}, "showers of real numbers"),
        (
            {"incident_energies": E, "showers": np.full((40, 368), 1.0)},
            (
                "showers of 368 voxels, and .*binning.xml has 1 x 3, 2 x 2, 2 x 2 of 11 voxels: "
                "they are of another geometry; name theirs in source.geometry"
            ),
        ),
        (
            {"incident_energies": E[:, 0], "showers": S},
            r"incident_energies has the shape \(40,\) and showers \(40, 11\), not \(N, 1\)",
        ),
        ({"incident_energies": E, "showers": S[:39]}, r"showers \(39, 11\), .* is truncated"),
        ({"incident_energies": E[:0], "showers": S[:0]}, "no events"),
        (
            {"incident_energies": E, "showers": at(S, 7, 4, np.nan)},
            "column 'back' is not finite in 1 rows, first row 7",
        ),
        (
            {"incident_energies": E, "showers": at(at(S, 7, 4, -0.5), 9, 4, -2)},
            (
                "2 of 40 images of 'back' have energies below zero, the first is event 7 .*, the "
                "lowest energy -2; .* source.negative = 'keep'"
            ),
        ),
        (
            {"incident_energies": E / 1000, "showers": S},
            (
                "the median of deposited over incident energy is 138, .* between 0.005 and 5: "
                "'front' or 'energy' is in another unit"
            ),
        ),
        ({"incident_energies": E * 1000, "showers": S}, "is 0.000138"),
        (
            {"incident_energies": at(E, 3, 0, 0.0), "showers": S},
            r"'energy' of 1 events is not above zero, first that of event 3 \(from 0\): 0;",
        ),
    ],
)
def test_bad_files(tmp_path: Path, datasets: dict[str, np.ndarray], message: str) -> None:
    assert re.search(message, refused(tmp_path, **datasets))


def test_damaged_and_truncated_files(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40)
    place = tmp_path / "showers.hdf5"
    content = place.read_bytes()
    place.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"showers.hdf5: not a whole HDF5 file"):
        opened(calochallenge_spec(tmp_path)).shard_rows()


def test_negative_energies_are_kept_if_declared(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40)
    write(tmp_path, incident_energies=E, showers=at(S, 7, 4, -0.5))
    source = opened(calochallenge_spec(tmp_path, "source.negative=keep"))
    source.shard_rows()
    assert source.shard(1)["back"][3, 0, 0, 1] == -0.5


def test_a_file_is_read_through_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are counted through, whatever the part they stand in."""
    assert VOXELS_AT_ONCE > 40500
    monkeypatch.setattr("mleg_ray.catalog.sources.calochallenge.VOXELS_AT_ONCE", 33)  # 3 events
    message = refused(tmp_path, incident_energies=E, showers=at(S, 37, 0, -1))
    assert "1 of 40 images of 'front' have energies below zero, the first is event 37" in message


def test_fields_of_another_geometry(tmp_path: Path) -> None:
    write_calochallenge(tmp_path, events=40)
    spec = calochallenge_spec(tmp_path)
    fields = (Field(name="front", unit="MeV", shape=(2, 3)), *spec.fields[1:])
    with pytest.raises(
        DataError,
        match="it has 1 x 3, 2 x 2, 2 x 2 of 11 voxels, the images front, back have 2 x 3, 2 x 2, "
        "2 x 2 of 14 voxels",
    ):
        spec.source.open(EventSchema(fields), {}, 4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((Field(name="image", unit="MeV", shape=(2, 2)),), "one condition, .* there are none"),
        (
            (
                Field(name="image", unit="MeV", shape=(2, 2)),
                ENERGY,
                Field(name="angle", unit="rad", role="condition"),
            ),
            r"there are energy \[MeV\], angle \[rad\]",
        ),
        ((Field(name="x", unit="MeV"), ENERGY), r"'x' \[MeV\] of one number is none"),
        ((Field(name="x", shape=(2, 2)), ENERGY), r"'x' \[1\] \(2, 2\) is none"),
        ((Field(name="x", unit="MeV", shape=(2,)), ENERGY), r"'x' \[MeV\] \(2,\) is none"),
    ],
)
def test_fields_that_are_no_showers(fields: tuple[Field, ...], message: str) -> None:
    source = CaloChallengeConfig.model_validate({"files": [{"path": "x"}], "geometry": "x.xml"})
    with pytest.raises(ConfigError, match=message):
        source.check(EventSchema(fields), {})


def test_labels_are_left_out(tmp_path: Path) -> None:
    """As the number of the particle, which an event generated for it keeps."""
    write_calochallenge(tmp_path, events=40)
    manifest = prepared(calochallenge_spec(tmp_path), tmp_path / "storage").manifest
    number = Field(name="event", role="label", dtype="int32")
    labelled = manifest.model_copy(update={"fields": (number, *manifest.fields)})
    calochallenge = FORMATS["calochallenge"]
    calochallenge.require(labelled)
    example = of_events(labelled.schema_.example(), labelled.schema_)
    calochallenge.write(tmp_path / "again.hdf5", example, labelled)
    with h5py.File(tmp_path / "again.hdf5") as file:
        assert set(file) == {"incident_energies", "showers"}


def test_other_events_are_not_converted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"showers have images of energies, .* 'met.pt'"):
        require_convertible(shaped_dataset(tmp_path), "calochallenge")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<Bins>", "no geometry of the CaloChallenge: no element found"),
        ("<Bins/>", "it has no layer with voxels"),
        ('<?xml version="1.0" encoding="klingon"?><Bins/>', "unknown encoding"),
        (CALORIMETER.replace('n_bin_alpha="2"', ""), "no geometry of the CaloChallenge"),
        (CALORIMETER.replace("0,5,10", "0,5,5"), "layer 2: r_edges do not ascend"),
        (CALORIMETER.replace("0,5,10", "0,nan,10"), "Layer: .*r_edges.1'?: .*finite"),
    ],
)
def test_files_that_are_no_geometry(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        layers_of(text.encode(), "here")
