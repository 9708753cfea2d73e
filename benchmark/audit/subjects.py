"""What is audited: photos with a label, a split, and where known a source and an owner, read block by block.

A subject is a ``PhotoSet`` (any data specification, a pandas frame, a Hugging Face data set), or a Hub data set that is
streamed and never stored. ``open_subject`` makes one of whatever a person has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from builders.errors import PhotoError, UsageError
from builders.photos import SPLITS, UNLABELLED, Head, Labels, PhotoSet, column_of, first_column
from builders.sources import FolderSource

BLOCK = 4096
"""Photos of a block: what is held at once, what a worker does, and what a killed run loses."""

OWNER_COLUMNS = ("owner", "scene", "pair_id")
"""Columns that an audit takes for the owner where none is named. Scores look at scenes before owners, and at no pairs
(``benchmark.stats.CLUSTER_COLUMNS``)."""

UNKNOWN = ""
"""The label, source or owner of a photo of which it is not known."""


class Row(NamedTuple):
    """What is known of a photo before its file is opened."""

    id: str
    label: str
    split: str
    source: str
    owner: str


@dataclass(frozen=True)
class PhotoSubject:
    """Photos that can be read in any order."""

    photos: PhotoSet
    label: Labels
    source: Labels | None
    owner: Labels | None

    @property
    def name(self) -> str:
        return self.photos.name

    @property
    def blocks(self) -> int:
        return -(-len(self.photos) // BLOCK)

    def rows(self, block: int) -> list[Row]:
        """The rows of one block, in order. A split that we drew ourselves is no split of the data."""
        asked = not self.photos.evidence.get("splits", "").startswith("seeded")
        return [
            Row(
                self.photos.ids[i],
                _name(self.label, i),
                SPLITS[self.photos.splits[i]] if asked else UNKNOWN,
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
        """Names everything that decides the rows, apart from the files' own bytes; empty if it cannot be known."""
        source = self.photos.source
        if isinstance(source, FolderSource):
            where = str(Path(source.root).resolve())
        elif self.photos.evidence.get("revision", "").isalnum() and self.photos.evidence["revision"] != "local":
            where = f"{self.photos.name}@{self.photos.evidence['revision']}"
        else:
            return ""
        digest = hashlib.sha256(f"{where}\0{self.photos.ids_hash()}".encode("utf-8", "surrogateescape"))
        for column in (self.label, self.source, self.owner):
            if column is not None:
                digest.update("\0".join(column.names).encode("utf-8", "surrogateescape") + b"\1")
                digest.update(np.ascontiguousarray(column.values).astype("<i4").tobytes())
        return digest.hexdigest()[:20]

    def stamp(self, block: int) -> str:
        """Names the files of a block by their stamps; a block is read again where it differs. Empty without files."""
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
    """Photos with the columns that shall be asked about.

    Args:
        photos: what is audited.
        label: which column is the label: empty for the set's own, or one that ``column_of`` knows.
        source: where a photo comes from (a site, a generator, a scan); empty for a column ``source`` if there is one.
        owner: whose photos err together; empty for a column ``owner``, ``scene`` or ``pair_id`` if there is one.

    Raises:
        UsageError: no such column, or no photo has a label.
    """
    named = photos.labels if not label else column_of(photos, label)
    if not named.names or not (named.values != UNLABELLED).any():
        raise UsageError(
            f"{photos.name}: no photo has a label; put photos in a folder for each class, or name a column (--label)"
        )
    found_source = column_of(photos, source) if source else first_column(photos, ("source",))
    found_owner = column_of(photos, owner) if owner else first_column(photos, OWNER_COLUMNS)
    return PhotoSubject(photos, named, found_source, found_owner)


class StreamedSubject:
    """Rows of a Hub data set as they come, read once: nothing is kept of a photo but what the audit reads of it."""

    source = owner = None

    def __init__(self, name: str, rows: Iterator[tuple[Row, bytes | None]], limit: int | None) -> None:
        self.name = name
        self._rows = rows if limit is None else islice(rows, limit)
        self._held: list[bytes | None] = []
        self._start = 0

    def next_block(self) -> list[Row]:
        """The rows of the next block; empty at the end."""
        self._start += len(self._held)
        taken = list(islice(self._rows, BLOCK))
        self._held = [data for _, data in taken]
        return [row for row, _ in taken]

    def head(self, index: int, limit: int) -> Head:
        """As ``PhotoSubject.head``, of photos of the block that was given last."""
        data = self.read(index)
        return Head(data[:limit], len(data))

    def read(self, index: int) -> bytes:
        """As ``PhotoSubject.read``, of photos of the block that was given last."""
        data = self._held[index - self._start]
        if data is None:  # a path in a cell is a stranger's word for a file of this machine
            raise PhotoError("the row holds no bytes of an image")
        return data


Subject = PhotoSubject | StreamedSubject


def describe(subject: Subject) -> dict[str, Any]:
    """What a report says of where the photos come from."""
    if isinstance(subject, StreamedSubject):
        return {"splits": "as given by the data set", "read": "streamed"}
    return dict(subject.photos.evidence)
