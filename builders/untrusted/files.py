"""Reading of untrusted files: regular files only, checked on the opened descriptor, of limited size.

The author of a file decides neither how long a read waits (a pipe), nor how much memory it takes (a device, a bomb),
nor where it reads (a link, a path in the content).
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import struct
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from builders.untrusted.arrays import parse_array
from builders.untrusted.documents import UntrustedInputError, parse_json
from builders.untrusted.text import describe_error, is_readable

MAX_CONFIG_BYTES = 16 * 2**20
"""Largest configuration, recipe, card or marker."""

_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def open_untrusted(path: str | os.PathLike[str], *, limit: int, inside: Path | None = None) -> Iterator[BinaryIO]:
    """Open a regular file of at most ``limit`` bytes for reading.

    Args:
        path: of the file; links are followed.
        limit: bytes that it may have when it is opened. A caller that must not read more reads ``limit + 1``.
        inside: a folder that the file must lie in once links are followed; by default anywhere.

    Raises:
        UntrustedInputError: absent, no regular file, larger, or outside the folder.
    """
    try:
        real = os.path.realpath(path)
        if inside is not None and not Path(real).is_relative_to(os.path.realpath(inside)):
            raise UntrustedInputError(path, "a path or link that leaves the folder")
        # Checked before it is opened as well: opening some devices has effects. The check of the descriptor decides.
        if not stat.S_ISREG(os.stat(real).st_mode):
            raise UntrustedInputError(path, "not a regular file")
        descriptor = os.open(real, _OPEN | getattr(os, "O_NOFOLLOW", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UntrustedInputError(path, f"cannot be read ({_reason(error)})") from None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UntrustedInputError(path, "not a regular file")
        if status.st_size > limit:
            raise UntrustedInputError(path, too_large(status.st_size, limit))
        yield stream


class ReadAtOffsets(io.RawIOBase):
    """Bytes of a known size that are read as a file, from wherever ``read_at`` finds them."""

    def __init__(self, size: int) -> None:
        self._size, self._at = size, 0

    @abstractmethod
    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes from an offset on; they end before ``self._size``, and are none where it lies beyond."""

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
        data = self.read_at(self._at, left if size < 0 else min(size, left))
        self._at += len(data)
        return data


def read_untrusted(path: str | os.PathLike[str], *, limit: int, inside: Path | None = None) -> bytes:
    """The bytes of a regular file; arguments and errors as ``open_untrusted``. A file that grows is not read."""
    try:
        with open_untrusted(path, limit=limit, inside=inside) as stream:
            size = os.fstat(stream.fileno()).st_size  # a read of n bytes allocates n, so not of the limit at once
            data = stream.read(size + 1) or b""  # None: a file of /proc that has nothing to read yet
            if size < len(data) <= limit:
                data += stream.read(limit + 1 - len(data)) or b""
    except OSError as error:
        raise UntrustedInputError(path, f"cannot be read ({_reason(error)})") from None
    if len(data) > limit:
        raise UntrustedInputError(path, too_large(len(data), limit))
    return data


def read_untrusted_text(
    path: str | os.PathLike[str], *, limit: int = MAX_CONFIG_BYTES, inside: Path | None = None
) -> str:
    """The text of a regular UTF-8 file; arguments and errors as ``open_untrusted``."""
    try:
        return read_untrusted(path, limit=limit, inside=inside).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UntrustedInputError(path, f"not UTF-8 text (byte {error.start})") from None


def read_untrusted_json(
    path: str | os.PathLike[str], *, limit: int = MAX_CONFIG_BYTES, inside: Path | None = None
) -> Any:
    """The value of a regular JSON file; as ``read_untrusted_text`` and ``parse_json``."""
    return parse_json(read_untrusted_text(path, limit=limit, inside=inside), os.fspath(path))


def too_large(size: int, limit: int) -> str:
    """The phrase for a file that has too many bytes.

    >>> too_large(17 * 2**20, 16 * 2**20)
    '17 MiB, more than the 16 MiB that such a file may have'
    """
    return f"{_size(size)}, more than the {_size(limit)} that such a file may have"


def _size(count: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.0f} {name}"
    return f"{count} bytes"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


KILLED = "SIGKILL; out of memory?"
"""How a process was ended by the system or by somebody else."""


def may_pass(reason: str) -> bool:
    """Whether a photo failed for a reason of a disk or of memory, which may be well again in the next run.

    Args:
        reason: of a failure, as ``read_untrusted`` states it, or of a process that was killed.

    >>> may_pass("the file cannot be read (Stale file handle)"), may_pass("cannot be read (No such file or directory)")
    (True, False)
    """
    if KILLED in reason:
        return True
    return "cannot be read (" in reason and not any(words in reason for words in _OF_THE_FILE)


_OF_THE_FILE = tuple(os.strerror(number) for number in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP))

MAX_ARCHIVE_BYTES = 1 << 30
"""Of all arrays of an archive, unpacked: the probe predictions of ImageNet's 50,000 photos are 3 MB a task."""

MAX_MEMBERS = 10_000


def read_untrusted_arrays(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """The arrays of an archive by name: numbers and text, nothing else.

    Args:
        path: of the archive, ``.npz``.
        wanted: true for the names of arrays to read; by default all. Limits hold for all arrays together.

    Raises:
        UntrustedInputError: no regular file, no archive, more than the limits, or a member that is no plain array.
    """
    try:
        with open_untrusted(path, limit=MAX_ARCHIVE_BYTES) as stream:
            return parse_arrays(stream, wanted)
    except UntrustedInputError:
        raise
    # zipfile and numpy raise all of these on hostile bytes; a lack of memory is caused by the file too.
    except (
        *(OSError, ValueError, EOFError, RuntimeError, NotImplementedError, SyntaxError, TypeError, KeyError),
        *(AttributeError, IndexError, MemoryError, OverflowError, zlib.error, zipfile.BadZipFile, struct.error),
    ) as error:
        raise UntrustedInputError(path, f"cannot be read ({describe_error(error)})") from None


def parse_arrays(stream: BinaryIO, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """``read_untrusted_arrays`` of an open archive.

    Raises:
        ValueError: more than the limits, or a member that is no plain array. For hostile bytes zipfile and NumPy raise
            other errors, too.
    """
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        if len(members) > MAX_MEMBERS or total > MAX_ARCHIVE_BYTES:
            raise ValueError(
                f"{len(members):,} arrays of {total / 1e9:.1f} GB unpacked, more than {MAX_ARCHIVE_BYTES / 1e9:.1f}"
            )
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(set(names)) < len(names) or not all(map(is_readable, names)):
            raise ValueError("names of arrays that are there twice or are no text")
        pairs = zip(names, members, strict=True)
        return {name: _array(archive, member) for name, member in pairs if wanted(name)}


def archive_sha256(path: Path) -> str:
    """SHA-256 of an archive's bytes. Raises ``UntrustedInputError``."""
    digest = hashlib.sha256()
    with open_untrusted(path, limit=MAX_ARCHIVE_BYTES) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename}: compressed in a way that numpy does not use")
    with archive.open(member) as stream:
        data = stream.read(member.file_size)
        if len(data) != member.file_size or stream.read(1):
            raise ValueError(f"{member.filename}: not of the size that the archive says")
    try:
        array = parse_array(data)
        if array.dtype.kind == "c":
            raise ValueError("an array of complex numbers")
    except ValueError as error:
        raise ValueError(f"{member.filename}: {error}") from None
    return array


def heif_package() -> Any:
    """``pi_heif``; or ``pillow_heif`` where it is installed, which reads the same and writes too.

    The wheels of the second hold an encoder under the GPL, so it belongs to the extra ``heic``.

    Raises:
        ImportError: neither is installed.
    """
    try:
        import pillow_heif
    except ImportError:
        import pi_heif

        return pi_heif
    return pillow_heif
