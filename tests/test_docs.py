"""What can be checked of README, CONTRIBUTING and ``docs/``: links, command lines, code, and the generated pages."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from benchmark.__main__ import parser
from builders.errors import UsageError
from scripts.docs_tables import inventory, notebooks, options

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def without_code(text: str) -> str:
    """The page without fenced blocks and inline code, whose brackets are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    made: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        made.add(slug if slug not in made else f"{slug}-1")
    return made


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    return broken


BLOCK = re.compile(r"^```(\w*)\n(.*?)^```|^((?:    [^\n]*\n)+)", re.MULTILINE | re.DOTALL)
"""A fenced block, or indented lines."""


def steps(text: str) -> Iterator[tuple[str, str]]:
    """What a page shows, in its order: ("bash", each line that begins with ``camtrace``), ("python", a block), ...

    Blocks of ``text`` are what commands print.
    """
    for block in BLOCK.finditer(text):
        language, body = (block[1], block[2]) if block[3] is None else ("bash", block[3])
        if language in ("python", "toml"):
            yield language, body
        elif language != "text":
            for line in body.replace("\\\n", " ").splitlines():
                if result := re.search(r"(?:^|&& |^run: )(camtrace .*)", line.strip().removeprefix("- ")):
                    yield (
                        "bash",
                        re.split(r" (?:\||>>?|<) ", result[1])[0],
                    )  # without what the shell does with its output


def command_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines that begin with ``camtrace`` in blocks (True), and such pieces of inline code (False)."""
    yield from ((step, True) for language, step in steps(text) if language == "bash")
    for code in re.findall(r"`(camtrace [^`\n]+)`", BLOCK.sub("", text)):
        if not re.search(r"\.\.\.|\||[A-Z]+ [A-Z]+", code):
            yield code, False


def parse(line: str, *, whole: bool) -> None:
    """Parse a command line with the real parser.

    Args:
        line: as people type it.
        whole: False where the line may lack what the command needs.
    """
    words = shlex.split(line, comments=True)[1:]
    try:
        given = parser().parse_args(words)
        if words[:1] == ["plan"] and whole:
            planned = ["sweep", *given.words[1:]] if given.words[0] == "embed" else given.words
            parser().parse_args(planned)
    except SystemExit:  # --help
        return
    except UsageError as error:
        if whole or "required" not in str(error):
            raise


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_page__its_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_links__to_missing_pages_and_headings_are_broken(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One & two\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#one--two) [b](other.md#three) [c](gone.md) [d](https://x.org) `[e](f.md)`\n")
    assert broken_links(page) == ["other.md#three", "gone.md"]


def test_index__names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index.read_text())}
    assert {page for page in PAGES if page.parent != ROOT} - linked == {index}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_page__its_commands_are_understood(page: Path) -> None:
    for line, whole in command_lines(page.read_text(encoding="utf-8")):
        try:
            parse(line, whole=whole)
        except (UsageError, ValueError) as error:
            pytest.fail(f"{line}\n{error}")


def test_commands__are_found_in_blocks_and_in_text() -> None:
    text = "`camtrace list data` `camtrace ...`\n\n    camtrace a \\\n    --b  # c\n\n"
    text += "```bash\nx && camtrace d | tee e\n```\n"
    result = [("camtrace a      --b  # c", True), ("camtrace d", True), ("camtrace list data", False)]
    assert list(command_lines(text)) == result
    for line in ("camtrace score --modle m", "camtrace plan score --no-such", "camtrace compare"):
        with pytest.raises(UsageError):
            parse(line, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_page__its_python_compiles(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if page.name != "extend.md":  # pieces of files: tests/test_extend.py runs them
            compile(block, page.name, "exec")


def test_options__every_command_has_a_section_and_its_options() -> None:
    sections = dict(part.split("\n", 1) for part in options.sections().split("## ")[1:])
    assert {"camtrace score", "camtrace build folder", "camtrace build flickrexif search"} <= sections.keys()
    assert "- `--mask-ratio R`: hidden share of the picture" in sections["camtrace score"]
    assert "- `--mask-ratio" not in sections["camtrace sweep"]  # which refers to score
    assert "Every option of `camtrace score`" in sections["camtrace sweep"]


@pytest.mark.parametrize("script", [options, inventory, notebooks], ids=lambda script: script.__name__)
def test_scripts__their_examples_hold(script: ModuleType) -> None:
    ran = doctest.testmod(script)
    assert ran.attempted
    assert not ran.failed


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_page__the_files_that_it_names_exist(page: Path) -> None:
    named = re.findall(r"`((?:benchmark|builders|scripts|tests|cards)/[\w./]+)`", page.read_text(encoding="utf-8"))
    example = {"benchmark/tasks/nearest.py", "benchmark/probe/protocols/means.py", "benchmark/probe/readers/first.py"}
    example |= {"builders/sources/columns/listing.py", "benchmark/cli/hello.py"}
    assert [file for file in named if file not in example and not (ROOT / file).exists()] == []


def test_sources__the_pages_that_they_name_exist() -> None:
    named = {}
    for folder in ("benchmark", "builders", "cards", "scripts", "tests"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".yaml", ".jinja", ".sh") and "node_modules" not in file.parts:
                for page in re.findall(r"\bdocs/[\w./-]+\.md", file.read_text(encoding="utf-8")):
                    named[page] = file
    assert {page: str(file) for page, file in named.items() if not (ROOT / page).exists()} == {}


def test_readme__opens_with_two_commands_and_is_short() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = (line.strip() for line in re.findall(r"^    pip .*$", readme, re.MULTILINE)[:2])
    assert "camtrace score" in first
    assert "pytest" in second
    assert readme.index(second) < readme.index("\n## Recipes")
    assert len(readme.split()) <= 1200
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert {*re.search(r"\[([\w,]+)\]", first)[1].split(","), "test"} <= {*extras}  # type: ignore[index]
