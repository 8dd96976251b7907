"""Images of the user's own: named arrays, what is checked of them, and what they become again."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.hits import hits_of
from mleg_ray.catalog.prepare import (
    constant_lines,
    constraint_lines,
    finish,
    image_lines,
    make_shard,
    plan_dataset,
)
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError, UserError
from tests.catalog.specs import shaped_columns, shaped_dataset

REAL = Path(__file__).parents[3] / "shared" / "data" / "images" / "electron-photon-32x32.npz"

ENTRY = """
name = "images"
version = 1
description = "images"
citation = "none"
licence = "none"
shard_events = 5
splits = {{ train = 0.5, validation = 0.25, test = 0.25 }}
fields = [
  {{ name = "image", unit = "GeV", shape = [2, 3], storage = "sparse" }},
  {{ name = "energy", unit = "GeV", role = "condition" }},
  {{ name = "particle", role = "label", dtype = "int8" }},
]
[source]
kind = "import"
seed = 1
files = [{{ path = "images.npz" }}]
root = "{root}"
incident = "energy"
[source.columns]
image = {{ column = "x", unit = "{unit}" }}
energy = {{ column = "e", unit = "GeV" }}
particle = {{ column = "y" }}
[observables]
total = {{ expression = "images.total(image)", unit = "GeV" }}
[constraints]
deposited = {{ expression = "total <= energy", tolerance = 0.1 }}
"""
N = 20


def arrays(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Images that deposit 6 of 10 GeV or, for every second one, 12 of 20 GeV."""
    scale = np.where(np.arange(N) % 2, 2.0, 1.0)
    x = scale[:, None, None] * np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]])
    return {"x": x, "e": 10 * scale, "y": np.arange(N) % 2} | changes


def load(root: Path, contents: dict[str, np.ndarray], *assignments: str, unit: str = "GeV"):
    np.savez(root / "images.npz", **contents)
    entry = root / "images.toml"
    entry.write_text(ENTRY.format(root=root, unit=unit))
    return DatasetSpec.load(str(entry), assignments)


def prepared(spec: DatasetSpec, storage: Path) -> Dataset:
    plan = plan_dataset(spec, str(storage))
    with plan.folder.work():
        records = {shard.index: make_shard(plan, shard.index) for shard in plan.shards}
    return finish(plan, records)


def test_named_arrays_become_fields(tmp_path: Path) -> None:
    dataset = prepared(load(tmp_path, arrays()), tmp_path / "storage")
    events = dataset.load()
    assert events.columns["image"].shape == (N, 2, 3)
    odd = events.columns["particle"] == 1
    assert odd.sum() == N / 2
    assert (events.columns["energy"][odd] == 20).all()
    assert events.columns["image"][odd][0].tolist() == [[0, 2, 4], [6, 0, 0]]
    assert image_lines(dataset) == constant_lines(dataset) == []


def changed(name: str, row: int, value: float) -> dict[str, np.ndarray]:
    contents = arrays()
    contents[name].reshape(N, -1)[row, 1] = value
    return contents


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            arrays(x=np.zeros((N, 2, 3, 3))),
            (
                r"column 'x' holds an array of shape \(2, 3, 3\) for each event, and 'image' is an "
                r"array of shape \(2, 3\); declare it with shape = \[2, 3, 3\]"
            ),
        ),
        (changed("x", 3, np.nan), r"row 3 \(from 0\), column 'x': nan is not a finite number \(1"),
        (
            changed("x", 3, -0.25),
            (
                r"1 of 20 images of 'image' have energies below zero, .*, the lowest energy -0.25; "
                "mend them, or say source.negative = 'keep'"
            ),
        ),
        (
            arrays(x=1000 * arrays()["x"]),
            (
                "the median of deposited over incident energy is 600, of any calorimeter it lies "
                "between 0.005 and 5: 'image' or 'energy' is in another unit"
            ),
        ),
        (arrays(x=arrays()["x"] / 1000), "incident energy is 0.0006,"),
        (arrays(e=np.zeros(N)), "'energy' of 20 events is not above zero"),
        ({k: v for k, v in arrays().items() if k != "e"}, "no column 'e'; it has 2 columns: x, y"),
        (arrays(e=np.ones(N - 1)), "columns differ in length: {'x': 20, 'e': 19"),
        (arrays(x=np.zeros((0, 2, 3)), e=np.zeros(0), y=np.zeros(0)), "images.npz: no events"),
    ],
)
def test_bad_images(tmp_path: Path, contents: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        plan_dataset(load(tmp_path, contents), str(tmp_path / "storage"))


def test_images_of_unequal_shape(tmp_path: Path) -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros((2, 3)), np.zeros((3, 3))]
    spec = load(tmp_path, arrays(x=ragged))
    with pytest.raises(DataError, match=r"images.npz: not a whole NumPy file of plain numbers"):
        plan_dataset(spec, str(tmp_path / "storage"))


def test_a_truncated_file(tmp_path: Path) -> None:
    spec = load(tmp_path, arrays())
    place = tmp_path / "images.npz"
    place.write_bytes(place.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"images.npz: not a whole NumPy file"):
        plan_dataset(spec, str(tmp_path / "storage"))


def test_an_incident_energy_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="incident: 'particle' is no condition in a unit of en"):
        load(tmp_path, arrays(), "source.incident=particle")


def test_energies_are_compared_in_one_unit(tmp_path: Path) -> None:
    """6000 MeV of 10 GeV, at an energy that is fixed too."""
    contents = arrays(x=1000 * arrays()["x"])
    plan_dataset(load(tmp_path, contents, unit="MeV"), str(tmp_path / "storage"))
    spec = load(tmp_path, contents, unit="MeV")
    values = spec.model_dump() | {"conditions": {"energy": 10.0}, "constraints": {}}
    values["source"] |= {"root": str(tmp_path)}
    del values["source"]["columns"]["energy"]
    fixed = DatasetSpec.model_validate(values)
    assert plan_dataset(fixed, str(tmp_path / "fixed")).constants == {}
    in_mev = spec.fields[0].model_copy(update={"unit": "MeV"})
    values["fields"] = (in_mev, *spec.fields[1:])
    values["observables"] = {}
    plan_dataset(DatasetSpec.model_validate(values), str(tmp_path / "in-mev"))
    values["conditions"] = {"energy": 0.01}
    with pytest.raises(DataError, match="incident energy is 900"):
        plan_dataset(DatasetSpec.model_validate(values), str(tmp_path / "other"))


def test_negative_energies_are_kept_if_declared(tmp_path: Path) -> None:
    spec = load(tmp_path, changed("x", 3, -0.25), "source.negative=keep")
    dataset = prepared(spec, tmp_path / "storage")
    assert dataset.load().columns["image"].min() == -0.25


def test_empty_images_and_too_much_energy_are_counted_and_told(tmp_path: Path) -> None:
    """Three images are zero; one holds 12 of 10 GeV, another 10.5, within the tolerance."""
    contents = arrays()
    contents["x"][[1, 5, 9]] = 0
    contents["x"][2] *= 2
    contents["x"][4] *= 10.5 / 6
    dataset = prepared(load(tmp_path, contents), tmp_path / "storage")
    assert image_lines(dataset) == ["image: 3 of 20 images are empty"]
    assert constraint_lines(dataset) == [
        "deposited (total <= energy): broken by 2 of 20 events, by 1 beyond the tolerance"
    ]


def test_a_constant_condition_is_told_and_fixed(tmp_path: Path) -> None:
    dataset = prepared(load(tmp_path, arrays(e=np.full(N, 10.0))), tmp_path / "storage")
    assert dataset.manifest.conditions == {"energy": 10.0}
    assert dataset.manifest.provenance["constants"] == {"energy": [10.0, 10.0]}
    [line] = constant_lines(dataset)
    assert line.startswith("condition energy is constant, 10 in all events")


def test_a_plane_of_a_constant_condition_is_refused_before_shards_are_made(tmp_path: Path) -> None:
    ranges = "x_range = [0.0, 30.0], y_range = [0.0, 30.0], log = false"
    plane = f'planes=[{{ x = "energy", y = "total", {ranges} }}]'
    plan_dataset(load(tmp_path, arrays(), plane), str(tmp_path / "storage"))
    spec = load(tmp_path, arrays(e=np.full(N, 10.0)), plane)
    with pytest.raises(ConfigError, match="planes: .*'energy' is not compared: .* that varies"):
        plan_dataset(spec, str(tmp_path / "storage"))


@pytest.mark.skipif(not REAL.exists(), reason="the electron and photon images are not here")
def test_real_images(tmp_path: Path) -> None:
    """100 images of 32 x 32 cells, 4.8% of them lit, of two particles."""
    entry = tmp_path / "real.toml"
    text = ENTRY.format(root=REAL.parent, unit="1").replace("images.npz", REAL.name)
    text = text.replace('image", unit = "GeV", shape = [2, 3]', 'image", shape = [32, 32]')
    text = text.replace('x", unit', 'x_train", unit').replace('"y"', '"y_train"')
    lines = text[: text.index("[observables]")].splitlines()
    dropped = ("energy =", "incident", '  { name = "energy"')
    entry.write_text("\n".join(line for line in lines if not line.startswith(dropped)))
    spec = DatasetSpec.load(str(entry))
    source = spec.source.open(spec.schema_, {}, 100)
    assert source.shard_rows() == [[100]]
    columns = source.shard(0)
    assert columns["image"].shape == (100, 32, 32)
    assert (columns["image"] > 0).mean() == pytest.approx(0.048, abs=5e-4)
    assert columns["image"].max() == pytest.approx(1.4274136)
    assert set(columns["particle"].tolist()) == {0, 1}


def test_hits_of_a_dataset(tmp_path: Path) -> None:
    """Each hit is one filled cell, of layer, row and column; so is what they add up to."""
    dataset = shaped_dataset(tmp_path)
    images = shaped_columns(50)["hits"]
    hits = dataset.hits("hits", "test")
    assert len(hits) == 50
    assert hits.fields == ["layer", "row", "column", "energy"]
    again = np.zeros_like(images)
    for event, cells in enumerate(hits.tolist()):
        for cell in cells:
            again[event, cell["layer"], cell["row"], cell["column"]] += cell["energy"]
    np.testing.assert_array_equal(again, images)
    assert dataset.hits("cells").fields == ["row", "column", "energy"]


def test_hits_that_there_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = shaped_dataset(tmp_path)
    with pytest.raises(DataError, match=r"no image 'jet.pt'; it has: cells, hits"):
        dataset.hits("jet.pt")
    with pytest.raises(DataError, match="have 4 axes, hits at most 3: layer, row, column"):
        hits_of(np.zeros((1, 2, 2, 2, 2)))
    monkeypatch.setitem(sys.modules, "awkward", None)
    with pytest.raises(UserError, match=r"hits needs awkward; .*mleg-ray\[hep\]"):
        dataset.hits("hits")
