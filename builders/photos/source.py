"""What gives the bytes of photos, and what it may tell of them beside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


def photo_digest(data: bytes) -> bytes:
    """SHA-256 of a photo's bytes: what caches know it by."""
    return hashlib.sha256(data).digest()


def hash64(text: str) -> int:
    """64 bits of BLAKE2b: the order in which photos are drawn, independent of where they stand."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")


def rank_within(groups: np.ndarray) -> np.ndarray:
    """For each element, how many equal elements stand before it."""
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
        """The bytes of a photo as they were found, never re-encoded.

        Raises:
            PhotoError: the bytes cannot be had.
        """
        ...


class Head(NamedTuple):
    """The beginning of a photo's file."""

    data: bytes
    """At most as many bytes as were asked for."""
    size: int
    """Bytes of the whole file."""


class Stamp(NamedTuple):
    """What tells, without reading a photo, whether its bytes are those that were read earlier."""

    text: str
    """Where the bytes are, how many, and when the file that holds them changed: equal stamps mean equal bytes."""
    changed_ns: int
    """When it changed, in nanoseconds since 1970; 0 where there is no file."""


@dataclass(frozen=True)
class MemorySource:
    """Photos held in memory."""

    photos: tuple[bytes, ...]

    def read(self, row: int) -> bytes:
        return self.photos[row]
