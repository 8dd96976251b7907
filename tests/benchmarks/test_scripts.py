"""Every row of the benchmarks and every script of jobs tells what it takes."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import GROUPS, ROWS, main
from benchmarks.common.options import Training
from mleg_ray.errors import ConfigError

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.py"))


def test_list_of_rows_imports_none_of_them() -> None:
    program = (
        "import sys; from benchmarks.__main__ import app; app(['--help'], standalone_mode=False);"
        "print([name for name in ('torch', 'ray', 'pyarrow', 'matplotlib') if name in sys.modules])"
    )
    listed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert listed.rstrip().endswith("[]")
    assert all(row in listed for row in ROWS)
    assert all(title in listed for title in GROUPS.values())


@pytest.mark.parametrize("row", ROWS)
def test_help_of_row(row: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([row, "--help"])
    assert not end.value.code
    told = capsys.readouterr().out
    assert f"benchmarks {row} [OPTIONS]" in told
    assert "--small" in told
    assert "--out" in told


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["codecs"], "codec"),
        (["codec", "--rounds", "0"], "--rounds"),
        (["coordinates"], "--root"),
        (["coordinates", "--root", "/nowhere"], "--root"),
        (["unfolding", "--replicas", "2"], "--replicas"),
        (["toys", "flow-toy-jets", "--seed", "0"], "--seed"),
        (["toy-gans", "--toy", "toy-gauss"], "toy-gauss;"),
        (["toy-gans", "--loss", "WGAN-gp"], "WGAN-gp;"),
        (["images", "--system", "VAE"], "VAE;"),
    ],
)
def test_what_a_row_does_not_take(
    asked: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(asked)
    assert end.value.code == 2
    assert told in capsys.readouterr().err


def test_errors_of_users(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["pool", str(tmp_path / "nothing"), "--out", str(tmp_path)])
    assert end.value.code == 2
    assert "nothing" in capsys.readouterr().err


def test_a_recipe_on_other_events_is_refused_before_any_are_made() -> None:
    options = Training(seeds=[1])
    options.require("sequence-ttbar-quick", dataset="ttbar-13tev")
    with pytest.raises(ConfigError, match="sequence-stops: on stop-grid, .* of ttbar-13tev;"):
        options.require("sequence-stops", dataset="ttbar-13tev")


@pytest.mark.parametrize("script", JOBS, ids=lambda script: script.stem)
def test_help_of_job(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert not end.value.code
    assert "usage" in capsys.readouterr().out.lower()
