"""The files of an audit of an index: ``index.json``, ``index.html`` with the worst queries as pictures, and the map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.index.export import write_map
from benchmark.index.result import HEADER, IndexAudit, json_text, reader_rows, repair_rows, strongest
from benchmark.leaderboard import SMALL_SIDE, jpeg_address
from builders.dataset import render
from builders.errors import CamtraceError, disk_error
from builders.files import write_text_atomically
from builders.photos import UNLABELLED, Labels
from builders.pixels import decode_rgb

WORST = 10
"""Queries of the page: those whose neighbours share the group most beyond what is expected."""

QUALITY = 70
"""JPEG quality of a small copy."""


@dataclass(frozen=True)
class Picture:
    """One photo of the page."""

    id: str
    address: str
    """``data:`` address of a small copy; empty where it cannot be read."""
    label: str
    group: str
    same: bool
    """Of the query's group."""


@dataclass(frozen=True)
class WorstQuery:
    """A query with its neighbours."""

    query: Picture
    before: tuple[Picture, ...]
    after: tuple[Picture, ...]
    """Empty without a repair."""


def write_index(audit: IndexAudit, folder: Path, repair_folder: Path | None = None) -> list[Path]:
    """Write the record and the page, and the map of a repair. Returns the files.

    Args:
        audit: the result.
        folder: of the record and the page; is made if it does not exist.
        repair_folder: of the map.

    Raises:
        DiskError: a file cannot be written.
    """
    written = [folder / "index.json", folder / "index.html"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text_atomically(written[0], json_text(audit))
        write_text_atomically(written[1], _index_page(audit))
    except OSError as error:
        raise disk_error(error, f"--output {folder}") from None
    if audit.repair is not None and repair_folder is not None:
        written += [repair_folder / name for name in write_map(audit.repair.eraser, repair_folder)]
    return written


def _index_page(audit: IndexAudit) -> str:
    """The page, which loads nothing."""
    group = strongest(audit.groups)
    return render(
        "index.html.jinja",
        audit=audit,
        header=HEADER,
        group=group,
        worst=_worst_queries(audit, group) if group and audit.index.photos.has_pictures else [],
        repaired=repair_rows(audit.repair) if audit.repair else [],
        readers=reader_rows(audit.repair) if audit.repair else [],
    )


def _worst_queries(audit: IndexAudit, group: str, count: int = WORST) -> list[WorstQuery]:
    """The queries whose neighbours share a group most beyond what is expected, with small copies.

    With a repair they are queries that its fit has not seen.
    """
    repair = audit.repair
    if repair is not None and group in repair.measured:
        shares = repair.measured[group][0].by_query
        rows = {int(query): row for row, query in enumerate(repair.queries)}
        before, after = repair.before, repair.after
    else:
        shares = next(m for m, _ in audit.groups if m.neighbours.group == group).by_query
        rows = {int(query): row for row, query in enumerate(audit.asked)}
        before, after = audit.near, np.zeros((len(audit.asked), 0), np.int64)
    photos, labels = audit.index.photos, audit.index.photos.groups[group]
    worst = sorted(shares, key=lambda query: (-shares[query], photos.ids[query]))[:count]
    known: dict[int, str] = {}

    def picture(index: int, query: int) -> Picture:
        if index not in known:
            known[index] = _address(audit, index)
        same = bool(labels.values[index] == labels.values[query])
        return Picture(photos.ids[index], known[index], _name(photos.labels, index), _name(labels, index), same)

    return [
        WorstQuery(
            picture(query, query),
            *(tuple(picture(int(i), query) for i in lists[rows[query]] if i >= 0) for lists in (before, after)),
        )
        for query in worst
    ]


def _name(labels: Labels, index: int) -> str:
    value = labels.values[index]
    return "" if value == UNLABELLED else labels.names[value]


def _address(audit: IndexAudit, index: int) -> str:
    try:
        picture = decode_rgb(audit.index.photos.read(index), upright=True)
    except (CamtraceError, OSError):
        return ""
    picture.thumbnail((SMALL_SIDE, SMALL_SIDE))
    return jpeg_address(picture, QUALITY)
