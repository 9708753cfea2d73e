"""Read one slice of a search: all its pages, or the parts to split it into. Possible outages are recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builders.flickrexif.api.client import FlickrClient, FlickrUnavailable
from builders.flickrexif.api.search_results import SEARCH_EXTRAS, SearchResult, search_result
from builders.flickrexif.search.plan import MAX_PAGES, PER_PAGE, SPLIT_ABOVE, Slice, split

LONG_S = 86400
"""Under load Flickr sends empty responses. An empty response is doubted for a slice of at least this length."""

MANY = 20
"""An empty response is doubted for a slice with at least so many expected photos."""

_MIN_SHARE, _MIN_SHARE_STOPPED = 0.5, 0.9
"""Share of the reported results below which a response is doubted; the second applies after an empty last page."""


@dataclass(frozen=True)
class SliceReading:
    """Result of reading a slice."""

    total: int
    """Results that Flickr reported."""
    photos: tuple[SearchResult, ...] = ()
    """Distinct photos in the slice and under its licences."""
    complete: bool = True
    """Read to the end; False if there are more results than Flickr returns."""
    parts: tuple[Slice, ...] = ()
    """Parts to read instead; then there are no photos."""
    doubtful: bool = False
    """The response is empty, or too short, in a way that may be an outage."""


def read_slice(client: FlickrClient, piece: Slice, subject: str, text: str = "") -> SliceReading:
    """Read a slice to its end, or split it.

    Args:
        client: makes the calls, one for each page.
        piece: what to read.
        subject: what the calls are about, for the record.
        text: words that title, description or tags must contain.

    Raises:
        FlickrUnavailable: no usable response.
    """
    photos: dict[int, SearchResult] = {}
    total, complete, stopped = 0, False, False
    for page in range(1, MAX_PAGES + 1):
        reported, entries = _page(client, piece, page, PER_PAGE, f"{subject} page {page}", text)
        total = max(total, reported)
        if page == 1 and total > SPLIT_ABOVE and (parts := split(piece, total)):
            return SliceReading(total, parts=tuple(parts))
        new = 0
        for photo in filter(None, map(search_result, entries)):
            new += photo.id not in photos
            photos[photo.id] = photo
        # Flickr's totals are estimates and its pages may be short: the end is a page with nothing new, or a short page
        # that is the last one by the total
        stopped = not entries
        complete = not new or (len(entries) < PER_PAGE and page * PER_PAGE >= total)
        if complete:
            break
    if not complete and (parts := split(piece, max(total, MAX_PAGES * PER_PAGE))):
        return SliceReading(total, parts=tuple(parts))
    inside = [p for p in photos.values() if piece.start <= p.uploaded < piece.end and p.licence in piece.licences]
    doubted = complete and doubtful(piece, total, len(photos), stopped=stopped)
    return SliceReading(total, tuple(inside), complete, doubtful=doubted)


def read_whole(client: FlickrClient, piece: Slice, subject: str, text: str = "") -> SliceReading:
    """``read_slice`` with its parts, their parts and so on, until nothing is split. Arguments and errors as there."""
    reading = read_slice(client, piece, subject, text)
    if not reading.parts:
        return reading
    readings = [read_whole(client, part, subject, text) for part in reading.parts]
    photos = {photo.id: photo for part in readings for photo in part.photos}
    complete, doubted = all(part.complete for part in readings), any(part.doubtful for part in readings)
    return SliceReading(reading.total, tuple(photos.values()), complete, doubtful=doubted)


def count_slice(client: FlickrClient, piece: Slice, subject: str, text: str = "") -> int:
    """Number of photos that Flickr reports for a slice: an estimate, by one call. Arguments as in ``read_slice``."""
    return _page(client, piece, 1, 1, subject, text)[0]


def doubtful(piece: Slice, total: int, photos: int, *, stopped: bool = True) -> bool:
    """Whether responses with no photos, or with far fewer than they report, may be an outage.

    Args:
        piece: what was read.
        total: results that Flickr reported, an estimate.
        photos: number of distinct photos in the responses.
        stopped: the last page was empty; totals are more exact then.

    >>> month, minutes = Slice("2012-04", 0, 30 * 86400, (4,)), Slice("2012-04", 0, 600, (4,), 2.5)
    >>> doubtful(month, 0, 0), doubtful(minutes, 0, 0), doubtful(minutes, 640, 500), doubtful(minutes, 540, 500)
    (True, False, True, False)
    """
    if total >= MANY and photos < (_MIN_SHARE_STOPPED if stopped else _MIN_SHARE) * total:
        return True
    return not photos and (total > 0 or piece.estimate >= MANY or piece.end - piece.start >= LONG_S)


def _page(
    client: FlickrClient, piece: Slice, page: int, per_page: int, subject: str, text: str
) -> tuple[int, list[Any]]:
    words: Mapping[str, Any] = {"text": text} if text else {}
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
        per_page=per_page,
        page=page,
        **words,
    )
    try:
        total, entries = int(answer["photos"]["total"]), list(answer["photos"]["photo"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise FlickrUnavailable("a search without results", 1) from None
    if not 0 <= total < 2**62:
        raise FlickrUnavailable("a search with a total that cannot be", 1)
    return total, entries
