"""Photos of an image data set on the Hub, or of a local folder that ``load_dataset`` reads, bytes untouched."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from builders.errors import DataError, PhotoError, UsageError, unknown_name
from builders.photos import (
    SPLITS,
    UNLABELLED,
    ColumnSources,
    Labels,
    PhotoSet,
    Stamp,
    Stamps,
    class_codes,
    file_stamp,
    is_path_source,
    labels_of,
)
from builders.sources.columns.given import with_columns
from builders.sources.folders import seeded_splits
from builders.sources.parquet_splits import ParquetPart
from builders.sources.remote.drawing import Streaming
from builders.sources.remote.hub_shards import HubPart, described, hub_parts
from builders.sources.repository import DatasetRepo
from builders.untrusted import read_image_cell, readable, roots_of

NO_COLUMNS = ColumnSources()

_SPLIT_NAMES = {"train": ("train",), "val": ("validation", "val", "valid", "dev"), "test": ("test",)}


def split_named(name: str) -> str:
    """The name in ``SPLITS`` of a split on the Hub; unknown names are ``train``, as in a data set with one split.

    >>> split_named("validation")
    'val'
    """
    return next((split for split, names in _SPLIT_NAMES.items() if name in names), "train")


@dataclass(frozen=True)
class HubSource:
    """The rows of all splits of one data set, one split after another; images are undecoded bytes."""

    parts: tuple[Any, ...]
    """``datasets.Dataset`` objects, memory-mapped, or ``ParquetPart``: a copy for a worker is cheap."""
    column: str
    roots: tuple[str, ...] = ()
    """Folders of the data set's files; a path in a row that leads out of them is not followed."""

    def read(self, row: int) -> bytes:
        for part in self.parts:
            if row < len(part):
                cell = part[row][self.column]
                break
            row -= len(part)
        else:
            raise PhotoError("the row is past the end of the data")
        return read_image_cell(cell, self.roots)

    def stamps(self, rows: np.ndarray) -> Stamps | None:
        """See ``PhotoSet.stamps``: the stamp of each row's file; None if image bytes are in other files."""
        tables = table_stamps(self.parts, self.column)
        if tables is None:
            return None
        ends = np.cumsum([len(part) for part in self.parts])
        part_of_row = np.searchsorted(ends, rows, side="right")
        of_parts = Stamps(tables, part_of_row, " {}", rows[:, None])
        files: list[Stamp] = []
        file, numbers = np.zeros(len(rows), dtype=np.int64), rows.copy()
        for number, (part, table) in enumerate(zip(self.parts, tables, strict=True)):
            chosen = np.flatnonzero(part_of_row == number)
            within, file_ends = rows[chosen] - (ends[number] - len(part)), _file_ends(part)
            if isinstance(part, HubPart):
                file[chosen] = len(files) + np.searchsorted(file_ends, within, side="right")
                numbers[chosen] = part.row_numbers()[within]
                files += [Stamp(f"{one.text} {self.column}", one.changed_ns) for one in _table_files(part)]
                continue
            if len(file_ends) == 1:
                file[chosen] = len(files)
                files.append(table)
                continue
            at = np.searchsorted(file_ends, within, side="right")
            file[chosen], numbers[chosen] = len(files) + at, within - np.r_[0, file_ends][at]
            reading = self.column if isinstance(part, ParquetPart) else part._fingerprint
            files += [Stamp(f"{one.text} {reading}", one.changed_ns) for one in _table_files(part)]
        if self.is_remote:
            return Stamps(files, file, " {}", numbers[:, None])
        return of_parts if files == tables else Stamps(files, file, " {}", numbers[:, None], of_parts)

    @property
    def is_remote(self) -> bool:
        """See ``PhotoSet.is_remote``."""
        return all(isinstance(part, HubPart) for part in self.parts)

    def shared_work(self, rows: np.ndarray) -> list[int] | None:
        """See ``PhotoSet.shared_work``: the row group of each photo, which is fetched from the Hub as a whole."""
        if not self.is_remote:
            return None
        ends = np.cumsum(np.concatenate([np.diff(part.ends, prepend=0) for part in self.parts]))
        return [int(group) for group in np.searchsorted(ends, rows, side="right")]


def table_stamps(parts: Sequence[Any], column: str) -> list[Stamp] | None:
    """A stamp of each part's table, of all its files; None if an image of the column is, or may be, in another file.

    Args:
        parts: as in ``HubSource``.
        column: name of the image column.
    """
    stamps: list[Stamp] = []
    for part in parts:
        files = _table_files(part)
        if not files or not _holds_all_bytes(part, column):
            return None
        text = f"{'|'.join(file.text for file in files)} {part._fingerprint}"
        if isinstance(part, ParquetPart) and len(part.image_columns()) > 1:
            text += f" {column}"
        stamps.append(Stamp(text, max(file.changed_ns for file in files)))
    return stamps


def _table_files(part: Any) -> list[Stamp]:
    if isinstance(part, ParquetPart):
        return part.stamps_of_files()
    return [file_stamp(os.path.abspath(file["filename"])) for file in part.cache_files]


def _file_ends(part: Any) -> np.ndarray:
    """int64, rows of a part up to the end of each of its files; the end of the part alone if that is not known."""
    if isinstance(part, ParquetPart):
        return part.file_ends
    blocks = [row[0] for row in getattr(part.data, "blocks", ()) if len(row) == 1]
    paths = [getattr(block, "path", None) for block in blocks]
    counts = [block.num_rows for block in blocks]
    known = part._indices is None and paths == [file["filename"] for file in part.cache_files]
    return np.cumsum(counts) if known and sum(counts) == len(part) else np.array([len(part)])


def _holds_all_bytes(part: Any, column: str) -> bool:
    """Whether every image of a part is in its table, and none in a separate file that may change."""
    if isinstance(part, ParquetPart):
        return part.holds_all_bytes(column)
    images = part.data.column(column)
    return all(chunk.field("bytes").null_count == 0 for chunk in images.chunks)


def read_hub_photos(
    repo: str,
    *,
    revision: str | None = None,
    config: str | None = None,
    image: str | None = None,
    label: str | None = None,
    id: str | None = None,
    train: str | None = None,
    val: str | None = None,
    test: str | None = None,
    seed: int = 0,
    val_share: float = 0.25,
    columns: ColumnSources = NO_COLUMNS,
    streaming: Streaming | None = None,
) -> PhotoSet:
    """Photos of an image data set on the Hub, or of a local folder that ``load_dataset`` reads.

    Args:
        repo: ``org/name`` on the Hub, or a local folder.
        revision: commit, tag or branch; results record the commit it resolved to.
        config: configuration, if there are several.
        image, label, id: columns; by default the only ``Image``, the ``ClassLabel`` named after the config or the only
            one, and ``photo_id`` if present.
        train, val, test: names of the splits; by default the usual ones. A single split is divided by seed.
        seed, val_share: of the division.
        columns: where labels, groups, clusters, splits and sources come from: columns of the data set, or parts of the
            ids, which are ``split/id``. A label here replaces ``label``.
        streaming: read a data set of the Hub where it is, and only as many of its row groups as are wanted.

    Raises:
        UsageError: there is no such column or split.
        DataError: the data set cannot be loaded.
    """
    data_set, named, evidence = DatasetRepo(repo, revision), {"train": train, "val": val, "test": test}, {}
    chosen: dict[str, Any]
    if streaming is not None and not data_set.local:
        on_hub, evidence["revision"] = data_set.splits_on_hub(f"hub:{repo}", config)
        splits_on_hub = _choose_splits(on_hub, named, repo)
        chosen = dict(hub_parts(splits_on_hub, streaming, f"hub:{repo}"))
        evidence["read"] = described(splits_on_hub, chosen)
    else:
        chosen = _choose_splits(data_set.load(f"hub:{repo}", config), named, repo)
        evidence["revision"] = data_set.resolved_revision()
    features = next(iter(chosen.values())).features
    if columns.label and not is_path_source(columns.label):
        label, columns = columns.label, replace(columns, label="")
    image_column = image or _only(features, "Image", repo, "image") or ""
    if image_column not in features:
        raise unknown_name(f"image column of {repo}", image_column, features)
    if label is not None and label not in features:
        raise unknown_name(f"label column of {repo}", label, features)
    if columns.label:
        label_column = None
    else:
        label_column = label or _class_column(features, config) or _only(features, "ClassLabel", repo, "label", False)
    of_table = [name for name in columns.of_table() if name in features]
    id_column = id or ("photo_id" if "photo_id" in features else None)

    ids: list[str] = []
    splits: list[str] = []
    values: list[Any] = []
    cells: dict[str, list[Any]] = {name: [] for name in of_table}
    for split, part in chosen.items():
        numbers = part.row_numbers().tolist() if isinstance(part, ParquetPart) else range(len(part))
        rows: list[Any] = list(part[id_column] if id_column else numbers)
        if None in rows:
            raise DataError(f"hub:{repo}: split {split}, row {rows.index(None)}: the id in {id_column} is missing")
        ids += [f"{split}/{row}" for row in rows]
        splits += [split] * len(part)
        values += _cells(part, label_column) if label_column else [None] * len(part)
        for name in of_table:
            cells[name] += _cells(part, name)
    if len(set(ids)) < len(ids):
        repeated = next(photo_id for photo_id, count in Counter(ids).items() if count > 1)
        raise DataError(
            f"hub:{repo}: the id {readable(repeated)!r} in {id_column} is there twice: say another (?id=...)"
        )
    labels = _column(repo, label_column, values, features)
    table = {name: _column(repo, name, cells[name], features) for name in of_table}
    how, drawn = "as given by the data set", False
    if set(splits) == {"train"}:
        splits = seeded_splits(ids, [str(v) for v in labels.values], seed=seed, val_share=val_share)
        how, drawn = f"seeded split of each class, seed {seed}, {val_share:g} of the photos for val", True
    source = HubSource(tuple(undecoded(part, image_column) for part in chosen.values()), image_column, roots_of(repo))
    photos = PhotoSet(
        name=f"hub:{data_set.name}",
        ids=tuple(ids),
        splits=np.array([SPLITS.index(s) for s in splits], dtype=np.int8),
        labels=labels,
        source=source,
        rows=np.arange(len(ids), dtype=np.int64),
        drawn_splits=drawn,
        evidence={
            "splits": how,
            **evidence,
            "config": config or "default",
            "columns": f"image={image_column}, label={label_column}, id={id_column}",
        },
    )
    return with_columns(photos, columns, table=table, seed=seed, val_share=val_share)


def _cells(part: Any, name: str) -> list[Any]:
    """The values of a column, None where one is unknown."""
    return [None if value == "" or value != value else value for value in part[name]]


def _column(repo: str, name: str | None, values: Sequence[Any], features: Any) -> Labels:
    """A column of the data set as labels; no name, no labels."""
    try:
        return _labels(values, features[name] if name else None)
    except ValueError as error:
        raise DataError(f"hub:{repo}: column {name}: {error}") from None


def _choose_splits(loaded: Any, requested: dict[str, str | None], repo: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for split, name in requested.items():
        if name is not None:
            if name not in loaded:
                raise unknown_name(f"split of {repo}", name, loaded)
            chosen[split] = loaded[name]
        else:
            usual = next((n for n in _SPLIT_NAMES[split] if n in loaded and n not in requested.values()), None)
            if usual is not None:
                chosen[split] = loaded[usual]
    if not chosen:
        raise UsageError(f"hub:{repo} has the splits {', '.join(loaded)}: say which is which (?train=...&val=...)")
    if "train" not in chosen:
        chosen = {"train": next(iter(chosen.values()))}
    if "val" not in chosen and "test" in chosen:
        chosen["val"] = chosen.pop("test")
    return chosen


def _class_column(features: Any, config: str | None) -> str | None:
    return config if config is not None and type(features.get(config)).__name__ == "ClassLabel" else None


def _only(features: Any, kind: str, repo: str, option: str, required: bool = True) -> str | None:
    """The only column of a feature type. Raises ``UsageError`` if there are several, or none that is required."""
    names = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if len(names) == 1:
        return names[0]
    if not names and not required:
        return None
    which = f"columns {', '.join(names)}" if names else f"no {kind} column among {', '.join(features)}"
    raise UsageError(f"hub:{repo} has {which}: say which one (?{option}=...)")


def undecoded(part: Any, column: str) -> Any:
    """The rows of a part with the image column alone, its images as undecoded bytes."""
    import datasets

    if isinstance(part, ParquetPart):
        return part.only([column])
    return part.select_columns([column]).cast_column(column, datasets.Image(decode=False))


def _labels(values: Sequence[Any], feature: Any) -> Labels:
    if feature is None:
        return Labels((), np.full(len(values), UNLABELLED, dtype=np.int32))
    if hasattr(feature, "names"):
        return Labels(tuple(feature.names), class_codes(values, len(feature.names)))
    return labels_of(None if value is None else str(value) for value in values)
