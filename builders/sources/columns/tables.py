"""Photos that a table lists: ``table:FILE.csv`` or ``.parquet``, with paths of pictures, or with ids alone.

A table without a column of pictures is a set of ids, labels and groups: enough for embeddings that were made elsewhere.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, UsageError, unknown_name
from builders.photos import (
    UNLABELLED,
    ColumnSources,
    Labels,
    NoPictures,
    PhotoSet,
    PhotoSource,
    is_path_source,
    labels_of,
)
from builders.processes import progress_bar
from builders.sources.columns.given import with_columns
from builders.sources.folders import MAX_ANNOTATION_BYTES, FolderSource, drawn_splits
from builders.untrusted import UntrustedInputError, first_line, read_table, read_untrusted, readable, table_schema

JOINED = "-"
"""Between the values of several columns that make an id together."""

MISSING = ("", "nan", "<na>", "nat")
"""Cells without a value: empty, or as pandas and NumPy write what is missing. ``NA`` and ``None`` can be names."""

LOOKED_AT = 100
"""Pictures that are looked for before the others are: if all are missing, paths are relative to another folder."""


@dataclass(frozen=True)
class Table:
    """Columns of a table as text."""

    name: str
    """Of its file, for messages and results."""
    columns: Mapping[str, Sequence[str | None]]
    """By name, one value a row; None where empty. Of a Parquet file only those that are named."""
    names: tuple[str, ...]
    """Of all columns, in order."""
    rows: int

    def labels(self, names: Sequence[str]) -> dict[str, Labels]:
        """Some columns as labels.

        Raises:
            UsageError: there is no such column.
        """
        return {name: labels_of(self.column(name, "column")) for name in names}

    def column(self, name: str, option: str) -> Sequence[str | None]:
        """A column that an option names. Raises ``UsageError``."""
        if name not in self.columns:
            raise unknown_name(f"{option} of {self.name}", name, self.names)
        return self.columns[name]

    def ids(self, names: str) -> tuple[str, ...]:
        """The ids of the rows, from a column, or from several, separated by commas and joined by ``-``.

        Raises:
            UsageError: there is no such column.
            DataError: an id is missing, or is there twice.
        """
        several = [names] if names in self.columns else [name.strip() for name in names.split(",")]
        parts = [self.column(name, "id") for name in several]
        for name, column in zip(several, parts, strict=True):
            if None in column:
                raise DataError(f"{self.name}: row {list(column).index(None) + 1} has no {name}, which is its id")
        ids = tuple(JOINED.join(map(str, values)) for values in zip(*parts, strict=True))
        if len(set(ids)) < len(ids):
            repeated = next(photo_id for photo_id, count in Counter(ids).items() if count > 1)
            raise DataError(
                f"{self.name}: the id {readable(repeated)!r} in {names} is there twice: name a column without "
                f"repetition, or several: id=COLUMN,COLUMN joins them"
            )
        return ids


def open_table(path: Path, wanted: Sequence[str]) -> Table:
    """Read columns of a CSV or Parquet file.

    Args:
        path: of the file. In CSV the first row names the columns; ``,``, ``;`` or a tab separates them.
        wanted: names of columns; those that are absent are left out. All columns of a CSV file are read.

    Raises:
        DataError: it cannot be read, has no row, or a column does not hold text, numbers or dates.
    """
    if path.is_dir():
        raise DataError(f"table:{path} is a folder: name the file, or write folder:{path} or hub:{path}")
    if path.suffix.lower() == ".parquet":
        table = _parquet_table(path, wanted)
    elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
        table = _csv_table(path)
    else:
        raise UsageError(f"table:{path}: a table is a .csv or a .parquet file")
    if not table.rows:
        raise DataError(f"{path}: it holds no row")
    return table


def table_photos(
    path: str,
    *,
    image: str | None = None,
    id: str | None = None,
    root: str | None = None,
    columns: ColumnSources,
    seed: int = 0,
    val_share: float = 0.25,
) -> PhotoSet:
    """Photos that a table lists, in the order of their ids: that of its rows means nothing, so no score depends on it.

    Args:
        path: of the table.
        image: column of the paths of pictures; without it only ids, labels and groups are known.
        id: column of the ids, or several with commas; by default the paths.
        root: folder that paths are relative to; by default the folder of the table.
        columns: where labels, groups, clusters, splits and sources come from.
        seed, val_share: of a drawn split.

    Raises:
        UsageError: there is no such column.
        DataError: the table cannot be read, ids repeat, or paths lead elsewhere.
    """
    file = Path(path).expanduser()
    named = [*(columns.of_table()), *(image, id, *(id or "").split(","))]
    table = open_table(file, [name.strip() for name in named if name])
    if image is None and id is None:
        usual = next((n for n in ("image", "path", "file_name", "filename", "file") if n in table.names), "COLUMN")
        raise UsageError(
            f"table:{file.name}: name the pictures (image={usual}), or, for embeddings made elsewhere, the ids "
            "(id=COLUMN)"
        )
    source: PhotoSource = NoPictures()
    paths: tuple[str, ...] = ()
    if image is not None:
        folder = Path(root).expanduser() if root else file.parent
        paths = picture_paths(table.column(image, "image"), folder, table.name)
        source = FolderSource(str(folder), paths)
    photos = photos_of(
        table,
        table.ids(id) if id else _as_ids(paths, table.name),
        source,
        columns,
        name=f"table:{table.name}",
        seed=seed,
        val_share=val_share,
        evidence={"revision": "local"},
    )
    return photos.select(sorted(range(len(photos)), key=photos.ids.__getitem__))


def photos_of(
    table: Table,
    ids: tuple[str, ...],
    source: PhotoSource,
    columns: ColumnSources,
    *,
    name: str,
    seed: int = 0,
    val_share: float = 0.25,
    splits: np.ndarray | None = None,
    evidence: Mapping[str, str] | None = None,
) -> PhotoSet:
    """A photo set from a table, ids and a source of pictures, all in the order of the rows.

    Args:
        table: with the columns that are named.
        ids: of the rows.
        source: of the pictures.
        columns: where labels, groups, clusters, splits and sources come from.
        name: of the photo set.
        seed, val_share: of a split that is drawn where none is given.
        splits: int8 [rows], given splits.
        evidence: facts for readers of a result.
    """
    photos = PhotoSet(
        name=name,
        ids=ids,
        splits=np.zeros(len(ids), dtype=np.int8) if splits is None else splits,
        labels=Labels((), np.full(len(ids), UNLABELLED, dtype=np.int32)),
        source=source,
        rows=np.arange(len(ids), dtype=np.int64),
        evidence=dict(evidence or {}),
        drawn_splits=splits is None,
    )
    if splits is None and not (columns.split or columns.label or columns.cluster or columns.scene):
        photos = drawn_splits(photos, seed=seed, val_share=val_share)
    named = [source for source in columns.of_table() if not is_path_source(source)]
    return with_columns(photos, columns, table=table.labels(named), seed=seed, val_share=val_share)


def picture_paths(values: Sequence[str | None], folder: Path, name: str, option: str = "root=PATH") -> tuple[str, ...]:
    """Paths of pictures relative to a folder, with forward slashes. A picture that is missing is a failure of its own.

    Args:
        values: as the table has them.
        folder: that paths are relative to.
        name: of the table.
        option: that names the folder.

    Raises:
        DataError: a path is empty, is an address, or leads out of the folder; or the first pictures are all missing.
    """
    root = os.path.abspath(folder)
    paths = []
    for row, value in enumerate(values, 1):
        if value is None:
            raise DataError(f"{name}: row {row} names no picture")
        if "://" in value[:12]:
            raise DataError(
                f"{name}: row {row} names an address ({readable(value[:80])!r}): pictures are not fetched; download "
                "them, and name their files"
            )
        path = os.path.normpath(os.path.join(root, value.replace("\\", "/")))
        if not path.startswith(root.rstrip("/") + "/") or "\0" in value:
            raise DataError(
                f"{name}: row {row} names a picture outside the folder of pictures ({readable(value[:80])!r}): say "
                f"which folder holds them all ({option})"
            )
        paths.append(path[len(root.rstrip("/")) + 1 :])
    if paths and not any(os.path.lexists(os.path.join(root, path)) for path in paths[:LOOKED_AT]):
        few = min(len(paths), LOOKED_AT)
        raise DataError(
            f"{name}: none of the first {few} pictures is in {root} (the first: {readable(paths[0])}): name the folder "
            f"that their paths are relative to ({option})"
        )
    return tuple(paths)


def _as_ids(paths: tuple[str, ...], name: str) -> tuple[str, ...]:
    if len(set(paths)) < len(paths):
        repeated = next(path for path, count in Counter(paths).items() if count > 1)
        raise DataError(
            f"{name}: the picture {readable(repeated)} is there twice: list it once, or name ids (id=COLUMN)"
        )
    return paths


def _csv_table(path: Path) -> Table:
    try:
        text = read_untrusted(path, limit=MAX_ANNOTATION_BYTES).decode("utf-8-sig")
    except UntrustedInputError as error:
        raise DataError(f"{path}: {error.reason}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start})") from None
    named = path.suffix.lower() == ".tsv" and "\t" in text.partition("\n")[0]
    separator = "\t" if named else max(",;\t", key=lambda mark: _fit(text, mark))
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = [readable(name.strip()) for name in next(lines, [])]
        if repeated := next((name for name in names if name and names.count(name) > 1), None):
            raise DataError(f"{path}: two columns are called {repeated}")
        rows = []
        for row in progress_bar(lines, desc=f"reading {path.name}", unit="row", delay=2):
            if not row:
                continue
            if len(row) != len(names):
                raise DataError(f"{path}, line {lines.line_num}: {len(row)} values for {len(names)} columns")
            rows.append(row)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {lines.line_num}: not a CSV file that can be read ({first_line(error)})"
        ) from None
    cells = zip(*rows, strict=True) if rows else [()] * len(names)
    columns = {name: [_text(value) for value in column] for name, column in zip(names, cells, strict=True)}
    return Table(path.name, columns, tuple(names), len(rows))


def _fit(text: str, separator: str) -> tuple[bool, int]:
    """How well a separator fits: whether it gives the first two rows equally many columns, and how many the first."""
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        first, second = next(lines, []), next(lines, None)
    except csv.Error:
        return False, 0
    return not second or len(first) == len(second), len(first)


def _parquet_table(path: Path, wanted: Sequence[str]) -> Table:
    import pyarrow as pa

    schema = table_schema(path)
    present = [name for name in dict.fromkeys(wanted) if name in schema.names]
    for name in present:
        if pa.types.is_nested(schema.field(name).type) or pa.types.is_binary(schema.field(name).type):
            raise DataError(
                f"{path}: the column {readable(name)} holds {readable(str(schema.field(name).type))}, not text or "
                "numbers: a table with pictures in it is read by hub:FOLDER"
            )
    table = read_table(path, present)
    columns = {name: [_text(value) for value in table.column(name).to_pylist()] for name in present}
    return Table(path.name, columns, tuple(map(readable, schema.names)), table.num_rows)


def _text(value: Any) -> str | None:
    """A cell as text; None where it is empty or no number. Whole numbers lose the ``.0`` that a missing one gave them.

    >>> [_text(value) for value in (" x ", "", "NaN", float("nan"), 3.0, 0.5, True)]
    ['x', None, None, None, '3', '0.5', 'True']
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value).strip()
    return None if text.lower() in MISSING else text
