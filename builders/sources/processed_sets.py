"""Built sets of processed photos: the stored bytes of each (photo, class), with ids, labels and splits."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, PhotoError, unknown_name
from builders.photos import GROUP_PREFIX, SPLITS, STORED_COLUMNS, Labels, PhotoSet, Stamp, Stamps, class_codes
from builders.pixels import ALL_PARAMETERS, Parameter
from builders.sources.bundles import pack
from builders.sources.hub_data_sets import split_named, table_stamps, undecoded
from builders.sources.repository import DatasetRepo
from builders.untrusted import check_data_set, read_image_cell, readable

ABSENT = -1
"""Row of a (photo, class) that is not in the set."""


@dataclass(frozen=True)
class NoOriginals:
    """Source of a built set, which has no originals: reading one is an error, never a processed photo instead."""

    def read(self, row: int) -> bytes:
        raise PhotoError("a built set holds processed photos, not the originals: read them by (photo, class)")


@dataclass(frozen=True)
class ProcessedSet:
    """Photos under the classes of one parameter, as a build stored them."""

    photos: PhotoSet
    """Ids, splits and labels of the photos, with the ids of the build; ``photos.read`` raises ``PhotoError``."""
    parameter: Parameter
    rows: np.ndarray
    """int64 [photos, classes], row of each view, ``ABSENT`` if the photo does not have that class."""
    parts: tuple[Any, ...]
    """The rows of each split, images undecoded, one split after another, as in ``HubSource``."""

    def read(self, photo: int, code: int) -> bytes:
        """The stored file of a photo under a class.

        Args:
            photo: index into ``photos``.
            code: index into ``parameter.classes``.

        Raises:
            PhotoError: the set does not contain that view.
        """
        row = int(self.rows[photo, code])
        if row == ABSENT:
            raise PhotoError(f"{self.photos.ids[photo]} is not there as {self.parameter.classes[code]}")
        for part in self.parts:
            if row < len(part):
                return read_image_cell(part[row]["image"], ())
            row -= len(part)
        raise PhotoError("the row is past the end of the data")

    @property
    def complete(self) -> np.ndarray:
        """bool [photos], True if the set contains the photo in every class (``assignment="every"``)."""
        return np.asarray((self.rows != ABSENT).all(axis=1))


def open_built(path_or_repo: str, parameter: str | None = None, *, revision: str | None = None) -> ProcessedSet:
    """Open a folder that ``build_processed`` wrote, or the repository that it was published to.

    Args:
        path_or_repo: a folder, or ``namespace/name`` on the Hub.
        parameter: the config; by default the default one.
        revision: commit, tag or branch of a repository.

    Raises:
        UsageError: the parameter is unknown, or not in the data.
        DataError: the data cannot be loaded, or are not a set of processed photos.
    """
    if parameter is not None and parameter not in ALL_PARAMETERS:
        raise unknown_name("parameter", parameter, ALL_PARAMETERS)
    folder = Path(path_or_repo)
    if folder.is_dir():
        check_data_set(path_or_repo)
        _check_hashes(folder, parameter)
    loaded = DatasetRepo(path_or_repo, revision).load(path_or_repo, parameter, unknown_config_is_usage=True)
    features = next(iter(loaded.values())).features
    parameters = [name for name in ALL_PARAMETERS if name in features]
    if len(parameters) != 1 or not {"image", "photo_id"} <= set(features):
        raise DataError(f"{path_or_repo}: not a set of processed photos (columns {', '.join(features)})")
    return _processed_set(path_or_repo, loaded, ALL_PARAMETERS[parameters[0]])


def _stored_parameters(path_or_repo: str, *, revision: str | None) -> tuple[str, ...]:
    """The configs of a data set that are parameters, in the order of the data set.

    Args:
        path_or_repo: as ``open_built``.
        revision: commit, tag or branch of a repository.

    Raises:
        DataError: the data set cannot be opened.
    """
    configs = DatasetRepo(path_or_repo, revision).configs(path_or_repo)
    return tuple(config for config in configs if config in ALL_PARAMETERS)


def _check_hashes(folder: Path, parameter: str | None) -> None:
    """Compare the hashes of a build's files: a flipped byte would be scored as if it were a trace."""
    from builders.dataset import file_sha256, read_build

    build = read_build(folder)
    for split in build.splits:
        for shard in split.shards if split.config == (parameter or build.default) else ():
            path = folder / shard.file
            if not path.is_file() or file_sha256(path) != shard.sha256:
                raise DataError(f"{path}: not as it was built; run the builder again, it makes this file anew")


def _processed_set(name: str, loaded: Any, parameter: Parameter) -> ProcessedSet:
    index: dict[str, int] = {}
    splits: list[int] = []
    labels: list[int] = []
    cells: list[tuple[int, int, int]] = []
    first_rows: list[tuple[int, int]] = []  # part and row of each photo
    offset = 0
    label_names: tuple[str, ...] = ()
    for number, (split, part) in enumerate(loaded.items()):
        if tuple(getattr(part.features[parameter.name], "names", ())) != parameter.classes:
            raise DataError(f"{name}: the classes of {parameter.name} are not those of this version")
        if "label" in part.features:
            label_names = tuple(getattr(part.features["label"], "names", ()))
        try:
            codes = class_codes(part["label"] if "label" in part.features else [None] * len(part), len(label_names))
        except ValueError as error:
            raise DataError(f"{name}: {split}, {error}") from None
        labels_here = codes.tolist()
        for row, (photo_id, code, label) in enumerate(
            zip(part["photo_id"], part[parameter.name], labels_here, strict=True)
        ):
            if not isinstance(photo_id, str) or code not in range(len(parameter.classes)):
                raise DataError(
                    f"{name}: {split}, row {row}: the photo {photo_id!r} in class {code!r} of {parameter.name}"
                )
            if photo_id not in index:
                index[photo_id] = len(index)
                splits.append(SPLITS.index(split_named(split)))
                labels.append(label)
                first_rows.append((number, row))
            cells.append((index[photo_id], code, offset + row))
        offset += len(part)
    rows = np.full((len(index), len(parameter.classes)), ABSENT, dtype=np.int64)
    for photo, code, row in cells:
        if rows[photo, code] != ABSENT:
            raise DataError(f"{name}: {list(index)[photo]} is there twice as {parameter.classes[code]}")
        rows[photo, code] = row
    folder = Path(name)
    photos = PhotoSet(
        name=f"built:{folder.resolve().name if folder.exists() else name}",
        ids=tuple(index),
        splits=np.array(splits, dtype=np.int8),
        labels=Labels(label_names, np.array(labels, dtype=np.int32)),
        source=NoOriginals(),
        rows=np.arange(len(index), dtype=np.int64),
        **_given_columns(name, tuple(loaded.values()), first_rows),
        evidence={"splits": "as given by the data set", "views": f"stored, classes of {parameter.name}"},
    )
    return ProcessedSet(photos, parameter, rows, tuple(undecoded(part, "image") for part in loaded.values()))


def _given_columns(name: str, parts: Sequence[Any], rows: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Groups and columns of the photos that the builder stored, from the first row of each photo."""
    groups: dict[str, Labels] = {}
    columns: dict[str, np.ndarray] = {}
    for column, feature in parts[0].features.items():
        names = getattr(feature, "names", None)
        if not (column in STORED_COLUMNS or (column.startswith(GROUP_PREFIX) and names)):
            continue
        if any(column not in part.features for part in parts):
            raise DataError(f"{name}: some splits have the column {readable(column)}, others do not")
        stored = [part[column] for part in parts]
        values = [stored[part][row] for part, row in rows]
        if column in STORED_COLUMNS:
            columns[column] = np.array([str(value or "") for value in values], dtype=str)
            continue
        try:
            classes = tuple(names or ())
            groups[column.removeprefix(GROUP_PREFIX)] = Labels(classes, class_codes(values, len(classes)))
        except ValueError as error:
            raise DataError(f"{name}: {readable(column)}: {error}") from None
    return {"groups": groups, "columns": columns}


@dataclass(frozen=True)
class BundleSource:
    """Reads all stored files of a photo, one per view, as one bundle."""

    sets: tuple[ProcessedSet, ...]
    views: tuple[tuple[int, int], ...]
    """For each view of a bundle: index into ``sets``, and the code of its class in that set."""
    rows: np.ndarray
    """int64 [sets, photos], index of each photo in each set."""

    def read(self, row: int) -> bytes:
        return pack([self.sets[number].read(int(self.rows[number, row]), code) for number, code in self.views])

    def stamps(self, rows: np.ndarray) -> Stamps | None:
        """See ``PhotoSet.stamps``: stamps of all table files, with the row of each view of a photo."""
        by_set = [table_stamps(built.parts, "image") for built in self.sets]
        tables = [stamp for stamps in by_set for stamp in stamps or ()]
        if None in by_set or not tables:
            return None
        files = hashlib.sha256("\n".join(stamp.text for stamp in tables).encode("utf-8", "surrogateescape")).hexdigest()
        changed = max(stamp.changed_ns for stamp in tables)
        rows_of_views = [self.sets[number].rows[self.rows[number, rows], code] for number, code in self.views]
        form = f" [{', '.join(['{}'] * len(self.views))}]"
        return Stamps(
            [Stamp(files, changed)], np.zeros(len(rows), dtype=np.int64), form, np.stack(rows_of_views, axis=1)
        )


def stored_photos(path_or_repo: str, parameters: Sequence[str], *, revision: str | None) -> PhotoSet:
    """Photos of a set built with ``assignment="every"``; ``PhotoSet.stored_views`` names the views in a bundle.

    Args:
        path_or_repo: a folder that a build wrote, or the repository that it was published to.
        parameters: the configs; by default every parameter of the set. Photos that are missing under one of them are
            left out, and ``evidence`` counts them.
        revision: commit, tag or branch of a repository.

    Raises:
        UsageError, DataError: as ``open_built``; also if photos are missing in some class, or if configs disagree
            about a photo's split or label.
    """
    named: tuple[str | None, ...] = (
        tuple(dict.fromkeys(parameters)) or _stored_parameters(path_or_repo, revision=revision) or (None,)
    )
    sets = tuple(open_built(path_or_repo, name, revision=revision) for name in named)
    for built in sets:
        incomplete = int((~built.complete).sum())
        if incomplete:
            others = [s.parameter.name for s in sets if s.complete.all()]
            raise DataError(
                f"{path_or_repo}: {incomplete} of {len(built.photos)} photos are not there in every class of "
                f"{built.parameter.name}; build with --assignment every to score it"
                + (f", or name the others alone: ?parameter={','.join(others)}" if others else "")
            )
    return join_sets(path_or_repo, sets)


def join_sets(name: str, sets: tuple[ProcessedSet, ...]) -> PhotoSet:
    """Join sets of the same photos under several parameters. A view that two sets contain is read from the first."""
    first = sets[0].photos
    indices = [{photo_id: index for index, photo_id in enumerate(built.photos.ids)} for built in sets]
    ids = tuple(photo_id for photo_id in first.ids if all(photo_id in index for index in indices))
    names = ", ".join(built.parameter.name for built in sets)
    if not ids:
        raise DataError(f"{name}: no photo is there under each of {names}; name one of them: ?parameter=NAME")
    rows = np.array([[index[photo_id] for photo_id in ids] for index in indices], dtype=np.int64)
    for built, set_rows in zip(sets, rows, strict=True):
        same = (built.photos.splits[set_rows] == first.splits[rows[0]]) & (
            built.photos.labels.values[set_rows] == first.labels.values[rows[0]]
        )
        if not same.all() or built.photos.labels.names != first.labels.names:
            raise DataError(
                f"{name}: {sets[0].parameter.name} and {built.parameter.name} disagree about splits or labels of "
                "photos; name one of them: ?parameter=NAME"
            )
    views: dict[str, tuple[int, int]] = {}
    for number, built in enumerate(sets):
        for code, processing in enumerate(built.parameter.processings):
            views.setdefault(processing, (number, code))
    evidence = {**first.evidence, "views": f"stored, classes of {names}"}
    if left_out := len(set().union(*indices)) - len(ids):
        evidence["left out"] = f"{left_out} photos that are not there under every parameter"
    return dataclasses.replace(
        first.select(rows[0]),
        source=BundleSource(sets, tuple(views.values()), rows),
        rows=np.arange(len(ids), dtype=np.int64),
        stored_views=tuple(views),
        evidence=evidence,
    )
