"""Request the Exif of each selected photo from Flickr: one call per photo, each response stored when it arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from builders.flickrexif.api.client import FlickrClient, FlickrRefusal, FlickrUnavailable
from builders.flickrexif.api.exif_answers import dumps, entries_from_response
from builders.flickrexif.store.store import State

MAX_FAILURES_IN_A_ROW = 5
"""So many photos without a response end the run: the service is down."""

_HIDDEN = 2
"""Flickr's code of getExif for a photo whose owner hides its Exif: permission denied."""

_FINAL = {1: "gone", _HIDDEN: "hidden"}
"""Final status by Flickr's code of getExif: photo not found, permission denied."""

EXIF_PENDING = "selected = 1 AND (exif_status IS NULL OR exif_status = 'failed')"
"""SQL condition of photos whose call has not been made, or has to be made again."""


def request_exif_of_month(
    state: State, client: FlickrClient, month: str, connections: int, tick: Callable[[], None]
) -> None:
    """``request_exif`` for every photo of a month whose Exif is not known."""
    rows = state.rows(f"SELECT id FROM photos WHERE month = ? AND {EXIF_PENDING} ORDER BY id", month)
    request_exif(state, client, [row[0] for row in rows], connections, tick)


def request_exif(
    state: State, client: FlickrClient, ids: Iterable[int], connections: int, tick: Callable[[], None]
) -> None:
    """Request and store the Exif of photos, in their order.

    Args:
        state: stores the responses.
        client: makes the calls.
        ids: of the photos.
        connections: calls in parallel.
        tick: called after every response.

    Raises:
        FlickrUnavailable: the service is down; the responses so far are stored.
    """
    waiting = deque(ids)
    failures_in_a_row = 0
    pool = ThreadPoolExecutor(max(1, connections))
    running: dict[Future[bool], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < connections:
                id = waiting.popleft()
                running[pool.submit(request_photo_exif, state, client, id)] = id
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                running.pop(future)
                failures_in_a_row = 0 if future.result() else failures_in_a_row + 1
                if failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                    raise FlickrUnavailable("photos.getExif without an answer", failures_in_a_row)
            tick()
    except BaseException:
        client.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def request_photo_exif(state: State, client: FlickrClient, id: int) -> bool:
    """Request and store the Exif of one photo; False if there was no response."""
    entries, status, error = {}, "ok", None
    try:
        entries = entries_from_response(client.call("photos.getExif", "photo", expect="photo", photo_id=id))
        status = "ok" if entries else "empty"
    except FlickrRefusal as refusal:
        status, error = _FINAL.get(refusal.code, "refused"), str(refusal)
    except FlickrUnavailable as unavailable:
        status, error = "failed", unavailable.error_class
    with state.transaction() as db:
        db.execute(
            "UPDATE photos SET exif_status = ?, exif_error = ?, exif_checked = ?, exif_attempts = exif_attempts + 1"
            " WHERE id = ?",
            (status, error, state.clock.now(), id),
        )
        if entries:
            db.execute("INSERT OR REPLACE INTO exif VALUES (?, ?)", (id, dumps(entries)))
    return status != "failed"


def exif_is_hidden(client: FlickrClient, id: int) -> bool:
    """Ask Flickr whether the owner of a photo hides its Exif.

    Raises:
        FlickrRefusal: for another reason: the photo is gone.
        FlickrUnavailable: there was no response.
    """
    try:
        client.call("photos.getExif", "photo", expect="photo", photo_id=id)
    except FlickrRefusal as refusal:
        if refusal.code == _HIDDEN:
            return True
        raise
    return False
