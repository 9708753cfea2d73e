"""``.npz`` from outside: plain arrays within a total of bytes, read member by member, never a pickle."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from builders.outside.door import open_outside
from builders.outside.names import is_readable
from builders.outside.plain import Refused
from builders.outside.saying import kind_and_line

MAX_ARCHIVE_BYTES = 1 << 30
"""Of all arrays of an archive once unpacked: the probe predictions of ImageNet's 50,000 photos are 3 MB a task."""
MAX_MEMBERS = 10_000
_MAX_HEADER = 10_000


def read_outside_arrays(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """The arrays of an archive by name: numbers and text, nothing else.

    Args:
        path: the archive.
        wanted: whether an array of this name is to be read; all are by default, and limits hold for all together.

    Raises:
        Refused: no regular file, no archive, more than the limits, or a member that is no plain array.
    """
    try:
        with open_outside(path, limit=MAX_ARCHIVE_BYTES) as stream, zipfile.ZipFile(stream) as archive:
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
    except Refused:
        raise
    # zipfile and numpy raise all of these on hostile bytes; a lack of memory is the file's doing too.
    except (
        *(OSError, ValueError, EOFError, RuntimeError, NotImplementedError, SyntaxError, TypeError, KeyError),
        *(AttributeError, IndexError, MemoryError, OverflowError, zlib.error, zipfile.BadZipFile, struct.error),
    ) as error:
        raise Refused(path, f"cannot be read ({kind_and_line(error)})") from None


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
    source = io.BytesIO(data)
    shape, fortran, dtype = _header(source)
    if dtype.kind not in "biufU":
        raise ValueError(f"{member.filename}: an array of {dtype}, which is no number and no text")
    count = 1
    for side in shape:
        count *= int(side)
    rest = len(data) - source.tell()
    if any(side < 0 for side in shape) or count * dtype.itemsize != rest:
        raise ValueError(f"{member.filename}: shape {str(shape)[:80]} of {dtype} in {rest} bytes")
    if not rest:
        return np.zeros(shape, dtype)
    array: np.ndarray = np.frombuffer(data, dtype, offset=source.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def _header(source: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(source)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array of format {version}")
    return readers[version](source, max_header_size=_MAX_HEADER)
