"""A built set of processed photos as photos for the benchmark: what is read is the bundle of a photo's stored files."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builders.errors import DataError, PhotoError
from builders.photos import Labels, PhotoSet, Stamp
from builders.sources.built import ProcessedSet, open_built, stored_parameters
from builders.sources.hub_photos import table_stamps

_COUNT = struct.Struct("<I")
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class BundleSource:
    """Reads all stored files of a photo, one for each view, as one bundle."""

    sets: tuple[ProcessedSet, ...]
    places: tuple[tuple[int, int], ...]
    """Of each view of a bundle: index into ``sets``, and the code of its class there."""
    rows: np.ndarray
    """int64 [sets, photos], where each photo stands in each set."""

    def read(self, row: int) -> bytes:
        return pack([self.sets[number].read(int(self.rows[number, row]), code) for number, code in self.places])

    def stamps(self, rows: np.ndarray) -> list[Stamp] | None:
        """See ``PhotoSet.stamps``: of all files that hold the tables, and where each view of a photo stands in them."""
        found = [table_stamps(built.parts, "image") for built in self.sets]
        tables = [stamp for own in found for stamp in own or ()]
        if None in found or not tables:
            return None
        files = hashlib.sha256("\n".join(stamp.text for stamp in tables).encode("utf-8", "surrogateescape")).hexdigest()
        changed = max(stamp.changed_ns for stamp in tables)
        at = [self.sets[number].rows[self.rows[number, rows], code] for number, code in self.places]
        return [Stamp(f"{files} {place}", changed) for place in np.stack(at, axis=1).tolist()]


def stored_photos(path_or_repo: str, parameters: Sequence[str] = (), *, revision: str | None = None) -> PhotoSet:
    """Photos of a set built with ``assignment="every"``; ``PhotoSet.stored_views`` names what a bundle holds.

    Args:
        path_or_repo: a folder that a build wrote, or the repository that it was published to.
        parameters: the configs; by default every parameter that the set has. Photos that are not there under each of
            them are left out, and ``evidence`` counts them.
        revision: commit, tag or branch of a repository.

    Raises:
        UsageError, DataError: as ``open_built``; also if photos are missing in some class, or if configs disagree
            about a photo's split or label.
    """
    named: tuple[str | None, ...] = (
        tuple(dict.fromkeys(parameters)) or stored_parameters(path_or_repo, revision=revision) or (None,)
    )
    sets = tuple(open_built(path_or_repo, name, revision=revision) for name in named)
    for built in sets:
        incomplete = int((~built.complete).sum())
        if incomplete:
            others = [s.parameter.name for s in sets if s.complete.all()]
            raise DataError(
                f"{path_or_repo}: {incomplete} of {len(built.photos)} photos are not there in every class of "
                f"{built.parameter.name}; build with --assignment every to score it"
                + (f", or name the others alone: ?parameter={','.join(others)}" if others else "")
            )
    return joined(path_or_repo, sets)


def joined(name: str, sets: tuple[ProcessedSet, ...]) -> PhotoSet:
    """Sets of the same photos under several parameters as one. A view that two of them hold is read from the first."""
    first = sets[0].photos
    where = [{photo_id: row for row, photo_id in enumerate(built.photos.ids)} for built in sets]
    ids = tuple(photo_id for photo_id in first.ids if all(photo_id in there for there in where))
    names = ", ".join(built.parameter.name for built in sets)
    if not ids:
        raise DataError(f"{name}: no photo is there under each of {names}; name one of them: ?parameter=NAME")
    rows = np.array([[there[photo_id] for photo_id in ids] for there in where], dtype=np.int64)
    for built, own in zip(sets, rows, strict=True):
        same = (built.photos.splits[own] == first.splits[rows[0]]) & (
            built.photos.labels.values[own] == first.labels.values[rows[0]]
        )
        if not same.all() or built.photos.labels.names != first.labels.names:
            raise DataError(
                f"{name}: {sets[0].parameter.name} and {built.parameter.name} disagree about splits or labels of "
                "photos; name one of them: ?parameter=NAME"
            )
    places: dict[str, tuple[int, int]] = {}
    for number, built in enumerate(sets):
        for code, processing in enumerate(built.parameter.processings):
            places.setdefault(processing, (number, code))
    evidence = {**first.evidence, "views": f"stored, classes of {names}"}
    if left_out := len(set().union(*where)) - len(ids):
        evidence["left out"] = f"{left_out} photos that are not there under every parameter"
    return dataclasses.replace(
        first,
        ids=ids,
        splits=first.splits[rows[0]],
        labels=Labels(first.labels.names, first.labels.values[rows[0]]),
        source=BundleSource(sets, tuple(places.values()), rows),
        rows=np.arange(len(ids), dtype=np.int64),
        stored_views=tuple(places),
        evidence=evidence,
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
