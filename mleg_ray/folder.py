"""A folder that one piece of work fills, and that says what it is from its first file to its last.

Datasets, samples, conversions, runs, studies, reports and analyses lie in such folders. `plan.json`
comes first and tells what the folder is for: the same command completes it, another is refused. A
file has its name only when it is whole, and then a record of what it is. One driver at a time works
on a folder. What is there already is hashed before it is kept
(docs/decisions/0010-sealed-folders.md).
"""

import builtins
import contextlib
import reprlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, Generic, TypeVar

from pydantic import field_validator

from mleg_ray import heartbeat
from mleg_ray.config import VERSION, Config, parse, read_config
from mleg_ray.console import meanwhile, progress_bar
from mleg_ray.errors import ConfigError, DataError
from mleg_ray.heartbeat import Heartbeat
from mleg_ray.storage import (
    exists,
    is_vacant,
    join,
    read_bytes,
    read_json,
    remove_partials,
    sha256,
    sha256_of,
    sizes,
    write_json,
)

PLAN = "plan.json"
RECORDS = "records"  # apart from the shards: other programs want a folder of Parquet files alone
MOST_DIFFERENCES = 5  # that are told
READERS = 16  # at once, of records and hashes: object stores answer late


class FolderPlan(Config):
    """The content of plan.json; a subclass adds what determines what will lie in the folder.

    `kind` names it in words: "sample". Two plans of one `identity` are of the same work, whatever
    else they tell. `MEND` is what to do when the folder is another's.
    """

    MEND: ClassVar[str] = "choose another --out"

    kind: str

    @property
    def identity(self) -> Config:
        """What must be the same when the work goes on."""
        return self

    @property
    def in_words(self) -> Mapping[str, object] | None:
        """What a person is told of the identity, None if that is no bare digest."""
        return None


class FileEntry(Config):
    """What a record or manifest knows of a file, which is named relative to its folder."""

    file: str
    bytes: int
    sha256: str

    @field_validator("file")
    @classmethod
    def _stays_inside(cls, file: str) -> str:
        if file.startswith("/") or ".." in file.split("/"):
            raise ValueError("what a folder lists lies inside it")
        return file

    @staticmethod
    def of(file: str, content: builtins.bytes) -> "FileEntry":
        """Describe a file of that content."""
        return FileEntry(file=file, bytes=len(content), sha256=sha256(content))

    @property
    def files(self) -> tuple["FileEntry", ...]:
        """All files that this entry speaks of."""
        return (self,)

    def read(self, folder: str) -> builtins.bytes:
        """Return the file's content; `DataError` if it is gone, truncated or altered."""
        place = join(folder, self.file)
        again = "the command that made it, run again, makes it again"
        if not exists(place):
            raise DataError(f"{place}: gone; {again}")
        content = read_bytes(place, self.bytes + 1)
        if sha256(content) != self.sha256:
            there = "more" if len(content) > self.bytes else len(content)
            raise DataError(
                f"{place}: truncated or altered ({there} bytes, {self.bytes} expected; its SHA-256 "
                f"differs from the manifest's); {again}"
            )
        return content


class Record(Config):
    """The proof beside a file of what it is: written after it, so its presence means "whole".

    `plan` is the digest of the identity of the folder's plan, `index` the file's number in it.
    """

    plan: str
    index: int
    entry: FileEntry


AnyPlan = TypeVar("AnyPlan", bound=FolderPlan, covariant=True)
AnyRecord = TypeVar("AnyRecord", bound=Record)


def record_file(file: str) -> str:
    """Return where the record of a file lies, relative to the folder."""
    return f"{RECORDS}/{PurePosixPath(file).stem}.json"


@dataclass(frozen=True)
class SealedFolder(Generic[AnyPlan]):
    """A folder and the plan that it is for; nothing is looked at or written before it is asked."""

    uri: str
    plan: AnyPlan

    @property
    def digest(self) -> str:
        """What the records of this folder name as their plan."""
        return self.plan.identity.digest()

    def require_own(self) -> AnyPlan | None:
        """Return the plan that is there, None in a vacant folder.

        Raises:
            ConfigError: the folder holds other work, or other files.
            DataError: its plan.json is damaged.
        """
        there = plan_of(self.uri, type(self.plan))
        if there is None:
            return None
        if there.identity != self.plan.identity:
            words = there.in_words, self.plan.in_words
            old, new = words if all(words) else (there.identity, self.plan.identity)
            differences = list(_differences(old, new))
            more = len(differences) - MOST_DIFFERENCES
            told = differences[:MOST_DIFFERENCES] + ([f"and {more} more"] if more > 0 else [])
            raise ConfigError(
                f"{self.uri}: holds another {self.plan.kind} ({'; '.join(told)}); "
                f"{self.plan.MEND}, or ask for the same to complete it"
            )
        return there

    @contextlib.contextmanager
    def work(self) -> Iterator[Heartbeat]:
        """Claim the folder for the length of the block: for this plan, and for this driver.

        What killed writers left is removed, and the plan written unless it is there.

        Raises:
            ConfigError, DataError: see `require_own`.
            ResourceError: nothing can be written there, or another driver is at work.
        """
        self.require_own()
        with Heartbeat(self.uri) as mine, meanwhile(mine.keep, heartbeat.BEAT_SECONDS):
            remove_partials(self.uri)
            if self.require_own() is None:
                self.write_plan()
            yield mine
            mine.require_mine()
            remove_partials(self.uri)

    def write_plan(self) -> None:
        """Write plan.json, also over one of the same identity."""
        write_json(join(self.uri, PLAN), self.plan.model_dump(mode="json"))

    def whole(self, files: Mapping[int, str], kind: type[AnyRecord]) -> dict[int, AnyRecord]:
        """Return the records of the files that are there and whole, by their numbers.

        A file is whole if its record names this plan and number, and all bytes are as the record
        says. What is not whole is to be made again, so that a damaged record is no error.
        """
        there = sizes(self.uri)
        digest = self.digest

        def proven(index: int) -> AnyRecord | None:
            place = record_file(files[index])
            if place not in there:
                return None
            try:
                record = read_config(kind, join(self.uri, place))
            except (ConfigError, DataError):
                return None
            entries = record.entry.files
            is_whole = (
                (record.plan, record.index, record.entry.file) == (digest, index, files[index])
                and all(there.get(entry.file) == entry.bytes for entry in entries)
                and all(sha256_of(join(self.uri, e.file)) == e.sha256 for e in entries)
            )
            return record if is_whole else None

        begun = [index for index, file in files.items() if file in there]
        if not begun:
            return {}
        found = {}
        with (
            progress_bar("Checking what is there", len(begun)) as bar,
            ThreadPoolExecutor(READERS) as readers,
        ):
            for done, record in enumerate(readers.map(proven, begun), start=1):
                if record is not None:
                    found[record.index] = record
                bar.update(done)
        return found


def write_record(uri: str, record: AnyRecord) -> AnyRecord:
    """Write the record of a file of the folder `uri` that is whole, and return it."""
    write_json(join(uri, record_file(record.entry.file)), record.model_dump(mode="json"))
    return record


def plan_of(uri: str, kind: type[AnyPlan]) -> AnyPlan | None:
    """Return the plan that a folder is for, None if it is vacant.

    Raises:
        ConfigError: the folder is for other work, or holds files and no plan.
        DataError: its plan.json is damaged.
    """
    place = join(uri, PLAN)
    mend = kind.MEND
    if not exists(place):
        if not is_vacant(uri, left=heartbeat.HEARTBEAT):
            raise ConfigError(f"{uri}: holds other files and no {PLAN}; {mend}")
        return None
    content = read_json(place, mend)
    asked = kind.model_fields["kind"].default
    if not isinstance(content, dict) or VERSION not in content:
        raise ConfigError(f"{place}: of nothing that this version makes; {mend}")
    if content.get("kind", asked) != asked:
        raise ConfigError(f"{uri}: holds no {asked} but a {content['kind']}; {mend}")
    return parse(kind, content, place)


def is_for(uri: str, kind: type[FolderPlan]) -> bool:
    """Tell whether a folder says that it is for work of that kind."""
    place = join(uri, PLAN)
    content = read_json(place) if exists(place) else None
    return isinstance(content, dict) and content.get("kind") == kind.model_fields["kind"].default


def _differences(there: object, asked: object, name: str = "") -> Iterator[str]:
    """Yield in words what differs, down to single values."""
    if there == asked:
        return
    old, new = (value.told if isinstance(value, Config) else value for value in (there, asked))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        kinds = {"kind": None} if old.get("kind") != new.get("kind") else {}
        for key in kinds or dict.fromkeys((*old, *new)):  # keys of other kinds do not compare
            inner = f"{name}.{key}" if name else str(key)
            yield from _differences(old.get(key), new.get(key), inner)
    else:
        # Of a thousand shards' rows the first six will do.
        old, new = (reprlib.repr(v) if isinstance(v, tuple | list) else v for v in (old, new))
        yield f"{name} is {old} there, {new} is asked for"
