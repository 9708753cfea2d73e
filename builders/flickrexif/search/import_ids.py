"""Start from a table of released ids instead of a search: a Hub data set, or a Parquet, CSV or JSON file.

The released table has text columns only, so its Exif values come along as Flickr's raw strings do; licence, author and
title are unknown until ``refresh`` asks Flickr for them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from builders.errors import DataError, UsageError
from builders.flickrexif.api.exif_answers import dumps
from builders.flickrexif.api.search_results import is_nsid, photo_id, rank, size_of_url, text_of
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import tombstones
from builders.untrusted import check_data_set, client_message, from_hub, quiet_clients

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
_PORTION = 2000


@dataclass(frozen=True)
class Imported:
    """What an import did with the rows of a table."""

    added: int
    known: int
    """Already in the state."""
    buried: int
    """Taken down before."""
    unusable: int
    """Without a usable id, owner or address."""


def open_table(hub: str | None, table: Path | None, revision: str | None = None) -> Iterable[Mapping[str, Any]]:
    """The rows of a Hub data set or of a local file.

    Raises:
        UsageError: neither or both are named, or the file is of no known kind.
        DataError: it cannot be read, or has no column of ids.
    """
    if (hub is None) == (table is None):
        raise UsageError("say --hub REPO or --table FILE")
    import datasets

    try:
        if table is not None:
            if not table.is_file():
                raise DataError(f"{table}: no such file")
            if table.suffix.lower() not in _FORMATS:
                raise UsageError(f"{table}: a table is a file in {', '.join(_FORMATS)}")
            with quiet_clients():
                rows = datasets.load_dataset(_FORMATS[table.suffix.lower()], data_files=str(table), split="train")
        else:
            check_data_set(str(hub), revision)
            with from_hub():
                rows = datasets.load_dataset(hub, revision=revision, split="train")
    except (DataError, UsageError):
        raise
    except Exception as error:  # datasets, hub and pyarrow raise trees of their own; one sentence serves the user
        raise DataError(f"{hub or table}: cannot be read as a table ({client_message(error)[:300]})") from None
    if ID_COLUMN not in rows.column_names:
        raise DataError(f"{hub or table}: has no column {ID_COLUMN!r} among {', '.join(rows.column_names)}")
    return rows


def import_rows(state: State, rows: Iterable[Mapping[str, Any]], *, seed: int = 0, origin: str = "") -> Imported:
    """Take the rows of a table into the state. Rows that are there already are left as they are.

    Args:
        state: where they go.
        rows: mappings with ``Flickr ID``, ``url``, ``owner`` and the columns of ``EXIF_COLUMNS``.
        seed: of the ranks of new photos.
        origin: what the table is, for the record.
    """
    counts = {"added": 0, "known": 0, "buried": 0, "unusable": 0}
    graves = tombstones(state)
    total = len(rows) if isinstance(rows, Sized) else None
    with tqdm(total=total, desc="import", unit="row", disable=None) as bar:
        for portion in _portions(rows):
            with state.transaction() as db:
                for row in portion:
                    photo = _photo(row)
                    if photo is None:
                        counts["unusable"] += 1
                    elif graves.cover(photo.id, photo.owner):
                        counts["buried"] += 1
                    else:
                        new = db.execute(
                            "INSERT INTO photos (id, owner, source, urls, rank, selected, exif_status, exif_checked)"
                            " VALUES (?, ?, 'import', ?, ?, 1, ?, ?) ON CONFLICT DO NOTHING",
                            (
                                *(photo.id, photo.owner, json.dumps({photo.size: (photo.url, 0, 0)})),
                                *(rank(photo.id, seed), "ok" if photo.entries else "empty", state.clock.now()),
                            ),
                        ).rowcount
                        counts["added" if new else "known"] += 1
                        if new and photo.entries:
                            db.execute("INSERT INTO exif VALUES (?, ?)", (photo.id, dumps(photo.entries)))
            bar.update(len(portion))
    if origin:
        state.set("imported_from", sorted({*(state.setting("imported_from") or []), origin}))
    return Imported(**counts)


@dataclass(frozen=True)
class _Row:
    id: int
    owner: str
    url: str
    size: str
    entries: Mapping[tuple[str, str], str]


def _photo(row: Mapping[str, Any]) -> _Row | None:
    try:
        id = photo_id(row[ID_COLUMN])
    except (KeyError, TypeError, ValueError):
        return None
    url, owner = text_of(row.get("url"), 2000), text_of(row.get("owner"))
    if not url.startswith(("http://", "https://")) or not is_nsid(owner):
        return None
    entries = {key: text_of(row.get(column)).strip() for column, key in EXIF_COLUMNS.items()}
    return _Row(id, owner, url, size_of_url(url), {key: raw for key, raw in entries.items() if raw})


def _portions(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while portion := list(itertools.islice(iterator, _PORTION)):
        yield portion
