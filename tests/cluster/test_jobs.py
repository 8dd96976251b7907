"""The scripts of jobs/ through a real job server: a local head, `ray job submit`, `mleg submit`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mleg_ray.catalog.dataset import Dataset
from mleg_ray.study.summary import summarise
from tests.checkpoints import small_checkpoint
from tests.prepared import prepared_dataset
from tests.recipes import SMALL
from tests.study.plans import QUICK, small_plan

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PORT, DASHBOARD, AGENT = "6399", "8299", "52399"  # not Ray's own: another may run here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a head node with a dashboard; yield the environment that reaches it."""
    storage = tmp_path_factory.mktemp("storage")
    folder = tempfile.mkdtemp(prefix="mleg-head-")
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",  # a job's `python` is the head's
        "RAY_AUTH_MODE": "disabled",
        "RAY_TMPDIR": folder,
        "MLEG_STORAGE": str(storage),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{DASHBOARD}",
    }
    environment.pop("RAY_ADDRESS", None)
    head = subprocess.Popen(
        [BIN / "ray", "start", "--head", "--block", f"--port={PORT}", "--num-cpus=3",
         f"--dashboard-port={DASHBOARD}", f"--dashboard-agent-listen-port={AGENT}",
         f"--temp-dir={folder}"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(30):  # the dashboard answers some seconds before jobs can start
            probe = [BIN / "ray", "job", "submit", "--", "true"]
            ready = subprocess.run(probe, env=environment, capture_output=True, text=True)
            if ready.returncode == 0:
                break
        else:
            raise AssertionError(f"the head takes no job: {ready.stdout}{ready.stderr}")
        yield environment
    finally:
        head.terminate()
        head.wait()


def submitted(head: dict[str, str], *command: str) -> str:
    job = [BIN / "ray", "job", "submit", "--working-dir", ".", "--", *command]
    done = subprocess.run(job, env=head, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_train_then_sample_then_evaluate(head: dict[str, str]) -> None:
    storage = Path(head["MLEG_STORAGE"])
    prepared_dataset(storage / "datasets" / "dis-ep-50")
    values = (*SMALL["fatgan-quick"], "training.steps=40", "selection.every=20")
    settings = [word for value in values for word in ("--set", value)]
    submitted(head, "python", "jobs/train_fatgan.py", "fatgan-quick", "--name", "job", *settings)
    checkpoint = storage / "runs" / "job" / "checkpoint"
    assert json.loads((checkpoint / "card.json").read_text())["train_events"] == 4000
    out = str(storage / "out")
    sizes = ["--events", "5000", "--shard-events", "1000"]
    submitted(head, "python", "jobs/sample.py", str(checkpoint), *sizes, "--out", out)
    assert Dataset.open(out).rows() == 5000

    # The same through `mleg submit`, which finds all shards there.
    command = [BIN / "mleg", "submit", "sample", str(checkpoint), *sizes, "--out", out]
    again = subprocess.run(command, env=head, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "5,000 events" in again.stdout

    command = [BIN / "mleg", "submit", "sample", "nothing", "--events", "5"]
    failed = subprocess.run(command, env=head, cwd=ROOT, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "not a checkpoint" in failed.stdout


def test_sample_is_stopped_and_goes_on(head: dict[str, str], tmp_path: Path) -> None:
    checkpoint = small_checkpoint(tmp_path / "checkpoint")
    out = tmp_path / "out"
    command = ["python", "jobs/sample.py", checkpoint.uri, "--events", "20_000_000",
               "--shard-events", "100_000", "--no-compile", "--out", str(out)]  # fmt: skip
    submit = [BIN / "ray", "job", "submit", "--no-wait", "--submission-id", "sample",
              "--working-dir", ".", "--", *command]  # fmt: skip
    subprocess.run(submit, env=head, cwd=ROOT, capture_output=True, check=True)
    for _ in range(600):
        if len(list(out.glob("records/*.json"))) >= 10:
            break
        time.sleep(0.1)
    stop = [BIN / "ray", "job", "stop", "sample"]
    subprocess.run(stop, env=head, capture_output=True, check=True)
    assert not (out / "manifest.json").exists()
    before = {record: record.stat().st_mtime_ns for record in out.glob("records/*.json")}
    assert 10 <= len(before) < 200

    submitted(head, *command)
    assert Dataset.open(str(out)).rows() == 20_000_000
    assert all(record.stat().st_mtime_ns == then for record, then in before.items())
    assert not (out / "heartbeat.json").exists()


def test_tune_is_killed_and_goes_on(head: dict[str, str], tmp_path: Path) -> None:
    storage = Path(head["MLEG_STORAGE"])
    if not (storage / "datasets" / "dis-ep-50").exists():
        prepared_dataset(storage / "datasets" / "dis-ep-50")
    small_plan(tmp_path, trials=4, run=("training.steps=400", "selection.every=100"))
    command = ["python", "jobs/tune_fatgan.py", str(tmp_path / "small.toml"), "--name", "job"]
    values = (*QUICK, "training.steps=400", "selection.every=100")
    settings = [word for value in values for word in ("--set", value)]
    submit = [BIN / "ray", "job", "submit", "--no-wait", "--submission-id", "study",
              "--working-dir", ".", "--", *command, *settings]  # fmt: skip
    subprocess.run(submit, env=head, cwd=ROOT, capture_output=True, check=True)
    study = storage / "studies" / "job"
    for _ in range(600):
        if list(study.glob("runs/*/training_state.pt")):
            break
        time.sleep(0.2)
    stop = [BIN / "ray", "job", "stop", "study"]
    subprocess.run(stop, env=head, capture_output=True, check=True)
    assert not (study / "report").exists()
    begun = len(summarise(str(study)).trials)
    assert 1 <= begun <= 4

    told = submitted(head, *command, *settings, "--resume")
    summary = summarise(str(study))
    assert [trial.state for trial in summary.trials] == ["complete"] * 4
    assert summary.ranked[0].best_checkpoint in told
    assert (study / "report" / "study.html").exists()
