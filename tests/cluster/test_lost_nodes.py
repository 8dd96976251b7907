"""Nodes that vanish: studies and trainings go on with those that are left or come."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mleg_ray.checkpoint import Checkpoint
from mleg_ray.study.summary import summarise
from tests.prepared import prepared_dataset
from tests.study.plans import small_plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# The head has no CPUs, as in cluster.yaml; one of the two nodes is lost in the middle of a trial.
STUDY = """
import sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.tune import run_study
from tests.cluster.test_lost_nodes import plan_of

place = Path(sys.argv[2])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
cluster.connect()

def lose_a_node():
    runs = place / "studies" / "shrinking" / "runs"
    while len(list(runs.glob("*/training_state.pt"))) < 2:
        time.sleep(0.05)
    cluster.remove_node(nodes[1], allow_graceful=False)
    print("LOST", flush=True)

threading.Thread(target=lose_a_node, daemon=True).start()
run_study(plan_of(place), Dataset.open(sys.argv[1]), str(place), name="shrinking")
ray.shutdown()  # before its nodes end, whose loss would end this process with an error
cluster.shutdown()
"""

# The only node is lost in the middle of a training, and another one comes later.
TRAINING = """
import subprocess, sys, threading, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from mleg_ray.catalog.dataset import Dataset
from mleg_ray.cluster.train import train
from tests.recipes import small_run

place = Path(sys.argv[2])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
node = cluster.add_node(num_cpus=2)
cluster.wait_for_nodes()
cluster.connect()

def lose_the_node():
    while len(list((place / "runs" / "shaken").glob("checkpoint_*"))) < 2:
        time.sleep(0.05)
    cluster.remove_node(node, allow_graceful=False)
    print("LOST", flush=True)
    time.sleep(5)
    words = ["ray", "start", f"--address={cluster.address}", "--num-cpus=2", "--block"]
    others.append(subprocess.Popen([str(Path(sys.executable).parent / words[0]), *words[1:]]))

others = []
threading.Thread(target=lose_the_node, daemon=True).start()
run = small_run(
    "fatgan-quick", "training.steps=3000", "selection.every=100", "training.threads=1"
)
train(run, Dataset.open(sys.argv[1]), str(place), name="shaken")
[other] = others
ray.shutdown()  # as above
other.terminate()
other.wait()
cluster.shutdown()
"""


def plan_of(folder: Path):
    """Return a plan of three trials that last some seconds each."""
    return small_plan(folder, trials=3, run=("training.steps=3000", "selection.every=100"))


def drive(script: str, place: Path) -> None:
    dataset = prepared_dataset(place / "dataset")
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", script, dataset.uri, str(place)],
        env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOST" in done.stdout


def test_training_goes_on_with_another_node(tmp_path: Path) -> None:
    drive(TRAINING, tmp_path)
    history = Checkpoint.load(str(tmp_path / "runs" / "shaken" / "checkpoint")).card.history
    assert [entry["step"] for entry in history] == list(range(100, 3001, 100))


def test_study_survives_the_loss_of_a_node(tmp_path: Path) -> None:
    drive(STUDY, tmp_path)
    summary = summarise(str(tmp_path / "studies" / "shrinking"))
    assert [trial.state for trial in summary.trials] == ["complete"] * 3
    for trial in summary.trials:
        history = Checkpoint.load(trial.checkpoint).card.history
        assert [entry["step"] for entry in history] == list(range(100, 3001, 100))
