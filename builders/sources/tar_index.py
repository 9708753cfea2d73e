"""Index of the photos in a tar file, cached: a photo is then one read at an offset."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from builders.errors import DataError
from builders.files import SAVED_EVERY_S, cache_folder, write_bytes_atomically
from builders.photos import file_stamp, is_settled
from builders.processes import progress_bar
from builders.untrusted import ReadAtOffsets, UntrustedInputError, first_line, read_untrusted_arrays, readable

INDEX_FOLDER = "tar-index"
"""Folder of the cache."""

MAX_ARCHIVE_FILE_BYTES = 1 << 44
"""Largest archive that is opened, 16 TiB: only its directory and single photos are read."""

BATCH = 1000
"""Photos of a flat archive between two updates of its index."""

TAR_ERRORS = (tarfile.TarError, EOFError, ValueError, OverflowError)
"""What ``tarfile`` raises for a damaged archive: the last two for numbers in headers that are none, or too large."""

WORDNET_ID = re.compile(r"n\d{8}")

_INDEX_VERSION = 3
_BAR: dict[str, Any] = {"unit": "B", "unit_scale": True, "delay": 2}


class Member(NamedTuple):
    """A photo in an archive."""

    name: str
    offset: int
    """Of its first byte in the archive."""
    size: int
    """In bytes."""


def indexed(tar: Path, *, nested: bool, whole_names: bool = False) -> list[Member]:
    """Photos of an archive, from the cached index if the archive has not changed since, as its stamp says.

    The index is saved as it grows, and a run that was stopped goes on where it was: on a disk that takes milliseconds
    to reach a header, indexing takes an hour.

    Args:
        tar: path of the archive.
        nested: the archive contains one tar per class.
        whole_names: keep the folders in the names of a flat archive's files.

    Raises:
        DataError: the archive is damaged, or not a tar file.
    """
    whole, stamp = tar.stat().st_size, file_stamp(os.path.abspath(tar))
    settled = is_settled(stamp.changed_ns)
    key = f"{_INDEX_VERSION} {stamp.text}"
    ending = ".paths.npz" if whole_names else ".npz"
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    cached = cache_folder() / INDEX_FOLDER / f"{name}{ending}"
    members, done = _read_index(cached, name)
    if done == whole:
        return members
    saved_at = time.monotonic()
    try:
        with (
            open(tar, "rb") as stream,
            progress_bar(total=whole, desc=f"indexing {readable(tar.name)}", **_BAR) as bar,
        ):
            batches = _nested(stream, done, whole) if nested else _flat(stream, done, whole, whole_names)
            for batch, end in batches:
                members += batch
                done = end
                bar.update(done - bar.n)
                if settled and time.monotonic() - saved_at > SAVED_EVERY_S:
                    _write_index(cached, name, members, done)
                    saved_at = time.monotonic()
        done = whole
    except TAR_ERRORS as error:
        reason = f"damaged or not a tar file ({first_line(error)})"
        raise DataError(f"{tar}: {reason}; compare its size with the official one") from None
    finally:
        if settled:
            _write_index(cached, name, members, done)
    return members


def _read_index(cached: Path, key: str) -> tuple[list[Member], int]:
    """The cached members, and the byte of the archive up to which they are complete."""
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
    """Photos of each class tar in the training tar after byte ``done``, as ``<class>/<file>``; and the tar's end."""
    for inner in _photos(stream, 0, size):
        wordnet_id = inner.name.removesuffix(".tar")
        if not WORDNET_ID.fullmatch(wordnet_id):
            raise DataError(f"{inner.name!r} in the archive is not the tar of a class")
        end = inner.offset + inner.size
        if end > done:
            photos = _photos(stream, inner.offset, inner.size)
            yield [photo._replace(name=f"{wordnet_id}/{photo.name}") for photo in photos], end


def _flat(stream: io.BufferedReader, done: int, size: int, whole_names: bool) -> Iterator[tuple[list[Member], int]]:
    """Photos of a tar after byte ``done``, in batches; and the offset of the next header."""
    batch: list[Member] = []
    for photo in _photos(stream, done, size - done, whole_names):
        batch.append(photo)
        if len(batch) == BATCH:
            yield batch, _padded(photo.offset + photo.size)
            batch = []
    if batch:
        yield batch, _padded(batch[-1].offset + batch[-1].size)


def _padded(end: int) -> int:
    """Offset of a tar's next header after content that ends at ``end``."""
    return -(-end // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _photos(stream: io.BufferedReader, start: int, size: int, whole_names: bool = False) -> Iterator[Member]:
    """Regular files of the tar at ``start`` of a stream; only headers are read."""
    stream.seek(start)
    with tarfile.open(fileobj=FileWindow(stream, start, size), mode="r:") as tar:
        for member in tar:
            if member.isfile():
                check_size(member)
                name = member.name if whole_names else member.name.rsplit("/", 1)[-1]
                yield Member(name, start + member.offset_data, member.size)


def check_size(member: tarfile.TarInfo) -> None:
    """Refuse a header of a negative size, which would read the rest of the archive. Raises ``tarfile.ReadError``."""
    if member.size < 0:
        raise tarfile.ReadError(f"{readable(member.name)} has a negative size")


class FileWindow(ReadAtOffsets):
    """A part of a file, read as a file."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        super().__init__(size)
        self.stream, self._start = stream, start

    def read_at(self, offset: int, size: int) -> bytes:
        self.stream.seek(self._start + offset)
        return self.stream.read(size)
