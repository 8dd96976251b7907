"""What the site has beside the documents: pages made of the package, the README and the decisions.

`mkdocs.yml` names this file as a hook. `mkdocs build` fails on every link, anchor or name that
leads nowhere.
"""

import inspect
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import griffe
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import mleg_ray
from mleg_ray.catalog.convert import FORMATS
from mleg_ray.catalog.sources import SOURCES
from mleg_ray.catalog.sources.densities import DENSITIES
from mleg_ray.catalog.sources.detectors import DETECTORS
from mleg_ray.cli import app
from mleg_ray.config import Config
from mleg_ray.evaluation import METRICS
from mleg_ray.exporting.targets import TARGETS
from mleg_ray.features.steps import STEPS
from mleg_ray.models import MODELS
from mleg_ray.models.networks import NETWORKS
from mleg_ray.objectives import OBJECTIVES
from mleg_ray.optimisers import OPTIMISERS
from mleg_ray.physics.observables import FUNCTIONS
from mleg_ray.sampling.spectra import SPECTRA
from mleg_ray.study.plan import PRUNINGS, SEARCHES
from mleg_ray.study.space import PARAMETERS

ROOT = Path(__file__).parents[2]
DOCS, README = ROOT / "docs", ROOT / "README.md"
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<path>(?!\w+:)[^)#\s]+)(?P<anchor>#[^)]*)?\)")
# Pages that are sections of the README, by their headings.
SECTIONS = {
    "index.md": "mleg_ray",
    "quickstart.md": "Start",
    "tour.md": "Tour",
    "cluster.md": "On a cluster",
    "develop.md": "Develop",
}
# What tables of TOML are made of, by the pages of the reference: titles, and tables in files.
KINDS: dict[str, tuple[str, Mapping[str, type[Config]]]] = {
    "sources": ("Sources: `[source]` of an entry", SOURCES),
    "densities": ("Densities: `density` of the source `density`", DENSITIES),
    "detectors": ("Detectors: `detector` of sources of electrons", DETECTORS),
    "steps": ("Steps: `features.steps` of a recipe", STEPS),
    "models": ("Models: `model` of a recipe", MODELS),
    "networks": ("Networks, of models", NETWORKS),
    "objectives": ("Objectives: `objective` of a recipe", OBJECTIVES),
    "optimisers": ("Optimisers: `training.optimisers` of a recipe", OPTIMISERS),
    "searches": ("Searches: `[study.search]`", SEARCHES),
    "prunings": ("Pruning: `[study.pruning]`", PRUNINGS),
    "parameters": ("Parameters: `[space]` of a study", PARAMETERS),
    "spectra": ("Spectra: `--condition NAME=...`", SPECTRA),
}
# What programs use beside the functions of `mleg_ray`.
OBJECTS = (
    "mleg_ray.checkpoint.Checkpoint",
    "mleg_ray.catalog.dataset.Dataset",
    "mleg_ray.events.Events",
    "mleg_ray.evaluation.from_arrays",
    "mleg_ray.evaluation.scorecard",
    "mleg_ray.evaluation.Scorecard",
    "mleg_ray.evaluation.Metric",
    "mleg_ray.report.html.write_report",
    "mleg_ray.errors",
)
# Of a docstring alone, below a heading that the page has.
BARE: dict[str, object] = {
    "show_root_heading": False,
    "show_root_toc_entry": False,
    "show_signature": False,
    "show_bases": False,
    "members": [],
}
OTHERWISE = {"report": "report_study"}  # functions of commands that have another name


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are no files, and the tutorials, which are notebooks."""
    made = {**_of_readme(), **_decisions(), **_reference(), **_tutorials()}
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead links from where the text lies to where its page does."""
    own = DOCS / page.file.src_uri
    written = README if page.file.src_uri in SECTIONS else own

    def led(link: re.Match[str]) -> str:
        place, anchor = (written.parent / link["path"]).resolve(), link["anchor"] or ""
        if place == README:
            place = DOCS / "index.md"
            for path, title in SECTIONS.items():
                if anchor == f"#{title.lower().replace(' ', '-')}":
                    place, anchor = DOCS / path, ""
        if place.is_dir():
            place /= "index.md"
        if place.suffix == ".ipynb":
            place = place.with_suffix(".md")
        if not place.is_relative_to(DOCS):  # what a checkout alone has
            return link["text"]
        return f"[{link['text']}]({os.path.relpath(place, own.parent)}{anchor})"

    return LINK.sub(led, markdown)


def _of_readme() -> dict[str, str]:
    parts = (part.partition("\n") for part in README.read_text().removeprefix("# ").split("\n## "))
    sections = {title: text for title, _, text in parts}
    return {path: f"# {title}\n{sections[title]}" for path, title in SECTIONS.items()}


def _decisions() -> dict[str, str]:
    files = sorted((DOCS / "decisions").glob("*.md"))
    titles = {file.name: file.read_text().partition("\n")[0].removeprefix("# ") for file in files}
    rows = [f"- [{title}]({name})" for name, title in titles.items()]
    return {"decisions/index.md": "\n".join(["# Decisions\n", *rows])}


def _tutorials() -> dict[str, str]:
    """Return the notebooks as Markdown, with outputs if `make tutorials` ran them as they are."""
    pages = {}
    for notebook in (DOCS / "tutorials").glob("*.ipynb"):
        cells = json.loads(notebook.read_text())["cells"]
        if (place := ROOT / "build" / "tutorials" / notebook.name).exists():
            ran = json.loads(place.read_text())["cells"]
            if list(map(_source, ran)) == list(map(_source, cells)):
                cells = ran
        pages[f"tutorials/{notebook.stem}.md"] = "\n\n".join(map(_cell, cells))
    return pages


def _source(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def _cell(cell: Mapping[str, Any]) -> str:
    if cell["cell_type"] == "markdown":
        return _source(cell)
    shown = [f"```python\n{_source(cell)}\n```"]
    for output in cell["outputs"]:
        if output.get("name") == "stdout":
            shown.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
        elif picture := output.get("data", {}).get("image/png"):
            shown.append(f"![](data:image/png;base64,{''.join(picture.split())})")
    return "\n\n".join(shown)


def _reference() -> dict[str, str]:
    pages = {
        "commands": _commands(),
        "objects": "\n".join(["# Objects\n", *map(_documented, OBJECTS)]),
        "observables": _observables(),
        "figures-and-formats": _figures_and_formats(),
    }
    package = griffe.load("mleg_ray", search_paths=[ROOT])
    for name, (title, kinds) in KINDS.items():
        own = [_kind(kind, cls, package) for kind, cls in kinds.items()]
        pages[name] = "\n".join([f"# {title}\n", *own])
    return {f"reference/{name}.md": page for name, page in pages.items()}


def _commands() -> str:
    """Return each command with its options, by both their names, and what Python alone has."""
    page = ["# Commands\n", "What `mleg` calls them, and the functions of `mleg_ray`.\n"]
    alone = set(mleg_ray.__all__)
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        function = OTHERWISE.get(name, name)
        if function in alone:
            alone -= {function}
            keywords = inspect.signature(getattr(mleg_ray, function)).parameters
            options = [
                (_words(p), f"`{p.name}`" if p.name in keywords else "", p.help or "")
                for p in command.params
            ]
            page += [f"## `mleg {name}`\n", _documented(_place(function), **BARE)]
            page += _table(("command line", "Python", "what it is"), options)
    page += ["## In Python alone\n"]
    page += [_documented(_place(function), heading_level=3) for function in sorted(alone)]
    return "\n".join(page)


def _observables() -> str:
    rows = [
        (
            f"`{name}({', '.join(inspect.signature(function.call).parameters)})`",
            function.unit or "as the arguments'",
            _first(function.call),
        )
        for name, function in sorted(FUNCTIONS.items())
    ]
    heads = ("in expressions", "unit", "what it is")
    return "\n".join(["# Observables\n", *_table(heads, rows)])


def _figures_and_formats() -> str:
    metrics = [(f"`{name}`", metric.title, metric.meaning) for name, metric in METRICS.items()]
    formats = [(f"`{name}`", f"`{f.suffix}`", _first(f)) for name, f in FORMATS.items()]
    targets = [(f"`{name}`", f"`{t.suffix}`", _first(t.make)) for name, t in TARGETS.items()]
    return "\n".join(
        [
            "# Figures and formats\n",
            "## Figures of merit\n",
            "Their definitions are on a [page of their own](../metrics.md).\n",
            *_table(("in scorecards", "title", "what it is"), metrics),
            "## Formats of `mleg convert`\n",
            *_table(("--to", "files", "what it writes"), formats),
            "## Targets of `mleg export`\n",
            *_table(("--to", "file", "what it writes"), targets),
        ]
    )


def _kind(kind: str, cls: type[Config], package: Any) -> str:  # noqa: ANN401
    """Return what a registered class says, and the keys of its table as they stand in the code."""
    members: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__.startswith("mleg_ray."):
            place = f"{base.__module__.removeprefix('mleg_ray.')}.{base.__qualname__}"
            members = {**package[place].members, **members}
    keys = [(name, members[name]) for name in cls.model_fields if name != "kind"]
    rows = [
        (f"`{name}`", f"`{key.annotation}`", f"`{key.value}`" if key.value else "")
        for name, key in keys
    ]
    page = [f"## `{kind}`\n", _documented(f"{cls.__module__}.{cls.__qualname__}", **BARE)]
    return "\n".join([*page, *(_table(("key", "type", "default"), rows) if rows else [])])


def _documented(name: str, **options: object) -> str:
    lines = [f"::: {name}", *(["    options:"] if options else [])]
    return "\n".join([*lines, *(f"        {key}: {value!r}" for key, value in options.items()), ""])


def _place(function: str) -> str:
    return f"{getattr(mleg_ray, function).__module__}.{function}"


def _first(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n\n")[0].replace("\n", " ")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [_row(heads), _row("---" for _ in heads), *map(_row, rows), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(option: Any) -> str:  # noqa: ANN401 - of typer
    """Return what stands for an option, or an argument, on a command line."""
    if option.param_type_name == "argument":
        return f"`{option.metavar or option.name.upper()}`"
    words = (*option.opts, *option.secondary_opts)
    return ", ".join(f'<code class="option">{word}</code>' for word in words)  # see style.css
