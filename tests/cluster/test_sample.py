"""The sampler pool on a real Ray: the same events whatever happens to its processes."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

import mleg_ray
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.pool import ATTEMPTS, ActorPool
from mleg_ray.cluster.sample import default_target, sample
from mleg_ray.cluster.verify import verify
from mleg_ray.errors import CheckpointError, ConfigError, DataError, ResourceError
from mleg_ray.sampling.plan import SampleSpec, ShardPlan
from mleg_ray.sampling.spectra import constant
from tests.checkpoints import diverged_checkpoint, small_checkpoint

EVENTS, SHARD_EVENTS = 1_010_000, 50_000
N_SHARDS = 21


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def make(checkpoint: Checkpoint, out: Path, workers: int = 2) -> Dataset:
    return sample(checkpoint.uri, EVENTS, str(out), workers=workers, shard_events=SHARD_EVENTS)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "shards").iterdir()}


@pytest.fixture(scope="module")
def undisturbed(
    ray_cluster: None, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A sample that one worker made in peace."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    dataset = make(checkpoint, out, workers=1)
    assert dataset.rows() == EVENTS
    assert len(dataset.shards()) == N_SHARDS
    assert dataset.manifest.provenance["production"]["workers"] == 1
    assert dataset.manifest.provenance["environment"]["ray"] == ray.__version__
    return out


def test_same_bytes_with_more_workers(
    checkpoint: Checkpoint, undisturbed: Path, tmp_path: Path
) -> None:
    dataset = make(checkpoint, tmp_path / "out", workers=3)
    assert shards(tmp_path / "out") == shards(undisturbed)
    assert dataset.digest == Dataset.open(str(undisturbed)).digest


def test_verify_reads_it_all_and_finds_one_altered_byte(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verify(str(undisturbed))
    assert (found.events, found.shards, found.copies) == (EVENTS, N_SHARDS, 0)
    assert "1,010,000 events in 21 shards are whole and unaltered" in capsys.readouterr().err
    out = tmp_path / "out"
    shutil.copytree(undisturbed, out)
    shard = out / "shards" / "00000005.parquet"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        DataError, match=r"faults found \(1\)\n.*00000005.parquet: truncated or altered"
    ):
        verify(str(out))


def test_killed_worker_changes_nothing(
    checkpoint: Checkpoint, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed: list[int] = []
    made = threading.Event()

    def kill_two_writers() -> None:
        while len(killed) < 2 and not made.is_set():
            # A file being written bears its writer's process id.
            for partial in (out / "shards").glob("*.partial"):
                pid = int(partial.suffixes[-2][1:])
                if pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
                    break
            time.sleep(0.001)

    killer = threading.Thread(target=kill_two_writers)
    killer.start()
    try:
        make(checkpoint, out)
    finally:
        made.set()
        killer.join()
    assert len(killed) == 2
    assert shards(out) == shards(undisturbed)


def test_killed_driver_is_completed_by_the_same_command(
    checkpoint: Checkpoint, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = (
        "import sys; from mleg_ray.cluster.sample import sample; "
        f"sample(sys.argv[1], {EVENTS}, sys.argv[2], workers=2, shard_events={SHARD_EVENTS})"
    )
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-c", code, checkpoint.uri, str(out)],
        env=os.environ | {"RAY_ADDRESS": address},
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("records/*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    made_before = len(list(out.glob("records/*.json")))
    dataset = make(checkpoint, out)
    assert shards(out) == shards(undisturbed)
    assert dataset.rows() == EVENTS
    assert 3 <= made_before < N_SHARDS
    assert dataset.manifest.provenance["production"]["events"] < EVENTS


def test_complete_sample_needs_no_workers(
    checkpoint: Checkpoint, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (undisturbed / "manifest.json").read_bytes()
    monkeypatch.setattr("mleg_ray.cluster.sample.ray_session", None)
    make(checkpoint, undisturbed)
    assert (undisturbed / "manifest.json").read_bytes() == before


PLAN = SampleSpec(
    checkpoint="",
    events=10,
    shard_events=1,
    seed=1,
    conditions={},
    compiled=False,
    batch_events=4096,
).plan()


@ray.remote(num_cpus=1)
class Clumsy:
    """Makes every shard at once but the fourth, at which it fails in some way."""

    def __init__(self, error: Exception, failures: int) -> None:
        self._error = error
        self._failures = failures

    def ready(self) -> None:
        pass

    def make(self, shard: ShardPlan) -> int:
        if shard.index == 3 and self._failures > 0:
            self._failures -= 1
            raise self._error
        return shard.index


def made_by(pool: list[Any]) -> Iterator[int]:
    """Yield the shards that `Clumsy` workers make, without the signs of life."""
    yield from (record for record in ActorPool(pool).make(PLAN) if record is not None)  # type: ignore[misc]


def test_failed_shard_is_tried_again(ray_cluster: None) -> None:
    pool = [Clumsy.remote(RuntimeError("bad luck"), ATTEMPTS - 1)]
    assert sorted(made_by(pool)) == list(range(10))


def test_shard_that_fails_thrice_stops_the_job_with_its_error(ray_cluster: None) -> None:
    pool = [Clumsy.remote(RuntimeError("bad luck"), ATTEMPTS)]
    made: list[int] = []
    with pytest.raises(RuntimeError, match="bad luck"):
        made.extend(made_by(pool))
    assert sorted(made) == [0, 1, 2, *range(4, 10)]


def test_users_error_is_not_tried_again(ray_cluster: None) -> None:
    pool = [Clumsy.remote(ResourceError("disk full"), 1)]
    with pytest.raises(ResourceError, match=r"^disk full$"):
        list(made_by(pool))


def test_checkpoint_lost_on_the_way_is_a_clear_error(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    monkeypatch.setattr(
        "mleg_ray.cluster.sample.require_node",
        lambda *_, **__: shutil.rmtree(tmp_path / "checkpoint"),
    )
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        make(checkpoint, tmp_path / "out")


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"events": 0}, ConfigError, "events: .*greater than 0"),
        ({"workers": 0}, ConfigError, "at least one worker"),
        ({"workers": 1000}, ResourceError, "1000 CPUs"),
        (
            {"conditions": {"beam_energy": constant(40.0)}},
            ConfigError,
            "trained at beam_energy = 50 alone",
        ),
        ({"checkpoint_uri": "/nowhere"}, CheckpointError, "not a checkpoint"),
    ],
)
def test_bad_input_writes_nothing(
    ray_cluster: None,
    checkpoint: Checkpoint,
    tmp_path: Path,
    asked: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    valid: dict[str, object] = {"checkpoint_uri": checkpoint.uri, "events": 100}
    with pytest.raises(error, match=message):
        sample(**(valid | asked), out=str(tmp_path / "out"))  # type: ignore[arg-type]
    assert not list((tmp_path / "out").rglob("*"))


def test_diverged_model_writes_nothing(tmp_path: Path) -> None:
    checkpoint = diverged_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="not finite"):
        make(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_extrapolation_is_said(
    ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    sample(
        checkpoint.uri,
        100,
        str(tmp_path / "out"),
        conditions={"beam_energy": constant(60.0)},
        workers=1,
    )
    said = " ".join(capsys.readouterr().err.split())
    assert "beam_energy = 60 is outside the range" in said
    assert "10 to 50, by 10" in said


def test_default_target_is_named_after_the_run() -> None:
    target = default_target("/storage", "/storage/runs/fatgan-1a2b/checkpoint/", 1000, 7)
    assert target == "/storage/samples/fatgan-1a2b-1000-seed7"
    assert default_target("/storage", "s3://bucket/best", 5, 1).startswith("/storage/samples/best-")


def test_an_event_for_each_row_of_a_file(ray_cluster: None, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint", conditional=True)
    file = tmp_path / "particles.csv"
    file.write_text("event,beam_energy\n7,50\n3,10\n5,30\n")
    storage = str(tmp_path / "storage")
    made = mleg_ray.sample(checkpoint, particles=file, keep=["event"], storage=storage)
    assert made.load().columns["event"].tolist() == [7, 3, 5]
    assert made.load().columns["beam_energy"].tolist() == [50, 10, 30]
    again = mleg_ray.sample(checkpoint, particles=str(file), keep=["event"], storage=storage)
    assert again.digest == made.digest
    # What was generated is a dataset like any, and may be given in its turn.
    of_those = mleg_ray.sample(checkpoint, particles=made, storage=storage, seed=2)
    assert of_those.load().columns["event"].tolist() == [7, 3, 5]
