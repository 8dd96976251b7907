"""What `mleg verify` finds: each kind of damage by its name, and nothing in a sound dataset."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.dataset import PREPARED, SAMPLED, Dataset
from mleg_ray.catalog.prepare import finish, make_shard, plan_dataset
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.folder import PLAN, FileEntry
from mleg_ray.sampling.plan import BINS_FILE
from mleg_ray.sampling.verification import ShardCheck, Verification, conclude, faults_in_words
from tests.catalog.specs import table_spec, write_tape
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset
from tests.sampling.test_job import planned, run

SHARD, TALLY = "shards/00000001.parquet", "tallies/00000001.safetensors"
RECORD = "records/00000001.json"
PX = "electron.px"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    run(planned(small_checkpoint(folder / "checkpoint"), folder / "out"))
    return folder / "out"


@pytest.fixture
def sample(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "sample")
    return tmp_path / "sample"


def verified(folder: Path) -> Verification:
    dataset = Dataset.open(str(folder))
    check, promises = ShardCheck.of(dataset)
    return conclude(dataset, check, [check(promise) for promise in promises])


def edit(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(place.read_text())
    change(content)
    place.write_text(json.dumps(content))


def relist(sample: Path, file: str, index: int = 1) -> None:
    """Make manifest and record agree with a changed file: only its content can give it away."""
    entry = FileEntry.of(file, (sample / file).read_bytes()).model_dump()

    def shard(listed: dict[str, Any]) -> None:
        (listed["tally"] if file == TALLY else listed).update(entry)

    edit(sample / SAMPLED, lambda manifest: shard(manifest["shards"][index]))
    edit(sample / RECORD, lambda record: shard(record["entry"]))


def test_sound_sample(sound: Path) -> None:
    found = verified(sound)
    assert found == Verification(events=250, shards=3, compared=250, copies=0, shared=0, faults=())


def test_sound_truth(tmp_path: Path) -> None:
    prepared_dataset(tmp_path)
    found = verified(tmp_path)
    assert (found.events, found.shards, found.faults) == (5000, 10, ())


def test_truth_may_repeat_itself(tmp_path: Path) -> None:
    prepared_dataset(tmp_path)
    shutil.copy(tmp_path / "shards/00000.parquet", tmp_path / "shards/00001.parquet")

    def twice(manifest: dict[str, Any]) -> None:
        first, second = manifest["shards"][:2]
        second |= {key: first[key] for key in ("bytes", "sha256")}

    edit(tmp_path / PREPARED, twice)
    found = verified(tmp_path)
    assert (found.copies, found.shared, found.faults) == (500, 0, ())


def test_truth_of_several_splits_is_told(tmp_path: Path) -> None:
    """The last shard, of the test split, becomes a copy of the first, of the train split."""
    prepared_dataset(tmp_path)
    shutil.copy(tmp_path / "shards/00000.parquet", tmp_path / "shards/00009.parquet")

    def twice(manifest: dict[str, Any]) -> None:
        first, last = manifest["shards"][0], manifest["shards"][-1]
        last |= {key: first[key] for key in ("bytes", "sha256")}

    edit(tmp_path / PREPARED, twice)
    found = verified(tmp_path)
    assert (found.copies, found.shared, found.faults) == (500, 500, ())


def test_shards_of_one_file_have_one_seed(tmp_path: Path) -> None:
    """That shuffled its events: an import of more shards than files is whole."""
    write_tape(tmp_path)
    plan = plan_dataset(table_spec(tmp_path), str(tmp_path / "storage"))
    dataset = finish(plan, {shard.index: make_shard(plan, shard.index) for shard in plan.shards})
    found = verified(Path(dataset.uri))
    assert (found.shards, found.copies, found.faults) == (20, 0, ())


def truncate(sample: Path) -> None:
    (sample / SHARD).write_bytes((sample / SHARD).read_bytes()[:-1])


def no_parquet(sample: Path) -> None:
    (sample / SHARD).write_bytes(b"no Parquet")
    relist(sample, SHARD)


def fewer_rows(sample: Path) -> None:
    pq.write_table(pq.read_table(sample / SHARD).slice(1), sample / SHARD)
    relist(sample, SHARD)


def another_unit(sample: Path) -> None:
    table = pq.read_table(sample / SHARD)
    field = table.schema.field(PX).with_metadata({"unit": "MeV"})
    pq.write_table(table.cast(table.schema.set(0, field)), sample / SHARD)
    relist(sample, SHARD)


def another_type(sample: Path) -> None:
    table = pq.read_table(sample / SHARD)
    field = table.schema.field(PX).with_type(pa.float64())
    pq.write_table(table.cast(table.schema.set(0, field)), sample / SHARD)
    relist(sample, SHARD)


def not_a_number(sample: Path) -> None:
    table = pq.read_table(sample / SHARD)
    values = table[PX].to_numpy().copy()
    values[3] = np.nan
    pq.write_table(table.set_column(0, table.schema.field(PX), [values]), sample / SHARD)
    relist(sample, SHARD)


def other_events(sample: Path) -> None:
    table = pq.read_table(sample / SHARD)
    px = table[PX].to_numpy()
    pq.write_table(table.set_column(0, table.schema.field(PX), [px / 2]), sample / SHARD)
    relist(sample, SHARD)


def copied_events(sample: Path) -> None:
    own = pq.read_table(sample / SHARD).schema
    first = pq.read_table(sample / "shards/00000000.parquet")
    pq.write_table(first.replace_schema_metadata(own.metadata), sample / SHARD)
    relist(sample, SHARD)


def another_seed(sample: Path) -> None:
    edit(sample / SAMPLED, lambda m: m["shards"][1].update(seed=m["shards"][0]["seed"]))


def no_record(sample: Path) -> None:
    (sample / RECORD).unlink()


def another_record(sample: Path) -> None:
    edit(sample / RECORD, lambda record: record.update(plan="0" * 64))


def no_tally(sample: Path) -> None:
    (sample / TALLY).unlink()


def another_tally(sample: Path) -> None:
    shutil.copy(sample / "tallies/00000000.safetensors", sample / TALLY)
    relist(sample, TALLY)


def short_tally(sample: Path) -> None:
    shutil.copy(sample / "tallies/00000002.safetensors", sample / TALLY)
    relist(sample, TALLY)


def lost_shard(sample: Path) -> None:
    edit(sample / SAMPLED, lambda manifest: manifest["shards"].pop())


def doubled_shard(sample: Path) -> None:
    edit(sample / SAMPLED, lambda manifest: manifest["shards"].append(manifest["shards"][0]))


def stranger(sample: Path) -> None:
    shutil.copy(sample / SHARD, sample / "shards" / "00000009.parquet")


def another_plan(sample: Path) -> None:
    edit(sample / PLAN, lambda plan: plan["spec"].update(seed=7))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, f"{SHARD}: truncated or altered"),
        (no_parquet, f"{SHARD}: no Parquet file"),
        (fewer_rows, f"{SHARD}: 99 events, the manifest says 100"),
        (
            another_unit,
            f"{SHARD}: column '{PX}' is float in MeV, the manifest says float in GeV",
        ),
        (
            another_type,
            f"{SHARD}: column '{PX}' is double in GeV, the manifest says float in GeV",
        ),
        (not_a_number, f"{SHARD}: column '{PX}' has values that are not finite"),
        (other_events, f"{TALLY}: the histogram of {PX} is not that of the events"),
        (copied_events, "100 of 250 events compared are copies of others"),
        (another_seed, f"{SHARD}: made from seed .*, the manifest says"),
        (another_seed, "seed .* made 2 shards"),
        (no_record, f"{RECORD}: "),
        (another_record, f"{RECORD}: is not the record of this shard of this sample"),
        (no_tally, f"{TALLY}: gone"),
        (another_tally, f"{TALLY}: the histogram"),
        (short_tally, f"{TALLY}: counts 50 events of 100"),
        (lost_shard, "shards/00000002.parquet: is planned but not listed"),
        (doubled_shard, "shards/00000000.parquet: is listed twice"),
        (stranger, "shards/00000009.parquet: not a file of this dataset"),
        (another_plan, f"{PLAN}: is the plan of another sample"),
    ],
)
def test_damage_is_found(sample: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(sample)
    faults = verified(sample).faults
    assert re.search(message, "\n".join(faults)), faults


def test_a_lost_plan_or_bins_stop_it(sample: Path) -> None:
    (sample / BINS_FILE).unlink()
    with pytest.raises(DataError, match="bins.safetensors: gone"):
        verified(sample)
    (sample / PLAN).write_text("{}")
    with pytest.raises(ConfigError, match="plan.json: missing key"):
        verified(sample)


def test_many_faults_are_told_in_few_lines() -> None:
    many = tuple(f"fault {i}" for i in range(100))
    found = Verification(events=1, shards=1, compared=0, copies=0, shared=0, faults=many)
    text = faults_in_words(found)
    assert text.splitlines()[0] == "fault 0"
    assert text.endswith("and 80 more")
