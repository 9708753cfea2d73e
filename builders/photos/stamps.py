"""Stamps of files, and facts of files remembered under their stamps, so that only changed files are read again."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from builders.files import JUST_CHANGED_NS, SAVED_EVERY_S, cache_folder, write_bytes_atomically
from builders.photos.source import Stamp


def file_stamp(path: str, part: str = "") -> Stamp:
    """The stamp of a file, or of a part of it: path, size, time of modification, inode, and time of change (ctime).

    Reproducible archives and cameras without a clock give other pixels the same size and time of modification. The
    inode and the time of change, which no program can set, then differ.

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
    fields = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)
    return Stamp(f"{path} {' '.join(map(str, fields))}{part}", status.st_mtime_ns)


def stamps_within(files: Sequence[Stamp], file: np.ndarray, offsets: np.ndarray, sizes: np.ndarray) -> list[Stamp]:
    """The stamps of photos that lie in larger files: the stamp of the file, with the photo's offset and size in it.

    Args:
        files: stamps of the larger files.
        file: int [photos], index into ``files``.
        offsets, sizes: int [photos], in bytes.

    >>> stamps_within([Stamp("a.tar 9000", 7)], np.array([0]), np.array([512]), np.array([100]))
    [Stamp(text='a.tar 9000 512+100', changed_ns=7)]
    """
    parts = zip(file.tolist(), offsets.tolist(), sizes.tolist(), strict=True)
    return [Stamp(f"{files[f].text} {offset}+{size}", files[f].changed_ns) for f, offset, size in parts]


class FactCache:
    """Cache of facts of the files of one folder: a JSON value for each file, under the file's stamp."""

    def __init__(self, kind: str, folder: Path, stamps: Sequence[Stamp], version: str) -> None:
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
        now_ns = time.time_ns()
        self._keys = [_key(stamp) if now_ns - stamp.changed_ns > JUST_CHANGED_NS else "" for stamp in stamps]
        self._facts = self._read()
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


def _key(stamp: Stamp) -> str:
    return hashlib.blake2b(stamp.text.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
