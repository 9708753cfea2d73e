"""Import a table of released ids instead of searching: a Hub data set, or a Parquet, CSV or JSON file.

The released table has text columns only, so its Exif values are stored like Flickr's raw strings. Licence, author and
title are unknown until ``refresh`` requests them from Flickr.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

from builders.errors import DataError, UsageError
from builders.flickrexif.api.search_results import is_nsid, photo_id, size_of_url, text_of
from builders.flickrexif.store.photos import ImportCounts, ImportedPhoto, import_photos
from builders.flickrexif.store.store import State
from builders.processes import progress_bar
from builders.sources import DatasetRepo
from builders.untrusted import client_message, quiet_clients

EXIF_COLUMNS: dict[str, tuple[str, str]] = {
    "Make": ("IFD0", "Make"),
    "Model": ("IFD0", "Model"),
    "Exposure": ("ExifIFD", "ExposureTime"),
    "Aperture": ("ExifIFD", "FNumber"),
    "ISO Speed": ("ExifIFD", "ISO"),
    "Focal Length": ("ExifIFD", "FocalLength"),
}
"""Columns of the released table and the Exif entries that they were read from."""

ID_COLUMN = "Flickr ID"
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}
_ROWS_PER_TRANSACTION = 2000


def import_table(hub: str | None, table: Path | None, revision: str | None = None) -> Iterable[Mapping[str, Any]]:
    """Open a Hub data set or a local file as rows.

    Args:
        hub: repository of a data set.
        table: a local file; exactly one of the two is given.
        revision: of the data set.

    Raises:
        UsageError: neither or both are named, or the file is of no known kind.
        DataError: it cannot be read, or has no column of ids.
    """
    if (hub is None) == (table is None):
        raise UsageError("say --hub REPO or --table FILE")
    if hub is not None:
        splits = DatasetRepo(hub, revision).load(hub)
        if "train" not in splits:
            raise DataError(f"{hub}: has no split 'train' among {', '.join(splits)}")
        rows = splits["train"]
    else:
        assert table is not None
        rows = _open_file(table)
    if ID_COLUMN not in rows.column_names:
        raise DataError(f"{hub or table}: has no column {ID_COLUMN!r} among {', '.join(rows.column_names)}")
    return rows


def _open_file(table: Path) -> Any:
    if not table.is_file():
        raise DataError(f"{table}: no such file")
    if table.suffix.lower() not in _FORMATS:
        raise UsageError(f"{table}: a table is a file in {', '.join(_FORMATS)}")
    import datasets

    try:
        with quiet_clients():
            return datasets.load_dataset(_FORMATS[table.suffix.lower()], data_files=str(table), split="train")
    except Exception as error:  # datasets and pyarrow have error classes of their own
        raise DataError(f"{table}: cannot be read as a table ({client_message(error)[:300]})") from None


def import_rows(state: State, rows: Iterable[Mapping[str, Any]], *, seed: int = 0, origin: str = "") -> ImportCounts:
    """Import the rows of a table into the state. Photos that are there already are left as they are.

    Args:
        state: receives the photos.
        rows: mappings with ``Flickr ID``, ``url``, ``owner`` and the columns of ``EXIF_COLUMNS``.
        seed: of the ranks of new photos.
        origin: name of the table, for the record.
    """
    imported = ImportCounts()
    total = len(rows) if isinstance(rows, Sized) else None
    with progress_bar(total=total, desc="import", unit="row") as bar:
        for chunk in _chunks(rows):
            photos = [photo for row in chunk if (photo := _photo(row)) is not None]
            imported += import_photos(state, photos, seed) + ImportCounts(unusable=len(chunk) - len(photos))
            bar.update(len(chunk))
    if origin:
        state.set("imported_from", sorted({*(state.setting("imported_from") or []), origin}))
    return imported


def _photo(row: Mapping[str, Any]) -> ImportedPhoto | None:
    """None for a row without a usable id, owner or address."""
    try:
        id = photo_id(row[ID_COLUMN])
    except (KeyError, TypeError, ValueError):
        return None
    url, owner = text_of(row.get("url"), 2000), text_of(row.get("owner"))
    if not url.startswith(("http://", "https://")) or not is_nsid(owner):
        return None
    raw_values = {key: text_of(row.get(column)).strip() for column, key in EXIF_COLUMNS.items()}
    entries = {key: raw for key, raw in raw_values.items() if raw}
    return ImportedPhoto(id, owner, {size_of_url(url): (url, 0, 0)}, entries)


def _chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, _ROWS_PER_TRANSACTION)):
        yield chunk
