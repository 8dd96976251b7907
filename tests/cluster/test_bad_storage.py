"""Storage that fills up, refuses, or vanishes; two drivers on one target; little memory."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.cluster.sample import sample
from mleg_ray.errors import ResourceError
from tests.checkpoints import small_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    return place


def test_disk_that_fills_up_meanwhile(
    ray_cluster: None, checkpoint: Checkpoint, small_disk: Path
) -> None:
    out = small_disk / "out"
    hoard = small_disk / "of-someone-else"
    try:

        def fill() -> None:
            while len(list(out.glob("records/*.json"))) < 3:
                pass
            with contextlib.suppress(OSError):  # shards that come meanwhile fill it as well
                hoard.write_bytes(bytes(shutil.disk_usage(small_disk).free - 100_000))

        filling = threading.Thread(target=fill)
        filling.start()
        with pytest.raises(ResourceError, match=r"[Nn]o space.*nothing was left half-written"):
            sample(checkpoint.uri, 800_000, str(out), workers=2, shard_events=20_000)
        filling.join()
        left = {path.suffix for path in out.rglob("*") if path.is_file()}
        assert left <= {".parquet", ".json", ".safetensors"}
        hoard.unlink()
        made = sample(checkpoint.uri, 800_000, str(out), workers=2, shard_events=20_000)
        assert sum(map(len, made.chunks())) == 800_000
    finally:
        subprocess.run(["umount", small_disk], check=True)


def test_target_that_is_deleted_meanwhile(
    ray_cluster: None, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def delete() -> None:
        while len(list(out.glob("records/*.json"))) < 3:
            pass
        shutil.rmtree(out, ignore_errors=True)

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        made = sample(checkpoint.uri, 1_000_000, str(out), workers=2, shard_events=20_000)
    except ResourceError:
        deleting.join()
        shutil.rmtree(out, ignore_errors=True)  # shards of which no plan tells any more
    else:  # nothing that is listed may be gone
        deleting.join()
        assert sum(map(len, made.chunks())) == 1_000_000
    made = sample(checkpoint.uri, 1_000_000, str(out), workers=2, shard_events=20_000)
    assert sum(map(len, made.chunks())) == 1_000_000


def test_one_of_two_drivers_refuses(checkpoint: Checkpoint, tmp_path: Path) -> None:
    words = [
        *(sys.executable, "-m", "mleg_ray", "sample", checkpoint.uri, "--events", "20_000_000"),
        *("--no-compile", "--workers", "1", "--out", str(tmp_path / "out")),
    ]
    drivers = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [driver.communicate(timeout=600)[1] for driver in drivers]
    assert sorted(driver.returncode for driver in drivers) == [0, 2], told
    [refused] = [text for text in told if "is at work here" in " ".join(text.split())]
    assert "choose another place" in " ".join(refused.split())
    assert Dataset.open(str(tmp_path / "out")).rows() == 20_000_000


LITTLE_MEMORY = """
import resource, sys
import ray
from mleg_ray.checkpoint import Checkpoint
from mleg_ray.sampling.job import making, plan_sample
from mleg_ray.sampling.sampler import Sampler

LIMIT = 1_500_000_000  # bytes
job = plan_sample(
    Checkpoint.load(sys.argv[1]), 50_000_000, sys.argv[2], seed=1, shard_events=1_000_000,
    conditions={}, compiled=False,
)
with making(job):
    for shard in job.shards:
        job.sampler.write(shard, job.sampler.generate(shard))
        for written in (shard.file, shard.tally_file):
            open(job.folder.uri + "/" + written, "w").close()
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak)
assert peak < LIMIT, peak
"""


def test_fifty_million_events_in_a_small_worker(checkpoint: Checkpoint, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, checkpoint.uri, str(tmp_path / "out")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
