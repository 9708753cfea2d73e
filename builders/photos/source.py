"""What gives the bytes of photos, and what it may tell of them beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


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
