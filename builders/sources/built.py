"""Reading a built set of processed photos: the stored bytes of each (photo, class), with ids, labels and splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, PhotoError, UsageError, unknown_name
from builders.outside import from_hub, readable_line, said_by_client
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet
from builders.pixels import ALL_PARAMETERS, Parameter
from builders.sources.hub_photos import split_named, undecoded
from builders.sources.parquet_parts import local_splits
from builders.sources.strangers import cell_bytes, check_data_set

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
                return cell_bytes(part[row]["image"], ())
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
            raise UsageError(f"{path_or_repo}: {readable_line(error)}") from None
        raise DataError(f"{path_or_repo}: cannot be loaded ({said_by_client(error)})") from None


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
        raise DataError(f"{path_or_repo}: cannot be loaded ({said_by_client(error)})") from None
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
