"""Contact sheets: a few photos of each class, label and device as small pictures. The photos are untrusted."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from builders.check.report.facts import NOT_KNOWN, class_names, class_words, shards_of
from builders.dataset import PHOTOS, Build
from builders.errors import PhotoError
from builders.photos import hash64
from builders.pixels import read_jpeg_header
from builders.processes import Sandbox, SandboxError, map_sandboxed, progress_bar
from builders.splits import small_photo
from builders.untrusted import MAX_SHARD_BYTES, open_untrusted, read_columns, read_table, readable, table_schema

THUMBNAIL_SIDE = 112
"""Longest side of a thumbnail in pixels."""

MAX_SHEETS, MAX_CLASSES, PHOTOS_OF_CLASS = 6, 12, 6
"""Sheets of a page, classes of a sheet (the most frequent), photos of a class."""

MAX_GROUPS = 16
"""Row groups that a sheet reads, if these have photos of every class: a set of any size is sampled, not read."""

MAX_GROUP_BYTES = 2**30
"""Of a row group, unpacked; builds close theirs at 32 MB."""

_MEMORY_BYTES, _TIMEOUT_S = 4 * 2**30, 60.0
"""For decoding one photo."""

_DEVICE_COLUMNS = ("camera_model", "camera", "camera_type")


@dataclass(frozen=True)
class Thumbnail:
    """One photo on a sheet."""

    photo_id: str
    split: str
    jpeg: str
    """JPEG file in base64; "" if the photo cannot be decoded."""
    width: int
    height: int
    credit: str
    """Who is named wherever the photo is shown; "" if nobody has to be."""
    codec: str
    """Format of the stored file, of a JPEG file with its quality and chroma subsampling."""


@dataclass(frozen=True)
class SheetClass:
    """Photos of one class."""

    name: str
    rows: int
    """In the data."""
    photos: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Sheet:
    """Photos by the classes of one column."""

    config: str
    column: str
    classes: tuple[SheetClass, ...]
    count: int
    """Number of classes in the data."""


@dataclass(frozen=True)
class _Row:
    """Where a photo stands."""

    file: str
    split: str
    group: int
    """Row group."""
    at: int
    """Row in the row group."""
    photo_id: str
    credit: str


def contact_sheets(folder: Path, build: Build, *, workers: int = 1, progress: bool = True) -> tuple[Sheet, ...]:
    """Sheets of a build: by the class of each config, by label, by device; none for a build without pictures.

    Args:
        folder: of the build; untrusted.
        build: of the folder.
        workers: processes that decode.
        progress: show a bar, if stderr is a terminal.

    Raises:
        DataError, pyarrow.ArrowException, ValueError: a table cannot be read.
    """
    chosen: list[tuple[str, str, list[tuple[str, int, list[_Row]]], int]] = []
    for config, column in _columns(folder, build)[:MAX_SHEETS]:
        classes, count = _choose(folder, build, config, column)
        if classes:
            chosen.append((config, column, classes, count))
    rows = list(dict.fromkeys(row for _, _, classes, _ in chosen for _, _, rows in classes for row in rows))
    thumbnails = dict(zip(rows, _thumbnails(folder, rows, workers, progress), strict=True))
    return tuple(
        Sheet(
            config,
            readable(column),
            tuple(SheetClass(name, n, tuple(thumbnails[row] for row in rows)) for name, n, rows in classes),
            count,
        )
        for config, column, classes, count in chosen
    )


def _columns(folder: Path, build: Build) -> list[tuple[str, str]]:
    """Config and column of each possible sheet."""
    columns: list[tuple[str, str]] = []
    for config in build.configs:
        shards = shards_of(build, config)
        names = table_schema(folder / shards[0][1]).names if shards else []
        if "image" in names and config in names and config != PHOTOS:
            columns.append((config, config))
    shards = shards_of(build, build.default)
    names = table_schema(folder / shards[0][1]).names if shards else []
    if "image" in names:
        others = [(build.default, name) for name in ("label", *_DEVICE_COLUMNS) if name in names]
        # label and device first where there are many configs: every kind of sheet is on the page
        columns = [*columns[: MAX_SHEETS - len(others)], *others]
    return columns


def _choose(folder: Path, build: Build, config: str, column: str) -> tuple[list[tuple[str, int, list[_Row]]], int]:
    """Name, rows and some photos of the most frequent classes, and the number of classes."""
    shards = shards_of(build, config)
    parts: list[pa.Table] = []
    places: list[np.ndarray] = []  # int64 [rows, 4]: shard, row group over all shards, row group, row there
    groups = 0
    for number, (_, file) in enumerate(shards):
        schema = table_schema(folder / file)
        table = read_table(folder / file, [n for n in (column, "photo_id", "attribution") if n in schema.names])
        labels = class_names(schema).get(column)
        words = class_words(table[column], labels) if labels else table[column].cast(pa.string())
        for name in ("photo_id", "attribution"):
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(len(table), pa.string()))
        parts.append(table.select(["photo_id", "attribution"]).append_column("class", words))
        sizes = _group_sizes(folder / file)
        for group, size in enumerate(sizes):
            at = np.arange(size)
            places.append(np.stack([np.full_like(at, n) for n in (number, groups + group, group)] + [at], axis=1))
        groups += len(sizes)
    table, place = pa.concat_tables(parts, promote_options="default"), np.concatenate(places)
    values = table["class"].fill_null("").to_numpy(zero_copy_only=False).astype(str)
    names, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    known = [code for code in np.argsort(-counts, kind="stable").tolist() if names[code]]
    sampled = np.isin(place[:, 1], np.linspace(0, groups - 1, min(MAX_GROUPS, groups)).astype(int))
    chosen = []
    for code in known[:MAX_CLASSES]:
        members = np.flatnonzero(inverse == code)
        inside = members[sampled[members]] if sampled[members].any() else members[:PHOTOS_OF_CLASS]
        ids = {int(i): readable(str(table["photo_id"][int(i)].as_py() or ""))[:200] for i in inside}
        drawn = sorted(ids, key=lambda i: (hash64(ids[i]), i))
        photos = list({ids[i] or str(i): i for i in reversed(drawn)}.values())[::-1][:PHOTOS_OF_CLASS]
        rows = []
        for i in photos:
            number, _, group, at = place[i].tolist()
            credit = readable(str(table["attribution"][i].as_py() or ""))[:300]
            rows.append(_Row(shards[number][1], shards[number][0], group, at, ids[i], credit))
        chosen.append((readable(str(names[code]))[:200], int(counts[code]), rows))
    return chosen, len(known)


def _group_sizes(path: Path) -> list[int]:
    with open_untrusted(path, limit=MAX_SHARD_BYTES) as stream:
        metadata = pq.ParquetFile(stream).metadata
        return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def _thumbnails(folder: Path, rows: Sequence[_Row], workers: int, progress: bool) -> Iterator[Thumbnail]:
    """In the order of the rows. Each row group is read once."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i].file, rows[i].group, rows[i].at))
    made: dict[int, Thumbnail] = {}
    with progress_bar(total=len(rows), desc="thumbnails", unit="photo", silent=not progress) as bar:
        pictures = ((rows[i], data) for i, data in zip(order, _files(folder, [rows[i] for i in order]), strict=True))
        made_in_order = map_sandboxed(
            _thumbnail,
            pictures,
            target=f"{__name__}:thumbnail_in_worker",
            workers=workers,
            timeout_s=_TIMEOUT_S,
            memory_bytes=_MEMORY_BYTES,
        )
        for i, thumbnail in zip(order, made_in_order, strict=True):
            made[i] = thumbnail
            bar.update()
    return (made[i] for i in range(len(rows)))


def _files(folder: Path, rows: Sequence[_Row]) -> Iterator[bytes]:
    """The stored file of each row, which are sorted by place; empty if there is none."""
    open_group, files = ("", -1), pa.chunked_array([pa.array([], pa.binary())])
    for row in rows:
        if (row.file, row.group) != open_group:
            with open_untrusted(folder / row.file, limit=MAX_SHARD_BYTES) as stream:
                table = read_columns(pq.ParquetFile(stream), ["image"], limit=MAX_GROUP_BYTES, groups=[row.group])
            files, open_group = pc.struct_field(table["image"], "bytes"), (row.file, row.group)
        yield bytes(files[row.at].as_py() or b"")


def _thumbnail(sandbox: Sandbox, item: tuple[_Row, bytes]) -> Thumbnail:
    row, data = item
    try:
        jpeg, width, height, codec = sandbox.call(data, parse=_parsed)
    except SandboxError:  # the page says that it cannot be decoded, as it does for a damaged file
        jpeg, width, height, codec = "", THUMBNAIL_SIDE, THUMBNAIL_SIDE, NOT_KNOWN
    return Thumbnail(row.photo_id, row.split, jpeg, width, height, row.credit, codec)


def thumbnail_in_worker(data: bytes) -> dict[str, Any]:
    """A small JPEG of a photo in base64 ("" if it cannot be decoded), its size, and the codec of the photo.

    Called in a sandbox.
    """
    try:
        image = small_photo(data, "RGB", 2 * THUMBNAIL_SIDE).convert("RGB")
    except PhotoError:
        return {"jpeg": "", "width": THUMBNAIL_SIDE, "height": THUMBNAIL_SIDE, "codec": NOT_KNOWN}
    codec = _codec(data)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=72)
    jpeg = base64.b64encode(stream.getvalue()).decode()
    return {"jpeg": jpeg, "width": image.width, "height": image.height, "codec": codec}


def _codec(data: bytes) -> str:
    header = read_jpeg_header(data)
    if header is None:
        with Image.open(io.BytesIO(data)) as image:
            return str(image.format)
    return f"JPEG, quality {header.quality or 'of other tables'}, {header.subsampling or 'grey'}"


def _parsed(answer: Any) -> tuple[str, int, int, str]:
    """The result of ``thumbnail_in_worker``, which is untrusted: base64 and nothing else reaches the page."""
    jpeg, width, height = str(answer["jpeg"]), int(answer["width"]), int(answer["height"])
    base64.b64decode(jpeg, validate=True)
    if not (0 < width <= THUMBNAIL_SIDE and 0 < height <= THUMBNAIL_SIDE) or len(jpeg) > 200_000:
        raise ValueError("no thumbnail")
    return jpeg, width, height, readable(str(answer["codec"]))[:80]
