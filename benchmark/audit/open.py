"""Subjects of an audit from a data specification, a photo set, a Hugging Face data set or a pandas frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.audit.subjects import PhotoSubject, Row, StreamedSubject, Subject, photo_subject
from builders.data_specs import DataSpec, open_photos, parse_data_spec
from builders.errors import DataError, PhotoError, UsageError, unknown_name
from builders.photos import SPLITS, UNLABELLED, Head, Labels, PhotoSet, is_path_source
from builders.sources import FolderSource, split_named
from builders.untrusted import check_data_set, client_message, from_hub, read_image_cell


def open_subject(data: Any, *, label: str, source: str, owner: str, limit: int | None, stream: bool = False) -> Subject:
    """The subject of an audit.

    Args:
        data: a data specification (``folder:photos``), a ``PhotoSet``, a ``datasets.Dataset`` or ``DatasetDict``, or a
            pandas frame with a column ``path`` (or ``image``).
        label, source, owner: columns, see ``photo_subject``.
        limit: most photos: a class-balanced draw, or the first ones of a streamed data set.
        stream: read a Hub data set row by row without storing it.

    Raises:
        UsageError: a column is absent, or the data are of another type.
        DataError: there are no usable photos.
    """
    if isinstance(data, str | Path):
        spec = parse_data_spec(str(data))
        if stream:
            return _streamed(spec, label, limit)
        photos = open_photos(str(data), label_named=bool(label))
        label = label if label not in ("folder",) or spec.kind != "folder" or not photos.labels.names else ""
    elif isinstance(data, PhotoSet):
        photos = data
    elif type(data).__name__ == "DataFrame":
        photos = frame_photos(data, label=label, source=source, owner=owner)
        label, source, owner = "", "source" if source else "", "owner" if owner else ""
    elif type(data).__name__ in ("Dataset", "DatasetDict"):
        photos = dataset_photos(data, label=label, source=source, owner=owner)
        label, source, owner = "", "source" if source else "", "owner" if owner else ""
    else:
        raise UsageError(
            f"{type(data).__name__} cannot be audited: give a data specification, a PhotoSet, a datasets.Dataset, or a "
            "pandas frame with the columns path and label"
        )
    if limit is not None:
        photos = photos.limited(limit)
    return photo_subject(photos, label, source, owner)


def frame_photos(frame: Any, *, label: str, source: str, owner: str) -> PhotoSet:
    """Photos of a pandas frame of paths.

    Args:
        frame: with a column ``path`` (or ``image``, ``file``), the label column, and optionally ``split``.
        label: name of the label column, ``label`` by default.
        source, owner: names of further columns; by default ``source`` and ``owner``, where there are such columns.

    Raises:
        UsageError: a column is absent, a row has no path, or two rows have the same one.
    """
    path = next((name for name in ("path", "image", "file", "file_name") if name in frame.columns), None)
    if path is None:
        raise unknown_name("column of the frame", "path", [str(c) for c in frame.columns])
    if others := sum(not isinstance(p, str | os.PathLike) or not os.fspath(p) for p in frame[path]):
        raise UsageError(f"{others} rows of the frame have no path of a file in {path}: leave them out")
    paths = [os.fspath(p) for p in frame[path]]
    if len(set(paths)) != len(paths):
        raise UsageError("two rows of the frame name the same file: audit each file once")
    root = os.path.commonpath([os.path.abspath(os.path.dirname(p) or ".") for p in paths]) if paths else "."
    ids = tuple(os.path.relpath(os.path.abspath(p), root).replace(os.sep, "/") for p in paths)
    columns = _named_columns(frame, list(frame.columns), label, source, owner)
    splits = columns.pop("split", None)
    evidence = {"splits": "as given by the frame"} if splits is not None else {"splits": "seeded: none was given"}
    return PhotoSet(
        name="frame",
        ids=ids,
        splits=_splits(splits, len(ids)),
        labels=_labels(columns.pop("label"), None),
        source=FolderSource(root, ids),
        rows=np.arange(len(ids), dtype=np.int64),
        columns={name: np.array([_text(v) for v in values], dtype=object) for name, values in columns.items()},
        evidence=evidence,
    )


ANYWHERE = (os.path.abspath(os.sep),)
"""Where the files of a user's own ``datasets.Dataset`` may be."""


@dataclass(frozen=True)
class CellSource:
    """Undecoded image cells of ``datasets.Dataset`` objects: bytes, or files that the user's object names."""

    parts: tuple[Any, ...]
    column: str

    def read(self, row: int) -> bytes:
        for part in self.parts:
            if row < len(part):
                return read_image_cell(part[row][self.column], ANYWHERE)
            row -= len(part)
        raise PhotoError("no such row")

    def head(self, row: int, limit: int) -> Head:
        data = self.read(row)
        return Head(data[:limit], len(data))


def dataset_photos(data: Any, *, label: str = "", source: str = "", owner: str = "") -> PhotoSet:
    """Photos of a ``datasets.Dataset`` or ``DatasetDict``, with the stored bytes.

    Raises:
        UsageError: there is no image column, or a named column is absent.
    """
    import datasets

    parts = dict(data) if isinstance(data, dict) else {"": data}
    features = next(iter(parts.values())).features
    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    if not images:
        raise UsageError(f"the data set has no Image column among {', '.join(features)}")
    collected: dict[str, list[Any]] = {}
    splits: list[str] = []
    for split, part in parts.items():
        for name, values in _named_columns(part, list(features), label, source, owner).items():
            collected.setdefault(name, []).extend(values)
        splits += [split] * len(part)
    label_feature = features.get(label or "label")
    collected.pop("split", None)
    undecoded = tuple(
        p.select_columns([images[0]]).cast_column(images[0], datasets.Image(decode=False)) for p in parts.values()
    )
    return PhotoSet(
        name="dataset",
        ids=tuple(f"{split or 'row'}/{i}" for split, part in parts.items() for i in range(len(part))),
        splits=_splits(splits, len(splits)),
        labels=_labels(collected.pop("label"), getattr(label_feature, "names", None)),
        source=CellSource(undecoded, images[0]),
        rows=np.arange(len(splits), dtype=np.int64),
        columns={name: np.array([_text(v) for v in values], dtype=object) for name, values in collected.items()},
        evidence={"splits": "as given by the data set" if len(parts) > 1 else "seeded: there is one alone"},
    )


def _named_columns(table: Any, names: list[str], label: str, source: str, owner: str) -> dict[str, list[Any]]:
    """Values of the columns ``label``, ``source``, ``owner`` and ``split`` of a table, where it has them."""
    wanted = {"label": label or "label", "source": source or "source", "owner": owner or "owner", "split": "split"}
    required = {"label": True, "source": bool(source), "owner": bool(owner), "split": False}
    columns: dict[str, list[Any]] = {}
    for role, column in wanted.items():
        if column in names:
            columns[role] = list(table[column])
        elif required[role]:
            raise unknown_name("column", column, [str(n) for n in names])
    return columns


def _splits(values: list[Any] | None, n: int) -> np.ndarray:
    if values is None:
        return np.zeros(n, dtype=np.int8)
    return np.array([SPLITS.index(split_named(str(v))) for v in values], dtype=np.int8)


def _labels(values: list[Any], names: Any) -> Labels:
    texts = [_class_name(value, names) for value in values]
    classes = sorted(set(texts) - {""})
    index = {name: i for i, name in enumerate(classes)}
    return Labels(tuple(classes), np.array([index.get(text, UNLABELLED) for text in texts], dtype=np.int32))


def _class_name(value: Any, names: Any) -> str:
    """The name of a class; empty for -1, as data sets of the Hub number a row without a label."""
    if names and isinstance(value, int) and -1 <= value < len(names):
        return "" if value < 0 else str(names[value])
    return _text(value)


def _text(value: Any) -> str:
    """A cell as text; a missing one (None, NaN, ``pandas.NA``) is empty."""
    is_there = value is not None and type(value).__name__ not in ("NAType", "NaTType") and value == value
    return str(value) if is_there else ""


def _streamed(spec: DataSpec, label: str, limit: int | None) -> StreamedSubject:
    """A ``hub:`` specification, row by row: only the image and the label column are fetched."""
    if spec.kind != "hub":
        raise UsageError(f"--stream reads hub: data sets, not {spec.kind}:")
    named = [f"{option}=" for option, source in spec.columns.sources().items() if option != "label"]
    if named or is_path_source(label or spec.columns.label):
        raise UsageError(
            f"--stream reads the label alone, from a column: leave out {', '.join(named) or 'folder, re:'}"
        )
    import datasets

    image, column = spec.options.get("image"), label or spec.options.get("label")
    check_data_set(spec.location, spec.revision)
    try:
        with from_hub():
            loaded = datasets.load_dataset(
                spec.location, name=spec.options.get("config"), revision=spec.revision, streaming=True
            )
    except Exception as error:  # libraries raise exceptions of many types here
        raise DataError(f"hub:{spec.location}: cannot be opened ({client_message(error)})") from None
    features = next(iter(loaded.values())).features or {}
    image = image or next((n for n, f in features.items() if isinstance(f, datasets.Image)), None)
    column = column or next((n for n, f in features.items() if isinstance(f, datasets.ClassLabel)), None)
    for what, name in (("image", image), ("label", column)):
        if name is None or (features and name not in features):
            raise unknown_name(f"{what} column of hub:{spec.location}", str(name), features)
    names = getattr(features.get(str(column)), "names", None)

    @from_hub()
    def rows() -> Iterator[tuple[Row, bytes | None]]:
        for split, part in loaded.items():
            cells = part.select_columns([image, column]).cast_column(image, datasets.Image(decode=False))
            for i, row in enumerate(cells):
                known = split_named(split) if len(loaded) > 1 else ""
                yield (
                    Row(f"{split}/{i}", _class_name(row[column], names), known, "", ""),
                    (row[image] or {}).get("bytes"),
                )

    return StreamedSubject(f"hub:{spec.location}", rows(), limit)


__all__ = ["PhotoSubject", "Subject", "dataset_photos", "frame_photos", "open_subject"]
