"""The one door for files from outside: regular files only, judged on the opened descriptor, bounded, with a reason.

Whoever made a file decides neither how long we wait (a pipe), nor how much we hold (a device, a bomb), nor where we
read (a link, a path in its own content).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from builders.outside.plain import Refused, parse_json

MAX_CONFIG_BYTES = 16 * 2**20
"""Of a configuration, recipe, card or marker."""

_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def open_outside(path: str | os.PathLike[str], *, limit: int, inside: Path | None = None) -> Iterator[BinaryIO]:
    """A regular file of at most ``limit`` bytes, open for reading.

    Args:
        path: of the file; links are followed.
        limit: bytes that it may have when it is opened. A reader that must not see more reads ``limit + 1``.
        inside: a folder that the file must lie in once links are followed; by default anywhere.

    Raises:
        Refused: absent, no regular file, larger, or outside the folder.
    """
    try:
        real = os.path.realpath(path)
        if inside is not None and not Path(real).is_relative_to(os.path.realpath(inside)):
            raise Refused(path, "a path or link that leaves the folder")
        # Looked at before it is opened too: opening some devices does something. What counts is the descriptor.
        if not stat.S_ISREG(os.stat(real).st_mode):
            raise Refused(path, "not a regular file")
        descriptor = os.open(real, _OPEN | getattr(os, "O_NOFOLLOW", 0))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Refused(path, f"cannot be read ({_reason(error)})") from None
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Refused(path, "not a regular file")
        if found.st_size > limit:
            raise Refused(path, too_large(found.st_size, limit))
        yield stream


def read_outside(path: str | os.PathLike[str], *, limit: int, inside: Path | None = None) -> bytes:
    """The bytes of a regular file; arguments and errors as ``open_outside``. A file that grows meanwhile is refused."""
    try:
        with open_outside(path, limit=limit, inside=inside) as stream:
            size = os.fstat(stream.fileno()).st_size  # a read of n bytes allocates n, so not of the limit at once
            data = stream.read(size + 1) or b""  # None: one of /proc that waits for something to say
            if size < len(data) <= limit:
                data += stream.read(limit + 1 - len(data)) or b""
    except OSError as error:
        raise Refused(path, f"cannot be read ({_reason(error)})") from None
    if len(data) > limit:
        raise Refused(path, too_large(len(data), limit))
    return data


def read_outside_text(
    path: str | os.PathLike[str], *, limit: int = MAX_CONFIG_BYTES, inside: Path | None = None
) -> str:
    """The text of a regular UTF-8 file; arguments and errors as ``open_outside``."""
    try:
        return read_outside(path, limit=limit, inside=inside).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(path, f"not UTF-8 text (byte {error.start})") from None


def read_outside_json(
    path: str | os.PathLike[str], *, limit: int = MAX_CONFIG_BYTES, inside: Path | None = None
) -> Any:
    """The value of a regular JSON file; as ``read_outside_text`` and ``parse_json``."""
    return parse_json(read_outside_text(path, limit=limit, inside=inside), os.fspath(path))


def too_large(size: int, limit: int) -> str:
    """The one phrase for a file that has too many bytes.

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
