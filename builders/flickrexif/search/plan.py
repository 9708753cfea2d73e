"""What to search for (plan, slices of upload time), and the beginning that all kinds of search share."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from builders.errors import UsageError
from builders.flickrexif.api.client import FlickrClient
from builders.flickrexif.api.licences import check_with_flickr
from builders.flickrexif.store.store import State

MAX_RESULTS = 4000
"""The last result of a search that is requested."""

SPLIT_ABOVE = 3000
"""A slice that reports more results is split. Totals are estimates; the difference to MAX_RESULTS is the margin."""

MIN_SLICE_S = 300
"""Shortest slice: slices are not halved below five minutes."""

PER_PAGE = 500
"""Flickr's largest page."""

MAX_PAGES = MAX_RESULTS // PER_PAGE


@dataclass(frozen=True)
class Slice:
    """Photos uploaded in [start, end) under one of ``licences``."""

    month: str
    """YYYY-MM, UTC; a slice lies within one month."""
    start: int
    end: int
    licences: tuple[int, ...]
    estimate: float = 0.0
    """Results to expect."""


def split(piece: Slice, total: int) -> list[Slice]:
    """Split a slice into two halves in time, or, if it is too short, into one slice per licence.

    Args:
        piece: the slice.
        total: results that Flickr reported for it.

    Returns:
        The parts; empty if the slice is short and has one licence.

    >>> [(s.start, s.end) for s in split(Slice("2020-01", 0, 700, (4, 5)), 9000)]
    [(0, 350), (350, 700)]
    >>> [s.licences for s in split(Slice("2020-01", 0, 350, (4, 5)), 9000)]
    [(4,), (5,)]
    """
    if piece.end - piece.start >= 2 * MIN_SLICE_S:
        middle = (piece.start + piece.end) // 2
        spans = ((piece.start, middle), (middle, piece.end))
        return [replace(piece, start=start, end=end, estimate=total / 2) for start, end in spans]
    if len(piece.licences) > 1:
        return [replace(piece, licences=(id,), estimate=total / len(piece.licences)) for id in piece.licences]
    return []


def months(start: int, end: int) -> list[tuple[str, int, int]]:
    """The months (UTC) of [start, end), cut at its ends: (YYYY-MM, start, end) each.

    >>> months(0, 31 * 86400 + 1)
    [('1970-01', 0, 2678400), ('1970-02', 2678400, 2678401)]
    """
    parts = []
    while start < end:
        at = datetime.datetime.fromtimestamp(start, datetime.timezone.utc)
        after = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1, day=1, hour=0, minute=0, second=0)
        stop = min(end, int(after.timestamp()))
        parts.append((f"{at:%Y-%m}", start, stop))
        start = stop
    return parts


def gaps(start: int, end: int, covered: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """The parts of [start, end) outside all spans of ``covered``.

    >>> gaps(0, 10, [(2, 4), (6, 20)])
    [(0, 2), (4, 6)]
    """
    open_parts = []
    for covered_start, covered_end in sorted((c[0], c[1]) for c in covered):
        if covered_start > start:
            open_parts.append((start, min(covered_start, end)))
        start = max(start, covered_end)
        if start >= end:
            break
    if start < end:
        open_parts.append((start, end))
    return [(a, b) for a, b in open_parts if a < b]


INDEX_LAG_S = 86400
"""Photos younger than a day are left to a later search, because Flickr's index may not have them yet."""

EMPTY_AGAIN_S = 600.0
"""Default of ``SearchPlan.empty_again_s``."""


@dataclass(frozen=True)
class SearchPlan:
    """What to search for."""

    start: int
    """Upload time, seconds since 1970, inclusive."""
    end: int
    """Exclusive."""
    per_user_month: int
    """Cap: photos per owner and month of upload."""
    licences: tuple[int, ...]
    """Ids of Flickr."""
    seed: int = 0
    """Of the choice that the cap makes, and of the sample."""
    each_licence: bool = False
    """Search for one licence at a time from the beginning, not only where a slice is too large."""
    with_exif: bool = True
    """Also request the Exif of each photo; without it, only originals will have any."""
    photos: int | None = None
    """Size of a sample that is even over months; None: all photos that the cap allows."""
    empty_again_s: float = EMPTY_AGAIN_S
    """Seconds until a search is repeated whose empty response is doubted."""


def start_search(state: State, client: FlickrClient, plan: SearchPlan, calls_per_hour: float) -> None:
    """Fix the cap, the seed and the licences of a state, and compare the table of licences with Flickr's.

    Args:
        state: of the collection.
        client: makes one call, in the first search of the state.
        plan: of the search.
        calls_per_hour: for the record.

    Raises:
        UsageError: the state was made by another plan.
    """
    if plan.photos is not None and state.value("SELECT count(*) FROM slices WHERE status != 'pending'"):
        raise UsageError(
            f"{state.folder}: its search was begun without --limit: go on without, or sample into a new --state"
        )
    state.pin("per_user_month", plan.per_user_month, "--per-user-month")
    state.pin("seed", plan.seed, "--seed")
    state.pin("licences", list(plan.licences), "--license")
    if state.setting("licences_checked") is None:
        check_with_flickr(client.call("photos.licenses.getInfo", "licences", expect="licenses"), plan.licences)
        state.set("licences_checked", state.clock.now())
    state.set("with_exif", plan.with_exif)
    state.set("calls_per_hour", calls_per_hour)
    state.set("photos_wanted", plan.photos)


def searchable_end(state: State, plan: SearchPlan) -> int:
    """The end of the plan's span, or of the part that Flickr's index contains, in seconds since 1970."""
    return min(plan.end, int(state.clock.now()) - INDEX_LAG_S)
