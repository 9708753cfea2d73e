"""Where photos stand in tar files, found once and remembered: a photo is then one read at an offset."""

from __future__ import annotations

import io
import os
import re
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm.auto import tqdm

from builders.errors import DataError
from builders.files import SAVED_EVERY_S, cache_folder, write_bytes_atomically
from builders.untrusted import UntrustedInputError, first_line, read_untrusted_arrays, readable

INDEX_FOLDER = "tar-index"
"""Of the cache."""

UNIT = 1000
"""Photos of a flat archive that become known together."""

WORDNET_ID = re.compile(r"n\d{8}")

_INDEX_VERSION = 2
_BAR: dict[str, Any] = {"unit": "B", "unit_scale": True, "delay": 2, "disable": None}


class Member(NamedTuple):
    name: str
    offset: int
    size: int


def indexed(tar: Path, *, nested: bool) -> list[Member]:
    """Members of an archive, from a cached index if the archive is as it was when that was made.

    The index is saved as it grows: on a disk that takes milliseconds to reach a header it takes an hour, and whoever
    stops it goes on there.
    """
    status = tar.stat()
    key = f"{_INDEX_VERSION} {status.st_size} {status.st_mtime_ns}"
    cached = cache_folder() / INDEX_FOLDER / f"{tar.name}.{status.st_size:x}-{status.st_mtime_ns:x}.npz"
    members, done = _read_index(cached, key)
    if done == status.st_size:
        return members
    saved_at = time.monotonic()
    try:
        with (
            open(tar, "rb") as stream,
            tqdm(total=status.st_size, desc=f"indexing {readable(tar.name)}", **_BAR) as bar,
        ):
            for found, end in (_nested if nested else _flat)(stream, done, status.st_size):
                members += found
                done = end
                bar.update(done - bar.n)
                if time.monotonic() - saved_at > SAVED_EVERY_S:
                    _write_index(cached, key, members, done)
                    saved_at = time.monotonic()
        done = status.st_size
    except tarfile.TarError as error:
        reason = f"damaged or not a tar file ({first_line(error)})"
        raise DataError(f"{tar}: {reason}; compare its size with the official one") from None
    finally:
        _write_index(cached, key, members, done)
    return members


def _read_index(cached: Path, key: str) -> tuple[list[Member], int]:
    """Members that are known, and up to which byte of the archive they are all."""
    try:
        stored = read_untrusted_arrays(cached)
        if str(stored["key"]) == key:
            names, offsets, sizes = (stored[k].tolist() for k in ("names", "offsets", "sizes"))
            return [Member(*m) for m in zip(names, offsets, sizes, strict=True)], int(stored["done"])
    except (UntrustedInputError, ValueError, KeyError, TypeError):
        pass
    return [], 0


def _write_index(cached: Path, key: str, members: list[Member], done: int) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        key=key,
        done=done,
        names=np.array([m.name for m in members], dtype=np.str_),
        offsets=np.array([m.offset for m in members], dtype=np.int64),
        sizes=np.array([m.size for m in members], dtype=np.int64),
    )
    write_bytes_atomically(cached, buffer.getvalue())


def _nested(stream: io.BufferedReader, done: int, size: int) -> Iterator[tuple[list[Member], int]]:
    """Photos of each class tar inside the training tar after byte ``done``, as ``<class>/<file>``; and its end."""
    for inner in _photos(stream, 0, size):
        wordnet_id = inner.name.removesuffix(".tar")
        if not WORDNET_ID.fullmatch(wordnet_id):
            raise DataError(f"{inner.name!r} in the archive is not the tar of a class")
        end = inner.offset + inner.size
        if end > done:
            photos = _photos(stream, inner.offset, inner.size)
            yield [photo._replace(name=f"{wordnet_id}/{photo.name}") for photo in photos], end


def _flat(stream: io.BufferedReader, done: int, size: int) -> Iterator[tuple[list[Member], int]]:
    """Photos of a tar after byte ``done``, a thousand at a time; and where the next header stands."""
    found: list[Member] = []
    for photo in _photos(stream, done, size - done):
        found.append(photo)
        if len(found) == UNIT:
            yield found, _padded(photo.offset + photo.size)
            found = []
    if found:
        yield found, _padded(found[-1].offset + found[-1].size)


def _padded(end: int) -> int:
    """Where a tar's next header stands after bytes that end there."""
    return -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _photos(stream: io.BufferedReader, start: int, size: int) -> Iterator[Member]:
    """Regular files of the tar that stands at ``start`` of a stream; only headers are read."""
    stream.seek(start)
    with tarfile.open(fileobj=_Window(stream, start, size), mode="r:") as tar:
        for member in tar:
            if member.isfile():
                yield Member(member.name.rsplit("/", 1)[-1], start + member.offset_data, member.size)


class _Window(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, stream: io.BufferedReader, start: int, size: int) -> None:
        self._stream, self._start, self._size, self._at = stream, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        self._stream.seek(self._start + self._at)
        data = self._stream.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data
