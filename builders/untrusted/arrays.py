"""Readers of ``.npy`` files. Headers are parsed without ``ast``, so that several threads may read at once."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

import numpy as np

from builders.untrusted.parsing import parse_in_turn
from builders.untrusted.text import error_text

MAX_HEADER = 10_000
"""Bytes of a header: NumPy's own limit."""

_LENGTHS = {(1, 0): "<H", (2, 0): "<I"}
"""Format version -> ``struct`` format of the header's length. Version 3 is for field names outside latin-1."""

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

_USUAL = re.compile(
    rb"\{'descr': '(?P<dtype>[<>|](?:b1|[iu][1248]|f[248])|[<>]U[1-9]\d{0,5})', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>|(?:0|[1-9]\d{0,17}),|(?:0|[1-9]\d{0,17})(?:, (?:0|[1-9]\d{0,17}))+)\), \} *\n"
)
"""A header as NumPy writes it for booleans, numbers and text."""


@dataclass(frozen=True)
class ArrayHeader:
    """Shape and type of the array in a ``.npy`` file."""

    shape: tuple[int, ...]
    fortran: bool
    """True if stored column by column."""
    dtype: np.dtype


def read_array_header(source: BinaryIO) -> ArrayHeader:
    """Read the header of a ``.npy`` file; afterwards the stream is at the first byte of the array.

    ``numpy.load`` evaluates each header by ``ast.literal_eval``, which may fail in threads on some Pythons
    (``parsing.py``). Headers of an unusual form are parsed by NumPy.

    Args:
        source: a stream at its start; untrusted.

    Raises:
        ValueError: not the header of an array.

    >>> stream = BytesIO()
    >>> np.save(stream, np.zeros((2, 3), np.float32))
    >>> _ = stream.seek(0)
    >>> read_array_header(stream)
    ArrayHeader(shape=(2, 3), fortran=False, dtype=dtype('float32'))
    """
    version = np.lib.format.read_magic(source)
    if version not in _LENGTHS:
        raise ValueError(f"an array of format {version}")
    start = source.tell()
    size = source.read(struct.calcsize(_LENGTHS[version]))
    length = int.from_bytes(size, "little")
    usual = _USUAL.fullmatch(source.read(length)) if length <= MAX_HEADER else None
    if usual is None:
        parse_in_turn()
        source.seek(start)
        try:
            return ArrayHeader(*_READERS[version](source, max_header_size=MAX_HEADER))
        except OSError:
            raise
        except Exception as error:  # of Python's tokenizer and parser, of struct, and of NumPy
            raise ValueError(f"not the header of an array ({error_text(error)})") from None
    shape = tuple(int(side) for side in usual["shape"].replace(b",", b" ").split())
    return ArrayHeader(shape, usual["fortran"] == b"True", np.dtype(usual["dtype"].decode("ascii")))


def parse_array(data: bytes) -> np.ndarray:
    """The array of a ``.npy`` file of numbers or text, read-only, over the same memory.

    Args:
        data: the whole file; untrusted.

    Raises:
        ValueError: no such file, another kind of array (pickled objects, records), or not of the stated size.
    """
    source = BytesIO(data)
    header = read_array_header(source)
    _refuse_other_kinds(header)
    array_bytes = len(data) - source.tell()
    if _array_bytes(header) != array_bytes:
        raise ValueError(f"shape {str(header.shape)[:80]} of {header.dtype} in {array_bytes} bytes")
    if not array_bytes:
        return np.zeros(header.shape, header.dtype)
    array: np.ndarray = np.frombuffer(data, header.dtype, offset=source.tell())
    return array.reshape(header.shape, order="F" if header.fortran else "C")


def _refuse_other_kinds(header: ArrayHeader) -> None:
    if header.dtype.kind not in "biufcU":
        raise ValueError(f"an array of {header.dtype}, which is no number and no text")


def _array_bytes(header: ArrayHeader) -> float:
    """Bytes of the array; infinite where a side is negative."""
    return math.prod(header.shape) * header.dtype.itemsize if all(side >= 0 for side in header.shape) else math.inf


def map_array(path: str | os.PathLike[str], mode: Literal["r", "r+"] = "r") -> np.memmap:
    """The array of a ``.npy`` file, memory-mapped.

    Args:
        path: of the file.
        mode: ``r`` to read, ``r+`` to write as well.

    Raises:
        OSError: it cannot be opened, or is no regular file.
        ValueError: it holds no array of numbers or text, or fewer bytes than its header states.
    """
    with open(path, "rb", opener=_open_regular) as stream:
        header, offset = read_array_header(stream), stream.tell()
        size = os.fstat(stream.fileno()).st_size - offset
    _refuse_other_kinds(header)
    if _array_bytes(header) > size:
        raise ValueError(f"shape {str(header.shape)[:80]} of {header.dtype} in {size} bytes")
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, mode, offset, header.shape, order)


def _open_regular(path: str, flags: int) -> int:
    """Open a regular file alone: to open a pipe would wait for a writer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor
