"""The state of a collection: one SQLite file (WAL) in one folder, next to the photos, safe against ``kill -9``.

Each step writes in transactions; a step that was killed resumes from what was committed.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from builders.errors import DataError, DiskError, UsageError, disk_error
from builders.flickrexif.api.clock import Clock, SystemClock
from builders.flickrexif.api.stored_json import damaged_state, stored_json
from builders.flickrexif.store.check_cells import check_cells
from builders.flickrexif.store.schema import MIGRATIONS, TABLES, VERSION, tombstone_hash
from builders.untrusted import first_line

if TYPE_CHECKING:
    from builders.flickrexif.api.client import CallAttempt

DATABASE = "state.sqlite"
FILES = "files"
_BUSY_S = 60.0
_MODE = 0o700
"""A state contains titles and names of people: only its user may read it."""


class State:
    """The open state of a collection. Threads may share it; several processes may open it at once.

    Args:
        folder: of the state.
        create: create the folder and the file if they are missing.
        clock: the time that is recorded.

    Raises:
        DataError: the folder contains no state, a newer one, or a broken one. Every method raises ``DiskError`` when
            the disk is full or fails.
    """

    def __init__(self, folder: Path, *, create: bool = False, clock: Clock | None = None) -> None:
        self.folder = folder
        self.clock: Clock = clock or SystemClock()
        self._lock = threading.RLock()
        path = folder / DATABASE
        if not create and not path.is_file():
            raise DataError(f"{folder}: no state there; begin with 'flickrexif search' or 'flickrexif import'")
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=_MODE)
            os.close(_private(path, os.O_CREAT | os.O_RDWR))
            path.chmod(0o600)  # SQLite gives its journals the mode of the data base
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._db.row_factory = sqlite3.Row
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
                self._db.execute("PRAGMA secure_delete = ON")  # deleted rows are overwritten, not only unlinked
                self._migrate()
                check_cells(self._db, path)
            except BaseException:
                self._db.close()
                raise
        except _SQLITE_ERRORS as error:
            fault = _disk_fault(error, path)
            broken = DataError(f"{path}: cannot be opened as a state ({first_line(error)})")
            raise (fault if isinstance(fault, DiskError) else broken) from None
        except OSError as error:
            raise disk_error(error, path, saved="nothing was begun") from None

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all of the block or nothing. May be nested: the outermost block decides."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            with self._disk_errors():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # a full disk may have rolled it back already
                        self._db.execute("ROLLBACK")
                    raise

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock, self._disk_errors():
            return self._db.execute(sql, parameters).fetchall()

    def stream(self, sql: str, *parameters: Any) -> Iterator[sqlite3.Row]:
        """The rows of a query, two hundred in memory at a time."""
        with self._lock, self._disk_errors():
            cursor = self._db.execute(sql, parameters)
        while True:
            with self._lock, self._disk_errors():
                rows = cursor.fetchmany(200)
            if not rows:
                return
            yield from rows
            rows.clear()

    def value(self, sql: str, *parameters: Any) -> Any:
        """First column of the first row of a query; None without rows."""
        with self._lock, self._disk_errors():
            row = self._db.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turns errors of SQLite that the disk caused into one sentence."""
        try:
            yield
        except _SQLITE_ERRORS as error:
            if fault := _disk_fault(error, self.folder / DATABASE):
                raise fault from None
            raise

    def setting(self, key: str) -> Any:
        """A setting (a JSON value), or None."""
        text = self.value("SELECT value FROM settings WHERE key = ?", key)
        return None if text is None else stored_json(text)

    def set(self, key: str, value: Any) -> None:
        """Store a setting."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))

    def pin(self, key: str, value: Any, option: str) -> None:
        """Store a setting that must never change, or check that it is the stored one.

        Args:
            key: of the setting.
            value: JSON value.
            option: that the value came from, for the message.

        Raises:
            UsageError: the state was made with another value.
        """
        with self.transaction():
            before = self.setting(key)
            if before is None:
                self.set(key, value)
            elif before != value:
                raise UsageError(
                    f"{self.folder} was made with {option} {before}, not {value}: use that, or a new --state"
                )

    def record_call(self, call: CallAttempt) -> None:
        """Add an attempt to the record of calls."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?)",
                (call.started, call.method, call.subject, call.attempt, call.outcome, call.seconds),
            )

    @contextmanager
    def exclusive(self, step: str) -> Iterator[None]:
        """Hold the lock for running ``step`` on this state; it is released when the process ends in any way.

        Raises:
            UsageError: another process runs the step.
        """
        with open(self.folder / f".{step}.lock", "a", opener=_private) as handle:
            _lock(handle, f"{self.folder}: another '{step}' is running on it")
            yield

    def compact(self) -> bool:
        """Rewrite the database and empty its journal, so that no deleted data is left in the files.

        Returns:
            Whether it was possible; it is not while another process reads or writes the state.
        """
        with self._lock, self._disk_errors():
            try:
                self._db.execute("VACUUM")
                return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError:
                return False

    def path_of(self, relative: str) -> Path:
        """Path of a file below the folder of the state.

        Raises:
            DataError: the path leads out of the folder, so that the state is damaged.
        """
        if os.path.isabs(relative) or ".." in Path(relative).parts:
            raise damaged_state("a path in it leads out of its folder", self.folder / DATABASE)
        return self.folder / relative

    def _migrate(self) -> None:
        with open(self.folder / ".schema.lock", "a", opener=_private) as handle:  # two processes may begin at once
            fcntl.flock(handle, fcntl.LOCK_EX)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise DataError(
                    f"{self.folder}: its state has version {version}, this camtrace reads {VERSION}: update it"
                )
            if version == VERSION:
                return
            self._db.create_function("tombstone_hash", 2, tombstone_hash, deterministic=True)
            steps = "".join(MIGRATIONS[v] for v in range(version, VERSION)) if version else TABLES
            try:
                self._db.executescript(f"BEGIN EXCLUSIVE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            if version:
                self.compact()


_SQLITE_ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What ``sqlite3`` raises; the second where SQLite's own message quotes a damaged text."""


def _disk_fault(error: Exception, path: Path) -> DataError | None:
    """The error to raise if the disk or another process caused an error of SQLite; None for every other."""
    message = first_line(error)
    if "is full" in message:
        return disk_error(OSError(errno.ENOSPC, message), path, saved="recorded data are saved")
    if "disk I/O error" in message or "readonly database" in message or "unable to open" in message:
        return disk_error(OSError(errno.EIO, message), path, saved="recorded data are saved")
    if "is locked" in message:
        return DataError(f"{path}: another process has held it for {_BUSY_S:.0f} seconds; run it again")
    # "decode": a text or a message that is not UTF-8; "no such": a trigger or an index names what is not there
    damage = ("malformed", "not a database", "decode", "no such ")
    if any(word in message for word in damage):
        return damaged_state(message, path)
    return None


def _lock(handle: IO[str], complaint: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(f"{complaint} (wait for it, or end it)") from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()


def file_path(id: int, size: str, suffix: str) -> str:
    """Path of a photo's file, below the folder of the state.

    >>> file_path(51234, "o", ".jpg")
    'files/34/12/51234_o.jpg'
    """
    return f"{FILES}/{id % 100:02d}/{id // 100 % 100:02d}/{id}_{size}{suffix}"


def _private(path: str | Path, flags: int) -> int:
    """An ``opener`` whose new files only this user can read."""
    return os.open(path, flags, 0o600)
