"""Photos that a table lists: ``table:FILE``, with paths of pictures, or with ids alone.

A table without a column of pictures is a set of ids, labels and groups: enough for embeddings that were made elsewhere.
"""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from builders.errors import DataError, RespelledError
from builders.photos import (
    UNLABELLED,
    ColumnSources,
    Labels,
    NoPictures,
    PhotoSet,
    PhotoSource,
    is_path_source,
)
from builders.sources.columns.arrays import ARRAY_IMAGES, array_table, holds_arrays
from builders.sources.columns.given import with_columns
from builders.sources.columns.table_files import Table, open_table, whole_table
from builders.sources.folders import PICTURE_ENDINGS, FolderSource, drawn_splits
from builders.untrusted import list_folder, readable, walk_folders

USUAL_COLUMNS = {
    "image": (
        *("image", "images", "img", "path", "file", "file_name", "filename", "filepath", "image_path", "img_filename"),
        *("image_name", "image_id", "img_path", "photo"),
    ),
    "label": ("label", "labels", "class", "classname", "class_name", "category", "target", "diagnosis", "dx", "y"),
    "split": ("split", "fold", "subset", "partition"),
}
"""Usual names of the columns of a table in lower case, by option."""

MOST_FOLDERS = 5_000
"""In which a missing picture is looked for."""

LOOKED_AT = 100
"""Pictures that are looked for before the others are: if all are missing, paths are relative to another folder."""


def table_photos(
    path: str,
    *,
    image: str | None = None,
    id: str | None = None,
    root: str | None = None,
    encoding: str = "",
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
        encoding: of a CSV file, if it is not UTF-8.
        columns: where labels, groups, clusters, splits and sources come from.
        seed, val_share: of a drawn split.

    Raises:
        UsageError: there is no such column.
        DataError: the table cannot be read, ids repeat, or paths lead elsewhere.
    """
    file, given = Path(path).expanduser(), columns.sources()
    named = [*(columns.of_table()), *(image, id, *(id or "").split(","))]
    source: PhotoSource = NoPictures()
    if arrays := holds_arrays(file):
        table, source = array_table(file)
    else:
        table = open_table(file, [name.strip() for name in named if name], encoding=encoding)
    if image is None and id is None:
        in_part = not arrays and len(table.columns) < len(table.names)
        meant, certain = meant_columns((whole_table(file) if in_part else None) or table)
        if arrays and "scene" in table.columns:  # the same pictures in several arrays, several times in each
            meant |= {"scene": "scene", "group=array": "array", "group=severity": "severity"}
        raise RespelledError(
            f"table:{file.name}: no option names the pictures (image={meant.get('image', 'COLUMN')}), or, for "
            "embeddings made elsewhere, the ids (id=COLUMN)",
            options={o: c for o, c in meant.items() if not given.get(o)}
            if "image" in meant
            else {"id": table.names[0]},
            certain=certain and not (arrays and meant.get("label") == "array"),
        )
    paths: tuple[str, ...] = ()
    if arrays:
        paths = tuple(str(value) for value in table.column(image or ARRAY_IMAGES, "image"))
    elif image is not None:
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
        evidence={"revision": "local", **({"missing": table.note} if table.note else {})},
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
    paths: list[str] = []
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
            holder = _common_folder(root, values)
            raise RespelledError(
                f"{name}: row {row} names a picture outside the folder of pictures ({readable(value[:80])!r}): say "
                f"which folder holds them all ({option})",
                options={"root": holder} if holder else {},
            )
        paths.append(path[len(root.rstrip("/")) + 1 :])
    if paths and not any(os.path.lexists(os.path.join(root, path)) for path in paths[:LOOKED_AT]):
        paths = with_endings(root, paths)
    if paths and not any(os.path.lexists(os.path.join(root, path)) for path in paths[:LOOKED_AT]):
        few, holders = paths[:LOOKED_AT], holders_of(paths[0], root)
        certain = len(holders) == 1 and all(_holds(holders[0], path) for path in few)
        raise RespelledError(
            f"{name}: none of the first {len(few)} pictures is in {root} (the first: {readable(paths[0])}), and "
            f"{option} names no other folder that their paths are relative to",
            options={"root": holders[0]} if holders else {},
            certain=certain,
        )
    return tuple(paths)


def with_endings(root: str, paths: Sequence[str]) -> list[str]:
    """Paths without the ending of their file, with it; those that no file, or several, have stay as they are."""
    endings: dict[str, dict[str, list[str]]] = {}
    found = []
    for path in paths:
        folder, _, stem = path.rpartition("/")
        if folder not in endings:
            named = endings.setdefault(folder, {})
            for file in list_folder(os.path.join(root, folder), may_be_absent=True).files:
                named.setdefault(file.rpartition(".")[0], []).append(file)
        files = [file for file in endings[folder].get(stem, ()) if file.lower().endswith(PICTURE_ENDINGS)]
        found.append(os.path.join(folder, files[0]) if len(files) == 1 else path)
    return found


def holders_of(path: str, near: str) -> list[str]:
    """The folders, in or beside another one, to which a path of a picture is relative; none if none of many is."""
    for start in (near, os.path.dirname(near)):
        folders = itertools.islice(walk_folders(start, may_be_absent=True), MOST_FOLDERS)
        if found := [folder.path for folder in folders if _holds(folder.path, path)]:
            return found
    return []


def _holds(folder: str, path: str) -> bool:
    inner = with_endings(folder, [path])[0] if "/" not in path else path
    return os.path.lexists(os.path.join(folder, inner))


def _common_folder(root: str, values: Sequence[str | None]) -> str:
    """The folder that holds all pictures of a table, if it is not that of the whole machine."""
    paths = [os.path.normpath(os.path.join(root, value.replace("\\", "/"))) for value in values if value]
    holder = os.path.commonpath([os.path.dirname(path) for path in paths])
    return holder if os.path.lexists(paths[0]) and holder.count("/") > 1 else ""


class Meant(NamedTuple):
    """The options of a table that are probably meant."""

    options: dict[str, str]
    certain: bool
    """Whether no other columns could be the picture, the label and the split."""


def meant_columns(table: Table, image: str = "") -> Meant:
    """The columns of a table that are probably the pictures, the label and the split, by their usual names.

    The label may also be all columns of 0 and 1, of which one a row is 1, or the only other column.

    Args:
        table: with all its columns.
        image: that of the pictures, if it is known.
    """
    lower = {name.lower(): name for name in reversed(table.names)}
    usual = {option: [lower[name] for name in words if name in lower] for option, words in USUAL_COLUMNS.items()}
    if image:
        usual["image"] = [image]
    usual["label"] = [name for name in usual["label"] if name not in usual["image"]]
    rest = [name for name in table.names if name not in (*usual["image"], *usual["split"])]
    one_hot = [name for name in rest if {*table.columns.get(name, ())} in ({"0", "1"}, {"0.0", "1.0"})]
    unique = max(map(len, usual.values())) < 2
    if usual["label"]:
        unique &= _are_classes(table, usual["label"][0]) and not ("y" in usual["label"] and "x" in lower)
    elif len(one_hot) > 1 and _one_a_row(table, one_hot):
        usual["label"] = [",".join(one_hot)]
        unique &= one_hot == rest
    elif len(rest) == 1 and _are_classes(table, rest[0], words=True):
        usual["label"] = rest
    else:
        unique &= not rest
    options = {option: found[0] for option, found in usual.items() if found}
    return Meant(options, unique and "image" in options)


def _one_a_row(table: Table, names: Sequence[str]) -> bool:
    return all(sum(value[0] == "1" for value in row) == 1 for row in zip(*map(table.columns.get, names), strict=True))


def _are_classes(table: Table, name: str, *, words: bool = False) -> bool:
    """Whether a few values of a column, two or more, stand for all rows, and are words or whole numbers."""
    values = table.columns.get(name, ())
    number = re.compile(r"[-+]?\d[\d.,e+-]*" if words else r"[-+]?\d*[.,]\d+(e[-+]?\d+)?")
    few = 2 <= len({*values}) <= len(values) / 2
    return few and not any(value is None or number.fullmatch(value) for value in {*values})


def _as_ids(paths: tuple[str, ...], name: str) -> tuple[str, ...]:
    if len(set(paths)) < len(paths):
        repeated = next(path for path, count in Counter(paths).items() if count > 1)
        raise DataError(
            f"{name}: the picture {readable(repeated)} is there twice: list it once, or name ids (id=COLUMN)"
        )
    return paths
