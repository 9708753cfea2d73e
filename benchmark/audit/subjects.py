"""Subjects of an audit: photos with a label, a split, and optionally a source and an owner, read block by block.

A subject is a ``PhotoSet`` (any data specification, a pandas frame, a Hugging Face data set), or a Hub data set that is
streamed and never stored. ``open_subject`` makes one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmark.judgement import unit_of_column
from benchmark.stats import CLUSTER_COLUMNS
from builders.errors import PhotoError, UsageError
from builders.photos import (
    CLUSTER,
    NEAR_DUPLICATES,
    SPLITS,
    UNLABELLED,
    Head,
    Labels,
    PhotoSet,
    column_of,
    first_column,
)
from builders.sources import FolderSource

BLOCK = 4096
"""Photos of a block: the unit of memory, of the work of a process, and of what an interrupted run loses."""

OWNER_COLUMNS = (*CLUSTER_COLUMNS, "pair_id")
"""Columns that are the owner by default, the first that exists: those of scores, and the pair."""

UNKNOWN = ""
"""Value of an unknown label, source or owner."""


class Row(NamedTuple):
    """The columns of a photo that are known before its file is opened."""

    id: str
    label: str
    split: str
    source: str
    owner: str


@dataclass(frozen=True)
class PhotoSubject:
    """Photos of a photo set, which can be read in any order."""

    photos: PhotoSet
    label: Labels
    source: Labels | None
    owner: Labels | None
    unit: str = "owner"
    """The word for what errs together: what the values of ``owner`` are."""

    @property
    def name(self) -> str:
        return self.photos.name

    @property
    def blocks(self) -> int:
        return -(-len(self.photos) // BLOCK)

    def rows(self, block: int) -> list[Row]:
        """The rows of one block, in order. Their split is unknown where camtrace drew it."""
        given = not self.photos.evidence.get("splits", "").startswith("seeded")
        return [
            Row(
                self.photos.ids[i],
                _name(self.label, i),
                SPLITS[self.photos.splits[i]] if given else UNKNOWN,
                _name(self.source, i),
                _name(self.owner, i),
            )
            for i in range(block * BLOCK, min((block + 1) * BLOCK, len(self.photos)))
        ]

    def head(self, index: int, limit: int) -> Head:
        """The beginning of a file. Raises ``PhotoError``."""
        return self.photos.head(index, limit)

    def read(self, index: int) -> bytes:
        """A whole file. Raises ``PhotoError``."""
        return self.photos.read(index)

    def key(self) -> str:
        """Hash of everything that determines the rows, except the bytes of the files; empty if it is not known."""
        source = self.photos.source
        if isinstance(source, FolderSource):
            origin = str(Path(source.root).resolve())
        elif self.photos.evidence.get("revision", "").isalnum() and self.photos.evidence["revision"] != "local":
            origin = f"{self.photos.name}@{self.photos.evidence['revision']}"
        else:
            return ""
        digest = hashlib.sha256(f"{origin}\0{self.photos.ids_hash()}".encode("utf-8", "surrogateescape"))
        for column in (self.label, self.source, self.owner):
            if column is not None:
                digest.update("\0".join(column.names).encode("utf-8", "surrogateescape") + b"\1")
                digest.update(np.ascontiguousarray(column.values).astype("<i4").tobytes())
        return digest.hexdigest()[:20]

    def stamp(self, block: int) -> str:
        """Hash of the stamps of the files of a block, which is read again where it differs; empty without files."""
        source = self.photos.source
        if not isinstance(source, FolderSource):
            return ""
        digest = hashlib.sha256()
        for stamp in source.stamps(self.photos.rows[block * BLOCK : (block + 1) * BLOCK]):
            digest.update(stamp.text.encode("utf-8", "surrogateescape") + b"\0")
        return digest.hexdigest()[:20]


def _name(labels: Labels | None, index: int) -> str:
    if labels is None or labels.values[index] == UNLABELLED:
        return UNKNOWN
    return labels.names[labels.values[index]]


def photo_subject(photos: PhotoSet, label: str = "", source: str = "", owner: str = "") -> PhotoSubject:
    """Photos with the columns of an audit.

    Args:
        photos: the photo set.
        label: column of the label (``column_of``); empty for the labels of the photo set.
        source: column of the origin (a site, a generator, a scan); empty for ``source``, if there is such a column.
        owner: column of the owner; empty for the first of ``OWNER_COLUMNS`` that exists.

    Raises:
        UsageError: no such column, or no photo has a label.
    """
    photos.require_pictures("an audit")
    labels = photos.labels if not label else column_of(photos, label)
    if not labels.names or not (labels.values != UNLABELLED).any():
        raise UsageError(
            f"{photos.name}: no photo has a label; put photos in a folder for each class, or name a column (--label)"
        )
    source_column = column_of(photos, source) if source else first_column(photos, ("source",))
    owner_column = column_of(photos, owner) if owner else first_column(photos, OWNER_COLUMNS)
    return PhotoSubject(photos, labels, source_column, owner_column, _unit(photos, owner))


def _unit(photos: PhotoSet, owner: str) -> str:
    """The word for what errs together: of a cluster, the name of the column that it was read from."""
    column = owner or next((name for name in OWNER_COLUMNS if name in photos.columns), NEAR_DUPLICATES)
    if column in (NEAR_DUPLICATES, "pair_id"):
        return column.removesuffix("_id")
    return unit_of_column(photos.evidence.get("cluster=", column) if column == CLUSTER else column)


class StreamedSubject:
    """Rows of a Hub data set, read once in their order. Of a photo only the features are stored."""

    source = owner = None
    unit = NEAR_DUPLICATES

    def __init__(self, name: str, rows: Iterator[tuple[Row, bytes | None]], limit: int | None) -> None:
        self.name = name
        self._rows = rows if limit is None else islice(rows, limit)
        self._block: list[bytes | None] = []
        self._start = 0

    def next_block(self) -> list[Row]:
        """The rows of the next block; empty at the end."""
        self._start += len(self._block)
        pairs = list(islice(self._rows, BLOCK))
        self._block = [data for _, data in pairs]
        return [row for row, _ in pairs]

    def head(self, index: int, limit: int) -> Head:
        """As ``PhotoSubject.head``, for photos of the current block."""
        data = self.read(index)
        return Head(data[:limit], len(data))

    def read(self, index: int) -> bytes:
        """As ``PhotoSubject.read``, for photos of the current block."""
        data = self._block[index - self._start]
        if data is None:  # a path in an untrusted cell would name a file of this machine
            raise PhotoError("the row holds no bytes of an image")
        return data


Subject = PhotoSubject | StreamedSubject


def describe(subject: Subject) -> dict[str, Any]:
    """Origin of the photos and their splits, for the report."""
    if isinstance(subject, StreamedSubject):
        return {"splits": "as given by the data set", "read": "streamed"}
    return dict(subject.photos.evidence)
