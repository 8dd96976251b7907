"""Text tables: every way in which programs write them, and what is said of what cannot be read."""

import bz2
import gzip
import lzma

import numpy as np
import pyarrow as pa
import pytest

from mleg_ray.catalog.sources.readers import FileFormat, read_table
from mleg_ray.errors import DataError

A = np.array([1.5, -2.25, 3e-4])
B = np.array([10.0, 20.0, 30.0])
COMMA = b"1.5,10\n-2.25,20\n3e-4,30\n"
PLAIN = FileFormat()
NAMED = FileFormat(header=True)
BLANKS = FileFormat(delimiter=" ", header=True)


def read(folder, content, file_format=PLAIN, keys=(0, 1), name="t.csv"):
    file = folder / name
    file.write_bytes(content)
    return list(read_table(str(file), keys, file_format).values())


def assert_read(columns):
    for found, wanted in zip(columns, (A, B), strict=True):
        np.testing.assert_array_equal(found, wanted)


def zstd(content):
    return pa.Codec("zstd").compress(content, asbytes=True)


@pytest.mark.parametrize(
    ("content", "file_format", "keys"),
    [
        (b"\xef\xbb\xbfa,b\n" + COMMA, NAMED, ("a", "b")),
        (COMMA.replace(b"\n", b"\r"), PLAIN, (0, 1)),
        (b"a,b\r" + COMMA.replace(b"\n", b"\r"), NAMED, ("a", "b")),
        (b"1.5,10\n   \n-2.25,20\n \n3e-4,30\n", PLAIN, (0, 1)),
        (b"0.15D+01,1d1\n-0.225D1,20\n3.D-4,0.3D+02\n", PLAIN, (0, 1)),
        (b"ad1,b\n0.15D+01,1d1\n-2.25,20\n3.D-4,30\n", NAMED, ("ad1", "b")),
        (b"+1.5,+1e+1\n-2.25,20\n+.0003,+30\n", PLAIN, (0, 1)),
        # np.savetxt puts its header into a comment, pandas numbers columns without names.
        (b"# a b\n1.5 10\n-2.25 20\n3e-4 30\n", BLANKS, ("a", "b")),
        (b"#a,b\n" + COMMA, NAMED, ("a", "b")),
        (b"# GeV\n# a, b\n" + COMMA, NAMED, ("a", "b")),
        (b"0,1\n" + COMMA, NAMED, (0, 1)),
        (b"0,1\n" + COMMA, NAMED, ("0", "1")),
    ],
)
def test_ways_to_write_a_table(tmp_path, content, file_format, keys):
    assert_read(read(tmp_path, content, file_format, keys))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.csv.bz2", bz2.compress),
        ("t.csv.xz", lzma.compress),
        ("t.csv.zst", zstd),
        ("t.csv", gzip.compress),
    ],
)
def test_packed_text(tmp_path, name, pack):
    assert_read(read(tmp_path, pack(COMMA), name=name))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packed_text_that_is_truncated(tmp_path, pack):
    with pytest.raises(DataError, match=r"t.csv.gz: what is packed is truncated or damaged"):
        read(tmp_path, pack(COMMA * 1000)[:-20], name="t.csv.gz")


def test_names_of_files_may_hold_what_chains_file_systems(tmp_path):
    assert_read(read(tmp_path, COMMA, name="a::b.csv"))


def test_whole_numbers_that_double_precision_rounds(tmp_path):
    """2⁵³ + 1 is the first one; beside it numbers are real as ever."""
    first, second = read(tmp_path, b"9007199254740993,0.5\n1,2\n")
    assert first.tolist() == [9007199254740993, 1]
    assert second.tolist() == [0.5, 2]
    assert read(tmp_path, b"1e20,0\n")[0].tolist() == [1e20]
    assert read(tmp_path, b"18446744073709551615,0\n")[0].tolist() == [2**64 - 1]


@pytest.mark.parametrize(
    ("content", "file_format", "keys", "message"),
    [
        (
            b"1.5,10\n-2.25,20\n",
            NAMED,
            ("a", "b"),
            "line 1 has numbers only, and no comment before it has 2 names.*header = true",
        ),
        (b"# a b c\n1 2\n", BLANKS, ("a", "b"), "line 2 has numbers only, and no comment"),
        (
            b"# a b\n1 2\n",
            FileFormat(delimiter=" "),
            ("a", "b"),
            "no column 'a'; it has 2 columns: 0, 1 .*say source.format.header = true",
        ),
        (
            b"a,b\n1,2\n",
            FileFormat(),
            (0, 1),
            "line 1, column 0: 'a' .*names the columns, say source.format.header = true",
        ),
        (b"1;2\n3;4\n", PLAIN, (0, 1), r"no column 1; .*if semicolons.*delimiter = ';'"),
        (b"a\tb\n1\t2\n", NAMED, ("a", "b"), r"no column 'a'; .*if tabs.*delimiter = '\\t'"),
        (
            b"1,5;2\n",
            FileFormat(delimiter=";"),
            (0, 1),
            "line 1, column 0: '1,5' is not a finite number; it has a comma: write decimal points",
        ),
        (
            b'"1,234.5",2\n',
            PLAIN,
            (0, 1),
            "line 1, column 0: '1,234.5' .*nothing between thousands",
        ),
        (b"1,2\n  3 , \n", PLAIN, (0, 1), "line 2, column 1: '' is not a finite number"),
        (b"1,2\r3,x\r", PLAIN, (0, 1), "line 2, column 1: 'x' .*remove or mend this event"),
        ("1,2\n".encode("utf-16"), PLAIN, (0, 1), "is written in UTF-16; save it as UTF-8"),
        (b"1,2\n\0\0,3\n", PLAIN, (0, 1), "is no text; .*source.format.kind"),
    ],
)
def test_what_is_said_of_text(tmp_path, content, file_format, keys, message):
    with pytest.raises(DataError, match=f"t.csv: {message}"):
        read(tmp_path, content, file_format, keys)
