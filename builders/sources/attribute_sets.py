"""Photos with acquisition labels: a data set in FlickrExif's form (one config per attribute) -> one ``PhotoSet``.

It reads FlickrExif, simcams, and every other data set of this form, on the Hub or in a folder that ``load_dataset``
reads. A photo that several configs contain is one photo with several labels. The class is in the column named after the
config, or in ``label``. If the config ``photos`` contains every photo once with every label, only that config is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from builders.errors import DataError, UsageError, unknown_name
from builders.exif import ATTRIBUTES, column_spelling
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet, class_codes
from builders.sources.hub_data_sets import HubSource, split_named, undecoded
from builders.sources.repository import DatasetRepo

KIND = "flickrexif"
"""Kind of data in ``--data`` and in results."""

ALL_PHOTOS = "photos"
"""The config that contains every photo once, in data sets that have it (``builders.dataset.PHOTOS``)."""

TEXT_COLUMNS = ("owner", "scene", "camera_type", "licence")
"""Columns of text that a photo set takes over if they exist; ``owner`` and ``scene`` define error units."""


def read_attribute_photos(spec: str, *, configs: Sequence[str] = ()) -> PhotoSet:
    """The photos of some attribute configs, each photo once, in the order of the configs.

    Args:
        spec: ``hub:REPO[@REVISION]`` or a local folder.
        configs: attributes, by their names in the data set; all of them by default.

    Raises:
        UsageError: there is no such config.
        DataError: the data set cannot be loaded, has no attribute config, no pixels or no photo ids, or puts a photo
            into different splits for different attributes (then name one config).
    """
    location = spec.removeprefix("hub:").removeprefix("folder:")
    repo = DatasetRepo.parse(location) if spec.startswith("hub:") else DatasetRepo(location)
    chosen = _configs(repo, configs)
    rows: dict[str, int] = {}
    splits: dict[str, int] = {}
    text: dict[str, list[str]] = {name: [] for name in TEXT_COLUMNS}
    labels: dict[str, tuple[tuple[str, ...], dict[str, int]]] = {}
    parts: list[Any] = []
    rows_read = 0
    for config, attributes in _readings(repo, chosen):
        for split, part in _load(repo, config).items():
            side = SPLITS.index(split_named(split))
            columns = {name: part[name] for name in TEXT_COLUMNS if name in part.column_names}
            for attribute in attributes:
                names, column = _check(part, repo.location, attribute)
                classes = labels.setdefault(attribute, (names, {}))[1]
                try:
                    codes = class_codes(part[column], len(names)).tolist()
                except ValueError as error:
                    raise DataError(f"{KIND}:{repo.location}: {config}/{split}, {error}") from None
                for photo_id, code in zip(part["photo_id"], codes, strict=True):
                    if code != UNLABELLED and classes.setdefault(photo_id, code) != code:
                        raise DataError(f"{KIND}:{repo.location}: {config}: photo {photo_id} has two labels")
            for at, photo_id in enumerate(part["photo_id"]):
                if not isinstance(photo_id, str):
                    raise DataError(
                        f"{KIND}:{repo.location}: {config}/{split}, row {at}: photo_id {photo_id!r} is not text"
                    )
                if config == ALL_PHOTOS and not any(photo_id in labels[attribute][1] for attribute in attributes):
                    continue
                if splits.setdefault(photo_id, side) != side:
                    raise DataError(
                        f"{spec}: photo {photo_id} is in {SPLITS[splits[photo_id]]} for one attribute and in "
                        f"{SPLITS[side]} for {config}; take one attribute at a time (?config={config})"
                    )
                if photo_id not in rows:
                    rows[photo_id] = rows_read + at
                    for name in TEXT_COLUMNS:
                        text[name].append(str(columns[name][at] or "") if name in columns else "")
            parts.append(undecoded(part, "image"))
            rows_read += len(part)
    ids = tuple(rows)
    return PhotoSet(
        name=f"{KIND}:{repo.name}",
        ids=ids,
        splits=np.array([splits[i] for i in ids], dtype=np.int8),
        labels=Labels((), np.full(len(ids), UNLABELLED, dtype=np.int32)),
        source=HubSource(tuple(parts), "image"),
        rows=np.array(list(rows.values()), dtype=np.int64),
        attributes=MappingProxyType(
            {
                config: Labels(names, np.array([classes.get(i, UNLABELLED) for i in ids], dtype=np.int32))
                for config, (names, classes) in labels.items()
            }
        ),
        columns=MappingProxyType({k: np.array(column, dtype=str) for k, column in text.items() if any(column)}),
        evidence=MappingProxyType(
            {
                "splits": "as given by the data set",
                "revision": repo.resolved_revision(),
                "configs": ", ".join(chosen),
            }
        ),
    )


def _configs(repo: DatasetRepo, requested: Sequence[str]) -> list[str]:
    available = repo.configs(f"{KIND}:{repo.location}")
    known = [config for config in available if column_spelling(config) in ATTRIBUTES]
    for config in requested:
        if config not in known:
            raise unknown_name(f"attribute config of {repo.location}", config, known or available)
    if not known:
        raise DataError(
            f"{KIND}:{repo.location}: none of its configs ({', '.join(available)}) is named after an attribute; "
            f"known are {', '.join(ATTRIBUTES)}"
        )
    return list(dict.fromkeys(requested)) or known


def _load(repo: DatasetRepo, config: str) -> Any:
    loaded = repo.load(f"{KIND}:{repo.location}", config)
    names = [split_named(split) for split in loaded]
    if len(set(names)) != len(names):
        raise UsageError(
            f"{KIND}:{repo.location}: the splits {', '.join(loaded)} of {config} are not train, val and test"
        )
    return loaded


def _readings(repo: DatasetRepo, chosen: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The configs to read, each with the attributes to read from it."""
    if len(chosen) > 1 and ALL_PHOTOS in repo.configs(f"{KIND}:{repo.location}"):
        columns = repo.features(f"{KIND}:{repo.location}", ALL_PHOTOS)
        if all(hasattr(columns.get(config), "names") for config in chosen):
            return [(ALL_PHOTOS, list(chosen))]
    return [(config, [config]) for config in chosen]


def _check(part: Any, repo: str, config: str) -> tuple[tuple[str, ...], str]:
    """Class names, and the name of the class column. Raises ``DataError`` if FlickrExif's columns are missing."""
    if "image" not in part.column_names:
        raise DataError(
            f"{KIND}:{repo}: {config} holds no pixels; fetch your own copy with "
            f"`camtrace build flickrexif load {repo} --state photos/ --output DIR` and give DIR"
        )
    column = config if hasattr(part.features.get(config), "names") else "label"
    missing = [name for name in ("photo_id", column) if name not in part.column_names]
    if missing or not hasattr(part.features[column], "names"):
        what = f"no column {' and '.join(missing)}" if missing else "a label without class names"
        raise DataError(f"{KIND}:{repo}: {config} has {what}, so it is not in FlickrExif's form")
    return tuple(part.features[column].names), column
