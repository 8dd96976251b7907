"""Files appear whole or not at all, and refusals name the file and the mend."""

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from mleg_ray import storage
from mleg_ray.errors import ResourceError


def test_a_write_that_is_cut_off_leaves_the_old_file_and_no_remainder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    place = tmp_path / "file"
    storage.write_bytes(str(place), b"old")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.write_bytes(str(place), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert place.read_bytes() == b"old"


def test_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="file: No space left on device"):
        storage.write_bytes(str(tmp_path / "file"), b"content")
    assert not list(tmp_path.iterdir())


def test_refusals_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="absent: no such file"):
        storage.read_bytes(str(tmp_path / "absent"))
    with pytest.raises(ResourceError, match="file"):
        storage.require_writable(str(tmp_path / "file" / "below"))


def test_free_space_is_asked_for_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(free=10**9))
    storage.require_space(str(tmp_path), 10**9)
    storage.require_space("s3://bucket/folder", 10**15)
    with pytest.raises(ResourceError, match="2 GB are needed, 1 GB are free"):
        storage.require_space(str(tmp_path), 2 * 10**9)


def test_root_is_option_then_environment_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLEG_STORAGE", raising=False)
    assert storage.storage_root() == str(tmp_path / "mleg-storage")
    monkeypatch.setenv("MLEG_STORAGE", "s3://bucket/mleg/")
    assert storage.storage_root() == "s3://bucket/mleg"
    assert storage.storage_root("elsewhere") == str(tmp_path / "elsewhere")


def test_a_job_does_not_store_in_its_vanishing_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLEG_STORAGE", raising=False)
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert storage.storage_root() == str(tmp_path / "mleg-storage")


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "a.123.partial").write_text("half")
    (tmp_path / "shards" / "b.parquet").write_text("whole")
    storage.remove_partials(str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b.parquet"]
