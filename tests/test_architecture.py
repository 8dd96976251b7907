"""The layers of the house hold, and nothing below `cluster` needs Ray."""

import ast
import contextlib
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
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


def test_nothing_below_cluster_asks_for_ray_when_it_is_called() -> None:
    """Nor imports it by name: what the contracts above cannot see."""
    package = ROOT / "mleg_ray"
    for file in package.rglob("*.py"):
        if file.relative_to(package).parts[0] != "cluster":
            texts = {
                node.value
                for node in ast.walk(ast.parse(file.read_text()))
                if isinstance(node, ast.Constant)
            }
            assert "ray" not in texts, file


def test_no_package_offers_a_name_that_is_a_module_of_its_own() -> None:
    """Whether `package.name` is the module would depend on what was imported before."""
    names = [m.name for m in pkgutil.walk_packages(mleg_ray.__path__, "mleg_ray.") if m.ispkg]
    assert len(names) > 10
    for package in map(importlib.import_module, ["mleg_ray", *names]):
        offered = dict(vars(package))
        for module in pkgutil.iter_modules(package.__path__):
            if "__getattr__" in offered:  # a name that is imported on first use
                with contextlib.suppress(AttributeError):
                    offered[module.name] = package.__getattr__(module.name)
            assert isinstance(offered.get(module.name, package), ModuleType), module


@pytest.mark.parametrize(
    "package",
    [
        *("catalog/sources", "features/steps", "models", "models/networks", "objectives"),
        *("physics", "study"),
    ],
)
def test_every_module_that_registers_is_named_in_its_package(package: str) -> None:
    """Else its kinds, or observables, are unknown until something else imports it."""
    folder = ROOT / "mleg_ray" / package
    registering = {
        file.stem
        for file in folder.glob("*.py")
        if re.search(r"^@(\w+\.register$|observable\()", file.read_text(), re.MULTILINE)
    }
    named = {
        alias.name
        for node in ast.walk(ast.parse((folder / "__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert registering
    assert registering <= named
