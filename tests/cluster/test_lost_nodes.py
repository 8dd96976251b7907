"""Nodes that vanish: a study goes on with those that are left."""

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
DRIVER = """
import sys, threading, time
from pathlib import Path
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
"""


def plan_of(folder: Path):
    """Return a plan of three trials that last some seconds each."""
    return small_plan(folder, trials=3, run=("training.steps=3000", "selection.every=100"))


def test_study_survives_the_loss_of_a_node(tmp_path: Path) -> None:
    dataset = prepared_dataset(tmp_path / "dataset")
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, dataset.uri, str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOST" in done.stdout
    summary = summarise(str(tmp_path / "studies" / "shrinking"))
    assert [trial.state for trial in summary.trials] == ["complete"] * 3
    for trial in summary.trials:
        history = Checkpoint.load(trial.checkpoint).card.history
        assert [entry["step"] for entry in history] == list(range(100, 3001, 100))
