"""Ask Flickr again for what may change or is not known: licence, author, title, and whether a photo is still there.

One call of ``flickr.photos.getInfo`` per photo. A photo that its owner has deleted or hidden leaves the data set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from builders.flickrexif.api.client import FlickrClient, FlickrRefusal, FlickrUnavailable
from builders.flickrexif.api.search_results import text_of
from builders.flickrexif.search.exif_calls import MAX_FAILURES_IN_A_ROW
from builders.flickrexif.store.store import State


@dataclass
class Refreshed:
    """What one run of refresh did."""

    asked: int = 0
    gone: int = 0
    """Deleted or hidden since: no longer selected."""
    changed: int = 0
    """Licences that are not what they were."""
    failed: int = 0


def refresh(state: State, client: FlickrClient, *, older_than_days: float | None = None) -> Refreshed:
    """Look up photos whose licence is unknown, and those checked longer ago than ``older_than_days``.

    Raises:
        FlickrUnavailable: the service is down; what was learnt is kept.
    """
    counts = Refreshed()
    before = -1.0 if older_than_days is None else state.clock.now() - older_than_days * 86400
    with state.exclusive("search"):
        waiting = state.rows(
            "SELECT id, licence FROM photos WHERE selected = 1 AND (licence_checked IS NULL OR licence_checked < ?)"
            " ORDER BY id",
            before,
        )
        in_a_row = 0
        for id, licence in tqdm(waiting, desc="refresh", unit="photo", disable=None):
            try:
                answer = client.call("photos.getInfo", "photo", expect="photo", photo_id=id)["photo"]
                _keep(state, id, licence, answer, counts)
            except FlickrRefusal as refusal:
                counts.gone += 1
                with state.transaction() as db:
                    db.execute(
                        "UPDATE photos SET selected = -1, licence_checked = ?, exif_error = ? WHERE id = ?",
                        (state.clock.now(), str(refusal), id),
                    )
            except FlickrUnavailable:
                counts.failed += 1
                in_a_row += 1
                if in_a_row >= MAX_FAILURES_IN_A_ROW:
                    raise
                continue
            counts.asked += 1
            in_a_row = 0
    return counts


def _keep(state: State, id: int, licence: int | None, answer: Any, counts: Refreshed) -> None:
    photo: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    owner = photo.get("owner")
    owner = owner if isinstance(owner, Mapping) else {}
    text = text_of(photo.get("license"))
    now_licence = int(text) if text.isdigit() else None
    counts.changed += licence is not None and now_licence != licence
    with state.transaction() as db:
        db.execute(
            "UPDATE photos SET licence = ?, licence_checked = ?, owner_name = ?, title = ? WHERE id = ?",
            (
                now_licence,
                state.clock.now(),
                text_of(owner.get("realname")) or text_of(owner.get("username")),
                text_of(photo.get("title")),
                id,
            ),
        )
