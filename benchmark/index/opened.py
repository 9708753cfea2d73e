"""Opens an index of vectors with the photos that they belong to; nothing is searched."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.index.measure import Units
from benchmark.index.sources import open_index, parse_index
from benchmark.probe import Rows, Some
from builders.errors import DataError, UsageError
from builders.photos import HEADER, ColumnSources, Labels, NoPictures, PhotoSet
from builders.sources import HEADER_FIELDS, FolderSource, photos_of, picture_paths


@dataclass(frozen=True, eq=False)
class OpenedIndex:
    """The vectors of an index, and their photos in the same order."""

    name: str
    vectors: Rows
    """[n, d]."""
    photos: PhotoSet
    """Their columns; the groups are those that are compared."""
    units: Units

    @property
    def label(self) -> Labels | None:
        """What photos show, where it is known."""
        return self.photos.labels if self.photos.labels.names else None


def opened_index(
    text: str, scratch: Path, *, images: str | Path | None, label: str = "", cluster: str = ""
) -> OpenedIndex:
    """Open an index: its vectors, and the headers of its pictures.

    Args:
        text: specification of the index.
        scratch: folder of a copy of the vectors.
        images: folder of the pictures; None if only columns are compared.
        label, cluster: SOURCE each, in place of the specification's.

    Raises:
        UsageError: there is nothing to compare, or a column is absent.
        DataError: the index or its table cannot be read.
    """
    spec = parse_index(text)
    groups = dict(spec.columns.groups)
    if not groups and images is not None:
        groups = {field: f"{HEADER}{field}" for field in HEADER_FIELDS}
    if not groups:
        raise UsageError(
            f"{spec.name}: give the folder of the pictures (--images ROOT), or name groups (?group=COLUMN)"
        )
    if images is not None and not Path(images).expanduser().is_dir():
        raise UsageError(f"--images {images}: no such folder")
    given = spec.columns
    columns = ColumnSources(label or given.label, groups, cluster or given.cluster, "", given.source, given.scene)
    stored = open_index(dataclasses.replace(spec, columns=columns), scratch)
    if images is None and any(source.startswith(HEADER) for source in groups.values()):
        raise UsageError(f"{spec.name}: {HEADER} needs the pictures: give their folder (--images ROOT)")
    values = stored.table.column(stored.image, "image")
    if images is None:
        ids = tuple(str(v) for v in values)
        source: NoPictures | FolderSource = NoPictures()
    else:
        ids = picture_paths(values, Path(images).expanduser(), stored.table.name, "--images ROOT")
        source = FolderSource(str(Path(images).expanduser()), ids)
    if len(set(ids)) < len(ids):
        raise DataError(f"{spec.name}: two vectors name one picture in {stored.image}: name another column (?image=)")
    no_splits = np.zeros(len(ids), np.int8)
    photos = photos_of(stored.table, ids, source, columns, name=f"index:{spec.name}", splits=no_splits)
    return OpenedIndex(spec.name, stored.vectors, photos, Units.of(photos))


def matched_vectors(text: str, index: OpenedIndex, scratch: Path) -> Rows:
    """The vectors of a second embedding in the order of an index, by the names of the pictures.

    Raises:
        DataError: it lacks a picture of the index.
    """
    spec = parse_index(text)
    stored = open_index(spec, scratch)
    values = [str(value) for value in stored.table.column(stored.image, "image")]
    places = {value.replace("\\", "/"): row for row, value in enumerate(values)}
    missing = next((photo_id for photo_id in index.photos.ids if photo_id not in places), None)
    if missing is not None:
        raise DataError(f"{spec.name}: it has no vector of {missing}, which {index.name} has")
    return Some(stored.vectors, np.array([places[photo_id] for photo_id in index.photos.ids], np.int64))
