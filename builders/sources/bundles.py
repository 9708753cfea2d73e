"""Several byte strings in one: the stored views of a photo. Imports nothing heavy."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

from builders.errors import PhotoError

_COUNT = struct.Struct("<I")

_LENGTH = struct.Struct("<Q")


def pack(files: Sequence[bytes]) -> bytes:
    """Several files as one byte string: the number of files, their lengths, their bytes.

    >>> unpack(pack([b"one", b""]))
    [b'one', b'']
    """
    head = _COUNT.pack(len(files)) + b"".join(_LENGTH.pack(len(f)) for f in files)
    return head + b"".join(files)


def unpack(bundle: bytes) -> list[bytes]:
    """The files of a bundle that ``pack`` made.

    Raises:
        PhotoError: the bytes are not a bundle.
    """
    try:
        (count,) = _COUNT.unpack_from(bundle)
        if count > len(bundle):
            raise struct.error
        lengths = [_LENGTH.unpack_from(bundle, _COUNT.size + i * _LENGTH.size)[0] for i in range(count)]
    except struct.error:
        raise PhotoError("not a bundle of stored views") from None
    starts = list(itertools.accumulate(lengths, initial=_COUNT.size + count * _LENGTH.size))
    if starts[-1] != len(bundle):
        raise PhotoError("a bundle of stored views is cut off")
    return [bundle[a:b] for a, b in itertools.pairwise(starts)]
