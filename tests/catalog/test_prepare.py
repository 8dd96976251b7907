"""From a specification to a dataset, without Ray: reuse, refusals, provenance."""

import errno
import json
import os
import random
import shutil
from collections import Counter
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mleg_ray.catalog.dataset import Dataset, dataset_uri
from mleg_ray.catalog.prepare import (
    PreparedShard,
    constraint_lines,
    finish,
    lost_lines,
    make_shard,
    plan_dataset,
    range_lines,
)
from mleg_ray.catalog.shards import footer
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.errors import ConfigError, DataError, ResourceError
from tests.catalog.specs import table_spec, write_tape
from tests.dis_events import ELECTRON


@pytest.fixture
def spec(tmp_path):
    write_tape(tmp_path)
    return table_spec(tmp_path)


@pytest.fixture
def storage(tmp_path):
    return str(tmp_path / "storage")


def whole(plan):
    """The records of the shards that are there."""
    return plan.folder.whole({shard.index: shard.file for shard in plan.shards}, PreparedShard)


def prepare(spec, storage, *, overwrite=False, only=None):
    """What the cluster does, one shard after the other; `only` stops early."""
    plan = plan_dataset(spec, storage, overwrite=overwrite)
    records = whole(plan)
    missing = [shard for shard in plan.shards if shard.index not in records]
    random.Random(0).shuffle(missing)
    if missing:
        with plan.folder.work():
            records |= {shard.index: make_shard(plan, shard.index) for shard in missing[:only]}
    return finish(plan, records) if only is None else None


def test_dataset_holds_all_events_in_their_splits(spec, storage):
    dataset = prepare(spec, storage)
    assert dataset.uri == dataset_uri(storage, "small")
    rows = {split: dataset.rows(split) for split in ("train", "validation", "test")}
    assert rows == {"train": 180, "validation": 20, "test": 200}
    events = dataset.load()
    assert set(events.columns) == {*ELECTRON, "beam_energy"}
    assert all(values.shape == (400,) for values in events.columns.values())
    assert all(values.dtype == torch.float64 for values in events.columns.values())
    assert (events.columns["beam_energy"] == 50).all()
    assert (events.weight == 1).all()
    columns = dataset.manifest.joined(events).columns
    assert {"x_bj", "q2"} <= set(columns)
    energies = np.sort(columns["electron.energy"])
    np.testing.assert_allclose(energies, np.linspace(40, 49, 400), rtol=1e-6)


def test_shards_carry_their_units_and_origin(spec, storage):
    dataset = prepare(spec, storage)
    metadata = footer(f"{dataset.uri}/shards/00003.parquet")
    assert json.loads(metadata["mleg.index"]) == 3
    assert json.loads(metadata["mleg.origin"]) == dataset.manifest.provenance["origin"]
    assert sorted(os.listdir(dataset.uri)) == ["dataset.json", "plan.json", "records", "shards"]


def test_provenance_tells_inputs_versions_and_no_machine(spec, storage, tmp_path):
    provenance = prepare(spec, storage).manifest.provenance
    [file] = provenance["source"]["files"]
    assert file["path"] == "fat-gan/tape2.txt"
    assert file["bytes"] == (tmp_path / "fat-gan" / "tape2.txt").stat().st_size
    assert len(file["sha256"]) == 64
    assert provenance["spec_digest"] == spec.digest()
    assert {"mleg_ray", "python", "numpy", "pyarrow"} == set(provenance["code"])
    assert provenance["created"]
    assert str(tmp_path) not in json.dumps(provenance)


def test_a_second_run_changes_nothing(spec, storage):
    first = prepare(spec, storage)
    manifest = first.manifest
    assert prepare(spec, storage).manifest == manifest  # also its time of creation


def test_an_interrupted_run_is_completed_to_the_same_dataset(spec, storage, tmp_path):
    undisturbed = prepare(spec, str(tmp_path / "other"))
    prepare(spec, storage, only=7)
    folder = dataset_uri(storage, "small")
    with pytest.raises(DataError, match=r"not finished: it has a plan.json, but no dataset.json"):
        Dataset.open(folder)
    leftover = f"{folder}/shards/00099.parquet.1.partial"
    with open(leftover, "w") as stream:
        stream.write("half")
    assert len(whole(plan_dataset(spec, storage))) == 7
    completed = prepare(spec, storage)
    assert completed.digest == undisturbed.digest
    assert not os.path.exists(leftover)


@pytest.mark.parametrize("damage", ["truncate", "alter", "remove", "lose the record"])
def test_a_damaged_shard_is_noticed_and_made_again(spec, storage, damage):
    dataset = prepare(spec, storage)
    place = f"{dataset.uri}/shards/00005.parquet"
    with open(place, "rb") as stream:
        content = stream.read()
    if damage == "truncate":
        with open(place, "wb") as stream:
            stream.write(content[:-100])
    elif damage == "alter":
        with open(place, "wb") as stream:
            stream.write(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    elif damage == "remove":
        os.remove(place)
    else:
        os.remove(f"{dataset.uri}/records/00005.json")
    if damage in ("truncate", "alter"):
        with pytest.raises(DataError, match=r"00005.parquet: truncated or altered"):
            dataset.load()
    assert prepare(spec, storage).digest == dataset.digest
    assert len(dataset.load()) == 400


def test_a_folder_of_another_specification_is_refused(spec, storage, tmp_path):
    prepare(spec, storage, only=3)
    other = table_spec(tmp_path, "source.seed=2")
    told = r"dataset \(source\.seed is 20210101 there, 2 is asked for\);.*--storage.*--overwrite"
    with pytest.raises(ConfigError, match=told):
        plan_dataset(other, storage)
    dataset = prepare(other, storage, overwrite=True)
    assert dataset.manifest.provenance["source"]["seed"] == 2


def test_a_changed_input_file_is_another_origin(spec, storage, tmp_path):
    prepare(spec, storage)
    with open(tmp_path / "fat-gan" / "tape2.txt", "a") as stream:
        stream.write("48,2,1,47.9\n")
    with pytest.raises(ConfigError, match=r"provenance\.\w+.* is asked for"):
        plan_dataset(spec, storage)


def test_a_folder_that_does_not_say_what_it_is_made_of_is_known_by_its_digest(spec, storage):
    dataset = prepare(spec, storage)
    place = f"{dataset.uri}/plan.json"
    with open(place) as stream:
        plan = json.load(stream)
    del plan["made_of"]
    for origin, refusal in ((plan["origin"], nullcontext()), ("0", pytest.raises(ConfigError))):
        with open(place, "w") as stream:
            json.dump(plan | {"origin": origin}, stream)
        with refusal as caught:
            plan_dataset(spec, storage)
    assert "origin is 0 there" in str(caught.value)


def test_weights_also_negative_are_kept(tmp_path, storage):
    file = tmp_path / "fat-gan" / "tape2.txt"
    events = np.loadtxt(write_tape(tmp_path), delimiter=",")
    weights = np.linspace(-1, 1, len(events))
    np.savetxt(file, np.column_stack([events, weights]), delimiter=",")
    spec = table_spec(tmp_path)
    values = spec.model_dump(mode="json") | {"source": spec.source}
    values["fields"].append({"name": "weight", "role": "weight"})
    columns = {**spec.source.columns, "weight": {"column": 4}}
    values["source"] = spec.source.model_dump() | {"columns": columns, "root": str(tmp_path)}
    events = prepare(type(spec).model_validate(values), storage).load()
    np.testing.assert_allclose(np.sort(events.weight), weights, atol=1e-6)
    energy = events.columns["electron.energy"]
    assert torch.allclose(events.weight, (energy - 44.5) / 4.5, atol=1e-5)


def test_violated_constraints_are_counted_and_said(tmp_path, storage):
    with open(write_tape(tmp_path), "a") as stream:
        stream.write("50.0002,2,1,49.95\n50.1,2,1,50.05\n")
    dataset = prepare(table_spec(tmp_path), storage)
    counts = dataset.manifest.provenance["constraints"]
    assert counts["energy_below_beam"] == {"outside": 2, "beyond_tolerance": 1}
    lines = constraint_lines(dataset)
    assert lines[0].endswith(
        "(electron.energy <= beam_energy): broken by 2 of 402 events, by 1 beyond the tolerance"
    )
    assert lines[-1] == (
        "constraints: 3 of 5 hold in all 402 events, 1 of them thanks to a tolerance"
    )


def test_constraints_that_hold_are_said_in_one_line(tmp_path, storage):
    with open(write_tape(tmp_path), "a") as stream:
        stream.write("50.0002,2,1,49.95\n")
    assert constraint_lines(prepare(table_spec(tmp_path), storage)) == [
        "constraints: 5 of 5 hold in all 401 events, 2 of them thanks to a tolerance"
    ]


def test_dropped_objects_are_counted_and_said(tmp_path, storage):
    jets = [[float(k) for k in range(n)] for n in (0, 5, 1, 3, 2, 6, 0, 4)]
    pq.write_table(pa.table({"jet_pt": pa.array(jets)}), tmp_path / "jets.parquet")
    entry = tmp_path / "jets.toml"
    entry.write_text(f"""
name = "jets"
version = 1
description = "jets"
citation = "none"
licence = "none"
shard_events = 2
fields = [{{ name = "jet.pt", unit = "GeV" }}]
groups = {{ jet = {{ most = 3, ordered_by = "pt" }} }}
splits = {{ train = 0.5, validation = 0.25, test = 0.25 }}
[source]
kind = "import"
seed = 1
files = [{{ path = "jets.parquet" }}]
root = "{tmp_path}"
columns = {{ "jet.pt" = {{ column = "jet_pt", unit = "GeV" }} }}
""")
    dataset = prepare(DatasetSpec.load(str(entry)), storage)
    assert dataset.manifest.provenance["dropped"] == {"jet": 2 + 3 + 1}
    assert sum(shard.dropped.get("jet", 0) for shard in dataset.shards()) == 6
    assert lost_lines(dataset) == ["jet: 6 objects dropped, beyond 3 an event"]
    events = dataset.load()
    kept = sorted(row[there].tolist() for row, there in zip(*jets_of(events), strict=True))
    assert kept == [[], [], [0], [1, 0], [2, 1, 0], [3, 2, 1], [4, 3, 2], [5, 4, 3]]


def jets_of(events):
    return events.columns["jet.pt"], events.present["jet"]


def test_nothing_is_said_where_no_object_is_dropped(spec, storage):
    assert lost_lines(prepare(spec, storage)) == []


def test_whole_numbers_and_constants_are_said(tmp_path, storage):
    """Of four fields the second is 5 in all events and the third 0 or 1."""
    events = np.loadtxt(write_tape(tmp_path), delimiter=",")
    events[:, 1], events[:, 2] = 5, np.arange(400) % 2
    np.savetxt(tmp_path / "fat-gan" / "tape2.txt", events, delimiter=",")
    constant, whole = range_lines(prepare(table_spec(tmp_path), storage))
    assert constant.startswith("field electron.px is 5 in all events, and models generate numbers")
    assert whole.startswith("field electron.py has whole numbers only, 0 to 1, and models generate")


def test_too_few_shards_for_the_splits(tmp_path, storage):
    write_tape(tmp_path)
    told = r"shards \(2\) .* validation would be empty; lower .*--set shard_events=2 say"
    with pytest.raises(ConfigError, match=told):
        plan_dataset(table_spec(tmp_path, "shard_events=200"), storage)
    plan = plan_dataset(table_spec(tmp_path, "shard_events=2"), storage)
    assert Counter(shard.split for shard in plan.shards)["validation"] == 10


def test_bad_input_leaves_nothing(tmp_path, storage):
    with open(write_tape(tmp_path), "a") as stream:
        stream.write("1,2,nan,4\n")
    with pytest.raises(DataError, match=r"tape2.txt: line 401, column 2: 'nan'"):
        plan_dataset(table_spec(tmp_path), storage)
    assert os.listdir(storage) == []


def test_storage_that_cannot_be_written(spec, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="file"):
        plan_dataset(spec, str(tmp_path / "file" / "storage"))


def test_no_permission(spec, storage, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("mleg_ray.storage.os.replace", refuse)  # root may write everywhere
    with pytest.raises(ResourceError, match=r"no permission.*--storage"):
        plan_dataset(spec, storage)


def test_a_disk_that_is_too_small_is_refused_before_the_work(spec, storage, monkeypatch):
    usage = type(shutil.disk_usage("/"))(10**9, 10**9, 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match=r"GB are needed, .* GB are free"):
        plan_dataset(spec, storage)


def test_a_disk_that_fills_up_leaves_nothing_half_written(spec, storage, monkeypatch):
    plan = plan_dataset(spec, storage)
    make_shard(plan, 0)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mleg_ray.storage.os.fsync", full)
    with pytest.raises(ResourceError, match=r"00001.parquet: No space left on device"):
        make_shard(plan, 1)
    assert sorted(os.listdir(f"{plan.folder.uri}/shards")) == ["00000.parquet"]


def test_a_source_that_gives_other_rows_than_promised(spec, storage, monkeypatch):
    plan = plan_dataset(spec, storage)
    short = {name: values[:-1] for name, values in plan.source.shard(0).items()}
    monkeypatch.setattr(type(plan.source), "shard", lambda self, index: short)
    with pytest.raises(DataError, match="gave 19 events, not 20"):
        make_shard(plan, 0)


def test_a_missing_split_is_named(spec, storage):
    with pytest.raises(DataError, match=r"no shards in split 'calibration'; it has test, train"):
        prepare(spec, storage).rows("calibration")


def test_a_damaged_manifest_is_named(spec, storage):
    place = f"{prepare(spec, storage).uri}/dataset.json"
    with open(place, "w") as stream:
        stream.write('{"name": ')
    with pytest.raises(DataError, match=r"dataset.json: damaged, not valid JSON"):
        Dataset.open(os.path.dirname(place))
