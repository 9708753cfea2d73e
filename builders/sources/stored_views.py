"""A built set of processed photos as photos for the benchmark: what is read is the bundle of a photo's stored files."""

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builders.errors import DataError, PhotoError
from builders.photos import PhotoSet
from builders.sources.built import ProcessedSet, open_built

_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class BundleSource:
    """Reads all stored files of a photo, in the order of the parameter's classes, as one bundle."""

    built: ProcessedSet

    def read(self, row: int) -> bytes:
        return pack([self.built.read(row, code) for code in range(len(self.built.parameter.classes))])


def stored_photos(path_or_repo: str, parameter: str | None = None, *, revision: str | None = None) -> PhotoSet:
    """Photos of a set built with ``assignment="every"``; ``PhotoSet.stored_views`` names what a bundle holds.

    Args:
        path_or_repo: a folder that a build wrote, or the repository that it was published to.
        parameter: the config; by default the default one.
        revision: commit, tag or branch of a repository.

    Raises:
        UsageError, DataError: as ``open_built``; also if photos are missing in some class.
    """
    built = open_built(path_or_repo, parameter, revision=revision)
    incomplete = int((~built.complete).sum())
    if incomplete:
        raise DataError(
            f"{path_or_repo}: {incomplete} of {len(built.photos)} photos are not there in every class of "
            f"{built.parameter.name}; build with --assignment every to score it"
        )
    return dataclasses.replace(
        built.photos,
        source=BundleSource(built),
        rows=np.arange(len(built.photos), dtype=np.int64),
        stored_views=built.parameter.processings,
    )


def pack(files: Sequence[bytes]) -> bytes:
    """Several files as one byte string: their number, their lengths, their bytes.

    >>> unpack(pack([b"one", b""]))
    [b'one', b'']
    """
    head = _COUNT.pack(len(files)) + b"".join(_LENGTH.pack(len(f)) for f in files)
    return head + b"".join(files)


def unpack(bundle: bytes) -> list[bytes]:
    """The files of ``pack``.

    Raises:
        PhotoError: the bytes are no bundle.
    """
    try:
        (count,) = _COUNT.unpack_from(bundle)
        if count > len(bundle):
            raise struct.error
        lengths = [_LENGTH.unpack_from(bundle, _COUNT.size + i * _LENGTH.size)[0] for i in range(count)]
    except struct.error:
        raise PhotoError("not a bundle of stored views") from None
    starts = _COUNT.size + count * _LENGTH.size + np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if starts[-1] != len(bundle):
        raise PhotoError("a bundle of stored views is cut off")
    return [bundle[a:b] for a, b in itertools.pairwise(starts)]
