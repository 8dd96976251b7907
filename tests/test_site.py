"""The site of the documents: built without a warning, whole, and in need of no network."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import mleg_ray
from mleg_ray.models import MODELS

pytest.importorskip("mkdocs", reason="the site needs mkdocs, of the extra `dev`")
pytest.importorskip("mkdocstrings", reason="the site needs mkdocstrings, of the extra `dev`")

from docs.site import hooks

ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """What a page links, what it loads, and the anchors that it has."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.text = file.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in ("script", "img", "link") and values.get("rel") != "canonical":
            self.loads += [values[name] for name in ("src", "href") if name in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        check=True,
    )
    return {file: Page(file) for file in folder.rglob("*.html")}


def test_every_link_and_anchor_leads_somewhere(site: dict[Path, Page]) -> None:
    lost = []
    inner = 0
    for file, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or file.name == "404.html":
                continue
            inner += 1
            place = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            there = place in site or (place.is_file() and not parts.fragment)
            if not there or (parts.fragment and unquote(parts.fragment) not in site[place].anchors):
                lost.append((file.name, link))
    assert inner > 1000
    assert lost == []


def test_it_loads_nothing_from_a_network(site: dict[Path, Page]) -> None:
    loads = [load for page in site.values() for load in page.loads]
    assert len(loads) > 100
    assert [load for load in loads if urlsplit(load).scheme or load.startswith("//")] == []


def test_the_reference_has_all_functions_and_kinds(site: dict[Path, Page]) -> None:
    pages = {file.name: page for file, page in site.items() if file.parent.name == "reference"}
    for name, (_, registry) in hooks.KINDS.items():
        assert set(registry) <= pages[f"{name}.html"].anchors
    code = "".join(file.read_text() for file in (ROOT / "mleg_ray").rglob("*.py"))
    assert len(hooks.KINDS) == len(re.findall(r" = Registry\(\"", code)) > 10
    commands = pages["commands.html"].anchors
    headings = {"report_study": "mleg-report"}
    lost = [
        name
        for name in mleg_ray.__all__
        if headings.get(name, f"mleg-{name}") not in commands
        and f"{getattr(mleg_ray, name).__module__}.{name}" not in commands
    ]
    assert lost == []


def test_tutorials_are_pages(site: dict[Path, Page]) -> None:
    pages = {file.stem: page for file, page in site.items() if file.parent.name == "tutorials"}
    notebooks = (ROOT / "docs" / "tutorials").glob("*.ipynb")
    assert set(pages) == {notebook.stem for notebook in notebooks}
    assert all("ray" in page.text and "<pre" in page.text for page in pages.values())


def test_the_tables_of_keys_are_those_of_the_code(site: dict[Path, Page]) -> None:
    [page] = [page for file, page in site.items() if file.name == "models.html"]
    row = page.text.split("<td><code>transforms</code></td>")[1].split("</tr>")[0]
    assert "<code>PositiveInt</code>" in row
    assert f"<code>{MODELS['flow'].model_fields['transforms'].default}</code>" in row
