"""Events for the rows of a file of the user: one each, in order, with what the row is called."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.catalog.listed import listed
from mleg_ray.catalog.prepare import finish, make_shard, plan_dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.events import Field
from mleg_ray.sampling.job import plan_given
from tests.checkpoints import small_checkpoint
from tests.sampling.test_folding import run
from tests.sampling.test_verification import verified

ROWS = 700
BEAM = Field(name="beam_energy", unit="GeV", role="condition")
ENERGIES = np.random.default_rng(1).uniform(10, 50, ROWS)
NUMBERS = np.random.default_rng(2).permutation(ROWS) + 1_000_000_000
TIMES = np.linspace(0.5, 7, ROWS)
COLUMNS = {"event": NUMBERS, "time": TIMES, "beam_energy": ENERGIES, "unused": NUMBERS}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"), conditional=True)


def written(file: Path) -> str:
    if file.suffix == ".csv":
        rows = np.stack(list(COLUMNS.values()), axis=1)
        np.savetxt(file, rows, "%.17g", ",", header=",".join(COLUMNS), comments="")
    else:
        pq.write_table(pa.table(COLUMNS), file)
    return str(file)


def prepared(file: str, storage: Path, keep: tuple[str, ...] = ("event", "time")) -> Dataset:
    spec = listed(file, [BEAM], keep).model_copy(update={"shard_events": 300})
    plan = plan_dataset(spec, str(storage))
    return finish(plan, {i: make_shard(plan, i) for i in range(len(plan.shards))})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_one_event_for_each_row_in_order(
    checkpoint: Checkpoint, tmp_path: Path, suffix: str
) -> None:
    rows = prepared(written(tmp_path / f"My particles{suffix}"), tmp_path / "storage")
    assert rows.manifest.name.startswith("my-particles-")
    made = run(plan_given(checkpoint, rows, None, str(tmp_path / "out"), seed=1))
    assert [shard.rows for shard in made.manifest.shards] == [234, 233, 233]
    events = made.load()
    np.testing.assert_array_equal(events.columns["event"], NUMBERS)
    np.testing.assert_array_equal(events.columns["time"], TIMES)
    np.testing.assert_allclose(events.columns["beam_energy"], ENERGIES, rtol=1e-7)
    assert made.manifest.schema_.labels == ("event", "time")
    stored = pq.read_table(f"{made.uri}/{made.manifest.shards[0].file}").schema
    assert (stored.field("event").type, stored.field("time").type) == (pa.int32(), pa.float64())
    # Each event has the conditions of its row: none has more energy than its beam.
    assert (events.columns["electron.energy"] <= 1.001 * events.columns["beam_energy"]).all()
    assert not verified(Path(made.uri)).faults


def test_energies_that_it_was_not_trained_at_are_marked(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"beam_energy": [20.0, 90.0]}), tmp_path / "far.parquet")
    rows = prepared(str(tmp_path / "far.parquet"), tmp_path / "storage", ())
    made = run(plan_given(checkpoint, rows, None, str(tmp_path / "out"), seed=1))
    assert made.manifest.provenance["extrapolations"]["beam_energy"]["value"] == 90


def test_another_file_of_the_same_name_is_another_dataset(tmp_path: Path) -> None:
    first = listed(written(tmp_path / "a.parquet"), [BEAM])
    pq.write_table(pa.table({"beam_energy": [20.0]}), tmp_path / "a.parquet")
    assert listed(str(tmp_path / "a.parquet"), [BEAM]).name != first.name


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        (("beam_energy",), ConfigError, "--keep beam_energy: .* kept anyway"),
        (("my number",), ConfigError, "--keep my number: name the column with letters"),
        (("number",), DataError, "no column 'number'"),
    ],
)
def test_columns_that_cannot_be_kept(
    tmp_path: Path, keep: tuple[str, ...], error: type[Exception], message: str
) -> None:
    file = written(tmp_path / "a.parquet")
    with pytest.raises(error, match=message):
        listed(file, [BEAM], keep)


def test_a_file_without_the_conditions(tmp_path: Path) -> None:
    pq.write_table(pa.table({"energy": [20.0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column 'beam_energy'.*energy"):
        listed(str(tmp_path / "a.parquet"), [BEAM])


def test_a_checkpoint_that_is_given_nothing(checkpoint: Checkpoint, tmp_path: Path) -> None:
    rows = prepared(written(tmp_path / "a.parquet"), tmp_path / "storage")
    inclusive = small_checkpoint(tmp_path / "inclusive")
    with pytest.raises(ConfigError, match="no condition .* differs .* --events"):
        plan_given(inclusive, rows, None, str(tmp_path / "out"), seed=1)
