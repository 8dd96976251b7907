"""Workers, nodes and drivers killed at random: the sample is the undisturbed one, bit by bit."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.verify import verify
from tests.checkpoints import small_checkpoint
from tests.processes import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROUNDS = 20
COMMAND = ["--events", "3_000_000", "--shard-events", "50_000", "--workers", "2"]
SECONDS = 10  # that a round may take until something is killed; all of it takes some 20


@pytest.fixture
def cluster(ray_cluster: None) -> Iterator[Cluster]:
    """A head without CPUs, as in cluster.yaml, and two nodes."""
    cluster = Cluster(initialize_head=True, connect=False, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def start(checkpoint: str, out: Path, address: str) -> "subprocess.Popen[str]":
    words = [sys.executable, "-m", "mleg_ray", "sample", checkpoint, *COMMAND, "--out", str(out)]
    return subprocess.Popen(
        words,
        env=os.environ | {"RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workers() -> list[int]:
    """Return the processes of the pool's actors."""
    return list(running(f"RAY_TMPDIR={os.environ['RAY_TMPDIR']}", "ray::_Worker"))


def kill_something(chance: random.Random, cluster: Any, driver: "subprocess.Popen[str]") -> str:
    what = chance.choice(["worker", "node", "driver"])
    if what == "worker" and (there := workers()):
        os.kill(chance.choice(there), signal.SIGKILL)
    elif what == "node":
        lost = chance.choice([node for node in cluster.list_all_nodes() if not node.head])
        cluster.remove_node(lost, allow_graceful=False)
        cluster.add_node(num_cpus=2)
    elif what == "driver":
        driver.kill()
    return what


def shards(folder: Path) -> dict[str, bytes]:
    parts = ("shards/*.parquet", "tallies/*")
    return {str(p.relative_to(folder)): p.read_bytes() for part in parts for p in folder.glob(part)}


def test_twenty_rounds(cluster: Any, tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint").uri
    calm = start(checkpoint, tmp_path / "calm", cluster.address)
    told, _ = calm.communicate(timeout=300)
    assert calm.returncode == 0, told
    undisturbed = shards(tmp_path / "calm")
    assert len(undisturbed) == 2 * 60 + 1
    happened: list[str] = []
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        out = tmp_path / f"round-{seed}"
        while True:
            driver = start(checkpoint, out, cluster.address)
            for _ in range(2):
                time.sleep(chance.uniform(0, SECONDS))
                if driver.poll() is None:
                    happened.append(kill_something(chance, cluster, driver))
            told, _ = driver.communicate(timeout=300)
            assert driver.returncode in (0, -signal.SIGKILL), (seed, happened, told)
            if driver.returncode == 0:
                break
        assert shards(out) == undisturbed, (seed, happened)
        assert Dataset.open(str(out)).digest == Dataset.open(str(tmp_path / "calm")).digest
        assert not list(out.rglob("*.partial"))
        for path in sorted(out.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert set(happened) == {"worker", "node", "driver"}, happened
    verify(str(tmp_path / "calm"))
