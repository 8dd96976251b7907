"""Every row of the benchmarks runs to its end in its small form: what it prints means nothing.

Training, sampling and preparing go on in this process, see `alone`.
"""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import ROWS, main
from tests.benchmarks.alone import without_workers
from tests.checkpoints import small_checkpoint
from tests.dis_events import electrons, momenta

pytestmark = pytest.mark.smoke

COMMANDS = (
    *("averaging", "codec", "cost-model", "evaluate", "tallies", "train-overhead"),
    *("tune-scale", "tune-stacked"),
    *("pool {checkpoint}", "production {student} --workers 1"),
    *("tune-overhead --root {tapes}", "tune-search --root {tapes}", "tune-tape2 --root {tapes}"),
    *("compare-tape --root {tapes}", "tape2-quality --root {tapes}"),
    *("energies --root {tapes} --energy 50", "energies --recipe cfatgan", "limits --root {tapes}"),
    *("toys parts-toy-jets", "toys vae-toy-images --set dataset=toy-layers"),
    *("coordinates --root {tapes}", "losses --root {tapes}", "families --root {tapes}"),
    *("balanza --experiment III", "stream"),
    *("acceptance", "amplification", "exclusive", "folding", "landscapes --root {tapes}"),
    *("collisions", "dimuons", "hashemi", "hera", "latent", "mleg", "quickstart", "unfolding"),
    *("calorimeter", "detector-toys", "showers", "stops", "tops --anomaly"),
    *("toy-gans --loss GAN --loss flow", "toy-critics", "smearing"),
    *("image-speed", "images --system VAE-32", "export", "export --recipes"),
    *("fit --table toy --minutes 0.02", "gpu --device cpu", "budgets --recipe gan-toys-paper"),
)
PICTURES = {
    "toys vae-toy-images --set dataset=toy-layers": "-vae-toy-images-on-toy-layers",
    "balanza --experiment III": "-shapes-III",
    "detector-toys": "-weights",
    "exclusive": "-flow",
    "images --system VAE-32": "-VAE-32-800-again",
    "toy-gans --loss GAN --loss flow": "-events",
    "toy-critics": "-contours",
    "mleg": "-sigma-r",
    "unfolding": "-sigma-r-handbook",
    **dict.fromkeys(
        (
            "acceptance",
            "collisions",
            "dimuons",
            "showers",
            "smearing",
            "stops",
            "tops --anomaly",
            "hera",
            "compare-tape --root {tapes}",
            "landscapes --root {tapes}",
        ),
        "",
    ),
}


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
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has one storage for all rows, some of which train the same systems."""
    return tmp_path_factory.mktemp("workplace")


def test_no_row_is_left_out() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(ROWS)


@pytest.mark.parametrize("command", COMMANDS)
def test_row(
    command: str,
    tapes: Path,
    workplace: Path,
    ray_cluster: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(workplace)
    row, *_ = command.split()
    if row == "production":  # looks for the memory of the pool's processes
        monkeypatch.setattr("benchmarks.speed.production.together", lambda work, workers: work(0))
    elif row != "stream":  # whose workers are killed
        without_workers(monkeypatch)
    checkpoint, student = tmp_path / "checkpoint", tmp_path / "student"
    small_checkpoint(checkpoint)
    small_checkpoint(student, recipe="student-dis")
    asked = command.format(tapes=tapes, checkpoint=checkpoint, student=student).split()
    with pytest.raises(SystemExit) as end:
        main([*asked, "--small", "--out", str(tmp_path)])
    assert not end.value.code
    assert (tmp_path / f"{row}-small.json").exists()
    if command in PICTURES:
        assert (tmp_path / f"{row}-small{PICTURES[command]}.png").exists()
