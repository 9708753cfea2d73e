"""Sources of photos: the original bytes by row, and stamps that say whether they have changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from builders.errors import PhotoError


def photo_digest(data: bytes) -> bytes:
    """SHA-256 of a photo's bytes, the name of the photo in caches: 32 bytes."""
    return hashlib.sha256(data).digest()


def hash64(text: str) -> int:
    """64 bits of BLAKE2b. Photos are drawn in the order of this hash, which does not depend on their position."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def rank_within(groups: np.ndarray) -> np.ndarray:
    """For each element, the number of equal elements before it.

    >>> rank_within(np.array([5, 3, 5, 5])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(groups) else np.zeros(0, dtype=int)
    lengths = np.diff(np.r_[starts, len(groups)])
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - np.repeat(starts, lengths)
    return rank


class PhotoSource(Protocol):
    """Gives original bytes by row. Must be picklable: workers get a copy."""

    def read(self, row: int) -> bytes:
        """The original bytes of a photo, never re-encoded.

        Raises:
            PhotoError: the bytes cannot be read.
        """
        ...


class Head(NamedTuple):
    """The beginning of a photo's file."""

    data: bytes
    """At most the requested number of bytes."""
    size: int
    """Bytes of the whole file."""


class Stamp(NamedTuple):
    """Says, without reading a photo, whether its bytes are those that were read earlier."""

    text: str
    """Path, size, inode and times of the file that holds the bytes, and where in it they are: equal texts mean equal
    bytes."""
    changed_ns: int
    """Time of the last modification, in nanoseconds since 1970; 0 where there is no file."""


@dataclass(frozen=True)
class NoPictures:
    """Source of photos of which only ids, labels and groups are known: their embeddings were made elsewhere."""

    def read(self, row: int) -> bytes:
        raise PhotoError("the data name no pictures")

    def fingerprint(self) -> str:
        """Stands for the bytes, which nothing reads."""
        return "no pictures"


@dataclass(frozen=True)
class MemorySource:
    """Photos held in memory."""

    photos: tuple[bytes, ...]

    def read(self, row: int) -> bytes:
        return self.photos[row]
