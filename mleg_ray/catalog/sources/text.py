"""Text tables: parsed as a whole by Arrow, and line by line only to explain a fault."""

import codecs
import contextlib
import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from mleg_ray.errors import DataError

# Numbers of Fortran in double precision, 0.15D+01, at the end or within a line.
FORTRAN = r"(?<=[\d.])[dD](?=[+-]?\d)"
PLUS = rb"(?<![\d.eE])\+(?=[\d.])"  # before a number, where Arrow knows none
EXACT = 2.0**53  # up to which double precision holds all whole numbers
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?|[+-]?\d{1,3}(,\d{3})+\.\d*")
DELIMITERS = {";": "semicolons", "\t": "tabs", ",": "commas", " ": "blanks"}


class TextFormat(Protocol):
    """What must be known of a text table, see `readers.FileFormat`."""

    delimiter: str
    blank: str
    header: bool
    comment: str


class Text:
    """A text table: the `names` of its columns, or their numbers from 0, and its `lines`."""

    def __init__(self, uri: str, content: bytes, file_format: TextFormat) -> None:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError(f"{uri}: is written in UTF-16; save it as UTF-8")
        if b"\0" in content:
            raise DataError(f"{uri}: is no text; if it is another format, set source.format.kind")
        self._uri = uri
        self._format = file_format
        self._content = content.removeprefix(codecs.BOM_UTF8)
        self.lines = self._cleaned(self._content)
        first, _, rest = self.lines.partition(b"\n")
        self._first = cells = self._split(first)
        self.names = [str(i) for i in range(len(cells))]
        # Whether the first line that is no comment has the names.
        self._named = file_format.header and not all(map(_is_finite, cells))
        if self._named:
            self.names = cells
            self.lines = rest
        elif file_format.header and first:
            self.names = self._commented(cells)

    def mend(self) -> str:
        """Return what to do about a column that is not there; empty if nothing is known."""
        if len(self.names) == 1 and (mend := self._other_delimiter(self._first[0])):
            return mend
        if self._format.header:
            return ""
        return "if a line names the columns, say source.format.header = true"

    def numbers(self, positions: Mapping[int, object]) -> dict[int, NDArray[np.generic]]:
        """Return the columns (n,) at some positions, which are called by their values in errors.

        They are in double precision, or whole numbers if this would round them.
        """
        try:
            try:
                columns = self._parsed(self.lines, positions, pa.float64())
            except pa.ArrowInvalid:
                plain = re.sub(PLUS, b"", re.sub(FORTRAN.encode(), b"e", self.lines))
                if plain == self.lines:
                    raise
                columns = self._parsed(plain, positions, pa.float64())
        except pa.ArrowInvalid as error:
            raise self._fault(positions) or DataError(f"{self._uri}: {error}") from None
        if not all(np.isfinite(values).all() for values in columns.values()):
            fault = self._fault(positions)
            assert fault, "a number that is not finite stands in some line"
            raise fault
        for position, values in columns.items():
            if (np.abs(values) >= EXACT).any():
                columns[position] = self._whole(position, values)
        return columns

    def _whole(self, position: int, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return a column as whole numbers, or its `values` where a type of such has not all."""
        for kind in (pa.int64(), pa.uint64()):
            with contextlib.suppress(pa.ArrowInvalid):
                return self._parsed(self.lines, [position], kind)[position]
        return values

    def _parsed(
        self, lines: bytes, positions: Mapping[int, object] | Sequence[int], kind: pa.DataType
    ) -> dict[int, NDArray[np.generic]]:
        labels = {position: f"c{position}" for position in positions}
        table = pa.csv.read_csv(
            io.BytesIO(lines),
            pa.csv.ReadOptions(column_names=[f"c{i}" for i in range(len(self.names))]),
            pa.csv.ParseOptions(delimiter=self._format.delimiter),
            pa.csv.ConvertOptions(
                include_columns=sorted(labels.values()),
                column_types=dict.fromkeys(labels.values(), kind),
                null_values=[],
            ),
        )
        return {position: table[label].to_numpy() for position, label in labels.items()}

    def _cleaned(self, content: bytes) -> bytes:
        """Return the table's lines without comments, blank characters and line ends of others."""
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        for character in self._format.blank.encode():
            content = content.replace(bytes([character]), b" ")
        if self._format.comment:
            comment = re.escape(self._format.comment.encode())
            content = re.sub(rb"(?m)^[ \t]*" + comment + rb".*\n?", b"", content)
        if self._format.delimiter == " ":
            content = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", content)
            content = re.sub(rb"[ \t]+", b" ", content)
        else:
            content = re.sub(rb"(?m)^ +$", b"", content)
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

    def _commented(self, cells: Sequence[str]) -> list[str]:
        """Return names from the last comment before the first event, as NumPy writes them.

        Raises:
            DataError: there is none of as many names as there are numbers in the first line, nor
                are these numbers the columns' own, 0, 1, 2 ...
        """
        comment = self._format.comment
        last = b""
        for number, line in enumerate(self._content.splitlines(), start=1):
            if self._cleaned(line).strip():
                where = f"{self._uri}: line {number}"
                break
            if comment and line.strip().startswith(comment.encode()):
                last = line.strip().removeprefix(comment.encode())
        names = self._split(self._cleaned(last))
        if len(names) == len(cells) and not all(map(_is_finite, names)):
            return names
        if list(cells) == self.names:  # as pandas names columns that have no other names
            self.lines = self.lines.partition(b"\n")[2]
            self._named = True
            return self.names
        raise DataError(
            f"{where} has numbers only, and no comment before it has "
            f"{len(cells)} names, though source.format.header = true says that columns have names; "
            "leave it out, and name columns by their numbers from 0"
        )

    def _fault(self, positions: Mapping[int, object]) -> DataError | None:
        """Find the first line that is not what it should be; line numbers are the file's own."""
        named, first = self._named, True
        for number, raw in enumerate(self._content.splitlines(), start=1):
            line = self._cleaned(raw)
            if not line.strip():
                continue
            if named:
                named = False
                continue
            cells = self._split(line)
            where = f"{self._uri}: line {number}"
            if len(cells) != len(self.names):
                return DataError(
                    f"{where} has {len(cells)} columns, not {len(self.names)}; it is truncated "
                    "or written in another format: mend the line or the source's format"
                )
            for position, key in positions.items():
                if not _is_finite(cells[position]):
                    mend = self._mend(cells, cells[position], first=first)
                    return DataError(
                        f"{where}, column {key!r}: {cells[position]!r} is not a finite number; "
                        f"{mend}"
                    )
            first = False
        return None

    def _mend(self, cells: Sequence[str], cell: str, *, first: bool) -> str:
        """Return what to do about a cell that is no number."""
        if DECIMAL_COMMA.fullmatch(cell):
            return "it has a comma: write decimal points, and nothing between thousands" + (
                ", or if commas separate columns, say source.format.delimiter = ','"
            ) * (self._format.delimiter != ",")
        if mend := self._other_delimiter(cell):
            return mend
        if first and not self._format.header and not any(map(_is_finite, cells)):
            return "if this line names the columns, say source.format.header = true"
        return "remove or mend this event"

    def _other_delimiter(self, cell: str) -> str:
        """Return what to do about a cell that looks like several columns; empty if it does not."""
        for delimiter, name in DELIMITERS.items():
            parts = cell.split(None if delimiter == " " else delimiter)
            if delimiter != self._format.delimiter and len(parts) > 1:
                return f"if {name} separate columns, say source.format.delimiter = {delimiter!r}"
        return ""


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(re.sub(FORTRAN, "e", text)))
    except ValueError:
        return False
