"""How long a production takes: by costs of a generator, a step and a sampled event that are known.

Without Ray: a clock that each made shard moves, and a rehearsal that tells its costs.
"""

import contextlib
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mleg_ray.catalog.prepare import PreparePlan, make_shard
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cluster import production, rehearsal
from mleg_ray.cluster.production import judges, stages, trainings
from mleg_ray.cluster.rehearsal import Preparation, Rehearsal
from mleg_ray.errors import ConfigError, ResourceError, TrainingDivergedError

ENTRY = """
extends = "toy-gaussian"
name = "small"
shard_events = 300
[source]
events = 4000
"""
EVENTS = 800  # of the sample
RECIPE = """
extends = "flow-toys"
[run]
dataset = "small.toml"
[run.training]
steps = 50
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small entry, and a recipe of its events."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(ENTRY)
    (tmp_path / "flow.toml").write_text(RECIPE)
    return tmp_path


def test_what_a_shard_takes_is_told_from_what_its_events_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slowly(plan: PreparePlan, index: int) -> Any:
        nonlocal now
        now += 2 + 0.01 * plan.shards[index].rows
        return make_shard(plan, index)

    monkeypatch.setattr(rehearsal, "make_shard", slowly)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    dataset, preparation = Rehearsal(str(folder)).prepare("small.toml")
    assert dataset.rows("train") + dataset.rows("validation") + dataset.rows("test") == 1000
    assert preparation.shard == pytest.approx(2)
    assert preparation.event == pytest.approx(0.01)
    [training] = trainings("flow.toml", (), str(folder / "storage"))
    # 13 shards of 300 events and one of 100, by the entry.
    assert preparation.seconds(training.dataset) == pytest.approx(14 * 2 + 4000 * 0.01)


class Told(Rehearsal):
    """A rehearsal whose costs are known: nothing is made."""

    def prepare(self, name: str) -> tuple[Any, Preparation]:
        return SimpleNamespace(), Preparation(shard=3, event=0.5)

    def train(self, run: Any, dataset: Any) -> tuple[Any, float]:
        return SimpleNamespace(uri="somewhere"), 0.25

    def sample(self, checkpoint: Any, conditions: Any) -> tuple[Any, float]:
        return SimpleNamespace(), 0.125


def planned(folder: Path, *assignments: str, workers: int | None = None) -> dict[str, float | None]:
    """Return the seconds of each stage of a production of some events."""
    storage = str(folder / "storage")
    chain = trainings("flow.toml", assignments, storage)
    found = stages(chain, EVENTS, storage, seed=1, given={}, workers=workers)
    return {stage.what: stage.seconds for stage in found}


def test_the_time_of_each_stage_is_its_cost_times_what_it_makes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(production, "Rehearsal", Told)
    monkeypatch.setattr(production, "possible_cpus", lambda: 5)  # one of them is the driver's
    assert planned(folder) == {
        "prepare small": (14 * 3 + 4000 * 0.5) / 4,
        "train flow.toml": 50 * 0.25,
        "sample": EVENTS * 0.125 / 4,
    }
    assert planned(folder, workers=2)["sample"] == EVENTS * 0.125 / 2
    assert planned(folder, "training.seconds=7")["train flow.toml"] == 7


def test_what_may_fail_in_small_alone_has_no_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Diverging(Told):
        def train(self, run: Any, dataset: Any) -> tuple[Any, float]:
            raise TrainingDivergedError("not finite")

    monkeypatch.setattr(production, "Rehearsal", Diverging)
    monkeypatch.setattr(production, "possible_cpus", lambda: 2)
    found = planned(folder)
    assert found["prepare small"] is not None
    assert found["train flow.toml"] is None
    assert found["sample"] is None  # by what was not trained


def test_the_space_that_is_needed_is_that_of_all_events(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = str(folder / "storage")
    chain = trainings("flow.toml", (), storage)
    needed = EVENTS * 4 * len(DatasetSpec.load("small.toml").schema_.fields)  # bytes
    monkeypatch.setattr(production, "Rehearsal", Told)
    monkeypatch.setattr(production, "possible_cpus", lambda: 2)
    for free in (needed, needed - 1):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        enough = free == needed
        with contextlib.nullcontext() if enough else pytest.raises(ResourceError, match="needed"):
            list(stages(chain, EVENTS, storage, seed=1, given={}, workers=None))


def test_so_many_judges_as_the_test_split_has(folder: Path) -> None:
    [training] = trainings("flow.toml", (), str(folder / "storage"))
    there = sum(shard.rows for shard in training.dataset.shards if shard.split == "test")
    assert judges(training, None) == judges(training, there) == there
    whole = -(-2 * there * 4000 // there)
    with pytest.raises(ConfigError, match=f"a dataset of {whole:,}"):
        judges(training, 2 * there)
