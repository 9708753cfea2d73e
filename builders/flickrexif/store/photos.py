"""Photos in the state: the only place that inserts rows, without those that were taken down.

The cap per owner and month is separate: callers apply it before (``within_cap``) or after (``drop_beyond_cap``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builders.flickrexif.api.exif_answers import dumps
from builders.flickrexif.api.search_results import SearchResult, month_of, rank
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import read_tombstones

_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("id", "owner", "owner_name", "title", "source", "month", "uploaded", "taken", "licence")),
    **dict.fromkeys(("licence_checked", "original_format", "urls", "rank", "exif_status", "exif_checked")),
    **dict.fromkeys(("expected_sha256", "turn", "sought")),
    "selected": 0,
}
"""A row of the table ``photos`` without values, by column."""

_INSERT = f"INSERT INTO photos ({', '.join(_EMPTY)}) VALUES ({', '.join(f':{column}' for column in _EMPTY)})"
_UPDATE = (
    " ON CONFLICT DO UPDATE SET owner_name = excluded.owner_name, title = excluded.title,"
    " licence = excluded.licence, licence_checked = excluded.licence_checked"
)
_IGNORE = " ON CONFLICT DO NOTHING"


@dataclass(frozen=True)
class ImportedPhoto:
    """A photo that was read from a published table."""

    id: int
    owner: str
    urls: Mapping[str, tuple[str, int, int]]
    """(address, width, height) by size; 0 where a side is not known."""
    entries: Mapping[tuple[str, str], str] | None = None
    """Exif of the table; None if the table has none, so that it is not known whether the photo has any."""
    licence: int | None = None
    expected_sha256: str | None = None
    """Of its file, as published."""


@dataclass
class ImportCounts:
    """Counts of the rows of an imported table."""

    added: int = 0
    known: int = 0
    """Already in the state."""
    taken_down: int = 0
    """Taken down before."""
    unusable: int = 0
    """Without a usable id, owner or address."""

    def __add__(self, other: ImportCounts) -> ImportCounts:
        return ImportCounts(
            self.added + other.added,
            self.known + other.known,
            self.taken_down + other.taken_down,
            self.unusable + other.unusable,
        )


def insert_photos(
    state: State,
    photos: Sequence[SearchResult],
    seed: int,
    *,
    source: str = "search",
    turns: Sequence[int] | None = None,
    sought: str | None = None,
) -> None:
    """Write photos into the state, unselected; update licence, title and author of those that are there already.

    Args:
        state: receives the photos; those that were taken down are left out.
        photos: results of a search.
        seed: of their ranks.
        source: ``search`` or ``fill``.
        turns: of a sample, the turn of each photo.
        sought: of a fill, the class that was searched for.
    """
    tombstones, now = read_tombstones(state), state.clock.now()
    all_turns = [None] * len(photos) if turns is None else turns
    rows = [
        _row(
            id=photo.id,
            owner=photo.owner,
            owner_name=photo.owner_name,
            title=photo.title,
            source=source,
            month=month_of(photo.uploaded),
            uploaded=photo.uploaded,
            taken=photo.taken,
            licence=photo.licence,
            licence_checked=now,
            original_format=photo.original_format,
            urls=json.dumps(photo.urls),
            rank=rank(photo.id, seed),
            turn=turn,
            sought=sought,
        )
        for photo, turn in zip(photos, all_turns, strict=True)
        if not tombstones.covers(photo.id, photo.owner)
    ]
    with state.transaction() as db:
        db.executemany(_INSERT + _UPDATE, rows)


def import_photos(state: State, photos: Iterable[ImportedPhoto], seed: int = 0) -> ImportCounts:
    """Write photos of a published table into the state, selected. Photos that are there already are left as they are.

    Args:
        state: receives the photos; those that were taken down are left out.
        photos: of the table.
        seed: of their ranks.
    """
    counts = ImportCounts()
    tombstones, now = read_tombstones(state), state.clock.now()
    with state.transaction() as db:
        for photo in photos:
            if tombstones.covers(photo.id, photo.owner):
                counts.taken_down += 1
                continue
            with_exif = photo.entries is not None
            row = _row(
                id=photo.id,
                owner=photo.owner,
                source="import",
                licence=photo.licence,
                urls=json.dumps(photo.urls),
                rank=rank(photo.id, seed),
                selected=1,
                exif_status=("ok" if photo.entries else "empty") if with_exif else None,
                exif_checked=now if with_exif else None,
                expected_sha256=photo.expected_sha256,
            )
            if not db.execute(_INSERT + _IGNORE, row).rowcount:
                counts.known += 1
                continue
            counts.added += 1
            if photo.entries:
                db.execute("INSERT INTO exif VALUES (?, ?)", (photo.id, dumps(photo.entries)))
    return counts


def drop_beyond_cap(state: State, photos: Iterable[SearchResult], cap: int) -> None:
    """Delete search results beyond the cap for the owners and months of some photos; the lowest ranks stay.

    Args:
        state: of the search.
        photos: name the owners and months to look at.
        cap: photos per owner and month.
    """
    with state.transaction() as db:
        db.executemany(
            "DELETE FROM photos WHERE owner = ? AND month = ? AND source = 'search' AND id NOT IN"
            " (SELECT id FROM photos WHERE owner = ? AND month = ? AND source = 'search' ORDER BY rank, id LIMIT ?)",
            [(o, m, o, m, cap) for o, m in {(p.owner, month_of(p.uploaded)) for p in photos}],
        )


def within_cap(state: State, photos: Iterable[SearchResult], cap: int) -> list[SearchResult]:
    """The new photos, in their order, that the cap still admits. Photos in the state count and stay.

    Args:
        state: of the search.
        photos: candidates, the preferred ones first.
        cap: photos per owner and month.
    """
    admitted: list[SearchResult] = []
    counts: Counter[tuple[str, str]] = Counter()
    for photo in photos:
        key = photo.owner, month_of(photo.uploaded)
        if key not in counts:
            counts[key] = state.value("SELECT count(*) FROM photos WHERE owner = ? AND month = ?", *key)
        if counts[key] < cap and not state.value("SELECT 1 FROM photos WHERE id = ?", photo.id):
            counts[key] += 1
            admitted.append(photo)
    return admitted


def _row(**values: Any) -> dict[str, Any]:
    return {**_EMPTY, **values}
