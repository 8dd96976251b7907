"""From a recipe to a judged sample: planned, refused before any work, and completed after kills."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mleg_ray as mleg
from mleg_ray.commands.produce import Produced
from mleg_ray.errors import ResourceError, UserError
from tests.processes import running

pytest.importorskip("pythia8mc", reason="these events need the extra 'pythia'")

KILLS = 4
ENTRY = """
extends = "dis-ep-50"
name = "small"
shard_events = 250
[source]
events = 5000
"""
FLOW = """
extends = "flow-dis"
[run]
dataset = "small.toml"
[run.model]
transforms = 2
hidden = [16]
[run.training]
steps = 40
batch_size = 128
[run.selection]
every = 20
"""
STUDENT = """
extends = "student-dis"
[run]
dataset = "small.toml"
teacher = "flow.toml"
[run.model.network]
widths = [16, 16]
[run.training]
steps = 40
batch_size = 128
[run.selection]
every = 20
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small entry, a flow on it and the flow's student."""
    monkeypatch.chdir(tmp_path)
    texts = {"small": ENTRY, "flow": FLOW, "student": STUDENT}
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


def shards(storage: Path) -> dict[str, pa.Table]:
    """Return the events of all samples, whose metadata name a checkpoint dated by its training."""
    return {path.name: pq.read_table(path) for path in storage.glob("samples/*/shards/*.parquet")}


def test_the_plan_tells_how_long_each_stage_takes_and_makes_nothing(
    ray_cluster: None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = folder / "storage"
    assert mleg.produce("student.toml", 3000, storage=str(storage), plan=True) is None
    told = capsys.readouterr().err
    assert not list(storage.glob("*/*"))
    for stage in ("prepare small", "train flow.toml", "train student.toml", "sample", "judge"):
        [line] = [line for line in told.splitlines() if line.strip().startswith(f"{stage} ")]
        rehearsed = stage != "judge"
        assert line.split()[-1] in (("s", "min", "h") if rehearsed else ("rehearsed",))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_student_its_teacher_and_the_verdict(
    ray_cluster: None, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = folder / "storage"
    made = mleg.produce("student.toml", 3000, storage=str(storage))
    assert isinstance(made, Produced)
    assert Path(made.uri).is_relative_to(storage)
    assert made.generated.rows() == 3000
    assert made.card.truth.events == made.generated.rows() / 2  # 30% of 5,000 events
    assert Path(made.report_uri).exists()
    runs = sorted(path.name.split("-")[0] for path in storage.glob("runs/*"))
    assert runs == ["flow", "student"]
    told = capsys.readouterr().err
    assert "5/5 Judging them by the 1,500 events" in told

    events = shards(storage)
    again = mleg.produce("student.toml", 3000, storage=str(storage))
    assert isinstance(again, Produced)
    assert again.card.figures == made.card.figures
    assert shards(storage) == events
    told = capsys.readouterr().err
    assert told.count("there already") == 3  # the events and both trainings


def test_what_cannot_end_well_is_refused_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = folder / "storage"

    def refused(
        match: str, recipe: str = "flow.toml", events: int = 3000, **options: object
    ) -> None:
        with pytest.raises(UserError, match=match):
            mleg.produce(recipe, events, storage=str(storage), **options)  # type: ignore[arg-type]

    refused("--events 0: at least one is needed", events=0)
    refused(
        "--judged-by 2,000: the test split of small has 1,500 events; so many need a dataset of "
        "6,667",
        judged_by=2000,
    )
    refused("--condition beam_energy: of small no condition varies", condition=["beam_energy=50"])
    refused("beam_energy of dis-ep-energies varies from event to event", "flow-dis-energies")
    refused("no nothing.toml", "nothing")
    (folder / "student.toml").write_text(STUDENT.replace("flow.toml", "nobody.toml"))
    refused("teacher: 'nobody.toml' is neither a recipe nor", "student.toml")
    (folder / "student.toml").write_text(STUDENT.replace("flow.toml", "student.toml"))
    refused("student.toml: is its own teacher", "student.toml")
    refused("--judged-by 0: at least one is needed", judged_by=0)
    refused("--shard-events -1: at least one is needed", shard_events=-1)
    (folder / "small.toml").write_text(ENTRY + "splits = 3")
    refused("splits", "flow.toml")
    assert not list(storage.glob("*/*"))


def test_a_disk_that_cannot_hold_the_sample_is_told_before(
    ray_cluster: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = SimpleNamespace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    with pytest.raises(ResourceError, match="GB are needed, 0.01 GB are free"):
        mleg.produce("flow.toml", 1_000_000_000, storage=str(folder / "storage"))
    assert not list((folder / "storage").glob("*/*"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_anywhere_it_completes_the_same(folder: Path) -> None:
    def start(storage: str) -> "subprocess.Popen[str]":
        words = [sys.executable, "-m", "mleg_ray", "produce", "student.toml", "--events", "3e5"]
        return subprocess.Popen(
            [*words, "--shard-events", "5e4", "--storage", storage],
            env={k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
            | {"PRODUCTION": storage},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    before = time.monotonic()
    with start("calm") as calm:
        _, told = calm.communicate(timeout=600)
    whole = time.monotonic() - before
    assert calm.returncode == 0, told
    chance = random.Random(7)
    for _ in range(KILLS):
        with start("stormy") as driver:
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.communicate(timeout=chance.uniform(0.3, 0.9) * whole)
            with contextlib.suppress(ProcessLookupError):  # it may have ended
                os.killpg(driver.pid, signal.SIGKILL)
        for process in running("PRODUCTION=stormy"):  # Ray's, which would end by themselves
            os.kill(process, signal.SIGKILL)
    with start("stormy") as driver:
        _, told = driver.communicate(timeout=600)
    assert driver.returncode == 0, told
    assert shards(folder / "stormy") == shards(folder / "calm") != {}
