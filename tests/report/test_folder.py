"""Whose a folder of results is: an analysis replaces another, and nothing else."""

import json
from pathlib import Path

import pytest

from mleg_ray.commands.analyses import LandscapePlan, LatentPlan
from mleg_ray.errors import ConfigError
from mleg_ray.folder import PLAN, SealedFolder
from mleg_ray.report.folder import ResultsPlan, renew


def analysis(folder: Path, *results: str) -> SealedFolder[ResultsPlan]:
    return SealedFolder(str(folder), LatentPlan(of={"layer": 1}, results=results))


def claim(folder: SealedFolder[ResultsPlan]) -> None:
    with folder.work():
        pass


def names(folder: Path) -> set[str]:
    return {place.name for place in folder.iterdir()}


def test_results_that_are_there_go_and_other_files_stay(tmp_path: Path) -> None:
    claim(analysis(tmp_path, "a.png", "b.png", "clusters"))
    for name in ("a.png", "notes.txt", "c.png.17.partial"):  # b.png was never made
        (tmp_path / name).touch()
    (tmp_path / "clusters" / "shards").mkdir(parents=True)
    (tmp_path / "clusters" / "shards" / "0").touch()
    other = analysis(tmp_path, "c.png")
    claim(other)  # computing may fail: all stays
    assert names(tmp_path) == {PLAN, "a.png", "clusters", "notes.txt"}
    renew(other)
    assert names(tmp_path) == {PLAN, "notes.txt"}
    assert json.loads((tmp_path / PLAN).read_text())["results"] == ["c.png"]


def test_another_kind_is_refused(tmp_path: Path) -> None:
    claim(analysis(tmp_path, "a.png"))
    landscape = SealedFolder(str(tmp_path), LandscapePlan(of={}, results=("surface.png",)))
    with pytest.raises(ConfigError, match="holds no landscape but a latent analysis; choose"):
        claim(landscape)


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "/mine", "a/../../mine"])
def test_nothing_outside_the_folder_can_be_a_result(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    claim(analysis(folder, "RESULT"))
    (tmp_path / "mine").touch()
    (folder / PLAN).write_text((folder / PLAN).read_text().replace("RESULT", name))
    with pytest.raises(ConfigError, match=r"plan\.json: results\.0"):
        renew(analysis(folder))
    assert names(tmp_path) == {"out", "mine"}
