"""The page of a build: one HTML file without scripts that loads nothing, so it opens offline."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2

from builders.check.report.facts import Count, Distribution, ReportFacts, distribution_of, report_facts
from builders.check.report.sheets import PHOTOS_OF_CLASS, Sheet, contact_sheets
from builders.errors import DataError, disk_error
from builders.files import write_text_atomically
from builders.flickrexif import LICENCES, Licence
from builders.untrusted import describe_error, parquet_errors

REPORT_FILE = "report.html"

CHART_WIDTH, BAR_HEIGHT = 100, 10
"""Units of the drawing of a bar."""


@dataclass(frozen=True)
class LicenceRow:
    """One line of the matrix of what may be done. None: not known."""

    name: str
    photos: int
    share: float
    redistribute: bool | None
    """Unchanged."""
    change: bool | None
    commercial: bool | None
    credit: bool | None
    """Whether the author has to be named."""
    share_alike: bool | None


def write_report(folder: Path, output: Path | None = None, *, workers: int = 1, progress: bool = True) -> Path:
    """Write the page of a finished build.

    Args:
        folder: of the build; untrusted.
        output: file of the page; ``report.html`` in the folder by default.
        workers: processes that decode photos.
        progress: show a bar, if stderr is a terminal.

    Returns:
        The file.

    Raises:
        DataError: no finished build is there, or its tables cannot be read.
        DiskError: the file cannot be written.
    """
    facts = report_facts(folder)
    try:
        sheets = contact_sheets(folder, facts.build, workers=workers, progress=progress)
    except parquet_errors(AttributeError, TypeError) as error:
        raise DataError(f"{folder}: its tables are not those of a build ({describe_error(error)})") from None
    path = output or folder / REPORT_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, page_html(facts, sheets))
    except OSError as error:
        raise disk_error(error, path) from None
    return path


def page_html(facts: ReportFacts, sheets: Sequence[Sheet]) -> str:
    """The page. Its policy allows its own style, by the hash, pictures inside the page, and nothing else."""
    style = _environment().get_template("build_report.css.jinja").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown = list(dict.fromkeys(photo for sheet in sheets for part in sheet.classes for photo in part.photos))
    codecs = (
        [distribution_of(f"Codecs of the {len(shown):,} files shown above", (p.codec for p in shown))] if shown else []
    )
    return (
        _environment()
        .get_template("build_report.html.jinja")
        .render(
            facts=facts,
            distributions=[*facts.distributions, *codecs],
            build=facts.build,
            sheets=sheets,
            licences=[licence_row(count) for count in facts.licences],
            credits=list(dict.fromkeys(photo.credit for photo in shown if photo.credit)),
            photos_of_class=PHOTOS_OF_CLASS,
            style=style,
            style_hash=f"sha256-{digest}",
            width=CHART_WIDTH,
            height=BAR_HEIGHT,
        )
    )


def licence_row(count: Count) -> LicenceRow:
    """What a licence permits, from the table of licences; nothing is known of a licence that is not there.

    >>> row = licence_row(Count("cc-by-nc-2.0", 3, 1.0))
    >>> row.redistribute, row.change, row.commercial, row.credit, row.share_alike
    (True, True, False, True, False)
    """
    licence = _by_slug().get(count.name.lower())
    if licence is None:
        return LicenceRow(count.name, count.photos, count.share, None, None, None, None, None)
    free = licence.redistributable
    return LicenceRow(
        licence.name,
        count.photos,
        count.share,
        free,
        free and not licence.no_derivatives,
        free and not licence.non_commercial,
        licence.attribution,
        licence.share_alike,
    )


def bar_width(count: Count, distribution: Distribution) -> float:
    """Width of a bar: the most frequent listed value fills the drawing."""
    most = max((c.photos for c in distribution.counts), default=1)
    return round(CHART_WIDTH * count.photos / max(most, 1), 2)


@functools.cache
def _by_slug() -> dict[str, Licence]:
    return {licence.slug: licence for licence in LICENCES.values()}


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template_text),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters["n"] = lambda number: f"{number:,}"
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    environment.globals["bar_width"] = bar_width
    return environment


def _template_text(name: str) -> str | None:
    path = resources.files("cards") / name
    return path.read_text(encoding="utf-8") if path.is_file() else None
