"""Members of untrusted ZIP archives: logs and workbooks, of limited size also when they are unpacked."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa

from builders.untrusted.documents import UntrustedInputError
from builders.untrusted.files import open_untrusted, too_large
from builders.untrusted.text import describe_error

ZSTANDARD = 93
"""Compression of ZIP that Python reads from 3.14 on."""

_MOST_MEMBERS = 500_000

_LOCAL_HEADER = struct.Struct("<4s22xHH")
"""Signature, and the lengths of name and extra field, of what stands before the bytes of a member."""


class Archive:
    """An opened archive: names of members, and their bytes."""

    def __init__(self, path: str | os.PathLike[str], stream: BinaryIO, members: zipfile.ZipFile) -> None:
        self._path, self._stream, self._members = path, stream, members

    @property
    def names(self) -> list[str]:
        """Of all members, in the order of the archive."""
        return self._members.namelist()

    @property
    def unpacked_bytes(self) -> int:
        """Of all members, as the archive states them; no member unpacks to more than it states."""
        return sum(member.file_size for member in self._members.infolist())

    def read(self, name: str, *, limit: int) -> bytes:
        """The bytes of a member; raises ``UntrustedInputError`` if they are more than ``limit`` or not readable."""
        member = self._members.getinfo(name)
        if member.file_size > limit:
            raise UntrustedInputError(self._path, f"{name}: {too_large(member.file_size, limit)}")
        data = self._zstandard(member) if member.compress_type == ZSTANDARD else self._members.read(member)
        if len(data) != member.file_size:
            raise UntrustedInputError(self._path, f"{name}: not of the size that the archive states")
        return data

    def _zstandard(self, member: zipfile.ZipInfo) -> bytes:
        self._stream.seek(member.header_offset)
        _, name, extra = _LOCAL_HEADER.unpack(self._stream.read(_LOCAL_HEADER.size))
        self._stream.seek(name + extra, os.SEEK_CUR)
        packed = pa.BufferReader(self._stream.read(member.compress_size))
        with pa.CompressedInputStream(packed, "zstd") as unpacked:
            return bytes(unpacked.read(member.file_size + 1))


@contextmanager
def open_archive(path: str | os.PathLike[str], *, limit: int) -> Iterator[Archive]:
    """Open a ZIP archive of at most ``limit`` bytes, packed.

    Raises:
        UntrustedInputError: no regular file, larger, no archive, or bytes that contradict themselves; also within the
            context.
    """
    try:
        with open_untrusted(path, limit=limit) as stream, zipfile.ZipFile(stream) as members:
            if len(members.infolist()) > _MOST_MEMBERS:
                raise UntrustedInputError(path, f"more than {_MOST_MEMBERS:,} files in one archive")
            yield Archive(path, stream, members)
    except UntrustedInputError:
        raise
    except (
        *(zipfile.BadZipFile, zlib.error, struct.error, pa.ArrowException, OSError, EOFError, KeyError, ValueError),
        *(NotImplementedError, RuntimeError, OverflowError, MemoryError),
    ) as error:
        raise UntrustedInputError(path, f"not an archive that can be read ({describe_error(error)})") from None
