"""The documentation as a site: built without a warning, complete, and the same when it is opened from a file."""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import camtrace
from benchmark.encoders import STUDY
from scripts.docs_tables.inventory import stored_rows
from tests.benchmark.leaderboard.conftest import AXE, axe, chromium  # noqa: F401

pytest.importorskip("mkdocs", reason="pip install 'camtrace[docs]'")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
OWN_LINKS = {"https://diataxis.fr", "https://arxiv.org/abs/2508.10637"}
"""Addresses outside that readers may follow. Nothing is loaded from them."""


class References(HTMLParser):
    """What one page loads, where it links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(values["href"])
        else:
            self.loaded += [values[name] for name in ("src", "srcset", "poster", "data") if name in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Warnings of the build are errors."""
    folder = tmp_path_factory.mktemp("site")
    build(ROOT / "docs" / "site" / "mkdocs.yml", folder)
    return folder


def build(configuration: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(configuration), "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stdout + built.stderr


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, References]:
    return {page: References(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}


def broken(pages: dict[Path, References]) -> list[str]:
    """Links and files of pages that lead nowhere."""
    problems = []
    for page, references in pages.items():
        for target in references.loaded + references.links:
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target) or page.name == "404.html":
                continue
            file = (page.parent / unquote(path)).resolve() if path else page
            missing_anchor = (
                file in pages and anchor and not anchor.startswith("__") and anchor not in pages[file].anchors
            )
            if not file.exists() or missing_anchor:
                problems.append(f"{page.name}: {target}")
    return problems


def test_site__has_every_page(site: Path) -> None:
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    expected = {source.relative_to(ROOT / "docs").with_suffix(".html") for source in sources}
    expected |= {Path(f"{name}.html") for name in ("overview", "changelog", "contributing", "security", "404")}
    assert {page.relative_to(site) for page in site.rglob("*.html")} == expected


def test_site__loads_nothing_from_the_network(pages: dict[Path, References]) -> None:
    assert len(pages) > 30
    outside = re.compile(r"(https?:)?//")
    assert {target for page in pages.values() for target in page.loaded if outside.match(target)} == set()
    linked = [page.links for path, page in pages.items() if path.parent.name != "paper"]  # which names its sources
    assert {target for links in linked for target in links if outside.match(target)} <= OWN_LINKS


def test_site__its_links_lead_somewhere(pages: dict[Path, References]) -> None:
    assert broken(pages) == []


def test_broken__sees_missing_files_and_anchors(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    page.write_text('<h1 id="x"></h1><a href="#x"></a><a href="#y"></a><img src="no.png"><a href="b.html#z"></a>')
    (tmp_path / "b.html").write_text("")
    files = {file: References(file.read_text()) for file in tmp_path.glob("*.html")}
    assert broken(files) == ["a.html: no.png", "a.html: #y", "a.html: b.html#z"]


def test_docstrings__their_examples_hold() -> None:
    spec = importlib.util.spec_from_file_location("docstrings", ROOT / "docs" / "site" / "docstrings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert doctest.testmod(module) == (0, 1)


def test_reference__explains_every_exported_name(pages: dict[Path, References], site: Path) -> None:
    anchors = pages[site / "reference" / "python.html"].anchors
    assert {name for name in camtrace.__all__ if f"camtrace.{name}" not in anchors} == {"__version__"}


def test_reference__has_the_tables_that_scripts_make(pages: dict[Path, References], site: Path) -> None:
    assert {"camtrace-score", "camtrace-build-folder"} <= pages[site / "reference" / "options.html"].anchors
    inventory, presets = (
        (site / "reference" / f"{name}.html").read_text(encoding="utf-8") for name in ("inventory", "presets")
    )
    assert all(row["checkpoint"] in inventory for row in stored_rows())
    assert all(f"<code>{row.spec}</code>" in presets for row in STUDY)


def test_reference__examples_are_code(site: Path) -> None:
    text = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert "unknown option 'batchsize'" in text  # of an example of camtrace.score
    assert "<blockquote>" not in text


@pytest.fixture
def tab(chromium):  # noqa: F811
    """A page in a browser, and what it requested from the network or wrote to the console."""
    context = chromium.new_context()
    page, problems = context.new_page(), []
    local = ("file:", "data:", "blob:", "about:")
    page.on("request", lambda request: None if request.url.startswith(local) else problems.append(request.url))
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page, problems
    context.close()


def test_search__works_in_a_page_that_is_opened_from_a_file(site: Path, tab) -> None:
    page, problems = tab
    page.goto((site / "index.html").as_uri())
    page.click("input[name=query]")
    # The whole word at once: the theme's own search warns in the console about words of one to three letters.
    page.keyboard.insert_text("confounded")
    page.keyboard.press("End")
    page.wait_for_selector(".md-search-result__item a", timeout=60_000)
    results = page.eval_on_selector_all(".md-search-result__item a", "links => links.map(link => link.pathname)")
    assert any(link.endswith("how-to/audit.html") or link.endswith("overview.html") for link in results)
    assert all(Path(unquote(link)).is_file() for link in results)
    assert problems == []


@pytest.mark.parametrize("name", ["index", "how-to/gate-in-ci", "tutorials/first-run"])
def test_pages__axe_finds_nothing(site: Path, tab, axe: str, name: str) -> None:  # noqa: F811
    page, problems = tab
    page.goto((site / f"{name}.html").as_uri())
    page.evaluate(axe)
    passed, violations = page.evaluate(AXE)
    assert passed > 10
    assert violations == []
    assert problems == []
