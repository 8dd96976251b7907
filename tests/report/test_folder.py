"""Whose a folder is: an analysis replaces another, and nothing else."""

import json
from pathlib import Path

import pytest

from mleg_ray.errors import ConfigError, DataError, ResourceError
from mleg_ray.report.folder import ANALYSIS, Analysis, claim, renew


def analysis(*results: str) -> Analysis:
    return Analysis(kind="latent", spec={"layer": 1}, checkpoint="0" * 64, results=results)


def names(folder: Path) -> set[str]:
    return {place.name for place in folder.iterdir()}


def test_a_vacant_folder_gets_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.png.17.partial").touch()  # of a killed writer
    for folder in (tmp_path, tmp_path / "new"):
        claim(str(folder), analysis("a.png"))
    assert names(tmp_path) == {ANALYSIS, "new"}
    assert names(tmp_path / "new") == {ANALYSIS}


def test_other_files_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(ConfigError, match=r"no analysis\.json; choose another --out"):
        claim(str(tmp_path), analysis("a.png"))
    assert names(tmp_path) == {"a.png"}


def test_results_that_are_there_go_and_other_files_stay(tmp_path: Path) -> None:
    claim(str(tmp_path), analysis("a.png", "b.png", "clusters"))
    for name in ("a.png", "notes.txt", "c.png.17.partial"):  # b.png was never made
        (tmp_path / name).touch()
    (tmp_path / "clusters" / "shards").mkdir(parents=True)
    (tmp_path / "clusters" / "shards" / "0").touch()
    claim(str(tmp_path), analysis("c.png"))  # computing may fail: all stays
    assert names(tmp_path) == {ANALYSIS, "a.png", "clusters", "notes.txt"}
    renew(str(tmp_path), analysis("c.png"))
    assert names(tmp_path) == {ANALYSIS, "notes.txt"}
    assert json.loads((tmp_path / ANALYSIS).read_text())["results"] == ["c.png"]


def test_another_kind_is_refused(tmp_path: Path) -> None:
    claim(str(tmp_path), analysis("a.png"))
    landscape = analysis("surface.png").model_copy(update={"kind": "landscape"})
    with pytest.raises(ConfigError, match="an analysis of kind 'latent'; choose another --out"):
        claim(str(tmp_path), landscape)


def test_partial_files_of_others_are_no_leftovers(tmp_path: Path) -> None:
    (tmp_path / "movie.mkv.partial").touch()
    with pytest.raises(ConfigError, match="holds other files"):
        claim(str(tmp_path), analysis())
    assert names(tmp_path) == {"movie.mkv.partial"}


@pytest.mark.parametrize("name", ["", ".", "..", "../mine", "/mine", "a/../../mine"])
def test_nothing_outside_the_folder_can_be_a_result(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    claim(str(folder), analysis("RESULT"))
    (tmp_path / "mine").touch()
    (folder / ANALYSIS).write_text((folder / ANALYSIS).read_text().replace("RESULT", name))
    with pytest.raises(ConfigError, match=r"analysis\.json: of no analysis .* another --out"):
        claim(str(folder), analysis())
    assert names(tmp_path) == {"out", "mine"}


@pytest.mark.parametrize("content", ['{"my": "analysis"}', "[]", '{"format_version": 2}'])
def test_an_analysis_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / ANALYSIS).write_text(content)
    with pytest.raises(ConfigError, match="of no analysis that this version makes; choose another"):
        claim(str(tmp_path), analysis())
    assert (tmp_path / ANALYSIS).read_text() == content


def test_damage_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / ANALYSIS).write_text("{")
    with pytest.raises(DataError, match=r"analysis\.json: damaged, .*; choose another --out"):
        claim(str(tmp_path), analysis())


def test_where_nothing_can_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="file/out"):
        claim(str(tmp_path / "file" / "out"), analysis())
