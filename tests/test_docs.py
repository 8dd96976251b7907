"""What the documents refer to is there: files, pictures, and rows of the benchmarks."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.__main__ import ROWS, main

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINKS = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)", page.read_text())]
COMMANDS = sorted(
    {
        " ".join(found.split())
        for page in PAGES
        for found in re.findall(r"`python -m benchmarks\s+([a-z][^`]+)`", page.read_text())
    }
)


def test_links() -> None:
    files = [(page, link) for page, link in LINKS if "://" not in link]
    assert len(files) > 50
    assert [(str(page), link) for page, link in files if not (page.parent / link).exists()] == []


def test_every_picture_of_a_benchmark_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page, link in LINKS}
    pictures = [file for file in (ROOT / "docs" / "benchmarks").iterdir() if file.suffix == ".png"]
    assert pictures
    assert [file for file in pictures if file not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_benchmarks(command: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([*shlex.split(command), "--help"])  # which tells of options that there are not
    assert not end.value.code


def test_every_table_of_benchmarks_names_the_row_that_prints_it() -> None:
    """Before it, in its section: what begins with a heading or in bold letters."""
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    sections = [part for part in re.split(r"\n(?=#|\*\*)", page) if "\n|" in part]
    assert len(sections) > 10
    before = {part.splitlines()[0]: part[: part.index("\n|")] for part in sections}
    named = {
        title: re.findall(r"`python -m benchmarks\s+([a-z0-9-]+)", text)
        for title, text in before.items()
    }
    assert [title for title, rows in named.items() if not set(rows) & set(ROWS)] == []


def test_every_file_of_figures_is_a_rows() -> None:
    files = list((ROOT / "docs" / "benchmarks").iterdir())
    assert files
    figures = [file.name for file in files if file.suffix == ".json" and file.stem not in ROWS]
    pictures = [
        file.name
        for file in files
        if file.suffix == ".png" and not any(f"{file.stem}-".startswith(f"{row}-") for row in ROWS)
    ]
    assert (figures, pictures) == ([], [])


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 12
