"""optuna-dashboard and TensorBoard, real processes, show what a study wrote."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from mleg_ray.cluster.tune import LOGS, run_study
from mleg_ray.study.ledger import JOURNAL
from mleg_ray.study.summary import Summary
from tests.prepared import prepared_dataset
from tests.study.plans import small_plan

for library in ("optuna_dashboard", "tensorboard"):
    pytest.importorskip(library, reason="needs `pip install optuna-dashboard tensorboard`")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(600)]

SMALL = "\nrepeats = { best = 1, seeds = 2 }\ncpus = 2"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    folder = tmp_path_factory.mktemp("study")
    plan = small_plan(folder, SMALL, trials=2)
    return run_study(plan, prepared_dataset(folder / "dis"), str(folder), name="small")


@contextlib.contextmanager
def served(program: str, *options: str) -> Iterator[str]:
    """Run a server of pages, which lies beside Python, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name(program)),
        *options,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def told(address: str, key: str = "") -> Any:
    """Return what a server answers, as soon as it answers, and has the key."""
    for _ in range(120):
        with contextlib.suppress(URLError, ConnectionError):
            with urlopen(address) as answer:
                document = json.load(answer)
            if not key or key in document:
                return document
        time.sleep(0.5)
    raise TimeoutError(address)


def test_optuna_dashboard_shows_the_trials(study: Summary) -> None:
    with served("optuna-dashboard", str(Path(study.folder) / JOURNAL)) as address:
        [listed] = told(f"{address}/api/studies")["study_summaries"]
        shown = told(f"{address}/api/studies/{listed['study_id']}")
    assert [trial["state"] for trial in shown["trials"]] == ["Complete", "Complete"]
    values = [float(trial["values"][0]) for trial in shown["trials"]]
    assert values == [trial.figures["ks_sum"] for trial in study.trials]
    curves = [[v["step"] for v in trial["intermediate_values"]] for trial in shown["trials"]]
    assert curves == [[10, 20], [10, 20]]
    assert {p["name"] for p in shown["trials"][0]["params"]} == set(study.plan.space)


def test_tensorboard_shows_the_curves(study: Summary) -> None:
    with served("tensorboard", "--logdir", str(Path(study.folder) / LOGS)) as address:
        runs = told(f"{address}/data/plugin/scalars/tags", key="0001")
        [tag] = [tag for tag in runs["0000"] if tag.endswith("ks_sum")]
        points = told(f"{address}/data/plugin/scalars/scalars?run=0000&tag={tag}")
    curve = [value for _, _, value in points]
    assert curve == pytest.approx([value for _, value in study.trials[0].curve])
