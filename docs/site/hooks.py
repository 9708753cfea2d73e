"""The pages of the site that are not Markdown files below ``docs/``: README and its kind, and notebooks."""

from __future__ import annotations

import base64
import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))  # for the scripts that print tables

ROOT_PAGES = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Page at the top of the repository -> page of the site."""


SECTIONS = {
    "tutorials": "Tutorials",
    "how-to": "How-to guides",
    "reference": "Reference",
    "explanation": "Explanation",
}
"""Folder below ``docs/`` -> where the navigation lists pages that ``mkdocs.yml`` does not name."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository, one page for each notebook, and new pages to the navigation."""
    for name, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.append(File.generated(config, f"{file.src_uri[:-6]}.md", content=notebook_page(file.content_string)))
    named = set(re.findall(r"'([^']+\.md)'", repr(config.nav)))
    sections = {title: pages for entry in config.nav or [] for title, pages in entry.items()}
    for file in files.documentation_pages():
        if file.src_uri not in named:
            sections[SECTIONS[file.src_uri.split("/")[0]]].append(file.src_uri)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its generated tables, links to pages of the site, and no badges, which come from the network."""
    markdown += generated_part(page.file.src_uri)
    source = {site: name for name, site in ROOT_PAGES.items()}.get(page.file.src_uri)
    source = source or f"docs/{page.file.src_uri}"
    markdown = re.sub(r"^\[?!\[[^\]]*\]\(https?://[^\n]*\n", "", markdown, flags=re.MULTILINE)
    markdown = re.sub(r'src="docs/', 'src="', markdown)
    return re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", lambda link: site_link(link, source, page.file.src_uri), markdown)


def generated_part(page: str) -> str:
    """Tables that only the site has: options, tasks, transforms of the study, the inventory."""
    from scripts.docs_tables import inventory, options, study_transforms

    makers = {
        "reference/options.md": options.sections,
        "reference/specifications.md": tasks_and_parameters,
        "reference/presets.md": study_transforms.table,
        "reference/inventory.md": lambda: inventory.tables(inventory.stored_rows()),
    }
    return f"\n{makers[page]()}\n" if page in makers else ""


def tasks_and_parameters() -> str:
    """What ``camtrace list tasks`` and ``camtrace list parameters`` print, with names as code."""
    from benchmark.cli.list import LISTS
    from benchmark.report import markdown_table

    listings = [LISTS[name]() for name in ("tasks", "parameters")]
    tables = [
        markdown_table(listing.header, [[f"`{row[0]}`", *row[1:]] for row in listing.rows]) for listing in listings
    ]
    return "\n\n".join(tables).replace("the <group>", "the group")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The page with a name for the dialog of the search, which the theme leaves out."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def site_link(link: re.Match[str], source: str, page: str) -> str:
    """A Markdown link of a file of the repository as the page of the site needs it.

    Args:
        link: its text and target.
        source: the file, relative to the repository.
        page: the page that it becomes, relative to ``docs/``.
    """
    text, target = link[1], link[2]
    path, _, anchor = target.partition("#")
    if re.match(r"[a-z]+:", target) or not path:
        return link[0]
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    if file in ROOT_PAGES:
        file = ROOT_PAGES[file]
    elif file.startswith("docs/"):
        file = re.sub(r"\.ipynb$", ".md", file.removeprefix("docs/"))
    else:
        return text  # a file that is no page
    where = posixpath.relpath(file, posixpath.dirname(page) or ".")
    return f"[{text}]({where}{'#' if anchor else ''}{anchor})"


def notebook_page(text: str) -> str:
    """Markdown of a notebook: its text, its code, and what the code printed, showed and drew."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code":
            parts += [f"```python\n{source}\n```", *map(output_part, cell["outputs"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def output_part(output: dict[str, Any]) -> str:
    """Markdown of one output of a cell: a picture, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = base64.b64encode(base64.b64decode("".join(data["image/png"]))).decode()
        return f"![Figure drawn by the code above](data:image/png;base64,{picture})"
    printed = "".join(output.get("text", data.get("text/plain", [])))
    return f"```text\n{printed.rstrip()}\n```" if printed.strip() and output.get("name") != "stderr" else ""
