"""Every script of benchmarks and jobs can be imported and tells what it takes."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.benchmarks.scripts import BENCHMARKS, JOBS


@pytest.mark.parametrize("script", [*BENCHMARKS, *JOBS], ids=lambda script: script.stem)
def test_help(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert not end.value.code
    assert "usage" in capsys.readouterr().out.lower()
