"""The wheel alone, in an empty folder: catalog, recipes and templates are in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel was installed; what it needs is this environment's."""
    pytest.importorskip("hatchling", reason="the wheel is built by hatchling, without a network")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    built = ["wheel", "--no-build-isolation", *offline, "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *built], check=True)
    [wheel] = folder.glob("*.whl")
    target = folder / "installed"
    subprocess.run([*pip, "install", *offline, "--target", str(target), str(wheel)], check=True)
    return target


def test_it_works_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    def python(*words: str) -> str:
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed), "MLEG_STORAGE": str(tmp_path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert python("-c", "import mleg_ray; print(mleg_ray.__file__)").startswith(str(installed))
    assert "dis-ep-50" in python("-m", "mleg_ray", "catalog", "list")
    script = "from mleg_ray.run import RunConfig; print(RunConfig.load('flow-dis').dataset)"
    assert python("-c", script).strip() == "dis-ep-50"
    assert python("-m", "mleg_ray", "home").strip() == str(tmp_path / "index.html")
    assert "Nothing is finished here yet." in (tmp_path / "index.html").read_text()
