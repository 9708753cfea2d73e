"""What was read of the files of a folder at an earlier opening: facts by stamp, so that only changed files are read."""

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

from builders.files import JUST_CHANGED_NS, SAVED_EVERY_S, cache_folder, write_bytes_atomically
from builders.photos.source import Stamp


def file_stamp(path: str, part: str = "") -> Stamp:
    """The stamp of a file, or of a part of it.

    >>> file_stamp("/no such file")
    Stamp(text='/no such file gone', changed_ns=0)
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return Stamp(f"{path} gone", 0)
    return Stamp(f"{path} {found.st_size} {found.st_mtime_ns}{part}", found.st_mtime_ns)


class RememberedFacts:
    """Facts of the files of one folder, JSON values by file."""

    def __init__(self, kind: str, folder: Path, stamps: Sequence[Stamp], version: str) -> None:
        """Look what is remembered.

        Args:
            kind: of facts, a folder of the cache.
            folder: whose files they are.
            stamps: of its files.
            version: of what is read of a file; facts of another are forgotten.
        """
        name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._path = cache_folder() / kind / f"{name}.json.gz"
        self._version = version
        looked = time.time_ns()
        self._keys = [_key(stamp) if looked - stamp.changed_ns > JUST_CHANGED_NS else "" for stamp in stamps]
        self._facts = self._read()
        self._saved_at, self._unsaved = time.monotonic(), False

    def get(self, index: int) -> Any:
        """The facts of a file; None if there are none."""
        return self._facts.get(self._keys[index])

    def keep(self, index: int, facts: Any) -> None:
        """Remember the facts of a file."""
        if self._keys[index]:
            self._facts[self._keys[index]] = facts
            self._unsaved = True
            if time.monotonic() - self._saved_at > SAVED_EVERY_S:
                self.save()

    def save(self) -> None:
        """Write what is new; a disk that takes nothing costs the next opening a reading."""
        if not self._unsaved:
            return
        own = {key: self._facts[key] for key in self._keys if key in self._facts}
        text = json.dumps({"version": self._version, "facts": own})
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
