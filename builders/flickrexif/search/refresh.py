"""Update from Flickr what may change or is not known: licence, author, title, and whether photo and Exif are shown.

One call of ``flickr.photos.getInfo`` and one of ``flickr.photos.getExif`` per photo. A photo that its owner has deleted
or hidden, or whose Exif its owner hides now, leaves the data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builders.flickrexif.api.client import FlickrClient, FlickrRefusal, FlickrUnavailable
from builders.flickrexif.api.search_results import text_of
from builders.flickrexif.search.exif_calls import MAX_FAILURES_IN_A_ROW, exif_is_hidden
from builders.flickrexif.store.store import State
from builders.processes import progress_bar


@dataclass
class Refreshed:
    """Counts of one run of refresh."""

    checked: int = 0
    """Photos with a response."""
    gone: int = 0
    """Deleted or hidden since: no longer selected."""
    hidden: int = 0
    """Photos whose owner hides their Exif since: they leave the next build."""
    changed: int = 0
    """Photos with another licence than before."""
    failed: int = 0
    """Photos without a response."""


def refresh(state: State, client: FlickrClient, *, older_than_days: float | None = None) -> Refreshed:
    """Update photos whose licence is unknown, and those that were last checked before ``older_than_days``.

    Args:
        state: of the collection.
        client: makes the calls.
        older_than_days: of the last check; None: only photos whose licence is unknown.

    Raises:
        FlickrUnavailable: the service is down; the updates so far are stored.
    """
    counts = Refreshed()
    before = -1.0 if older_than_days is None else state.clock.now() - older_than_days * 86400
    with state.exclusive("search"):
        waiting = state.rows(
            "SELECT id, licence FROM photos WHERE selected = 1 AND (licence_checked IS NULL OR licence_checked < ?)"
            " ORDER BY id",
            before,
        )
        failures_in_a_row = 0
        for id, licence in progress_bar(waiting, desc="refresh", unit="photo"):
            try:
                response = client.call("photos.getInfo", "photo", expect="photo", photo_id=id)
                hidden = exif_is_hidden(client, id)
                counts.changed += _update(state, id, licence, response["photo"], hidden)
                counts.hidden += hidden
            except FlickrRefusal as refusal:
                counts.gone += 1
                with state.transaction() as db:
                    db.execute(
                        "UPDATE photos SET selected = -1, licence_checked = ?, exif_error = ? WHERE id = ?",
                        (state.clock.now(), str(refusal), id),
                    )
            except FlickrUnavailable:
                counts.failed += 1
                failures_in_a_row += 1
                if failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                    raise
                continue
            counts.checked += 1
            failures_in_a_row = 0
    return counts


def _update(state: State, id: int, licence: int | None, response: Any, hidden: bool) -> bool:
    """Store what Flickr reports of a photo. Returns whether its licence, if it was known, has changed."""
    photo: Mapping[str, Any] = response if isinstance(response, Mapping) else {}
    owner = photo.get("owner")
    owner = owner if isinstance(owner, Mapping) else {}
    text = text_of(photo.get("license"))
    new_licence = int(text) if text.isdecimal() and len(text) < 10 else None
    with state.transaction() as db:
        db.execute(
            "UPDATE photos SET licence = ?, licence_checked = ?, owner_name = ?, title = ? WHERE id = ?",
            (
                new_licence,
                state.clock.now(),
                text_of(owner.get("realname")) or text_of(owner.get("username")),
                text_of(photo.get("title")),
                id,
            ),
        )
        if hidden:
            db.execute(
                "UPDATE photos SET exif_status = 'hidden', exif_checked = ? WHERE id = ?", (state.clock.now(), id)
            )
            db.execute("DELETE FROM exif WHERE photo_id = ?", (id,))
    return licence is not None and new_licence != licence
