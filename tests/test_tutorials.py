"""The notebooks run from the first cell to the last, each in an empty folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.ipynb"))
each_tutorial = pytest.mark.parametrize("notebook", TUTORIALS, ids=lambda file: file.stem)


def code(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@each_tutorial
def test_they_are_kept_without_outputs(notebook: Path) -> None:
    cells = code(notebook)
    assert cells
    assert [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"]] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_tutorial
def test_they_run(notebook: Path, tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="notebooks are run by nbclient, of the extra `dev`")
    program = Path(sys.executable).with_name("jupyter-execute")
    shutil.copy(notebook, tmp_path)
    subprocess.run([program, "--inplace", notebook.name], cwd=tmp_path, check=True)
    ran = code(tmp_path / notebook.name)
    assert [cell["execution_count"] for cell in ran] == [*range(1, len(ran) + 1)]
    assert any(output.get("name") == "stdout" for cell in ran for output in cell["outputs"])
