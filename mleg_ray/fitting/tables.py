"""All columns of a file, whatever it holds: their names, their numbers, and which have none."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mleg_ray.catalog.sources.files import unpacked
from mleg_ray.catalog.sources.readers import (
    Content,
    FileFormat,
    Lists,
    arrow_table,
    kind_of,
    read_table,
)
from mleg_ray.errors import DataError, UserError, library
from mleg_ray.events import COUNT

HEAD = 65_536  # bytes of a text table that tell its form
DELIMITERS = (",", ";", "\t", "|", " ")
BRACKETS = "()[]"
COMMENT = "#"


@dataclass(frozen=True)
class Table:
    """The columns of a file by name, or by number where it has no names, and how it is read.

    `faults` are the columns that cannot be read as numbers, with the reason.
    """

    format: FileFormat
    columns: Mapping[str, Content]
    faults: Mapping[str, str]

    @property
    def named(self) -> bool:
        """Whether the file names its columns; else they are numbers from 0, as texts."""
        return not all(name.isdecimal() for name in (*self.columns, *self.faults))

    def key(self, name: str) -> str | int:
        """Return what the source of an entry calls a column."""
        return name if self.named else int(name)


def read_all(uri: str) -> Table:
    """Read all columns of a file; those that are no finite numbers are left out, and told.

    Raises:
        DataError: there is no event, or not a single column can be read.
        UserError: see `read_table`.
    """
    file_format, names = _form(uri)
    keys = names if file_format.kind != "text" or file_format.header else range(len(names))
    columns, faults = _read(uri, tuple(keys), file_format)
    if not columns:
        raise DataError(next(iter(faults.values()), f"{uri}: has no columns"))
    if not len(next(iter(columns.values()))):
        raise DataError(f"{uri}: has no events")
    return Table(file_format, columns, faults)


def _read(
    uri: str, keys: Sequence[str | int], file_format: FileFormat
) -> tuple[dict[str, Content], dict[str, str]]:
    """Read columns at once; where one is at fault, find it by halves."""
    try:
        table = read_table(uri, keys, file_format)
    except DataError as error:
        if len(keys) == 1:
            return {}, {str(keys[0]): str(error)}
        half = len(keys) // 2
        first, second = (_read(uri, part, file_format) for part in (keys[:half], keys[half:]))
        return first[0] | second[0], first[1] | second[1]
    return {str(key): content for key, content in table.items()}, {}


def _form(uri: str) -> tuple[FileFormat, list[str]]:
    """Return how a file is to be read, and the names of its columns."""
    with unpacked(uri) as (stream, _):
        kind = kind_of(uri, stream)
        if kind == "parquet":
            return FileFormat(kind=kind), _arrow_names(pq.ParquetFile(stream).schema_arrow)
        if kind in ("arrow", "jsonl"):
            return FileFormat(kind=kind), _arrow_names(arrow_table(uri, stream, kind).schema)
        if kind == "numpy":
            return FileFormat(kind="numpy"), _numpy_names(np.load(stream, allow_pickle=False))
        if kind == "hdf5":
            h5py = library("h5py", f"{uri}: HDF5")
            with h5py.File(stream, "r") as file:
                return _hdf5_form(file, h5py)
        if kind == "root":
            uproot = library("uproot", f"{uri}: ROOT")
            with uproot.open(stream) as file:
                return _root_form(uri, file)
        return _text_form(uri, stream.read(HEAD))


def _text_form(uri: str, head: bytes) -> tuple[FileFormat, list[str]]:
    """Tell the delimiter by the most cells in a line, a header by what is no number.

    The names stand in the first line, or in the last comment before it, as NumPy writes them.
    """
    text = head.decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = lines[:-1] if len(head) == HEAD else lines  # the last one may be cut
    rows = [line for line in lines if not line.startswith(COMMENT)]
    if not rows:
        raise DataError(f"{uri}: has no events")
    above = [line.lstrip(f"{COMMENT} ") for line in lines[: lines.index(rows[0])]]
    blank = "".join(c for c in BRACKETS if c in rows[-1])

    def cells(line: str, delimiter: str) -> list[str]:
        line = line.translate(dict.fromkeys(map(ord, blank), " "))
        if delimiter == " ":
            return line.split()
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]

    delimiter = max(DELIMITERS, key=lambda d: len(cells(rows[-1], d)))
    names = cells(rows[0], delimiter)
    header = not any(map(_is_number, names))
    if not header and above:
        told = cells(above[-1], delimiter)
        header = len(told) == len(names) and not any(map(_is_number, told))
        names = told if header else names
    if not header:
        names = [str(i) for i in range(len(names))]
    return FileFormat(kind="text", delimiter=delimiter, blank=blank, header=header), names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _arrow_names(schema: pa.Schema) -> list[str]:
    """Return the columns, and of records in lists their fields: jet.pt."""
    names = []
    for field in schema:
        kind = field.type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind):
            names += [f"{field.name}.{part.name}" for part in kind]
        else:
            names.append(field.name)
    return names


def _numpy_names(content: object) -> list[str]:
    if isinstance(content, np.lib.npyio.NpzFile):
        return list(content.files)
    assert isinstance(content, np.ndarray)
    if content.dtype.names:
        return list(content.dtype.names)
    return [str(i) for i in range(content.shape[1] if content.ndim == 2 else 1)]


def _hdf5_form(file: Any, h5py: Any) -> tuple[FileFormat, list[str]]:  # noqa: ANN401
    """Return the columns of the only group, or of the only table, of an HDF5 file."""
    members = dict(file.items())
    group, table = file, None
    if len(members) == 1:
        [(name, only)] = members.items()
        if isinstance(only, h5py.Group) or only.dtype.names or only.ndim == 2:
            group, table = only, name
    file_format = FileFormat(kind="hdf5", table=table)
    if isinstance(group, h5py.Group):
        names = [str(name) for name, it in group.items() if isinstance(it, h5py.Dataset)]
        return file_format, [name for name in names if not name.endswith(f".{COUNT}")]
    return file_format, _numpy_names(group[()])


def _root_form(uri: str, file: Any) -> tuple[FileFormat, list[str]]:  # noqa: ANN401
    kinds = {name.partition(";")[0]: kind for name, kind in file.classnames().items()}
    trees = [name for name, kind in kinds.items() if kind in ("TTree", "ROOT::RNTuple")]
    if len(trees) != 1:
        raise UserError(
            f"{uri}: has {len(trees)} trees: {', '.join(trees) or 'none'}; write the one that is "
            "wanted to a file of its own"
        )
    [tree] = trees
    return FileFormat(kind="root", table=tree), file[tree].keys()


def joined(tables: Sequence[Table], uris: Sequence[str]) -> Table:
    """Return the rows of several files of the same columns as one table.

    Raises:
        DataError: a file has other columns than the first, or is written in another way.
    """
    first = tables[0]
    for table, uri in zip(tables[1:], uris[1:], strict=True):
        if set(table.columns) | set(table.faults) != set(first.columns) | set(first.faults):
            other = {*table.columns, *table.faults} ^ {*first.columns, *first.faults}
            raise DataError(
                f"{uri}: has other columns than {uris[0]}: {', '.join(sorted(other))}; fit files "
                "of one kind at a time"
            )
        if table.format != first.format:
            raise DataError(
                f"{uri}: is written otherwise than {uris[0]}; fit one of both at a time"
            )
    faults = {name: text for table in tables for name, text in table.faults.items()}
    columns: dict[str, Content] = {}
    for name in first.columns:
        if name not in faults:
            columns[name] = _end_to_end([table.columns[name] for table in tables])
    return Table(first.format, columns, faults)


def _end_to_end(parts: Sequence[Content]) -> Content:
    lists = [part for part in parts if isinstance(part, Lists)]
    if lists:
        count = np.concatenate([part.count for part in lists])
        return Lists(count, np.concatenate([part.values for part in lists]))
    return np.concatenate([part for part in parts if not isinstance(part, Lists)])
