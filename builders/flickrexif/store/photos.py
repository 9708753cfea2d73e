"""Found photos go into the state: never what was taken down, never more of an owner and month than the cap allows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from builders.flickrexif.api.search_results import SearchResult, month_of, rank
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import tombstones

_INSERT = (
    "INSERT INTO photos (id, owner, owner_name, title, source, month, uploaded, taken, licence, licence_checked,"
    " original_format, urls, rank, turn, sought) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET owner_name = excluded.owner_name, title = excluded.title,"
    " licence = excluded.licence, licence_checked = excluded.licence_checked"
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
    """Write photos into the state, unselected; of those that are there already, what may have changed is renewed.

    Args:
        state: where they go; what it has taken down stays out.
        photos: what was found.
        seed: of their ranks.
        source: ``search`` or ``fill``.
        turns: of a sample, the turn of each.
        sought: of a fill, the class that they may be of.
    """
    graves, now = tombstones(state), state.clock.now()
    all_turns = [None] * len(photos) if turns is None else turns
    rows = [
        (
            *(p.id, p.owner, p.owner_name, p.title, source, month_of(p.uploaded), p.uploaded, p.taken, p.licence, now),
            *(p.original_format, json.dumps(p.urls), rank(p.id, seed), turn, sought),
        )
        for p, turn in zip(photos, all_turns, strict=True)
        if not graves.cover(p.id, p.owner)
    ]
    with state.transaction() as db:
        db.executemany(_INSERT, rows)


def drop_beyond_cap(state: State, photos: Iterable[SearchResult], cap: int) -> None:
    """Let the cap decide for the owners and months of some photos: of what the search found, the lowest ranks stay."""
    with state.transaction() as db:
        db.executemany(
            "DELETE FROM photos WHERE owner = ? AND month = ? AND source = 'search' AND id NOT IN"
            " (SELECT id FROM photos WHERE owner = ? AND month = ? AND source = 'search' ORDER BY rank, id LIMIT ?)",
            [(o, m, o, m, cap) for o, m in {(p.owner, month_of(p.uploaded)) for p in photos}],
        )


def room_under_cap(state: State, photos: Iterable[SearchResult], cap: int) -> list[SearchResult]:
    """The photos, in their order, that the cap still lets in beside those in the state, which stay."""
    kept: list[SearchResult] = []
    there: Counter[tuple[str, str]] = Counter()
    for photo in photos:
        key = photo.owner, month_of(photo.uploaded)
        if key not in there:
            there[key] = state.value("SELECT count(*) FROM photos WHERE owner = ? AND month = ?", *key)
        if there[key] < cap and not state.value("SELECT 1 FROM photos WHERE id = ?", photo.id):
            there[key] += 1
            kept.append(photo)
    return kept
