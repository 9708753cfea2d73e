"""The photos of a state that a data set can be built from, as columns: millions of Python objects would not fit."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from builders.exif import (
    ATTRIBUTES,
    Acquisition,
    LabelSet,
    acquisition_from_raw,
    acquisition_from_tags,
    device_type,
    label,
)
from builders.flickrexif.api.exif_answers import loads
from builders.flickrexif.api.licences import LICENCES, attribution_line, redistributable
from builders.flickrexif.api.search_results import photo_page
from builders.flickrexif.api.stored_json import stored_addresses, stored_texts
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import read_tombstones
from builders.processes import progress_bar
from builders.splits import NEAR_LIMIT, VARIANTS

BLOCK = 1000
"""Rows that are Python mappings at a time."""

DICTIONARY_TEXT = pa.dictionary(pa.int32(), pa.string())
"""Type of a column with few distinct texts, each stored once."""


class TableRows(Sequence[Mapping[str, Any]]):
    """The rows of a table as mappings. Picklable (with the table). Fast if rows are read roughly in order.

    >>> rows = TableRows(pa.table({"id": ["a", "b", "c"], "n": [1, 2, 3]}))
    >>> rows[1], len(rows), rows.take(np.array([2, 0]))[0]
    ({'id': 'b', 'n': 2}, 3, {'id': 'c', 'n': 3})
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._at = -1
        self._block: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, row: Any) -> Any:
        """One row, by its position from 0 on."""
        block, offset = divmod(int(row), BLOCK)
        if block != self._at:
            self._at, self._block = block, self.table.slice(block * BLOCK, BLOCK).to_pylist()
        return self._block[offset]

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table, "_at": -1, "_block": []}

    def take(self, rows: np.ndarray) -> TableRows:
        """The rows at some positions, in the order of the positions."""
        return TableRows(self.table.take(pa.array(rows)))


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of an iterable of rows, of which at most ``BLOCK`` are Python objects at a time."""
    batches: list[pa.RecordBatch] = []
    block: list[Mapping[str, Any]] = []
    for row in rows:
        block.append(row)
        if len(block) == BLOCK:
            batches.append(pa.RecordBatch.from_pylist(block, schema=schema))
            block = []
    batches.append(pa.RecordBatch.from_pylist(block, schema=schema))
    return pa.Table.from_batches(batches, schema=schema).unify_dictionaries().combine_chunks()


def codes_and_words(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Codes (int64 [rows], index into the words) and words of a column of ``DICTIONARY_TEXT`` without nulls."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk
        return np.zeros(0, dtype=np.int64), []
    return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary.to_pylist()


@dataclass(frozen=True)
class CollectedPhoto:
    """One photo and everything that is published about it."""

    id: str
    owner: str
    """NSID."""
    acquisition: Acquisition
    """Parsed Exif."""
    exif_source: str
    """``file`` or ``flickr``."""
    found_by: str
    """``search``, ``import``, or ``fill`` (a search for words that name the camera)."""
    hash: int
    """Perceptual; 0: unknown."""
    variants: bytes
    """Perceptual hashes of its variants, 8 bytes each; empty: unknown."""
    path: str | None
    """Of its file, below the folder of the state."""
    sha256: str
    """Of its file; empty if it was not fetched."""
    columns: Mapping[str, Any]
    """Values of the columns of every config."""


SCHEMA = pa.schema(
    {
        "photo_id": pa.string(),
        **dict.fromkeys(("owner", "licence", "licence_url", "licence_checked"), DICTIONARY_TEXT),
        **dict.fromkeys(("attribution", "page", "url"), pa.string()),
        "size": DICTIONARY_TEXT,
        "sha256": pa.string(),
        **dict.fromkeys(("width", "height"), pa.int32()),
        "perceptual_hash": pa.int64(),
        **dict.fromkeys(("exif_source", "found_by", "camera_make", "camera_model", "software"), DICTIONARY_TEXT),
        **dict.fromkeys(("exposure_s", "f_number", "focal_length_mm"), DICTIONARY_TEXT),
        "iso_speed": pa.int64(),
        "flash_fired": pa.bool_(),
        "year": pa.int32(),
        **dict.fromkeys(("label_device_type", *(f"label_{name}" for name in ATTRIBUTES)), DICTIONARY_TEXT),
        "path": pa.string(),
        "variants": pa.binary(),
    }
)
"""Columns of a collection: those of the config ``metadata`` that a photo has by itself, exact values as text; then the
path of the file below the folder of the state, null if it was not fetched, and its perceptual hashes."""

SHARED = SCHEMA.names[: SCHEMA.names.index("perceptual_hash")]
"""Columns of every config."""


@dataclass(frozen=True)
class Collection:
    """The photos of a state that a data set can be built from."""

    table: pa.Table
    """Of ``SCHEMA``, a row for each photo, by id."""
    left_out: Mapping[str, int]
    """Number of selected photos that cannot be used, by reason."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def ids(self) -> list[str]:
        """Flickr ids."""
        return self.of("photo_id")

    def of(self, column: str) -> list[Any]:
        """Values of a column."""
        values: list[Any] = self.table[column].to_pylist()
        return values

    @property
    def rows(self) -> TableRows:
        """The columns of every config."""
        return TableRows(self.table.select(SHARED))

    def hashes(self) -> np.ndarray:
        """Perceptual hashes of each photo: uint64 [photos, VARIANTS], ``NO_HASH`` where unknown. Of more than
        ``NEAR_LIMIT`` photos [photos, 1], that of the whole picture."""
        whole = np.asarray(self.table["perceptual_hash"].to_numpy(), dtype=np.int64).view(np.uint64)
        if len(self) > NEAR_LIMIT:
            return whole[:, None]
        hashes = np.zeros((len(self), VARIANTS), dtype=np.uint64)
        hashes[:, 0] = whole
        for i, variants in enumerate(self.of("variants")):
            if len(variants) == 8 * VARIANTS:
                hashes[i] = np.frombuffer(variants, ">u8")
        return hashes

    def licence_counts(self) -> dict[str, int]:
        """Number of photos by licence, the largest first."""
        codes, names = codes_and_words(self.table["licence"])
        return dict(Counter(names[i] for i in codes.tolist()).most_common())


def collect(state: State, *, pixels: bool, label_set: LabelSet = "clean", progress: bool = False) -> Collection:
    """Collect every selected photo with usable Exif, by id.

    Args:
        state: of the collection.
        pixels: only photos that have been fetched and whose licence permits redistribution.
        label_set: the classes of its labels.
        progress: show a bar, if stderr is a terminal.
    """
    left_out: Counter[str] = Counter()
    total = state.value("SELECT count(*) FROM photos WHERE selected = 1")
    photos = each_photo(state, pixels=pixels, left_out=left_out)
    bar = progress_bar(photos, desc="photos and their Exif", total=total, delay=2, silent=not progress)
    table = table_of((_row(photo, label_set, total <= NEAR_LIMIT) for photo in bar), SCHEMA)
    return Collection(table, dict(left_out.most_common()))


def each_photo(state: State, *, pixels: bool, left_out: Counter[str]) -> Iterator[CollectedPhoto]:
    """Iterate over the photos of ``collect``.

    The Exif of an original file takes precedence over Flickr's. For a resized file only Flickr's counts, because
    resizing removes Exif or leaves values that no longer describe the file. If the owner hides the Exif on Flickr, the
    photo is left out.

    Args:
        state: of the collection.
        pixels: only photos that have been fetched and whose licence permits redistribution.
        left_out: receives the number of other photos, by reason.
    """
    tombstones = read_tombstones(state)
    for row in state.stream(_QUERY):
        if tombstones.covers(row["id"], row["owner"]):
            left_out["taken down"] += 1
            continue
        reason = _unusable(row, pixels)
        if reason:
            left_out[reason] += 1
            continue
        acquisition = _acquisition(row)
        if acquisition is None:
            left_out["without Exif"] += 1
            continue
        yield _photo(row, *acquisition)


_QUERY = (
    "SELECT p.*, e.entries, f.status AS file_status, f.error_class, f.size, f.url, f.path, f.sha256, f.bytes,"
    " l.hash, l.variants, l.width, l.height, l.raw, l.reason"
    " FROM photos p LEFT JOIN exif e ON e.photo_id = p.id LEFT JOIN files f ON f.photo_id = p.id"
    " LEFT JOIN looks l ON l.photo_id = p.id AND l.sha256 = f.sha256"
    " WHERE p.selected = 1 ORDER BY p.id"
)


def _unusable(row: Any, pixels: bool) -> str | None:
    """Why a photo cannot be used; None if it can."""
    if row["exif_status"] == "gone":
        return "gone from Flickr"
    if row["exif_status"] == "hidden":  # the file would reveal what its owner hides
        return "Exif hidden by its owner"
    if row["file_status"] == "gone" and row["error_class"] not in ("no such size", "too large", "address refused"):
        return f"file: {row['error_class']}"
    if row["reason"]:
        return "file that cannot be decoded"
    if row["file_status"] == "ok" and _stripped(row):
        return "original without the Exif that Flickr lists"
    if row["file_status"] != "ok" and not stored_addresses(row["urls"]):
        return "no address that anyone could load"
    if pixels and row["file_status"] != "ok":
        return "no file"
    if pixels and not redistributable(row["licence"]):
        return "licence unknown or against redistribution"
    return None


def _stripped(row: Any) -> bool:
    """Whether a file of size ``o`` has no Exif although Flickr lists some, so that it is probably not the original.

    Flickr's Exif would not describe the picture that is published with it.
    """
    if row["size"] != "o" or row["raw"] is None or not row["entries"]:
        return False
    return not stored_texts(row["raw"]) and bool(acquisition_from_tags(loads(row["entries"])).raw)


def _acquisition(row: Any) -> tuple[Acquisition, str] | None:
    """Parsed Exif and its source; None without Exif."""
    if row["size"] == "o" and row["raw"]:
        from_file = acquisition_from_raw(stored_texts(row["raw"]))
        if from_file.raw:
            return from_file, "file"
    if row["entries"]:
        from_flickr = acquisition_from_tags(loads(row["entries"]))
        if from_flickr.raw:
            return from_flickr, "flickr"
    return None


def _photo(row: Any, acquisition: Acquisition, source: str) -> CollectedPhoto:
    page = photo_page(row["owner"], row["id"])
    licence = LICENCES.get(row["licence"])
    fetched = row["file_status"] == "ok"
    urls = stored_addresses(row["urls"])
    size = row["size"] if fetched else next(iter(urls))
    url, width, height = (row["url"], row["width"], row["height"]) if fetched else urls[size]
    checked = row["licence_checked"]
    columns = {
        "photo_id": str(row["id"]),
        "owner": row["owner"],
        "licence": licence.slug if licence else "unknown",
        "licence_url": licence.url if licence else "",
        "licence_checked": _day(checked) if checked else "",
        "attribution": attribution_line(row["title"], row["owner_name"], page, row["licence"]),
        "page": page,
        "url": url,
        "size": size,
        "sha256": row["sha256"] if fetched else "",
        "width": width or 0,
        "height": height or 0,
    }
    return CollectedPhoto(
        id=str(row["id"]),
        owner=row["owner"],
        acquisition=acquisition,
        exif_source=source,
        found_by=row["source"],
        hash=row["hash"] or 0 if fetched else 0,
        variants=row["variants"] or b"" if fetched else b"",
        path=row["path"] if fetched else None,
        sha256=columns["sha256"],
        columns=columns,
    )


def _row(photo: CollectedPhoto, label_set: LabelSet, variants: bool) -> dict[str, Any]:
    """The row of a photo in a collection, with the hashes of its variants or without them."""
    acquisition = photo.acquisition
    return {
        **photo.columns,
        "perceptual_hash": photo.hash,
        "exif_source": photo.exif_source,
        "found_by": photo.found_by,
        "camera_make": acquisition.make or "",
        "camera_model": acquisition.model or "",
        "software": acquisition.software or "",
        "exposure_s": "" if acquisition.exposure_s is None else str(acquisition.exposure_s),
        "f_number": "" if acquisition.f_number is None else str(acquisition.f_number),
        "iso_speed": acquisition.iso,
        "focal_length_mm": "" if acquisition.focal_length_mm is None else str(acquisition.focal_length_mm),
        "flash_fired": acquisition.flash_fired,
        "year": acquisition.taken.year if acquisition.taken else None,
        "label_device_type": device_type(acquisition),
        **{f"label_{name}": label(acquisition, name, label_set) for name in ATTRIBUTES},
        "path": photo.path,
        "variants": photo.variants if variants else b"",
    }


def _day(seconds: float) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m-%d}"
