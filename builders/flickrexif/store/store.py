"""The state of a FlickrExif run: one SQLite file (WAL) in one folder, safe against ``kill -9``, beside the files.

What a step writes, it writes in one transaction; a step that died is taken up again from what is there.
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
from builders.flickrexif.store.schema import MIGRATIONS, TABLES, VERSION, tombstone_hash
from builders.untrusted import first_line

if TYPE_CHECKING:
    from builders.flickrexif.api.client import CallAttempt

DATABASE = "state.sqlite"
FILES = "files"
_BUSY_S = 60.0
_MODE = 0o700
"""Titles and names of people lie in a state: it is nobody else's to read."""


class State:
    """The open state of a run. Threads may share it; processes may open it side by side.

    Args:
        folder: where it lies; made if ``create``.
        create: make what is missing.
        clock: the time that is recorded.

    Raises:
        DataError: the folder holds no state, a newer one, or a broken one; or, later too, the disk takes no more
            (``DiskError``).
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
                self._db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not only unlinked
                self._migrate()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.DatabaseError as error:
            told = _of_disk(error, path)
            broken = DataError(f"{path}: cannot be opened as a state ({first_line(error)})")
            raise (told if isinstance(told, DiskError) else broken) from None
        except OSError as error:
            raise disk_error(error, path, kept="nothing was begun") from None

    def __enter__(self) -> State:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing of it. May be nested: the outermost one counts."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            with self._told():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # a full disk may have rolled it back already
                        self._db.execute("ROLLBACK")
                    raise

    def rows(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        with self._lock, self._told():
            return self._db.execute(sql, parameters).fetchall()

    def each(self, sql: str, *parameters: Any) -> Iterator[sqlite3.Row]:
        """The rows of a question, two hundred in memory at a time."""
        with self._lock:
            found = self._db.execute(sql, parameters)
        while True:
            with self._lock:
                some = found.fetchmany(200)
            if not some:
                return
            yield from some
            some.clear()

    def value(self, sql: str, *parameters: Any) -> Any:
        """First column of the first row; None if there is none."""
        with self._lock, self._told():
            row = self._db.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What a disk does to the file is told in a sentence."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if told := _of_disk(error, self.folder / DATABASE):
                raise told from None
            raise

    def setting(self, key: str) -> Any:
        """A setting, or None."""
        text = self.value("SELECT value FROM settings WHERE key = ?", key)
        return None if text is None else json.loads(text)

    def set(self, key: str, value: Any) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))

    def pin(self, key: str, value: Any, option: str) -> None:
        """Remember a choice that the whole state rests on, or insist that it is the one made before.

        Raises:
            UsageError: this state was made with another value.
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
    def only_one(self, step: str) -> Iterator[None]:
        """Hold the right to run ``step`` on this state; it ends with the process, however that ends.

        Raises:
            UsageError: another process is at it.
        """
        with open(self.folder / f".{step}.lock", "a", opener=_private) as handle:
            _lock(handle, f"{self.folder}: another '{step}' is running on it")
            yield

    def compact(self) -> bool:
        """Write the data base anew, and empty its journal: nothing that was deleted is left in the files.

        Returns:
            Whether that was possible; not while another process reads or writes the state.
        """
        with self._lock:
            try:
                self._db.execute("VACUUM")
                return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError:
                return False

    def path_of(self, relative: str) -> Path:
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


def _of_disk(error: sqlite3.DatabaseError, path: Path) -> DataError | None:
    """An error of SQLite that the disk made, or another process; None for every other."""
    said = first_line(error)
    if "is full" in said:
        return disk_error(OSError(errno.ENOSPC, said), path, kept="what was recorded is kept")
    if "disk I/O error" in said or "readonly database" in said or "unable to open" in said:
        return disk_error(OSError(errno.EIO, said), path, kept="what was recorded is kept")
    if "is locked" in said:
        return DataError(f"{path}: another process has held it for {_BUSY_S:.0f} seconds; run it again")
    if "malformed" in said or "not a database" in said:
        return DataError(f"{path}: it is damaged ({said}); go on with a copy of it, or with a new --state")
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
    """Where the file of a photo lies, below the folder of the state.

    >>> file_path(51234, "o", ".jpg")
    'files/34/12/51234_o.jpg'
    """
    return f"{FILES}/{id % 100:02d}/{id // 100 % 100:02d}/{id}_{size}{suffix}"


def _private(path: str | Path, flags: int) -> int:
    """An ``opener``: a new file is for this user alone."""
    return os.open(path, flags, 0o600)
