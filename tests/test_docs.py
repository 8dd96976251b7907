"""What the documents refer to is there: files, pictures, and rows of the benchmarks."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.__main__ import main

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


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 12
