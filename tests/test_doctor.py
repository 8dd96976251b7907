"""`mleg doctor` says what is missing, and what is not possible without it."""

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mleg_ray as mleg
from mleg_ray.commands import doctor
from mleg_ray.errors import ResourceError

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def lacking(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    def version(name: str) -> str:
        if name in missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.version(name)

    monkeypatch.setattr(doctor, "version", version)


def test_every_optional_library_has_a_purpose() -> None:
    extras = PROJECT["optional-dependencies"]
    names = {
        canonicalize_name(Requirement(text).name)
        for extra, texts in extras.items()
        if extra != doctor.DEVELOPERS
        for text in texts
    }
    assert names == set(doctor.PURPOSES)


def test_what_is_missing_is_told_with_what_it_disables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    lacking(monkeypatch, "cmaes")
    storage = tmp_path / "storage"
    findings = {finding.what: finding for finding in mleg.doctor(storage=str(storage))}
    assert not storage.exists()
    assert findings["storage"].found.startswith(f"{storage}, ")
    core = [Requirement(text).name for text in PROJECT["dependencies"]]
    assert [findings[name].lacks for name in core] == [""] * len(core)
    assert findings["cmaes"].lacks == "no search `cma-es` of studies; pip install 'mleg-ray[study]'"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(findings)
    assert f"– {'cmaes':<14} missing: {findings['cmaes'].lacks}" in lines


def test_what_the_core_needs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="storage: nothing can be written into .*/file; name"):
        mleg.doctor(storage=str(tmp_path / "file" / "below"))
    lacking(monkeypatch, "zuko")
    with pytest.raises(ResourceError, match="mleg cannot run: zuko: pip install 'zuko>=1.4'"):
        mleg.doctor(storage=str(tmp_path))
