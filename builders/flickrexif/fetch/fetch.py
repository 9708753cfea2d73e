"""Fetch photos into a state: each becomes a file with its hash or a recorded failure.

Files are stored at ``files/<id % 100>/<id // 100 % 100>/<id>_<size>.<suffix>``. A file is moved to its path before its
row is written, so a row always has its file. After a kill, only the files that were still arriving are fetched again.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from builders.errors import disk_error
from builders.flickrexif.api.stored_json import stored_addresses
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan, FetchRequest, FileRow, choose, fetch_into
from builders.flickrexif.store.store import FILES, State
from builders.flickrexif.store.tombstones import remove_taken_down
from builders.untrusted import list_folder

PLACEHOLDER_OWNERS = 3
"""The same bytes for photos of so many owners are a placeholder picture of the server, whatever its name."""


def fetch(state: State, plan: FetchPlan) -> FetchCounts:
    """Fetch every selected photo that has neither a file nor a recorded failure.

    Args:
        state: of the collection.
        plan: how to fetch.

    Raises:
        UsageError: another fetch is running on this state.
        DiskError: the disk is full or cannot be written to; fetched files stay.
    """
    with state.exclusive("fetch"):
        remove_taken_down(state)
        incoming = state.path_of(f"{FILES}/.incoming")
        incoming.mkdir(parents=True, exist_ok=True)
        for leftover in list_folder(incoming).files:
            (incoming / leftover).unlink()
        spent: dict[int, frozenset[str]] = {}
        if plan.retry_failed:
            again = retryable_photos(state, plan.sizes)
            with state.transaction() as db:
                db.executemany("DELETE FROM files WHERE photo_id = ?", [(id,) for id in again])
            spent = {id: sizes for id, sizes in again.items() if sizes}
        try:
            return fetch_into(_StateTarget(state, plan, spent, incoming), plan)
        except OSError as error:
            raise disk_error(error, state.folder, saved="fetched files are saved") from None


class _StateTarget:
    """A ``FetchTarget`` that stores files and rows in a state."""

    def __init__(self, state: State, plan: FetchPlan, spent: Mapping[int, frozenset[str]], incoming: Path) -> None:
        self.counts = FetchCounts()
        self.clock = state.clock
        self._started = self.clock.now()
        self._state, self._plan, self._spent, self._incoming = state, plan, spent, incoming

    def total(self) -> int:
        pending: int = self._state.value(
            "SELECT count(*) FROM photos WHERE selected = 1 AND id NOT IN (SELECT photo_id FROM files)"
        )
        return pending if self._plan.limit is None else min(pending, self._plan.limit)

    def requests(self) -> Iterator[FetchRequest]:
        return itertools.islice(pending_requests(self._state, self._plan.sizes, self._spent), self._plan.limit)

    def temporary(self, name: str) -> Path:
        return self._incoming / name

    async def save(self, row: FileRow, file: Path | None) -> None:
        if file is not None and row.path is not None:
            target = self._state.path_of(row.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        with self._state.transaction() as db:
            insert_rows(db, [row])
        self.counts.add(row)
        if row.sha256 is not None:
            refuse_placeholders(self._state, [row.sha256], self.counts, self._fetched_now)

    def _fetched_now(self, sha256: str) -> int:
        count: int = self._state.value(
            "SELECT count(*) FROM files WHERE sha256 = ? AND status = 'ok' AND at >= ?", sha256, self._started
        )
        return count


def insert_rows(db: sqlite3.Connection, rows: Sequence[FileRow]) -> None:
    """Insert rows of the table ``files``; they replace earlier rows of the same photos."""
    db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def refuse_placeholders(
    state: State, hashes: Sequence[str], counts: FetchCounts, counted: Callable[[str], int]
) -> None:
    """Delete files whose bytes were served for photos of several owners, and record why.

    Args:
        state: of the run.
        hashes: SHA-256 of the files to check.
        counts: deleted files are counted as failures instead of as fetched.
        counted: number of files with a hash that ``counts`` has as fetched; those of earlier runs are not in it.
    """
    for sha256 in hashes:
        owners = state.value(
            "SELECT count(DISTINCT owner) FROM files JOIN photos ON id = photo_id WHERE sha256 = ?", sha256
        )
        if owners < PLACEHOLDER_OWNERS:
            continue
        files = state.rows("SELECT photo_id, path, bytes FROM files WHERE sha256 = ? AND status = 'ok'", sha256)
        fetched = counted(sha256)
        counts.fetched -= fetched
        counts.bytes -= fetched * (files[0]["bytes"] if files else 0)
        for photo_id, path, _ in files:
            state.path_of(path).unlink(missing_ok=True)
            with state.transaction() as db:
                db.execute(
                    "UPDATE files SET status = 'gone', path = NULL, error_class = 'unavailable',"
                    " error = 'the same bytes came for photos of several owners' WHERE photo_id = ?",
                    (photo_id,),
                )
            counts.failures["unavailable"] += 1


_ROWS_PER_QUERY = 500


def pending_requests(state: State, sizes: Sequence[str], again: Mapping[int, frozenset[str]]) -> Iterator[FetchRequest]:
    """Requests for all photos to fetch, by id; read in chunks, so that memory does not grow with their number.

    Args:
        state: of the run.
        sizes: in order of preference.
        again: photos to fetch although they have a recorded failure, with the sizes not to try again.
    """
    last = 0
    while rows := state.rows(
        "SELECT id, urls, expected_sha256, photo_id FROM photos LEFT JOIN files ON id = photo_id"
        f" WHERE selected = 1 AND (photo_id IS NULL OR status != 'ok') AND id > ? ORDER BY id LIMIT {_ROWS_PER_QUERY}",
        last,
    ):
        last = rows[-1][0]
        for id, urls, expected, recorded in rows:
            if recorded is None or id in again:
                yield choose(id, stored_addresses(urls), sizes, again.get(id, frozenset()), expected)


def retryable_photos(state: State, sizes: Sequence[str]) -> dict[int, frozenset[str]]:
    """Photos to try again: their failure may pass, or one of ``sizes`` has not been tried.

    Returns:
        The sizes not to try again, by photo id.
    """
    rows = state.rows(
        "SELECT photo_id, f.size, urls FROM files f JOIN photos ON id = photo_id"
        " WHERE f.status = 'gone' AND error_class NOT IN ('unavailable', 'changed')"
    )
    spent = {row[0]: frozenset((row[1] or "").split(",")) - {""} for row in rows}
    again = {
        row[0]: spent[row[0]]
        for row in rows
        if choose(row[0], stored_addresses(row[2]), sizes, spent[row[0]], None).url is not None
    }
    transient = [row[0] for row in state.rows("SELECT photo_id FROM files WHERE status = 'failed'")]
    return {**dict.fromkeys(transient, frozenset()), **again}
