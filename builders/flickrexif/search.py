"""Search Flickr: slices of upload time -> photos, at most N per owner and month, and what Flickr tells of their Exif.

Months are searched one after another. A slice counts only when it has been read to its end: then its photos are kept
and the cap is applied in one transaction, so a killed run repeats at most one slice and never a photo's own call.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from builders.flickrexif.annotate import TO_ASK, ask_month
from builders.flickrexif.api import FlickrClient, FlickrUnavailable
from builders.flickrexif.found import SEARCH_EXTRAS, FoundPhoto, found_photo, rank
from builders.flickrexif.licences import check_with_flickr
from builders.flickrexif.progress import SearchProgress
from builders.flickrexif.slices import MAX_PAGES, PER_PAGE, SPLIT_ABOVE, Slice, gaps, month_of, months, split
from builders.flickrexif.state import State

INDEX_LAG_S = 86400
"""Photos younger than a day are left for a later search: Flickr's index is still taking them in."""


@dataclass(frozen=True)
class SearchPlan:
    """What to search for."""

    start: int
    """Upload time, seconds since 1970, inclusive."""
    end: int
    """Exclusive."""
    per_user_month: int
    licences: tuple[int, ...]
    seed: int = 0
    each_licence: bool = False
    """Ask for one licence at a time from the beginning, not only where a slice is too large."""
    with_exif: bool = True
    """Also ask for each photo's Exif; without, only originals will have any."""


def search(
    state: State, client: FlickrClient, plan: SearchPlan, *, connections: int = 4, seconds_per_call: float = 1.0
) -> None:
    """Search until everything in the plan has been found. Call it again after whatever stopped it.

    Args:
        state: where everything is kept.
        client: makes the calls.
        plan: what to search for. A state keeps to one cap, seed and set of licences; its span may grow.
        connections: photos asked for at once.
        seconds_per_call: what the budget allows, for the estimate of the time left.

    Raises:
        FlickrUnavailable: the service is down; everything found is kept.
        UsageError: the state was made by another plan, or the key is not accepted.
    """
    with state.only_one("search"):
        state.pin("per_user_month", plan.per_user_month, "--per-user-month")
        state.pin("seed", plan.seed, "--seed")
        state.pin("licences", list(plan.licences), "--licences")
        if state.setting("licences_checked") is None:
            check_with_flickr(client.call("photos.licenses.getInfo", "licences", expect="licenses"), plan.licences)
            state.set("licences_checked", state.clock.now())
        state.set("with_exif", plan.with_exif)
        state.set("calls_per_hour", 3600 / seconds_per_call)
        add_windows(state, plan)
        with SearchProgress(state, seconds_per_call) as progress:
            _read_roots(state, client, plan, progress)
            for month in _open_months(state, plan):
                while rows := _pending(state, "month = ? ORDER BY start, licences LIMIT 1", month):
                    _read(state, client, plan, rows[0])
                    progress.show()
                select_month(state, month)
                if plan.with_exif:
                    ask_month(state, client, month, connections, progress.show)


def add_windows(state: State, plan: SearchPlan) -> None:
    """Add the months of the plan that have not been searched, or their missing parts, as slices to read."""
    end = min(plan.end, int(state.clock.now()) - INDEX_LAG_S)
    covered = [tuple(row) for row in state.rows('SELECT start, "end" FROM slices WHERE root = 1')]
    each = [(one,) for one in plan.licences] if plan.each_licence else [plan.licences]
    with state.transaction():
        for start, stop in gaps(plan.start, end, covered):
            for month, first, last in months(start, stop):
                _add(state, [Slice(month, first, last, licences) for licences in each], root=True)


def select_month(state: State, month: str) -> None:
    """All of a month has been read: what the cap kept is the data set."""
    with state.transaction() as db:
        db.execute("UPDATE photos SET selected = 1 WHERE month = ? AND source = 'search' AND selected = 0", (month,))


def _read_roots(state: State, client: FlickrClient, plan: SearchPlan, progress: SearchProgress) -> None:
    """Whole months first: their totals are what the estimate of the time left rests on."""
    while rows := _pending(state, "root = 1 ORDER BY start, licences LIMIT 1"):
        _read(state, client, plan, rows[0])
        progress.show()


def _open_months(state: State, plan: SearchPlan) -> list[str]:
    """Months in which there is anything to do, in order."""
    unasked = f"OR {TO_ASK}" if plan.with_exif else ""
    rows = state.rows(
        "SELECT month FROM slices WHERE status = 'pending' UNION "
        f"SELECT month FROM photos WHERE source = 'search' AND (selected = 0 {unasked}) ORDER BY month"
    )
    return [row[0] for row in rows]


def _pending(state: State, condition: str, *parameters: str) -> list[tuple[int, Slice]]:
    rows = state.rows(
        f"SELECT id, month, start, \"end\", licences, estimate FROM slices WHERE status = 'pending' AND {condition}",
        *parameters,
    )
    return [(r[0], Slice(r[1], r[2], r[3], tuple(map(int, r[4].split(","))), r[5])) for r in rows]


def _add(state: State, pieces: Iterable[Slice], root: bool = False) -> None:
    with state.transaction() as db:
        db.executemany(
            'INSERT INTO slices (root, month, start, "end", licences, status, estimate) VALUES (?, ?, ?, ?, ?, ?, ?)',
            [
                (int(root), p.month, p.start, p.end, ",".join(map(str, p.licences)), "pending", p.estimate)
                for p in pieces
            ],
        )


def _read(state: State, client: FlickrClient, plan: SearchPlan, numbered: tuple[int, Slice]) -> None:
    """Read one slice to its end, or cut it."""
    number, piece = numbered
    photos: dict[int, FoundPhoto] = {}
    total, complete = 0, False
    for page in range(1, MAX_PAGES + 1):
        total, entries = _page(client, piece, page, f"slice {number} page {page}")
        if page == 1 and total > SPLIT_ABOVE and (parts := split(piece, total)):
            return _close(state, number, "split", total, 0, parts)
        new = 0
        for photo in filter(None, map(found_photo, entries)):
            new += photo.id not in photos
            photos[photo.id] = photo
        # Flickr's totals are estimates and its pages may come short: the end is a page with nothing new, or a short
        # page where the total says that it is the last
        complete = not new or (len(entries) < PER_PAGE and page * PER_PAGE >= total)
        if complete:
            break
    if not complete and (parts := split(piece, max(total, MAX_PAGES * PER_PAGE))):
        return _close(state, number, "split", total, 0, parts)
    with state.transaction():
        kept = [p for p in photos.values() if piece.start <= p.uploaded < piece.end and p.licence in piece.licences]
        _keep(state, plan, kept)
        _close(state, number, "done" if complete else "truncated", total, len(kept))


def _page(client: FlickrClient, piece: Slice, page: int, subject: str) -> tuple[int, list[Any]]:
    answer = client.call(
        "photos.search",
        subject,
        expect="photos",
        min_upload_date=piece.start,
        max_upload_date=piece.end - 1,
        license=",".join(map(str, piece.licences)),
        safe_search=1,
        content_type=1,
        content_types="0",  # the newer spelling of "photos, not screenshots or art"
        media="photos",
        sort="date-posted-asc",
        extras=SEARCH_EXTRAS,
        per_page=PER_PAGE,
        page=page,
    )
    try:
        return int(answer["photos"]["total"]), list(answer["photos"]["photo"])
    except (KeyError, TypeError, ValueError):
        raise FlickrUnavailable("a search without results", 1) from None


def _close(state: State, number: int, status: str, total: int, found: int, parts: Iterable[Slice] = ()) -> None:
    with state.transaction() as db:
        db.execute("UPDATE slices SET status = ?, total = ?, found = ? WHERE id = ?", (status, total, found, number))
        _add(state, parts)


def _keep(state: State, plan: SearchPlan, photos: list[FoundPhoto]) -> None:
    """Take photos in, then let the cap decide for the owners it touched: the lowest ranks stay."""
    now = state.clock.now()
    with state.transaction() as db:
        buried = {(row[0], row[1]) for row in db.execute("SELECT kind, value FROM tombstones")}
        photos = [p for p in photos if ("photo", str(p.id)) not in buried and ("owner", p.owner) not in buried]
        db.executemany(
            "INSERT INTO photos (id, owner, owner_name, title, source, month, uploaded, taken, licence,"
            " licence_checked, original_format, urls, rank) VALUES (?, ?, ?, ?, 'search', ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET owner_name = excluded.owner_name, title = excluded.title,"
            " licence = excluded.licence, licence_checked = excluded.licence_checked",
            [
                (
                    *(p.id, p.owner, p.owner_name, p.title, month_of(p.uploaded), p.uploaded, p.taken, p.licence, now),
                    *(p.original_format, json.dumps(p.urls), rank(p.id, plan.seed)),
                )
                for p in photos
            ],
        )
        db.executemany(
            "DELETE FROM photos WHERE owner = ? AND month = ? AND source = 'search' AND id NOT IN"
            " (SELECT id FROM photos WHERE owner = ? AND month = ? AND source = 'search' ORDER BY rank, id LIMIT ?)",
            [(o, m, o, m, plan.per_user_month) for o, m in {(p.owner, month_of(p.uploaded)) for p in photos}],
        )
