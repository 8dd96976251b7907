"""Whose a folder is, what in it is whole, and who works there."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import Literal

import pytest

from mleg_ray import heartbeat
from mleg_ray.config import Config
from mleg_ray.errors import ConfigError, DataError, ResourceError
from mleg_ray.folder import (
    PLAN,
    RECORDS,
    FileEntry,
    FolderPlan,
    Record,
    SealedFolder,
    is_for,
    plan_of,
    record_file,
    write_record,
)
from mleg_ray.heartbeat import HEARTBEAT
from mleg_ray.storage import write_bytes


class Loaf(FolderPlan):
    """What a test bakes; where the flour comes from does not matter."""

    kind: Literal["loaf"] = "loaf"
    format_version: Literal[1] = 1
    grams: int = 500
    oven: dict[str, int] = {}
    mill: str = "near"

    @property
    def identity(self) -> Config:
        return self.model_copy(update={"mill": ""})


class Cake(FolderPlan):
    """Something else."""

    kind: Literal["cake"] = "cake"
    format_version: Literal[1] = 1


def folder(place: Path | str, **values: object) -> SealedFolder[Loaf]:
    return SealedFolder(str(place), Loaf.model_validate(values))


def claim(place: SealedFolder[Loaf]) -> None:
    with place.work():
        pass


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


def lay(place: SealedFolder[Loaf], index: int, content: bytes) -> None:
    """Write a file and its record."""
    file = f"slices/{index:02d}.bin"
    write_bytes(f"{place.uri}/{file}", content)
    entry = FileEntry.of(file, content)
    write_record(place.uri, Record(plan=place.digest, index=index, entry=entry))


FILES = {index: f"slices/{index:02d}.bin" for index in range(3)}


class TestPlans:
    def test_a_vacant_folder_gets_one_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.png.17.partial").touch()  # of a killed writer
        for place in (tmp_path, tmp_path / "new"):
            claim(folder(place))
        assert names(tmp_path) == {PLAN, "new"}
        assert names(tmp_path / "new") == {PLAN}
        assert plan_of(str(tmp_path), Loaf) == Loaf()
        assert is_for(str(tmp_path), Loaf)
        assert not is_for(str(tmp_path), Cake)
        assert not is_for(str(tmp_path / "nowhere"), Loaf)

    def test_the_same_work_goes_on_whatever_else_was_told(self, tmp_path: Path) -> None:
        claim(folder(tmp_path, mill="far"))
        claim(folder(tmp_path))
        there = folder(tmp_path).require_own()
        assert there
        assert there.mill == "far"

    def test_other_work_of_the_kind_is_refused_with_what_differs(self, tmp_path: Path) -> None:
        claim(folder(tmp_path, oven={"top": 200, "bottom": 180}))
        other = folder(tmp_path, grams=750, oven={"top": 220, "bottom": 180})
        with pytest.raises(ConfigError) as caught:
            other.require_own()
        assert str(caught.value) == (
            f"{tmp_path}: holds another loaf (grams is 500 there, 750 is asked for; oven.top is "
            "200 there, 220 is asked for); choose another --out, or ask for the same to complete it"
        )

    def test_of_many_differences_some_are_told(self, tmp_path: Path) -> None:
        claim(folder(tmp_path, oven={str(i): i for i in range(20)}))
        with pytest.raises(ConfigError, match=r"oven.4 is 4 there, .*; and 15 more\)"):
            folder(tmp_path).require_own()

    def test_another_kind_is_refused(self, tmp_path: Path) -> None:
        claim(folder(tmp_path))
        with pytest.raises(ConfigError, match="holds no cake but a loaf; choose another --out"):
            SealedFolder(str(tmp_path), Cake()).require_own()

    def test_other_files_are_refused_and_stay(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("mine")
        (tmp_path / "movie.mkv.partial").touch()  # of another program
        for act in (folder(tmp_path).require_own, lambda: claim(folder(tmp_path))):
            with pytest.raises(ConfigError, match=r"other files and no plan\.json; choose another"):
                act()
        assert names(tmp_path) == {"a.png", "movie.mkv.partial"}

    @pytest.mark.parametrize("content", ['{"my": "plan"}', "[]"])
    def test_a_plan_of_another_program_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / PLAN).write_text(content)
        with pytest.raises(ConfigError, match="of nothing that this version makes; choose another"):
            claim(folder(tmp_path))
        assert (tmp_path / PLAN).read_text() == content

    def test_another_version_is_named(self, tmp_path: Path) -> None:
        claim(folder(tmp_path))
        plan = json.loads((tmp_path / PLAN).read_text())
        (tmp_path / PLAN).write_text(json.dumps(plan | {"format_version": 2, "crust": "thick"}))
        with pytest.raises(ConfigError, match=r"format_version is 2; this version .* reads 1 only"):
            folder(tmp_path).require_own()

    def test_damage_is_named_with_the_mend(self, tmp_path: Path) -> None:
        (tmp_path / PLAN).write_text("{")
        with pytest.raises(DataError, match=r"plan\.json: damaged, .*; choose another --out"):
            claim(folder(tmp_path))

    def test_where_nothing_can_be_written_is_said_first(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ResourceError, match="file/out"):
            claim(folder(tmp_path / "file" / "out"))


class TestFiles:
    @pytest.fixture
    def place(self, tmp_path: Path) -> SealedFolder[Loaf]:
        place = folder(tmp_path / "out")
        claim(place)
        for index in FILES:
            lay(place, index, bytes([index]) * 100)
        return place

    def test_whole_files_are_found(self, place: SealedFolder[Loaf]) -> None:
        found = place.whole(FILES, Record)
        assert {index: record.entry.file for index, record in found.items()} == FILES

    def test_of_a_vacant_folder_there_are_none(self, tmp_path: Path) -> None:
        assert folder(tmp_path / "nowhere").whole(FILES, Record) == {}

    @pytest.mark.parametrize(
        "damage",
        ["truncated", "altered", "gone", "no record", "record of another", "damaged record"],
    )
    def test_what_is_not_whole_is_not_found(self, place: SealedFolder[Loaf], damage: str) -> None:
        file, record = (Path(place.uri) / name for name in (FILES[1], record_file(FILES[1])))
        match damage:
            case "truncated":
                file.write_bytes(file.read_bytes()[:-1])
            case "altered":
                file.write_bytes(b"x" + file.read_bytes()[1:])
            case "gone":
                file.unlink()
            case "no record":
                record.unlink()
            case "record of another":
                record.write_text((Path(place.uri) / record_file(FILES[0])).read_text())
            case "damaged record":
                record.write_text("[" * 100_000)
        assert set(place.whole(FILES, Record)) == {0, 2}

    def test_files_of_another_plan_are_not_found(self, place: SealedFolder[Loaf]) -> None:
        other = dataclasses.replace(place, plan=Loaf(grams=1))
        assert other.whole(FILES, Record) == {}
        elsewhere = dataclasses.replace(place, plan=Loaf(mill="far"))
        assert set(elsewhere.whole(FILES, Record)) == set(FILES)

    def test_a_record_cannot_name_a_file_outside(self, place: SealedFolder[Loaf]) -> None:
        outside = Path(place.uri).parent / "outside.bin"
        outside.write_bytes(b"mine")
        record = Path(place.uri) / record_file(FILES[1])
        told = json.loads(record.read_text())
        told["entry"] |= FileEntry.of("x", b"mine").model_dump() | {"file": "../outside.bin"}
        record.write_text(json.dumps(told))
        assert set(place.whole(FILES, Record)) == {0, 2}

    def test_a_record_cannot_name_another_file_of_the_folder(
        self, place: SealedFolder[Loaf]
    ) -> None:
        record, other = (Path(place.uri) / record_file(FILES[index]) for index in (1, 0))
        told = json.loads(record.read_text()) | {"entry": json.loads(other.read_text())["entry"]}
        record.write_text(json.dumps(told))
        assert set(place.whole(FILES, Record)) == {0, 2}

    def test_a_record_cannot_have_another_number(self, place: SealedFolder[Loaf]) -> None:
        record = Path(place.uri) / record_file(FILES[1])
        record.write_text(json.dumps(json.loads(record.read_text()) | {"index": 7}))
        assert set(place.whole(FILES, Record)) == {0, 2}

    def test_records_lie_apart(self, place: SealedFolder[Loaf]) -> None:
        assert names(Path(place.uri)) == {PLAN, RECORDS, "slices"}


class TestDrivers:
    def test_a_second_driver_is_refused_while_the_first_is_busy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.05)
        monkeypatch.setattr(heartbeat, "WATCH_SECONDS", 10.0)
        with folder(tmp_path).work():
            threading.Event().wait(0.2)  # it does not say a word itself
            with pytest.raises(ResourceError, match="is at work here; let it end or stop it"):
                claim(folder(tmp_path))
            assert (tmp_path / HEARTBEAT).exists()
        assert names(tmp_path) == {PLAN}

    def test_a_driver_that_lost_its_folder_says_so_in_the_end(self, tmp_path: Path) -> None:
        with pytest.raises(ResourceError, match="is at work here"), folder(tmp_path).work():
            place = tmp_path / HEARTBEAT
            place.write_text(json.dumps(json.loads(place.read_text()) | {"claim": "another"}))
        assert (tmp_path / HEARTBEAT).exists()

    def test_what_killed_writers_left_goes_at_the_beginning_and_the_end(
        self, tmp_path: Path
    ) -> None:
        claim(folder(tmp_path))
        (tmp_path / "a.bin.17.partial").touch()
        with folder(tmp_path).work():
            assert names(tmp_path) == {PLAN, HEARTBEAT}
            (tmp_path / "b.bin.18.partial").touch()
        assert names(tmp_path) == {PLAN}

    def test_a_driver_killed_before_its_plan_was_written_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / HEARTBEAT).write_text("{}")
        claim(folder(tmp_path))
        assert names(tmp_path) == {PLAN}
