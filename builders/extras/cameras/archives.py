"""Files of a folder and of the zip and tar archives in it, read in place: nothing is unpacked.

A file in an archive is one read at an offset. A zip that lies uncompressed in another zip is read in place too. What
can only be read by unpacking from the start (``.tar.gz``, an archive compressed within an archive) is refused.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from builders.errors import DataError, PhotoError
from builders.files import MAX_PHOTO_BYTES
from builders.photos import PhotoSource, Stamps, file_stamp, open_unchanged, stamps_within
from builders.sources import MAX_ARCHIVE_FILE_BYTES, FileWindow, FolderSource, indexed
from builders.untrusted import (
    UntrustedInputError,
    files_below,
    first_line,
    open_untrusted,
    read_untrusted,
    readable,
    too_large,
)

WHOLE_FILE, IN_TAR = -1, -2
"""Values of ``Entry.method`` for a file of its own and for one in a tar; others are methods of zip."""

_ENCRYPTED = 0x1
_LOCAL_HEADER = 30
_UNPACKED_FROM_START = (".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")


class Entry(NamedTuple):
    """A file of a set, on its own or in an archive."""

    path: str
    """With forward slashes, relative to the folder of the set or to the root of the archive."""
    archive: str
    """Name of the archive, relative to the folder; empty for a file of its own."""
    file: str
    """Absolute path of the file on disk that holds the bytes."""
    offset: int
    """Of the file's bytes in a tar, of its local header in a zip; 0 for a file of its own."""
    packed: int
    """Bytes on disk."""
    size: int
    """Bytes of the file; 0 for a file of its own."""
    method: int
    """Of compression."""
    crc: int
    """Of a file in a zip; 0 for others."""
    found_in: str = ""
    """Stamp of ``file`` when the file was found in it; empty for a file of its own."""


def entries_below(path: Path, kind: str) -> list[Entry]:
    """Every file of a folder and of the archives in it, or of one archive, in the order of names; hidden ones too.

    Args:
        path: of the folder or archive.
        kind: of the data specification, for messages.

    Raises:
        DataError: there is no such file or folder, or an archive is damaged, encrypted or cannot be read in place.
    """
    if path.is_dir():
        root = os.path.abspath(path)
        entries: list[Entry] = []
        for name in files_below(root, links=True):
            file = os.path.join(root, name)
            if _is_archive(name):
                entries += _archive_entries(Path(file), name, kind)
            else:
                entries.append(Entry(name, "", file, 0, 0, 0, WHOLE_FILE, 0))
        return entries
    if not path.is_file():
        raise DataError(f"{kind}:{path}: no such folder or archive")
    if not _is_archive(path.name):
        raise DataError(f"{kind}:{path}: neither a folder nor a .zip or .tar archive")
    return _archive_entries(path.absolute(), path.name, kind)


def is_junk(path: str) -> bool:
    """Whether a file is one that macOS or Windows adds to folders and archives, or lies in a hidden folder.

    >>> is_junk("__MACOSX/D01/._a.jpg"), is_junk("D01/.DS_Store"), is_junk("D01/a.jpg")
    (True, True, False)
    """
    parts = path.split("/")
    return parts[-1].lower() in ("thumbs.db", "desktop.ini") or any(p.startswith(".") or p == "__MACOSX" for p in parts)


def _is_archive(name: str) -> bool:
    """Whether a name is that of an archive. macOS's shadows of archives are none."""
    return not is_junk(name) and name.lower().endswith((".zip", ".tar", *_UNPACKED_FROM_START))


def _archive_entries(file: Path, name: str, kind: str) -> list[Entry]:
    lower = name.lower()
    if lower.endswith(".zip"):
        stamp = file_stamp(str(file)).text
        try:
            with open_untrusted(file, limit=MAX_ARCHIVE_FILE_BYTES) as stream:
                size = os.fstat(stream.fileno()).st_size
                found = _zip_entries(FileWindow(stream, 0, size), 0, file, name, kind)
                return [entry._replace(found_in=stamp) for entry in found]
        except UntrustedInputError as error:
            raise DataError(f"{kind}:{readable(name)}: {error.reason}") from None
    if lower.endswith(".tar"):
        entries, stamp = [], file_stamp(str(file)).text
        for member in indexed(file, nested=False, whole_names=True):
            path = _clean(member.name)
            if _is_archive(path):
                raise _inner(kind, name, path, "an archive in a tar")
            entries.append(Entry(path, name, str(file), member.offset, member.size, member.size, IN_TAR, 0, stamp))
        return sorted(entries)
    raise DataError(
        f"{kind}:{readable(name)}: a photo in such an archive is found only by unpacking it from the start: unpack it "
        "once, or repack it as .tar or .zip"
    )


def _zip_entries(window: FileWindow, start: int, file: Path, name: str, kind: str) -> Iterator[Entry]:
    """Files of the zip in a window of a file that begins at byte ``start``, and those of zips stored in it."""
    try:
        with zipfile.ZipFile(window) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.filename)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RecursionError) as error:
        raise _damaged(kind, name, error) from None
    for member in members:
        path = _clean(member.filename)
        if member.is_dir() or not path:
            continue
        if member.flag_bits & _ENCRYPTED and not is_junk(path):
            where = f"{kind}:{readable(name)}: {readable(path)}"
            raise DataError(f"{where} in it is encrypted: unpack it with its password")
        offset = start + member.header_offset
        if _is_archive(path):
            if not path.lower().endswith(".zip") or member.compress_type != zipfile.ZIP_STORED:
                raise _inner(kind, name, path, "compressed in it")
            try:
                data = _data_offset(window, member.header_offset)
            except ValueError as error:
                raise _damaged(kind, f"{name}/{path}", error) from None
            inner = FileWindow(window.stream, start + data, member.file_size)
            yield from _zip_entries(inner, start + data, file, f"{name}/{path}", kind)
            continue
        yield Entry(
            path, name, str(file), offset, member.compress_size, member.file_size, member.compress_type, member.CRC
        )


def _damaged(kind: str, name: str, error: Exception) -> DataError:
    return DataError(
        f"{kind}:{readable(name)}: damaged, or a part of a split archive ({first_line(error)}); compare its size "
        "with the published one"
    )


def _inner(kind: str, name: str, path: str, how: str) -> DataError:
    return DataError(
        f"{kind}:{readable(name)}: {readable(path)} is {how}, so that its photos cannot be read in place: unpack "
        f"{readable(name)} once"
    )


def _clean(name: str) -> str:
    """A member's name with forward slashes, without ``./`` and without steps out of the folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "/".join(part for part in parts if part not in ("/", "..", "."))


def _data_offset(stream: FileWindow, header_offset: int) -> int:
    """Offset of the bytes of a zip's member, after its local header."""
    stream.seek(header_offset)
    return header_offset + _local_header_size(stream.read(_LOCAL_HEADER))


def _local_header_size(header: bytes) -> int:
    """Bytes of a local header, from its fixed part. Raises ``ValueError`` where there is none."""
    if len(header) < _LOCAL_HEADER or header[:4] != b"PK\3\4":
        raise ValueError("no local header")
    return _LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")


def source_of(entries: list[Entry], root: Path) -> PhotoSource:
    """The source of the bytes of some entries, in their order.

    Args:
        entries: of one set.
        root: the folder of the set; files of their own lie below it.
    """
    if all(entry.method == WHOLE_FILE for entry in entries):
        return FolderSource(str(root), tuple(entry.path for entry in entries))
    found_in = {entry.file: entry.found_in for entry in entries}
    files = {file: number for number, file in enumerate(found_in)}
    columns = zip(*[(files[e.file], e.offset, e.packed, e.size, e.method, e.crc) for e in entries], strict=True)
    file, offsets, packed, sizes, methods, crcs = (np.array(column, dtype=np.int64) for column in columns)
    places = file.astype(np.int32), offsets, packed, sizes, methods.astype(np.int16), crcs
    return ArchiveSource(tuple(files), *places, tuple(found_in.values()))


@dataclass(frozen=True)
class ArchiveSource:
    """Photos on their own and in archives, read in place. It has no open file, so copies for workers share nothing."""

    files: tuple[str, ...]
    """Absolute paths."""
    file: np.ndarray
    """int32 [photos], index into ``files``."""
    offsets: np.ndarray
    """int64 [photos]."""
    packed: np.ndarray
    """int64 [photos], bytes on disk."""
    sizes: np.ndarray
    """int64 [photos], bytes of the photo."""
    methods: np.ndarray
    """int16 [photos], see ``Entry.method``."""
    crcs: np.ndarray
    """int64 [photos]."""
    found_in: tuple[str, ...]
    """Stamp of each file when the photos were found in it; empty for a photo on its own."""

    def read(self, row: int) -> bytes:
        """The bytes of a photo. Raises ``PhotoError``."""
        path, method = self.files[self.file[row]], int(self.methods[row])
        if method == WHOLE_FILE:
            try:
                return read_untrusted(path, limit=MAX_PHOTO_BYTES)
            except UntrustedInputError as refused:
                raise PhotoError(f"the file {refused.reason}") from None
        size, packed, name = int(self.sizes[row]), int(self.packed[row]), Path(path).name
        if max(size, packed) > MAX_PHOTO_BYTES:
            raise PhotoError(f"the file has {too_large(max(size, packed), MAX_PHOTO_BYTES)}")
        try:
            with open_unchanged(path, self.found_in[self.file[row]]) as stream:
                stream.seek(int(self.offsets[row]))
                if method != IN_TAR:
                    skipped = _local_header_size(stream.read(_LOCAL_HEADER)) - _LOCAL_HEADER
                    stream.seek(skipped, os.SEEK_CUR)
                data = stream.read(packed)
        except (OSError, ValueError) as error:
            raise PhotoError(f"the archive cannot be read ({getattr(error, 'strerror', None) or error})") from None
        if method == zipfile.ZIP_DEFLATED:
            data = _inflated(data, size, name)
        elif method not in (IN_TAR, zipfile.ZIP_STORED):
            raise PhotoError(f"{name} compresses it by method {method} of zip, which is not read in place: unpack it")
        if len(data) != size or (method != IN_TAR and zlib.crc32(data) != int(self.crcs[row])):
            raise PhotoError(f"the archive {name} is damaged at this photo")
        return data

    def stamps(self, rows: np.ndarray) -> Stamps:
        """See ``PhotoSet.stamps``: the stamp of the file, with the offset and size of the photo in it."""
        stamps = [file_stamp(path) for path in self.files]
        return stamps_within(stamps, self.file[rows], self.offsets[rows], self.packed[rows])


def _inflated(data: bytes, size: int, name: str) -> bytes:
    """A member's bytes; never more than the archive says. Raises ``PhotoError``."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return unpacker.decompress(data, size + 1)
    except zlib.error:
        raise PhotoError(f"the archive {name} is damaged at this photo") from None
