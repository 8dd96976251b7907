"""Files of the user's own that sources read."""

import bz2
import contextlib
import functools
import gzip
import lzma
import os
import shutil
import tempfile
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import IO, Any, cast

import pyarrow as pa

from mleg_ray.catalog.codec import Columns
from mleg_ray.catalog.sources.base import Source, cut
from mleg_ray.catalog.sources.images import Found, constant
from mleg_ray.config import Config
from mleg_ray.errors import DataError
from mleg_ray.storage import (
    absolute,
    exists,
    is_folder,
    is_remote,
    join,
    matching,
    opened,
    sha256_of,
    size,
)

ROOT_VARIABLE = "MLEG_IMPORT_ROOT"
PACKED = (".gz", ".bz2", ".xz", ".zst")


class InputFiles(Config):
    """One file, all that a glob pattern matches, or a folder of Parquet; what is constant in them.

    `constants` are in the schema's units: a beam energy that only the file's name tells, say.
    """

    path: str
    constants: dict[str, float] = {}


@dataclass(frozen=True)
class Input:
    """One file to read, and the entry of the catalog that names it."""

    uri: str
    entry: InputFiles

    @functools.cached_property
    def sha256(self) -> str:
        """The SHA-256 of its content, read once."""
        return sha256_of(self.uri)

    def provenance(self) -> dict[str, Any]:
        """Return the file's path as the catalog names it, its size and its SHA-256."""
        told = {"path": self.entry.path, "name": self.uri.rsplit("/", 1)[-1]}
        return told | {"bytes": size(self.uri), "sha256": self.sha256}


def inputs(files: Sequence[InputFiles], root: str | None) -> list[Input]:
    """Return all files, those of a pattern sorted by name.

    Relative paths start at `root`, else at the environment's `MLEG_IMPORT_ROOT`, else at the
    working directory.

    Raises:
        DataError: a file is absent, or named twice: by two patterns, as a link, or as a copy.
    """
    start = absolute(root or os.environ.get(ROOT_VARIABLE) or ".")
    found = [Input(uri, entry) for entry in files for uri in _matches(start, entry.path)]
    _require_different(found)
    return found


def _require_different(found: Sequence[Input]) -> None:
    """Raise `DataError` if two files hold the same: their events would count twice."""
    sizes = [size(file.uri) for file in found]
    times = Counter(sizes)
    seen: dict[str, Input] = {}
    for file, length in zip(found, sizes, strict=True):
        if times[length] == 1 or not length:  # only files of one size can be the same
            continue
        if (other := seen.setdefault(file.sha256, file)) is not file:
            raise DataError(
                f"{file.uri}: is {other.uri} once more, by a second pattern, a link or a copy, and "
                "its events would count twice; name each file once in source.files"
            )


def _matches(root: str, path: str) -> list[str]:
    place = path if is_remote(path) else join(root, path)
    found = [place] if exists(place) else matching(place)
    # A folder of Parquet, as Spark and Dask write it, stands for the files in it.
    found = [
        file
        for uri in found
        for file in (matching(join(uri, "*.parquet")) if is_folder(uri) else [uri])
    ]
    if not found and (parts := matching(join(place, "*=*"))):
        raise DataError(
            f"{place}: is a folder of Hive partitions, such as {parts[0].rsplit('/', 1)[-1]}; name "
            "the files of each with its value among the constants, in source.files"
        )
    if not found:
        raise DataError(
            f"{place}: no such file, and no folder of Parquet; relative paths start at the entry's "
            f"source.root, else at the environment variable {ROOT_VARIABLE}, else at the working "
            "directory"
        )
    return found


@contextlib.contextmanager
def unpacked(uri: str) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """Give the block a file to read, unpacked if it begins as one of gzip, bzip2, xz or Zstandard.

    Beside it stands what tells the place in the file that is packed.

    Raises:
        DataError: what is packed is truncated or damaged.
        ResourceError: the file cannot be opened.
    """
    with opened(uri) as raw:
        head = raw.read(max(map(len, UNPACKED)))
        raw.seek(0)
        unpack = next((how for begin, how in UNPACKED.items() if head.startswith(begin)), None)
        if unpack is None:
            yield raw, raw.tell
            return
        try:
            with unpack(raw) as stream:
                yield stream, raw.tell
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise DataError(
                f"{uri}: a truncated or damaged packed file: {error}; copy it again"
            ) from None


def _zstandard(raw: IO[bytes]) -> IO[bytes]:
    """Return what is packed as a file on disk, for in what is packed no place can be found."""
    # Arrow closes what it reads from when it has read it, and the place in it is asked for later.
    kept = SimpleNamespace(read=raw.read, closed=False, close=lambda: None)
    with contextlib.ExitStack() as closing:
        whole = closing.enter_context(tempfile.TemporaryFile())
        stream = pa.CompressedInputStream(pa.PythonFile(kept, "r"), "zstd")
        shutil.copyfileobj(stream, whole)
        whole.seek(0)
        closing.pop_all()  # whoever reads it closes it
    return whole


# What unpacks a file, by what it begins with.
UNPACKED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda raw: cast("IO[bytes]", gzip.GzipFile(fileobj=raw)),
    b"BZh": lambda raw: cast("IO[bytes]", bz2.BZ2File(raw)),
    b"\xfd7zXZ\0": lambda raw: cast("IO[bytes]", lzma.LZMAFile(raw)),  # noqa: SIM115
    b"\x28\xb5\x2f\xfd": _zstandard,
}


class FileStretches(Source):
    """One stratum a file; a shard is a stretch of one, in its order, so that nothing is drawn.

    Splits take turns along the file.
    """

    def __init__(self, files: Sequence[Input], shard_events: int) -> None:
        self._inputs = files
        self._shard_events = shard_events
        self._found: list[Found] = []
        self._rows: list[list[int]] = []

    @abstractmethod
    def examine(self, file: Input) -> Found:
        """Read a file through and check all of its events; `DataError` of what is wrong."""

    @abstractmethod
    def read(self, file: Input, start: int, stop: int) -> Columns:
        """Return the events of a file from `start` to `stop` in the units of the schema."""

    def shard_rows(self) -> Sequence[Sequence[int]]:
        """Return the rows of each shard, one stratum a file; every file is read and checked."""
        if not self._rows:
            self._found = [self.examine(file) for file in self._inputs]
            self._rows = [cut(found.events, self._shard_events) for found in self._found]
        return self._rows

    def shard(self, index: int) -> Columns:
        """Return the events of one stretch of a file."""
        stratum, number = self.locate(index)
        rows = self._rows[stratum]
        start = sum(rows[:number])
        return self.read(self._inputs[stratum], start, start + rows[number])

    def seed(self, index: int) -> int:
        """Return 0: nothing is drawn."""
        return 0

    def provenance(self) -> dict[str, Any]:
        """Return each file's path as the catalog names it, its size and SHA-256."""
        return {"files": [file.provenance() for file in self._inputs]}

    def constants(self) -> dict[str, tuple[float, float]]:
        """Return the conditions that are the same in all events of all files."""
        return constant(self._found)
