"""The layers of the house hold, and nothing below `cluster` needs Ray."""

import pkgutil
import subprocess
import sys
from pathlib import Path

from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import mleg_ray

ROOT = Path(__file__).parents[1]


def test_import_contracts(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == EXIT_STATUS_SUCCESS


def test_everything_below_cluster_imports_without_ray() -> None:
    names = [
        module.name
        for module in pkgutil.walk_packages(mleg_ray.__path__, "mleg_ray.")
        if not module.name.startswith("mleg_ray.cluster") and not module.name.endswith("__main__")
    ]
    assert len(names) > 30
    script = (
        "import importlib, sys\n"
        "sys.modules['ray'] = None\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
