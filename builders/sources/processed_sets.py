"""Reading a built set of processed photos: the stored bytes of each (photo, class), with ids, labels and splits."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, PhotoError, UsageError, unknown_name
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet, Stamp
from builders.pixels import ALL_PARAMETERS, Parameter
from builders.sources.hub_data_sets import split_named, table_stamps, undecoded
from builders.sources.parquet_splits import local_splits
from builders.untrusted import check_data_set, client_message, first_line, from_hub, read_image_cell

ABSENT = -1
"""Row of a (photo, class) that the set does not hold."""


@dataclass(frozen=True)
class NoOriginals:
    """The source of a built set: it has processed photos only, and says so instead of passing one for the other."""

    def read(self, row: int) -> bytes:
        raise PhotoError("a built set holds processed photos, not the originals: read them by (photo, class)")


@dataclass(frozen=True)
class ProcessedSet:
    """Photos under the classes of one parameter, as a build stored them."""

    photos: PhotoSet
    """Ids, splits and labels of the photos, ids as the build had them; ``photos.read`` refuses (no originals here)."""
    parameter: Parameter
    rows: np.ndarray
    """int64 [photos, classes], row of each view, ``ABSENT`` where the photo was not given that class."""
    parts: tuple[Any, ...]
    """Of each split, images undecoded, joined in this order: as in ``HubSource``."""

    def read(self, photo: int, code: int) -> bytes:
        """The stored JPEG file of a photo under a class.

        Args:
            photo: index into ``photos``.
            code: index into ``parameter.classes``.

        Raises:
            PhotoError: the set does not hold that view.
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
        """bool [photos], True where a photo is there in every class (``assignment="every"``)."""
        return np.asarray((self.rows != ABSENT).all(axis=1))


def open_built(path_or_repo: str, parameter: str | None = None, *, revision: str | None = None) -> ProcessedSet:
    """Open a folder that ``build_processed`` wrote, or the repository that it was published to.

    Args:
        path_or_repo: a folder, or ``namespace/name`` on the Hub.
        parameter: the config; by default the default one.
        revision: commit, tag or branch of a repository.

    Raises:
        UsageError: the parameter is none of ours, or not in the data.
        DataError: nothing there that can be loaded, or not a set of processed photos.
    """
    if parameter is not None and parameter not in ALL_PARAMETERS:
        raise unknown_name("parameter", parameter, ALL_PARAMETERS)
    check_data_set(path_or_repo, revision)
    _check_hashes(Path(path_or_repo), parameter)
    loaded = _loaded(path_or_repo, parameter, revision)
    features = next(iter(loaded.values())).features
    found = [name for name in ALL_PARAMETERS if name in features]
    if len(found) != 1 or not {"image", "photo_id"} <= set(features):
        raise DataError(f"{path_or_repo}: not a set of processed photos (columns {', '.join(features)})")
    return _joined(path_or_repo, loaded, ALL_PARAMETERS[found[0]])


def _loaded(path_or_repo: str, parameter: str | None, revision: str | None) -> Any:
    """By split; Parquet files of a folder where they lie."""
    import datasets

    try:
        if Path(path_or_repo).is_dir():
            found = local_splits(path_or_repo, parameter)
            if found is not None:
                return found
        with from_hub():
            return datasets.load_dataset(path_or_repo, parameter, revision=revision)
    except Exception as error:  # the libraries below raise their own trees; one sentence serves the user
        if type(error) is ValueError:  # so ``datasets`` says that there is no such config
            raise UsageError(f"{path_or_repo}: {first_line(error)}") from None
        raise DataError(f"{path_or_repo}: cannot be loaded ({client_message(error)})") from None


def stored_parameters(path_or_repo: str, *, revision: str | None = None) -> tuple[str, ...]:
    """The configs of a data set that are parameters, in its order.

    Args:
        path_or_repo: as ``open_built``.
        revision: commit, tag or branch of a repository.

    Raises:
        DataError: nothing there that can be loaded.
    """
    import datasets

    check_data_set(path_or_repo, revision)
    try:
        with from_hub():
            configs = datasets.get_dataset_config_names(path_or_repo, revision=revision)
    except Exception as error:  # the libraries below raise their own trees; one sentence serves the user
        raise DataError(f"{path_or_repo}: cannot be loaded ({client_message(error)})") from None
    return tuple(config for config in configs if config in ALL_PARAMETERS)


def _check_hashes(folder: Path, parameter: str | None) -> None:
    """See that the files of a build are as they were built: a flipped byte would be scored as if it were a trace."""
    if not folder.is_dir():
        return
    from builders.dataset import file_sha256, read_build

    build = read_build(folder)
    for split in build.splits:
        for shard in split.shards if split.config == (parameter or build.default) else ():
            path = folder / shard.file
            if not path.is_file() or file_sha256(path) != shard.sha256:
                raise DataError(f"{path}: not as it was built; run the builder again, it makes this file anew")


def _joined(name: str, loaded: Any, parameter: Parameter) -> ProcessedSet:
    index: dict[str, int] = {}
    splits: list[int] = []
    labels: list[int] = []
    cells: list[tuple[int, int, int]] = []
    offset = 0
    label_names: tuple[str, ...] = ()
    for split, part in loaded.items():
        if tuple(getattr(part.features[parameter.name], "names", ())) != parameter.classes:
            raise DataError(f"{name}: the classes of {parameter.name} are not ours")
        if "label" in part.features:
            label_names = tuple(getattr(part.features["label"], "names", ()))
        values = part["label"] if "label" in part.features else [UNLABELLED] * len(part)
        values = [UNLABELLED if value is None else value for value in values]
        for row, (photo_id, code, label) in enumerate(zip(part["photo_id"], part[parameter.name], values, strict=True)):
            if not isinstance(photo_id, str) or code not in range(len(parameter.classes)):
                raise DataError(
                    f"{name}: {split}, row {row}: the photo {photo_id!r} in class {code!r} of {parameter.name}"
                )
            if label != UNLABELLED and label not in range(len(label_names)):
                raise DataError(
                    f"{name}: {split}, row {row}: label {label!r}, and there are {len(label_names)} classes"
                )
            if photo_id not in index:
                index[photo_id] = len(index)
                splits.append(SPLITS.index(split_named(split)))
                labels.append(label)
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
        evidence={"splits": "as given by the data set", "views": f"stored, classes of {parameter.name}"},
    )
    return ProcessedSet(photos, parameter, rows, tuple(undecoded(part, "image") for part in loaded.values()))


_COUNT = struct.Struct("<I")

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class BundleSource:
    """Reads all stored files of a photo, one for each view, as one bundle."""

    sets: tuple[ProcessedSet, ...]
    places: tuple[tuple[int, int], ...]
    """Of each view of a bundle: index into ``sets``, and the code of its class there."""
    rows: np.ndarray
    """int64 [sets, photos], where each photo stands in each set."""

    def read(self, row: int) -> bytes:
        return pack([self.sets[number].read(int(self.rows[number, row]), code) for number, code in self.places])

    def stamps(self, rows: np.ndarray) -> list[Stamp] | None:
        """See ``PhotoSet.stamps``: of all files that hold the tables, and where each view of a photo stands in them."""
        found = [table_stamps(built.parts, "image") for built in self.sets]
        tables = [stamp for own in found for stamp in own or ()]
        if None in found or not tables:
            return None
        files = hashlib.sha256("\n".join(stamp.text for stamp in tables).encode("utf-8", "surrogateescape")).hexdigest()
        changed = max(stamp.changed_ns for stamp in tables)
        at = [self.sets[number].rows[self.rows[number, rows], code] for number, code in self.places]
        return [Stamp(f"{files} {place}", changed) for place in np.stack(at, axis=1).tolist()]


def stored_photos(path_or_repo: str, parameters: Sequence[str] = (), *, revision: str | None = None) -> PhotoSet:
    """Photos of a set built with ``assignment="every"``; ``PhotoSet.stored_views`` names what a bundle holds.

    Args:
        path_or_repo: a folder that a build wrote, or the repository that it was published to.
        parameters: the configs; by default every parameter that the set has. Photos that are not there under each of
            them are left out, and ``evidence`` counts them.
        revision: commit, tag or branch of a repository.

    Raises:
        UsageError, DataError: as ``open_built``; also if photos are missing in some class, or if configs disagree
            about a photo's split or label.
    """
    named: tuple[str | None, ...] = (
        tuple(dict.fromkeys(parameters)) or stored_parameters(path_or_repo, revision=revision) or (None,)
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
    return joined(path_or_repo, sets)


def joined(name: str, sets: tuple[ProcessedSet, ...]) -> PhotoSet:
    """Sets of the same photos under several parameters as one. A view that two of them hold is read from the first."""
    first = sets[0].photos
    where = [{photo_id: row for row, photo_id in enumerate(built.photos.ids)} for built in sets]
    ids = tuple(photo_id for photo_id in first.ids if all(photo_id in there for there in where))
    names = ", ".join(built.parameter.name for built in sets)
    if not ids:
        raise DataError(f"{name}: no photo is there under each of {names}; name one of them: ?parameter=NAME")
    rows = np.array([[there[photo_id] for photo_id in ids] for there in where], dtype=np.int64)
    for built, own in zip(sets, rows, strict=True):
        same = (built.photos.splits[own] == first.splits[rows[0]]) & (
            built.photos.labels.values[own] == first.labels.values[rows[0]]
        )
        if not same.all() or built.photos.labels.names != first.labels.names:
            raise DataError(
                f"{name}: {sets[0].parameter.name} and {built.parameter.name} disagree about splits or labels of "
                "photos; name one of them: ?parameter=NAME"
            )
    places: dict[str, tuple[int, int]] = {}
    for number, built in enumerate(sets):
        for code, processing in enumerate(built.parameter.processings):
            places.setdefault(processing, (number, code))
    evidence = {**first.evidence, "views": f"stored, classes of {names}"}
    if left_out := len(set().union(*where)) - len(ids):
        evidence["left out"] = f"{left_out} photos that are not there under every parameter"
    return dataclasses.replace(
        first,
        ids=ids,
        splits=first.splits[rows[0]],
        labels=Labels(first.labels.names, first.labels.values[rows[0]]),
        source=BundleSource(sets, tuple(places.values()), rows),
        rows=np.arange(len(ids), dtype=np.int64),
        stored_views=tuple(places),
        evidence=evidence,
    )


def pack(files: Sequence[bytes]) -> bytes:
    """Several files as one byte string: their number, their lengths, their bytes.

    >>> unpack(pack([b"one", b""]))
    [b'one', b'']
    """
    head = _COUNT.pack(len(files)) + b"".join(_LENGTH.pack(len(f)) for f in files)
    return head + b"".join(files)


def unpack(bundle: bytes) -> list[bytes]:
    """The files of ``pack``.

    Raises:
        PhotoError: the bytes are no bundle.
    """
    try:
        (count,) = _COUNT.unpack_from(bundle)
        if count > len(bundle):
            raise struct.error
        lengths = [_LENGTH.unpack_from(bundle, _COUNT.size + i * _LENGTH.size)[0] for i in range(count)]
    except struct.error:
        raise PhotoError("not a bundle of stored views") from None
    starts = _COUNT.size + count * _LENGTH.size + np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if starts[-1] != len(bundle):
        raise PhotoError("a bundle of stored views is cut off")
    return [bundle[a:b] for a, b in itertools.pairwise(starts)]
