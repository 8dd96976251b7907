"""Read chosen columns of the user's own files, and say exactly where one is at fault."""

import codecs
import difflib
import io
import re
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field as Option

from mleg_ray.catalog.sources.files import PACKED, unpacked
from mleg_ray.catalog.sources.text import EXACT, Text
from mleg_ray.config import Config
from mleg_ray.errors import DataError, UserError, library
from mleg_ray.events import COUNT, group_of

Key = str | int
Kind = Literal["text", "parquet", "arrow", "jsonl", "numpy", "hdf5", "root"]
MANY = 50  # columns that are not listed one by one


@dataclass(frozen=True)
class Lists:
    """A list of numbers for each event: their lengths (n,), and all numbers, event after event."""

    count: NDArray[np.int64]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, rows: NDArray[np.intp]) -> "Lists":
        count = self.count[rows]
        start = np.cumsum(self.count) - self.count
        shift = start[rows] - (np.cumsum(count) - count)
        return Lists(count, self.values[np.repeat(shift, count) + np.arange(count.sum())])


# Numbers (n,); arrays of equal shape for each event (n, ...); or lists.
Content = NDArray[Any] | Lists
Table = dict[Key, Content]

SUFFIXES: dict[str, Kind] = {
    **dict.fromkeys((".parquet", ".pq", ".parq"), "parquet"),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), "arrow"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".npy", ".npz"), "numpy"),
    **dict.fromkeys((".h5", ".hdf5", ".hdf"), "hdf5"),
    ".root": "root",
}
ARROW, ROOT = b"ARROW1", b"root"
# What a file of any name begins with.
BEGINNINGS: dict[bytes, Kind] = {
    b"PAR1": "parquet",
    ARROW: "arrow",
    b"\x93NUMPY": "numpy",
    b"\x89HDF": "hdf5",
    ROOT: "root",
}
FORMATS = "text, Parquet, Arrow (Feather), JSON lines, NumPy, HDF5 and ROOT"
PARTICLES = "has particles: source.kind = 'records' reads it"
PICKLE = "would run whatever program it holds, and is not read; write Parquet or .npz"
SHEET = "is a spreadsheet; save it as CSV UTF-8"
# What is not read, and what to do.
UNREAD = {
    **dict.fromkeys((".lhe", ".hepmc", ".hepmc3"), PARTICLES),
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".pt", ".pth"), PICKLE),
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), SHEET),
    ".json": "is one document of JSON; write a line for each event, .jsonl",
    ".zip": "is an archive; unpack it",
    ".tar": "is an archive; unpack it",
}


class FileFormat(Config):
    """How the files are written; `kind` is needed only where neither suffix nor content tells.

    For text: `delimiter` separates the columns (a blank stands for any run of blanks and tabs),
    `blank` lists characters that are read as blanks, such as parentheses, `header` says whether
    the first line, or the last comment before it, names the columns, and lines that start with
    `comment` are skipped. For HDF5, .npz and ROOT: `table` names the dataset, group, array, TTree
    or RNTuple that holds the columns; in a ROOT file with a single one it need not be named. Files
    packed by gzip, bzip2, xz or Zstandard are unpacked, whatever they hold.
    """

    kind: Kind | None = None
    delimiter: str = Option(default=",", min_length=1, max_length=1)
    blank: str = ""
    header: bool = False
    comment: str = "#"
    table: str | None = None


def read_table(uri: str, keys: Sequence[Key], file_format: FileFormat) -> Table:
    """Read columns, by name or by number from 0, with an entry for each event.

    Numbers are in double precision, or whole numbers of which it does not hold all; arrays keep
    their own. A field of records in Parquet, Arrow, JSON or an RNTuple has the name of its column
    before it: `jet.pt`. In HDF5, flat numbers beside a column with their number in each event,
    `jet.pt` and `jet.count`, are lists, as `mleg convert` writes them.

    Raises:
        DataError: names the file and the column, and the line or row of a number that is NaN,
            infinite, not a number or missing; or the file is of no format that is read.
        ResourceError: the file cannot be opened.
        UserError: HDF5 or ROOT without the optional packages for it.
    """
    with unpacked(uri) as (stream, _):
        kind = file_format.kind or kind_of(uri, stream)
        if kind == "text":
            return _text(uri, stream, keys, file_format)
        if kind == "parquet":
            columns = _parquet(uri, stream, keys)
        elif kind in ("arrow", "jsonl"):
            table = arrow_table(uri, stream, kind)
            columns = _chosen(uri, keys, table.column_names, lambda i: map(table.column, i))
        elif kind == "numpy":
            columns = _numpy(uri, stream, keys, file_format.table)
        elif kind == "root":
            columns = _root(uri, stream, keys, file_format.table)
        else:
            columns = _hdf5(uri, stream, keys, file_format.table)
    lengths = {key: len(content) for key, content in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"{uri}: columns differ in length: {lengths}")
    for key, content in columns.items():
        _require_finite(uri, key, content)
    return columns


def kind_of(uri: str, stream: IO[bytes]) -> Kind:
    """Return the format of an unpacked file, by its suffix or by what it begins with.

    Raises:
        DataError: it is of a format that is not read.
    """
    suffixes = [suffix.lower() for suffix in PurePosixPath(uri).suffixes]
    suffix = next((s for s in reversed(suffixes) if s not in PACKED), "")
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if suffix in UNREAD:
        raise DataError(f"{uri}: {UNREAD[suffix]}; columns are read of {FORMATS}")
    head = stream.read(max(map(len, BEGINNINGS)))
    stream.seek(0)
    return next((kind for begin, kind in BEGINNINGS.items() if head.startswith(begin)), "text")


def _text(uri: str, stream: IO[bytes], keys: Sequence[Key], file_format: FileFormat) -> Table:
    text = Text(uri, stream.read(), file_format)
    if not text.lines:
        return {key: np.empty(0) for key in keys}
    positions = {key: _position(uri, key, text.names, text.mend()) for key in keys}
    columns = text.numbers({position: key for key, position in positions.items()})
    return {key: columns[position] for key, position in positions.items()}


def _parquet(uri: str, stream: IO[bytes], keys: Sequence[Key]) -> Table:
    try:
        file = pq.ParquetFile(stream)
        names = file.schema_arrow.names

        def read(chosen: Sequence[int]) -> list[pa.ChunkedArray]:
            if len(set(names)) < len(names):  # a name does not tell which one is meant
                return [file.read().column(i) for i in chosen]
            table = file.read(columns=[names[i] for i in chosen])
            return [table[names[i]] for i in chosen]

        return _chosen(uri, keys, names, read)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{uri}: not a whole Parquet file: {error}") from None


def arrow_table(uri: str, stream: IO[bytes], kind: Kind) -> pa.Table:
    """Return the table of an Arrow file or stream, or of JSON lines.

    Raises:
        DataError: it is damaged, or something else.
    """
    try:
        if kind == "jsonl":
            content = stream.read().removeprefix(codecs.BOM_UTF8)
            if not content.strip():
                raise DataError(f"{uri}: no events; remove the file, or name the others alone")
            # In one block, for a line may not reach into the next one.
            options = pyarrow.json.ReadOptions(block_size=len(content))
            return pyarrow.json.read_json(io.BytesIO(content), options)
        begins = stream.read(len(ARROW))
        stream.seek(0)
        source = pa.PythonFile(stream, "r")
        if begins.startswith((ARROW, b"FEA1")):
            return pyarrow.feather.read_table(source)
        return pa.ipc.open_stream(source).read_all()  # which has no beginning of its own
    except (pa.ArrowException, OSError) as error:
        what = "a JSON object in each line" if kind == "jsonl" else "a whole file of Arrow"
        raise DataError(f"{uri}: not {what}: {error}") from None


def _chosen(
    uri: str,
    keys: Sequence[Key],
    names: Sequence[str],
    read: Callable[[Sequence[int]], Iterable[pa.ChunkedArray]],
) -> Table:
    """Return what keys name of an Arrow table, of which `read` returns the chosen columns."""
    positions = {key: _position(uri, _outermost(key, names), names) for key in keys}
    chosen = sorted(set(positions.values()))
    columns = dict(zip(chosen, read(chosen), strict=True))
    return {
        key: _nested(uri, key, columns[i].combine_chunks(), str(key).removeprefix(names[i]))
        for key, i in positions.items()
    }


def _outermost(key: Key, names: Sequence[str]) -> Key:
    """Return the column that a key such as `jet.pt` leads into, if there is none of that name."""
    outer = str(key).partition(".")[0]
    return outer if key not in names and outer in names else key


def _nested(uri: str, key: Key, array: pa.Array, path: str) -> Content:
    """Return the numbers of an Arrow array, of its lists, or of the fields of its records.

    `path` are the names of fields, each behind a dot.
    """
    parts = path.split(".")[1:]
    levels: list[NDArray[np.int64] | int] = []  # of lists: their lengths, one if all are of a size
    rows = len(array)
    while True:
        kind = array.type
        if isinstance(kind, pa.FixedShapeTensorType):
            _require_whole(uri, key, array, levels, rows)
            if list(kind.permutation or ()) not in ([], [*range(len(kind.shape))]):
                raise DataError(
                    f"{uri}: column {key!r} holds arrays whose axes are stored in another order; "
                    "write them in the order of their shape"
                )
            levels += kind.shape
            array = array.storage.flatten()
        elif isinstance(kind, pa.BaseExtensionType):
            array = array.storage
        elif pa.types.is_dictionary(kind):
            array = array.dictionary_decode()
        elif pa.types.is_struct(kind):
            names = [field.name for field in kind]
            if not parts or parts[0] not in names:
                raise DataError(
                    f"{uri}: column {key!r} leads to records of {', '.join(names)}; name one of "
                    f"these behind a dot, as '{str(key).removesuffix(path)}.{names[0]}'"
                )
            _require_whole(uri, key, array, levels, rows)
            array = array.field(parts.pop(0))
        elif pa.types.is_fixed_size_list(kind):
            _require_whole(uri, key, array, levels, rows)
            levels.append(kind.list_size)
            array = array.flatten()
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            _require_whole(uri, key, array, levels, rows)
            levels.append(array.value_lengths().to_numpy().astype(np.int64))
            array = array.flatten()
        else:
            break
    if parts:
        raise DataError(f"{uri}: column {key!r}: {kind} has no field '{parts[0]}'")
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        array = array.cast(pa.float64())  # NumPy has none of these, and empty lists are of nulls
    values = array.to_numpy(zero_copy_only=False)
    if len(levels) == 1 and isinstance(levels[0], np.ndarray):
        return Lists(levels[0], _numbers(uri, key, values))
    sizes = [np.unique(lengths) for lengths in levels]
    if any(len(size) > 1 for size in sizes):
        raise DataError(
            f"{uri}: column {key!r} holds lists of lists of different lengths; a field of a group "
            "needs one list of numbers an event, an image lists of one size"
        )
    shape = [int(size[0]) if len(size) else 0 for size in sizes]
    return _numbers(uri, key, values.reshape(rows, *shape))


def _require_whole(
    uri: str, key: Key, array: pa.Array, levels: Sequence[NDArray[np.int64] | int], rows: int
) -> None:
    """Raise `DataError` if a list or record is missing; `levels` of lists lead from rows to it."""
    if array.null_count:
        owner = np.arange(rows)
        for lengths in levels:
            owner = np.repeat(owner, lengths)
        events = np.unique(owner[array.is_null().to_numpy(zero_copy_only=False)])
        raise DataError(
            f"{uri}: row {events[0]} (from 0), column {key!r}: a {array.type} is missing "
            f"({len(events)} such rows); remove or mend these events"
        )


# What NumPy and h5py raise of files with altered bytes.
DAMAGES = (
    *(ValueError, KeyError, RuntimeError, NotImplementedError, EOFError, OSError),
    *(TypeError, IndexError, zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def _numpy(uri: str, stream: IO[bytes], keys: Sequence[Key], table: str | None) -> Table:
    try:
        content = np.load(stream, allow_pickle=False)
        if isinstance(content, np.lib.npyio.NpzFile):
            content = {name: content[name] for name in content.files}
    except DAMAGES as error:
        raise DataError(f"{uri}: not a whole NumPy file of plain numbers: {error}") from None
    if table and isinstance(content, dict):
        content = _member(uri, content, table)
    return _from_arrays(uri, content, keys)


def _hdf5(uri: str, stream: IO[bytes], keys: Sequence[Key], table: str | None) -> Table:
    h5py = library("h5py", f"{uri}: HDF5")
    try:
        with h5py.File(stream, "r") as file:
            content = _member(uri, file, table) if table else file
            if isinstance(content, h5py.Group):
                content = {str(k): v for k, v in content.items()}
            else:
                content = content[()]
            read = _from_arrays(uri, content, keys, f"{table}/" if table else "")
            if isinstance(content, dict):
                read |= _flat_lists(uri, _columns_of(content), read)
            return read
    except UserError:
        raise
    except DAMAGES as error:
        raise DataError(f"{uri}: not a whole HDF5 file: {error}") from None


def _flat_lists(uri: str, columns: Mapping[str, Any], read: Table) -> Table:
    """Return as lists what was read of groups whose counts stand beside it."""
    lists: Table = {}
    names = list(columns)
    for key, values in read.items():
        name = names[key] if isinstance(key, int) else key
        counter = f"{group_of(name)}.{COUNT}"
        if name == counter or counter not in columns or not isinstance(values, np.ndarray):
            continue
        count = np.asarray(columns[counter][()])
        counts = count.dtype.kind in "iu" and count.ndim == 1 and (count >= 0).all()
        if not counts or count.sum() != len(values):
            raise DataError(
                f"{uri}: column {key!r} has {len(values):,} numbers, and '{counter}' does not "
                "count as many; the file is damaged, or written in another way"
            )
        lists[key] = Lists(count.astype(np.int64), values)
    return lists


TREE = "TTree"
TREES = (TREE, "ROOT::RNTuple")
# What uproot says of the file beside what is wrong with it.
OF_UPROOT = re.compile(r"\s+(?:for file path|in file) <.*", re.DOTALL)


def _root(uri: str, stream: IO[bytes], keys: Sequence[Key], table: str | None) -> Table:
    """Read branches of a TTree or fields of an RNTuple; lists need no counter."""
    uproot, awkward = library("uproot", f"{uri}: ROOT"), library("awkward", f"{uri}: ROOT")
    begins = stream.read(len(ROOT))
    stream.seek(0)
    if begins != ROOT:
        raise DataError(f"{uri}: no ROOT file: it begins with {begins!r}; copy it again")
    try:
        with uproot.open(stream) as file:
            # A name is that of its newest cycle; ROOT tells older ones by a number: `Events;1`.
            kinds = file.classnames(cycle=False) | file.classnames()
            kinds = {name: kind for name, kind in kinds.items() if kind in TREES}
            trees = [name for name in kinds if ";" not in name]
            if table is None and len(trees) != 1:
                raise DataError(
                    f"{uri}: has {len(trees)} trees: {', '.join(trees) or 'none'}; name one with "
                    "source.format.table"
                )
            name = trees[0] if table is None else table
            kind = _member(uri, kinds, name)
            tree = file[name]
            names = tree.keys(recursive=kind == TREE)
            chosen = {key: names[_position(uri, _outermost(key, names), names)] for key in keys}
            arrays = {
                branch: awkward.to_arrow(tree[branch].array(), extensionarray=False)
                for branch in dict.fromkeys(chosen.values())
            }
    except UserError:
        raise
    except Exception as error:  # whatever altered bytes lead uproot to
        told = " ".join(OF_UPROOT.sub("", str(error)).split())
        raise DataError(f"{uri}: not a whole ROOT file: {told}; copy it again") from None
    return {
        key: _nested(uri, key, arrays[branch], str(key).removeprefix(branch))
        for key, branch in chosen.items()
    }


def _member(uri: str, members: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any array
    if name not in members:
        raise DataError(f"{uri}: no table '{name}'; it has {', '.join(members)}")
    return members[name]


def _from_arrays(
    uri: str,
    content: Any,  # noqa: ANN401 - any array, or a mapping of them
    keys: Sequence[Key],
    within: str = "",
) -> Table:
    """Pick columns of named arrays, of a structured array, or of a matrix (rows, columns).

    An array of more axes is one column, number 0. Names of arrays lie `within` a group.
    """
    tables: list[str] = []
    if isinstance(content, dict):
        columns = _columns_of(content)
        tables = [n for n, m in content.items() if n not in columns or len(m.shape or ()) == 2]
    elif content.dtype.names:
        columns = {name: content[name] for name in content.dtype.names}
    elif content.ndim == 2:
        columns = {str(i): column for i, column in enumerate(content.T)}
    elif content.ndim > 2:
        columns = {"0": content}
    else:
        raise DataError(f"{uri}: an array of shape {content.shape} is no table (rows, columns)")
    names = list(columns)
    places = ", ".join(f"{within}{name}" for name in tables)
    mend = f"name a table in it with source.format.table: {places}" if tables else ""
    chosen = {key: names[_position(uri, key, names, mend)] for key in keys}
    for key, name in chosen.items():
        if isinstance(key, int) and name in tables:
            raise DataError(
                f"{uri}: column {key} is all of the matrix '{name}'; {mend}, or if each row is one "
                "entry of an event, give the column that name"
            )
    return {key: _arrays(uri, key, columns[name][()]) for key, name in chosen.items()}


def _columns_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of named arrays, groups and tables that may be columns."""
    return {
        name: member
        for name, member in members.items()
        if hasattr(member, "shape") and not member.dtype.names
    }


def _arrays(uri: str, key: Key, values: NDArray[Any]) -> Content:
    """Return numbers or arrays; lists, of HDF5's arrays of arrays of any length."""
    if not isinstance(values, np.ndarray):  # as HDF5 has one number, or a place for none
        raise DataError(f"{uri}: column {key!r} has not one entry for each event: it is {values!r}")
    if values.dtype == object and values.ndim == 1 and len(values):
        lists = [np.asarray(row) for row in values]
        if all(row.ndim == 1 for row in lists):
            count = np.array([len(row) for row in lists], dtype=np.int64)
            return Lists(count, _numbers(uri, key, np.concatenate(lists)))
    return _numbers(uri, key, values)


def _position(uri: str, key: Key, names: Sequence[str], mend: str = "") -> int:
    """Return where a column stands, counted from 0; `mend` is what to do if it is not there."""
    if isinstance(key, int) and 0 <= key < len(names):
        return key
    if isinstance(key, str) and key in names:
        if names.count(key) > 1:
            raise DataError(
                f"{uri}: {names.count(key)} columns are called {key!r}; name its number"
            )
        return names.index(key)
    told = f"{uri}: no column {key!r}; it has {len(names)} columns"
    mend = mend and f"; {mend}"
    if len(names) > MANY and isinstance(key, str):
        alike = difflib.get_close_matches(key, names, 5)
        raise DataError(f"{told}; alike are {', '.join(alike) or 'none'}{mend}")
    numbers = "" if isinstance(key, int) else " (numbers count from 0)"
    raise DataError(f"{told}: {', '.join(names)}{numbers}{mend}")


def _numbers(uri: str, key: Key, values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as `read_table` does."""
    if values.dtype.kind not in "fiub":
        raise DataError(
            f"{uri}: column {key!r} holds {values.dtype} of shape {values.shape}, not numbers"
        )
    if values.ndim > 1:
        return values
    doubles = values.astype(np.float64)
    rounds = values.dtype.kind in "iu" and np.abs(doubles).max(initial=0) >= EXACT
    return values if rounds else doubles


def _require_finite(uri: str, key: Key, content: Content) -> None:
    values = content.values if isinstance(content, Lists) else content
    bad = np.nonzero(~np.isfinite(values))
    if not len(bad[0]):
        return
    events = bad[0]
    if isinstance(content, Lists):
        events = np.repeat(np.arange(len(content)), content.count)[events]
    raise DataError(
        f"{uri}: row {events[0]} (from 0), column {key!r}: {values[bad][0]} is not a finite "
        f"number ({len(np.unique(events))} such rows); remove or mend these events"
    )
