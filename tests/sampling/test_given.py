"""Events for the rows of a file of the user: one each, in order, with what the row is called."""

import dataclasses
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
from mleg_ray.sampling.folding import Folding
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
    plan = plan_dataset(listed(file, [BEAM], 300, keep), str(storage))
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


def test_conditions_that_steps_cannot_take_are_told_and_many_refused(
    checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In training up to 5% of the events may be moved to an edge."""
    for impossible in (1, 2):
        energies = [-5.0] * impossible + [20.0] * (30 - impossible)
        file = tmp_path / f"{impossible}.parquet"
        pq.write_table(pa.table({"beam_energy": energies}), file)
        rows = prepared(str(file), tmp_path / "storage", ())
        folding = Folding(rows, None, checkpoint.card)
        told = f"{impossible} of 30 events have conditions like beam_energy = -5: outside the"
        if impossible == 1:
            folding.survey(checkpoint.feature_map, extrapolate=True)
            assert told in " ".join(capsys.readouterr().err.split())
        else:
            with pytest.raises(ConfigError, match=told):
                folding.survey(checkpoint.feature_map, extrapolate=True)


def test_energies_that_it_was_not_trained_at_are_marked(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"beam_energy": [20.0, 90.0]}), tmp_path / "far.parquet")
    rows = prepared(str(tmp_path / "far.parquet"), tmp_path / "storage", ())
    made = run(plan_given(checkpoint, rows, None, str(tmp_path / "out"), seed=1))
    assert made.manifest.provenance["extrapolations"]["beam_energy"]["value"] == 90


def test_another_file_of_the_same_name_is_another_dataset(tmp_path: Path) -> None:
    first = listed(written(tmp_path / "a.parquet"), [BEAM], 300)
    pq.write_table(pa.table({"beam_energy": [20.0]}), tmp_path / "a.parquet")
    assert listed(str(tmp_path / "a.parquet"), [BEAM], 300).name != first.name


def test_a_file_that_was_moved_is_the_same_dataset(tmp_path: Path) -> None:
    file = Path(written(tmp_path / "a.parquet"))
    (tmp_path / "moved").mkdir()
    folders = []
    for place in (file, tmp_path / "moved" / "a.parquet"):
        spec = listed(str(file.rename(place)), [BEAM], 300)
        folders.append(plan_dataset(spec, str(tmp_path / "storage")).folder)
    assert folders[0] == folders[1]


def test_the_rows_for_another_checkpoint_are_another_dataset(tmp_path: Path) -> None:
    """Its condition is stored in another way, or is in another unit."""
    file = written(tmp_path / "a.parquet")
    others = (BEAM.model_copy(update=u) for u in ({"dtype": "float64"}, {"unit": "MeV"}))
    assert len({listed(file, [field], 300).name for field in (BEAM, *others)}) == 3


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
        listed(file, [BEAM], 300, keep)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([2**53 + 1, 3], "column 'event' has whole numbers up to 9.01e.15, .* with smaller ones"),
        ([[1.0, 2.0], [3.0]], "column 'event' holds several numbers a row"),
    ],
)
def test_numbers_that_would_not_be_kept_as_they_are(
    tmp_path: Path, column: list[object], message: str
) -> None:
    table = pa.table({"beam_energy": [20.0, 30.0], "event": column})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        listed(str(tmp_path / "a.parquet"), [BEAM], 300, ("event",))


def test_a_column_is_kept_once(tmp_path: Path) -> None:
    file = written(tmp_path / "a.parquet")
    assert listed(file, [BEAM], 300, ("event", "event")).schema_.labels == ("event",)


def test_a_table_that_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("beam_energy\n20\n", encoding="utf-8-sig")
    assert prepared(str(file), tmp_path / "storage", ()).rows() == 1


def test_a_kept_column_of_a_name_that_the_checkpoint_has(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    table = pa.table({"beam_energy": [20.0], "electron": [7]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows = prepared(str(tmp_path / "a.parquet"), tmp_path / "storage", ("electron",))
    with pytest.raises(ConfigError, match="label 'electron' has the name of something else"):
        Folding(rows, None, checkpoint.card)


def test_rows_that_differ_in_a_condition_fixed_in_training(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """7.3 in single precision is the 7.3 of the training; 8 is not."""
    theta = Field(name="theta", role="condition")
    described = checkpoint.card.dataset
    update = {"fields": (*described.fields, theta), "conditions": {"theta": 7.3}}
    card = checkpoint.card.model_copy(update={"dataset": described.model_copy(update=update)})
    for values in ([7.3, 7.3], [7.3, 8.0]):
        file = tmp_path / "a.parquet"
        pq.write_table(pa.table({"beam_energy": [20.0, 30.0], "theta": values}), file)
        spec = listed(str(file), [BEAM, theta], 300)
        plan = plan_dataset(spec, str(tmp_path / "storage"))
        folding = Folding(finish(plan, {0: make_shard(plan, 0)}), None, card)
        if values[1] == 7.3:
            assert folding.survey(checkpoint.feature_map, extrapolate=False).shards == (2,)
        else:
            with pytest.raises(ConfigError, match="theta of 1 of 2 events is another than 7.3"):
                folding.survey(checkpoint.feature_map, extrapolate=False)


def test_conditions_under_which_no_event_passes_are_told_soon(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 700 rows one is of an energy that the checkpoint's events were cut from."""
    energies = np.append(ENERGIES[1:].clip(max=40), 45)
    pq.write_table(pa.table({"beam_energy": energies}), tmp_path / "a.parquet")
    rows = prepared(str(tmp_path / "a.parquet"), tmp_path / "storage", ())
    where = checkpoint.run.model_copy(update={"where": ("beam_energy <= 41",)})
    selecting = dataclasses.replace(checkpoint, run=where)
    selecting.save(str(tmp_path / "selecting"))
    monkeypatch.setattr("mleg_ray.sampling.sampler.MOST_TRIES", 20)
    generate, batches = type(checkpoint.model).draw, []
    monkeypatch.setattr(
        type(checkpoint.model),
        "draw",
        lambda *args, **options: batches.append(1) or generate(*args, **options),
    )
    with pytest.raises(ConfigError, match="under the conditions of some of its events hardly any"):
        run(plan_given(selecting, rows, None, str(tmp_path / "out"), seed=1))
    assert len(batches) < 100


def test_a_file_without_the_conditions(tmp_path: Path) -> None:
    pq.write_table(pa.table({"energy": [20.0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="no column 'beam_energy'.*energy"):
        listed(str(tmp_path / "a.parquet"), [BEAM], 300)


def test_a_checkpoint_that_is_given_nothing(checkpoint: Checkpoint, tmp_path: Path) -> None:
    rows = prepared(written(tmp_path / "a.parquet"), tmp_path / "storage")
    inclusive = small_checkpoint(tmp_path / "inclusive")
    with pytest.raises(ConfigError, match="no condition .* differs .* --events"):
        plan_given(inclusive, rows, None, str(tmp_path / "out"), seed=1)


def test_a_kept_column_of_the_name_of_a_group_of_conditions(tmp_path: Path) -> None:
    momentum = Field(name="vertex.px", unit="GeV", role="condition")
    pq.write_table(pa.table({"vertex.px": [1.0], "vertex": [1]}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="groups.vertex: a field has this name"):
        listed(str(tmp_path / "a.parquet"), [momentum], 300, ("vertex",))
