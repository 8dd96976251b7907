"""Every benchmark runs to its end, very small: what it prints means nothing.

Training, sampling and preparing go on in this process, see `alone`.
"""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.alone import without_workers
from tests.benchmarks.scripts import BENCHMARKS
from tests.checkpoints import small_checkpoint
from tests.dis_events import electrons, momenta

pytestmark = pytest.mark.smoke

STEPS = "training.steps=6 training.batch_size=32 selection.every=3 selection.events=200"
NETWORKS = "model.generator.widths=[8] model.critic.widths=[8]"
# The arguments of each script. Its dots are folders of the test's own: see `run`.
COMMANDS = {
    "codec": "--events 200",
    "compare_tape": "--root {tapes} --events 5000 --out {out}",
    "cost_model": "",
    "energies": f"--root {{tapes}} --energies 50 --storage {{out}} --set {STEPS} model.hidden=[8]",
    "evaluate": "--events 500 --observables 3",
    "pool": "{checkpoint} --events 200 --shard-events 100 --rounds 1 --eager --shards 20"
    " --workers 1 --shard-seconds 0.01",
    "production": "{student} --events 2000 --shard-events 500 --workers 1 --seconds 0.1 --eager"
    " --pythia-events 100",
    "tallies": "--events 2000 --shard-events 500",
    "tape2_quality": f"--root {{tapes}} --storage {{out}} --set {STEPS}",
    "toys": f"parts-toy-jets --events 400 --storage {{out}} --set {STEPS}"
    " --prepared source.events=2000 shard_events=200",
    "train_overhead": "--steps 6 --rounds 1",
    "tune_overhead": "--root {tapes} --trials 1 --steps 6 --storage {out}",
    "tune_search": f"--root {{tapes}} --seconds 0.1 --studies 1 --storage {{out}} --set {STEPS}"
    " study.pruning.first=3",
    "tune_stacked": "--steps 2 --replicas 2 --rounds 1 --batch-sizes 16",
    "tune_tape2": f"--root {{tapes}} --trials 1 --storage {{out}} --set {STEPS}"
    f" study.repeats={{{{best=1,seeds=2}}}} study.pruning.first=3 --set-paper {STEPS} {NETWORKS}",
}
ROWS = (
    *("coordinates", "losses", "families", "acceptance", "energies", "folding", "unfolding"),
    *("amplification", "exclusive", "latent", "landscapes"),
)
OF_THE_TAPES = {"coordinates", "losses", "families", "landscapes"}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random electrons in the files and formats of the authors' events."""
    folder = tmp_path_factory.mktemp("tapes")
    (folder / "fat-gan").mkdir()
    (folder / "cfat-gan").mkdir()
    events = momenta(electrons(2000, 1)).numpy()
    np.savetxt(folder / "fat-gan" / "tape2.txt", events[:, [3, 0, 1, 2]], "%.9g", ",")
    for beam in (10, 20, 30, 40, 50):
        events = momenta(electrons(2000, beam, (float(beam),))).numpy()
        np.savetxt(folder / "cfat-gan" / f"tape_{beam}", events, fmt="%.9g")
    return folder


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all rows, some of which train the same systems."""
    return str(tmp_path_factory.mktemp("storage"))


@pytest.fixture
def folders(tapes: Path, tmp_path: Path) -> dict[str, Path]:
    small_checkpoint(tmp_path / "checkpoint")
    small_checkpoint(tmp_path / "student", recipe="student-dis")
    return {
        "tapes": tapes,
        "out": tmp_path / "out",
        "checkpoint": tmp_path / "checkpoint",
        "student": tmp_path / "student",
    }


@pytest.fixture
def results(ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder into which benchmarks write now; the working folder is another one, too."""
    monkeypatch.syspath_prepend(str(BENCHMARKS[0].parent))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("common.results.RESULTS", tmp_path / "results")
    monkeypatch.setattr("common.tapes.SHARD_EVENTS", 100)
    return tmp_path / "results"


def run(script: str, *arguments: str, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "argv", [script, *arguments])
    importlib.import_module(script).main()


def test_no_benchmark_is_left_out(results: Path) -> None:
    assert {*COMMANDS, "paper_electron"} == {script.stem for script in BENCHMARKS}
    assert list(ROWS) == list(importlib.import_module("paper_electron").ROWS)


def test_toys_of_images(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = f"--events 400 --storage {tmp_path} --set {STEPS} dataset=toy-layers"
    prepared = "--prepared source.events=2000 shard_events=200"
    without_workers(monkeypatch)
    run("toys", "vae-toy-images", *small.split(), *prepared.split(), patch=monkeypatch)
    assert (results / "toys-vae-toy-images.png").exists()


@pytest.mark.parametrize("script", COMMANDS)
def test_script(
    script: str, folders: dict[str, Path], results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script == "production":  # looks for the memory of the pool's processes
        monkeypatch.setattr("production.together", lambda work, workers: work(0))
    else:
        without_workers(monkeypatch)
    run(script, *COMMANDS[script].format(**folders).split(), patch=monkeypatch)
    written = folders["out"] if script == "compare_tape" else results
    assert any(written.glob("*.json"))


@pytest.mark.parametrize("row", ROWS)
def test_row_of_the_dissertation(
    row: str, tapes: Path, storage: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_workers(monkeypatch)
    root = ("--root", str(tapes)) if row in OF_THE_TAPES else ()
    arguments = ("--budget", "smoke", "--storage", storage, "--replicas", "3", *root)
    run("paper_electron", row, *arguments, patch=monkeypatch)
    assert (results / f"paper-electron-{row}-smoke.json").exists()
