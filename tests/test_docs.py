"""What the documents refer to is there: files, pictures, and rows of the benchmarks."""

import itertools
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import ROWS, main
from mleg_ray.catalog.formats.dark_machines import PROCESSES
from mleg_ray.catalog.spec import DatasetSpec
from mleg_ray.cli import app
from mleg_ray.run import RunConfig
from mleg_ray.study.plan import Plan

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
LINKS = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#]+)", page.read_text())]
LINE = r"(?:[^\n]*\\\n)*[^\n]*"  # with those that a backslash appends


def commands(program: str, pages: list[Path]) -> list[str]:
    """Return what the pages ask a program to do, between backticks and as lines of their own."""
    text = "\n\n".join(page.read_text() for page in pages)
    within = re.findall(rf"`{program}\s+([a-z][^`]+)`", text)
    lines = re.findall(rf"^ *{program} ({LINE})", text, re.MULTILINE)
    return sorted({shlex.join(shlex.split(found, comments=True)) for found in (*within, *lines)})


COMMANDS = commands("python -m benchmarks", PAGES)
MLEG = commands("mleg", [page for page in PAGES if page.name != "CHANGELOG.md"])
PLACES = {"CHECKPOINT", "SAMPLE", "STUDY", "REPORT", "FOLDED", "DATASET", "FOLDER", "DIR", "NAME"}
PLACES |= {"BUCKET"}
OWN = {"", "NAME", "my-events.toml", "my-recipe.toml"}  # of which there is no file


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


@pytest.mark.parametrize("command", MLEG)
def test_commands_of_mleg(command: str) -> None:
    """Their options, places, datasets, recipes and keys are some that there are."""
    words = shlex.split(command)
    asked = words[1:] if words[0] == "submit" else words
    told = CliRunner().invoke(app, [*asked, "--help"])
    assert (told.exit_code, told.stdout.count("Usage:")) == (0, 1), told.stderr
    assert {*re.findall(r"\b[A-Z]{3,}\b", command)} <= PLACES
    name, *options = [*asked[1:], ""]
    keys = [value for key, value in itertools.pairwise(options) if key == "--set"]
    loads = {"prepare": DatasetSpec.load, "train": RunConfig.load, "tune": Plan.load}
    if asked[0] in loads and name not in OWN:
        loads[asked[0]](name, tuple(keys))


def test_the_readme_has_every_recipe_and_links_every_page_of_physics() -> None:
    readme = ROOT / "README.md"
    recipes = {file.stem for file in (ROOT / "tuning").glob("*.toml")}
    assert recipes - {*re.findall(r"`([a-z0-9-]+)`", readme.read_text())} == set()
    linked = {(ROOT / link).resolve() for page, link in LINKS if page == readme}
    assert {*(ROOT / "docs" / "physics").glob("*.md")} - linked == set()


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


def test_entries_and_recipes_in_full(tmp_path: Path) -> None:
    """Each recipe's features are those of its dataset, of the catalog or of the documents."""
    blocks = [b for page in PAGES for b in re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)]
    specs: dict[str, DatasetSpec] = {}
    recipes: list[RunConfig] = []
    for text in blocks:
        if not text.startswith(("name", "extends")):
            continue
        (file := tmp_path / "own.toml").write_text(text)
        if "[run]" in text or "[run.features]" in text:
            recipes.append(RunConfig.load(str(file)))
        else:
            spec = DatasetSpec.load(str(file))
            spec.source.check(spec.schema_, spec.conditions)
            specs[spec.name] = spec
    assert set(specs) == {"my-events", "single-muons-13tev", "zmumu-13tev-by-charge"}
    assert len(recipes) == 3
    for run in recipes:
        spec = specs.get(run.dataset) or DatasetSpec.load(run.dataset)
        assert run.features.build(spec.schema_, spec.conditions).space.width


def test_the_number_of_each_process_of_dark_machines() -> None:
    text = (ROOT / "docs" / "physics" / "lhc.md").read_text()
    rows = re.findall(r"(\d+) `(\w+)`", text.partition("## The challenge's processes")[2])
    assert [(int(number), name) for number, name in rows] == list(enumerate(PROCESSES))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 12
    assert len(MLEG) > 60
