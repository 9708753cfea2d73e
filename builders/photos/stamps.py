"""Stamps of files, and facts of files remembered under their stamps, so that only changed files are read again."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from builders.errors import PhotoError
from builders.files import JUST_CHANGED_NS, SAVED_EVERY_S, cache_folder, write_bytes_atomically
from builders.photos.source import Stamp


def file_stamp(path: str, part: str = "") -> Stamp:
    """The stamp of a file, or of a part of it: path, size, time of modification, inode, and time of change (ctime).

    Reproducible archives and cameras without a clock give other pixels the same size and time of modification. The
    inode and the time of change, which no program can set, then differ. The latter counts a tick of the kernel's clock
    after a change, the former after seconds.

    Args:
        path: of the file.
        part: which part of it, appended to the text.

    >>> file_stamp("/no such file")
    Stamp(text='/no such file gone', changed_ns=0)
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Stamp(f"{path} gone", 0)
    return _stamp_of(path, status, part)


def _stamp_of(path: str, status: os.stat_result, part: str = "") -> Stamp:
    fields = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
    changed_ns = max(status.st_mtime_ns, status.st_ctime_ns + _TICK_NS - JUST_CHANGED_NS)
    return Stamp(f"{path} {' '.join(map(str, fields))}{part}", changed_ns)


_TICK_NS = 20_000_000
"""Twice the longest time between two values of the clock of a kernel, in nanoseconds."""


def is_settled(changed_ns: Any, looked_ns: int | None = None) -> Any:
    """Whether files changed long enough ago that another change will change their stamps too.

    Args:
        changed_ns: ``Stamp.changed_ns``, an integer or int64 [files]; 0 where there is no file.
        looked_ns: when the stamps were read; by default now.

    Returns:
        bool, of the shape of ``changed_ns``.
    """
    return ((time.time_ns() if looked_ns is None else looked_ns) - changed_ns > JUST_CHANGED_NS) & (changed_ns > 0)


@contextlib.contextmanager
def open_unchanged(path: str, stamp: str) -> Iterator[BinaryIO]:
    """Open an archive whose members were found when it had a stamp.

    Raises:
        OSError: it cannot be opened.
        PhotoError: it has another stamp now, so that its members lie elsewhere.
    """
    with open(path, "rb") as stream:
        if _stamp_of(path, os.fstat(stream.fileno())).text != stamp:
            raise PhotoError(f"the archive {os.path.basename(path)} has changed since it was opened")
        yield stream


def lasting_stamp(text: str) -> Stamp:
    """The stamp of bytes that never change under a text: that of a file of a commit, or of an ETag.

    >>> lasting_stamp("s3://bucket/a.tar 5d41")
    Stamp(text='s3://bucket/a.tar 5d41', changed_ns=1)
    """
    return Stamp(text, 1)  # long ago; 0 would say that there is no file


@dataclass(frozen=True, eq=False)
class Stamps(Sequence[Stamp]):
    """The stamps of photos: of each its file, and where in the file it is. The text of a file is not repeated.

    >>> within = Stamps([Stamp("a.tar 9000", 7)], np.array([0, 0]), " {}+{}", np.array([[512, 100], [1536, 99]]))
    >>> within[1]
    Stamp(text='a.tar 9000 1536+99', changed_ns=7)
    """

    files: Sequence[Stamp]
    """Stamp of each file; a sequence that looks at the files (``FileStamps``) is read once, in order."""
    file: np.ndarray
    """int [photos], index into ``files``."""
    form: str = ""
    """What follows the text of the file, with a place for each of the photo's numbers."""
    numbers: np.ndarray | None = None
    """int64 [photos, places in ``form``]: row, or offset and size in bytes."""
    earlier: Stamps | None = None
    """The stamps of the same photos in the form of an earlier version, where it was another: caches may hold them."""

    def __len__(self) -> int:
        return len(self.file)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        stamp = self.files[int(self.file[index])]
        return Stamp(stamp.text + self._within([index])[0], stamp.changed_ns)

    def table(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A key of each stamp and the time of its file's last change; every file is looked at once.

        Args:
            size: bytes of a key.

        Returns:
            uint8 [photos, size], BLAKE2b of the text; int64 [photos], in nanoseconds.
        """
        keys, changed = bytearray(), np.empty(len(self), dtype=np.int64)
        begun: dict[int, tuple[Any, int]] = {}
        for start in range(0, len(self), _CHUNK):
            part = range(start, min(start + _CHUNK, len(self)))
            for index, file, within in zip(
                part, self.file[start : part.stop].tolist(), self._within(part), strict=True
            ):
                if file not in begun:
                    if len(begun) >= _CHUNK:
                        begun.clear()
                    stamp = self.files[file]
                    begun[file] = hashlib.blake2b(_encoded(stamp.text), digest_size=size), stamp.changed_ns
                of_file, changed[index] = begun[file]
                key = of_file.copy()
                key.update(within.encode("ascii"))
                keys += key.digest()
        return np.frombuffer(keys, dtype=np.uint8).reshape(-1, size), changed

    def _within(self, indices: Sequence[int]) -> list[str]:
        """The end of the texts of some photos."""
        if self.numbers is None:
            return [self.form] * len(indices)
        return [self.form.format(*row) for row in self.numbers[np.asarray(indices, dtype=np.int64)].tolist()]


_CHUNK = 10_000
"""Photos, and files, whose texts are in memory at a time."""


@dataclass(frozen=True)
class FileStamps(Sequence[Stamp]):
    """Stamps of files that are looked at when they are read: those of a million files take 0.4 GB."""

    path: Callable[[int], str]
    """Path of the file of a row."""
    rows: np.ndarray
    """int64 [files]."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return file_stamp(self.path(int(self.rows[index])))


def stamps_of_files(path: Callable[[int], str], rows: np.ndarray) -> Stamps:
    """Stamps of photos that are files of their own.

    Args:
        path: of the file of a row.
        rows: int64 [photos].
    """
    return Stamps(FileStamps(path, rows), np.arange(len(rows)))


def stamps_within(files: Sequence[Stamp], file: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> Stamps:
    """The stamps of photos that lie in larger files: the stamp of the file, with the photo's offset and size in it.

    Args:
        files: stamps of the larger files.
        file: int [photos], index into ``files``.
        offsets, sizes: int [photos], in bytes.

    >>> list(stamps_within([Stamp("a.tar 9000", 7)], np.array([0]), np.array([512]), np.array([100])))
    [Stamp(text='a.tar 9000 512+100', changed_ns=7)]
    """
    return Stamps(files, file, " {}+{}", np.stack([offsets, sizes], axis=1).astype(np.int64))


class FactCache:
    """Cache of facts of the files of one folder: a JSON value for each file, under the file's stamp."""

    def __init__(self, kind: str, folder: Path, stamps: Stamps, version: str) -> None:
        """Read the facts that the cache has.

        Args:
            kind: of facts; the name of their folder in the cache.
            folder: that holds the files.
            stamps: of the files, in order.
            version: of what is read of a file; facts of another version are ignored.
        """
        name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._path = cache_folder() / kind / f"{name}.json.gz"
        self._version = version
        self._keys = _settled_keys(stamps)
        self._facts = self._read()
        if stamps.earlier is not None:
            for key, earlier in zip(self._keys, _settled_keys(stamps.earlier), strict=True):
                if earlier in self._facts:
                    self._facts.setdefault(key, self._facts[earlier])
        self._saved_at, self._unsaved = time.monotonic(), False

    def get(self, index: int) -> Any:
        """The facts of file ``index``; None if the cache has none."""
        return self._facts.get(self._keys[index])

    def put(self, index: int, facts: Any) -> None:
        """Store the facts of file ``index``, unless it changed a moment ago."""
        if self._keys[index]:
            self._facts[self._keys[index]] = facts
            self._unsaved = True
            if time.monotonic() - self._saved_at > SAVED_EVERY_S:
                self.save()

    def save(self) -> None:
        """Write new facts. A disk that cannot be written to is ignored: the next opening reads the files again."""
        if not self._unsaved:
            return
        facts = {key: self._facts[key] for key in self._keys if key in self._facts}
        text = json.dumps({"version": self._version, "facts": facts})
        try:
            write_bytes_atomically(self._path, gzip.compress(text.encode("utf-8"), compresslevel=1))
        except OSError:
            return
        self._saved_at, self._unsaved = time.monotonic(), False

    def _read(self) -> dict[str, Any]:
        try:
            stored = json.loads(gzip.decompress(self._path.read_bytes()))
            return dict(stored["facts"]) if stored["version"] == self._version else {}
        except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error):
            return {}


def _settled_keys(stamps: Stamps) -> list[str]:
    """A key for each stamp; empty if its file changed a moment ago, and another change might not change the stamp."""
    now_ns = time.time_ns()
    keys, changed = stamps.table(_KEY_BYTES)
    settled = is_settled(changed, now_ns)
    return [key.tobytes().hex() if lasting else "" for key, lasting in zip(keys, settled, strict=True)]


_KEY_BYTES = 12


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
