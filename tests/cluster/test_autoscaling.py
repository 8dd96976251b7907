"""A cluster without nodes that starts them when work comes, and drops them when it is done."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.checkpoint import Checkpoint
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset
from tests.recipes import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BIN = Path(sys.executable).parent
HOST, PORT = "127.0.0.1", 6379  # of which Ray's fake nodes know
NODES = 2
# Nodes are processes on this machine; Ray wants all the keys to be there, which are empty.
CLUSTER = f"""
cluster_name: mleg
max_workers: {NODES}
upscaling_speed: 20
idle_timeout_minutes: 0.2
provider: {{ type: fake_multinode, use_node_id_as_ip: true, disable_node_updaters: true }}
head_node_type: ray.head.default
available_node_types:
  ray.head.default: {{ resources: {{ CPU: 0 }}, node_config: {{}}, max_workers: 0 }}
  cpu: {{ resources: {{ CPU: 2 }}, node_config: {{}}, max_workers: {NODES} }}
auth: {{ ssh_user: nobody }}
docker: {{}}
file_mounts: {{}}
file_mounts_sync_continuously: false
cluster_synced_files: []
initialization_commands: []
setup_commands: []
head_setup_commands: []
head_start_ray_commands: []
worker_setup_commands: []
worker_start_ray_commands: []
"""


@pytest.fixture
def head() -> Iterator[dict[str, str]]:
    """Start an autoscaling head; yield the environment of jobs on it."""
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, PORT)), f"another Ray has the port {PORT}: stop it first"
    folder = tempfile.mkdtemp(prefix="mleg-head-")
    config = Path(folder, "cluster.yaml")
    config.write_text(CLUSTER)
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": folder}
    fake = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    started = subprocess.Popen(
        [BIN / "ray", "start", "--head", "--block", f"--port={PORT}", "--num-cpus=0",
         f"--temp-dir={folder}", f"--autoscaling-config={config}", "--include-dashboard=false"],
        env=environment | fake, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    groups = json.dumps([{"count": NODES, "cpus": 2}])
    environment |= {"RAY_ADDRESS": f"{HOST}:{PORT}", "MLEG_AUTOSCALED": groups}
    try:
        until(lambda: cpus(environment) == 0, 60)
        yield environment
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        subprocess.run(["pkill", "-9", "-f", folder], check=False)


def until(fulfilled: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(1)


def cpus(environment: dict[str, str]) -> float | None:
    """Return the CPUs that the cluster has now; None if it does not answer."""
    ask = "import ray; ray.init('auto', logging_level='ERROR', log_to_driver=False); "
    ask += "print(ray.cluster_resources().get('CPU', 0))"
    words = [sys.executable, "-c", ask]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def test_sampling_scales_from_zero_and_back(head: dict[str, str], tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    words = [BIN / "mleg", "sample", checkpoint.uri, "--events", "16_000_000"]
    out = tmp_path / "out"
    done = subprocess.run(
        [*words, "--workers", "3", "--shard-events", "100_000", "--out", out],
        env=head, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = Dataset.open(str(out))
    assert made.rows() == 16_000_000
    assert made.manifest.provenance["production"]["workers"] == 3  # more than a node holds
    until(lambda: cpus(head) == 0, 90)

    refused = subprocess.run(
        [*words, "--workers", "5", "--out", tmp_path / "more"],
        env=head, capture_output=True, text=True,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "5 CPUs for workers are asked for, Ray has 4" in " ".join(refused.stderr.split())


def test_training_waits_for_a_node(head: dict[str, str], tmp_path: Path) -> None:
    prepared_dataset(tmp_path / "datasets" / "dis-ep-50")
    steps = ("training.steps=200", "selection.every=100")
    settings = [word for value in (*SMALL["fatgan-quick"], *steps) for word in ("--set", value)]
    done = subprocess.run(
        [BIN / "mleg", "train", "fatgan-quick", "--name", "waiting", *settings],
        env=head | {"MLEG_STORAGE": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    history = Checkpoint.load(str(tmp_path / "runs" / "waiting" / "checkpoint")).card.history
    assert [entry["step"] for entry in history] == [100, 200]
