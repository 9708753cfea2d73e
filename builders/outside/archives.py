"""``.npz`` from outside: plain arrays within a total of bytes, read member by member, never a pickle."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from builders.outside.arrays import parse_array
from builders.outside.door import open_outside
from builders.outside.names import is_readable
from builders.outside.plain import Refused
from builders.outside.saying import kind_and_line

MAX_ARCHIVE_BYTES = 1 << 30
"""Of all arrays of an archive once unpacked: the probe predictions of ImageNet's 50,000 photos are 3 MB a task."""
MAX_MEMBERS = 10_000


def read_outside_arrays(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """The arrays of an archive by name: numbers and text, nothing else.

    Args:
        path: the archive.
        wanted: whether an array of this name is to be read; all are by default, and limits hold for all together.

    Raises:
        Refused: no regular file, no archive, more than the limits, or a member that is no plain array.
    """
    try:
        with open_outside(path, limit=MAX_ARCHIVE_BYTES) as stream:
            return parse_arrays(stream, wanted)
    except Refused:
        raise
    # zipfile and numpy raise all of these on hostile bytes; a lack of memory is the file's doing too.
    except (
        *(OSError, ValueError, EOFError, RuntimeError, NotImplementedError, SyntaxError, TypeError, KeyError),
        *(AttributeError, IndexError, MemoryError, OverflowError, zlib.error, zipfile.BadZipFile, struct.error),
    ) as error:
        raise Refused(path, f"cannot be read ({kind_and_line(error)})") from None


def parse_arrays(stream: BinaryIO, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """``read_outside_arrays`` of an open archive.

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
        both = zip(names, members, strict=True)
        return {name: _array(archive, member) for name, member in both if wanted(name)}


def outside_sha256(path: Path) -> str:
    """SHA-256 of an archive's bytes. Raises ``Refused``."""
    digest = hashlib.sha256()
    with open_outside(path, limit=MAX_ARCHIVE_BYTES) as stream:
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
