"""Read chosen columns of the user's own files, and say exactly where one is at fault."""

import codecs
import csv
import difflib
import io
import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field as Option

from mleg_ray.config import Config
from mleg_ray.errors import DataError, UserError, library
from mleg_ray.events import COUNT, group_of
from mleg_ray.storage import storage_errors

Key = str | int
MANY = 50  # columns that are not listed one by one


@dataclass(frozen=True)
class Lists:
    """A list of numbers for each event: their lengths (n,), and all numbers, event after event."""

    count: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.count)

    def __getitem__(self, rows: NDArray[np.intp]) -> "Lists":
        count = self.count[rows]
        start = np.cumsum(self.count) - self.count
        shift = start[rows] - (np.cumsum(count) - count)
        return Lists(count, self.values[np.repeat(shift, count) + np.arange(count.sum())])


# Numbers (n,), float64; arrays of equal shape for each event (n, ...); or lists.
Content = NDArray[Any] | Lists
Table = dict[Key, Content]

_FORMATS = {
    ".parquet": "parquet",
    ".npy": "numpy",
    ".npz": "numpy",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".root": "root",
}


class FileFormat(Config):
    """How the files are written; `kind` is needed only where the suffix does not tell.

    For text: `delimiter` separates the columns (a blank stands for any run of blanks and tabs),
    `blank` lists characters that are read as blanks, such as parentheses, `header` says whether
    the first line names the columns, and lines that start with `comment` are skipped. For HDF5,
    .npz and ROOT: `table` names the dataset, group, array, TTree or RNTuple that holds the columns;
    in a ROOT file with a single one it need not be named.
    """

    kind: Literal["text", "parquet", "numpy", "hdf5", "root"] | None = None
    delimiter: str = Option(default=",", min_length=1, max_length=1)
    blank: str = ""
    header: bool = False
    comment: str = "#"
    table: str | None = None


def read_table(uri: str, keys: Sequence[Key], file_format: FileFormat) -> Table:
    """Read columns, by name or by number from 0, with an entry for each event.

    A field of records in a Parquet file or RNTuple has the name of its column before it: `jet.pt`.
    In HDF5, flat numbers beside a column with their number in each event, `jet.pt` and `jet.count`,
    are lists, as `mleg convert` writes them.

    Raises:
        DataError: names the file and the column, and the line or row of a number that is NaN,
            infinite, not a number or missing.
        ResourceError: the file cannot be opened.
        UserError: HDF5 or ROOT without the optional packages for it.
    """
    suffix = PurePosixPath(uri).suffix.lower()
    kind = file_format.kind or _FORMATS.get(suffix, "text")
    with storage_errors(uri), fsspec.open(uri, "rb") as stream:
        if kind == "text":
            return _Text(uri, stream.read(), file_format).columns(keys)
        if kind == "parquet":
            columns = _parquet(uri, stream, keys)
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


class _Text:
    """A text table: parsed as a whole by Arrow, and line by line only to explain a fault."""

    def __init__(self, uri: str, content: bytes, file_format: FileFormat) -> None:
        self._uri = uri
        self._format = file_format
        self._content = content
        self._lines = self._cleaned(content)
        first, _, rest = self._lines.partition(b"\n")
        self._names = self._split(first)
        if file_format.header:
            self._lines = rest
        else:
            self._names = [str(i) for i in range(len(self._names))]

    def columns(self, keys: Sequence[Key]) -> Table:
        if not self._lines.strip():
            return {key: np.empty(0) for key in keys}
        positions = {key: _position(self._uri, key, self._names) for key in keys}
        labels = {key: f"c{position}" for key, position in positions.items()}
        try:
            table = pa.csv.read_csv(
                io.BytesIO(self._lines),
                pa.csv.ReadOptions(column_names=[f"c{i}" for i in range(len(self._names))]),
                pa.csv.ParseOptions(delimiter=self._format.delimiter),
                pa.csv.ConvertOptions(
                    include_columns=sorted(set(labels.values())),
                    column_types=dict.fromkeys(labels.values(), pa.float64()),
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid as error:
            raise self._fault(positions) or DataError(f"{self._uri}: {error}") from None
        columns = {key: table[label].to_numpy() for key, label in labels.items()}
        if not all(np.isfinite(values).all() for values in columns.values()):
            fault = self._fault(positions)
            assert fault, "a number that is not finite stands in some line"
            raise fault
        return columns

    def _cleaned(self, content: bytes) -> bytes:
        """Return the table's lines without comments, blank characters and line ends of others."""
        content = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
        for character in self._format.blank.encode():
            content = content.replace(bytes([character]), b" ")
        if self._format.comment:
            comment = re.escape(self._format.comment.encode())
            content = re.sub(rb"(?m)^[ \t]*" + comment + rb".*\n?", b"", content)
        if self._format.delimiter == " ":
            content = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", content)
            content = re.sub(rb"[ \t]+", b" ", content)
        return content.lstrip(b"\n")

    def _split(self, line: bytes) -> list[str]:
        text = line.decode(errors="replace")
        try:
            [cells] = csv.reader([text], delimiter=self._format.delimiter)
        except (csv.Error, ValueError) as error:
            raise DataError(
                f"{self._uri}: not a text table ({error}); set source.format if it is another"
            ) from None
        return [cell.strip() for cell in cells]

    def _fault(self, positions: Mapping[Key, int]) -> DataError | None:
        """Find the first line that is not what it should be; line numbers are the file's own."""
        header = self._format.header
        for number, raw in enumerate(self._content.splitlines(), start=1):
            line = self._cleaned(raw)
            if not line.strip():
                continue
            if header:
                header = False
                continue
            cells = self._split(line)
            where = f"{self._uri}: line {number}"
            if len(cells) != len(self._names):
                return DataError(
                    f"{where} has {len(cells)} columns, not {len(self._names)}; it is truncated "
                    "or written in another format: mend the line or the source's format"
                )
            for key, position in positions.items():
                if not _is_finite(cells[position]):
                    return DataError(
                        f"{where}, column {key!r}: {cells[position]!r} is not a finite number; "
                        "remove or mend this event"
                    )
        return None


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _parquet(uri: str, stream: IO[bytes], keys: Sequence[Key]) -> Table:
    try:
        file = pq.ParquetFile(stream)
        names = file.schema_arrow.names
        columns = {key: names[_position(uri, _outermost(key, names), names)] for key in keys}
        table = file.read(columns=sorted(set(columns.values())))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{uri}: not a whole Parquet file: {error}") from None
    return {
        key: _nested(uri, key, table[name].combine_chunks(), str(key).removeprefix(name))
        for key, name in columns.items()
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
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
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
                content = {str(k): v for k, v in content.items() if isinstance(v, h5py.Dataset)}
            else:
                content = content[()]
            read = _from_arrays(uri, content, keys)
            if isinstance(content, dict):
                read |= _flat_lists(uri, content, read)
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


def _root(uri: str, stream: IO[bytes], keys: Sequence[Key], table: str | None) -> Table:
    """Read branches of a TTree or fields of an RNTuple; lists need no counter."""
    uproot, awkward = library("uproot", f"{uri}: ROOT"), library("awkward", f"{uri}: ROOT")
    try:
        with uproot.open(stream) as file:
            kinds = {name.partition(";")[0]: kind for name, kind in file.classnames().items()}
            trees = [name for name, kind in kinds.items() if kind in ("TTree", "ROOT::RNTuple")]
            if table is None and len(trees) != 1:
                raise DataError(
                    f"{uri}: has {len(trees)} trees: {', '.join(trees) or 'none'}; name one with "
                    "source.format.table"
                )
            name = trees[0] if table is None else table
            tree = _member(uri, {name: file[name] for name in trees}, name)
            names = tree.keys(recursive=kinds[name] == "TTree")
            chosen = {key: names[_position(uri, _outermost(key, names), names)] for key in keys}
            arrays = {
                branch: awkward.to_arrow(tree[branch].array(), extensionarray=False)
                for branch in dict.fromkeys(chosen.values())
            }
    except UserError:
        raise
    except Exception as error:  # whatever altered bytes lead uproot to
        raise DataError(f"{uri}: not a whole ROOT file: {error}") from None
    return {
        key: _nested(uri, key, arrays[branch], str(key).removeprefix(branch))
        for key, branch in chosen.items()
    }


def _member(uri: str, members: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any array
    if name not in members:
        raise DataError(f"{uri}: no table '{name}'; it has {', '.join(members)}")
    return members[name]


def _from_arrays(uri: str, content: Any, keys: Sequence[Key]) -> Table:  # noqa: ANN401
    """Pick columns of named arrays, of a structured array, or of a matrix (rows, columns).

    An array of more axes is one column, number 0.
    """
    if isinstance(content, dict):
        columns = content
    elif content.dtype.names:
        columns = {name: content[name] for name in content.dtype.names}
    elif content.ndim == 2:
        columns = {str(i): column for i, column in enumerate(content.T)}
    elif content.ndim > 2:
        columns = {"0": content}
    else:
        raise DataError(f"{uri}: an array of shape {content.shape} is no table (rows, columns)")
    names = list(columns)
    chosen = {key: columns[names[_position(uri, key, names)]][()] for key in keys}
    return {key: _arrays(uri, key, values) for key, values in chosen.items()}


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


def _position(uri: str, key: Key, names: Sequence[str]) -> int:
    """Return where a column stands, counted from 0."""
    if isinstance(key, int) and 0 <= key < len(names):
        return key
    if isinstance(key, str) and key in names:
        if names.count(key) > 1:
            raise DataError(
                f"{uri}: {names.count(key)} columns are called {key!r}; name its number"
            )
        return names.index(key)
    told = f"{uri}: no column {key!r}; it has {len(names)} columns"
    if len(names) > MANY and isinstance(key, str):
        alike = difflib.get_close_matches(key, names, 5)
        raise DataError(f"{told}; alike are {', '.join(alike) or 'none'}")
    numbers = "" if isinstance(key, int) else " (numbers count from 0)"
    raise DataError(f"{told}: {', '.join(names)}{numbers}")


def _numbers(uri: str, key: Key, values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in double precision; arrays, which need more memory, in their own."""
    if values.dtype.kind not in "fiub":
        raise DataError(
            f"{uri}: column {key!r} holds {values.dtype} of shape {values.shape}, not numbers"
        )
    return values.astype(np.float64) if values.ndim == 1 else values


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
