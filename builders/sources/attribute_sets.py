"""Photos with acquisition labels: a data set in FlickrExif's form (one config per attribute) -> one ``PhotoSet``.

FlickrExif itself, simcams, or anybody's: on the Hub, or a folder that ``load_dataset`` reads. A photo that several
configs hold is one photo with several labels. The class is in the column named after the config, or in ``label``.
Where the config ``photos`` holds every photo once with every label, it alone is read.
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
"""As ``--data`` and results name such photos."""

ALL_PHOTOS = "photos"
"""The config that holds every photo once, where a data set has it (``builders.dataset.PHOTOS``)."""

TEXT_COLUMNS = ("owner", "scene", "camera_type", "licence")
"""Columns that go with the photos where they are there; ``owner`` and ``scene`` say which photos err together."""


def read_attribute_photos(spec: str, *, configs: Sequence[str] = ()) -> PhotoSet:
    """The photos of some attribute configs, each once, in the order of the configs.

    Args:
        spec: ``hub:REPO[@REVISION]`` or a local folder.
        configs: attributes wanted, as the data set names them; by default all that it has.

    Raises:
        UsageError: a config that is not there.
        DataError: it cannot be loaded, has no attribute config, no pixels, no photo ids, or puts a photo into other
            splits for other attributes (give one config then).
    """
    location = spec.removeprefix("hub:").removeprefix("folder:")
    repo = DatasetRepo.parse(location) if spec.startswith("hub:") else DatasetRepo(location)
    chosen = _configs(repo, configs)
    rows: dict[str, int] = {}
    splits: dict[str, int] = {}
    text: dict[str, list[str]] = {name: [] for name in TEXT_COLUMNS}
    labels: dict[str, tuple[tuple[str, ...], dict[str, int]]] = {}
    parts: list[Any] = []
    read = 0
    for config, asked in _readings(repo, chosen):
        for split, part in _load(repo, config).items():
            side = SPLITS.index(split_named(split))
            columns = {name: part[name] for name in TEXT_COLUMNS if name in part.column_names}
            for attribute in asked:
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
                        f"{KIND}:{repo.location}: {config}/{split}, row {at}: photo_id {photo_id!r} is no text"
                    )
                if config == ALL_PHOTOS and not any(photo_id in labels[attribute][1] for attribute in asked):
                    continue
                if splits.setdefault(photo_id, side) != side:
                    raise DataError(
                        f"{spec}: photo {photo_id} is in {SPLITS[splits[photo_id]]} for one attribute and in "
                        f"{SPLITS[side]} for {config}; take one attribute at a time (?config={config})"
                    )
                if photo_id not in rows:
                    rows[photo_id] = read + at
                    for name in TEXT_COLUMNS:
                        text[name].append(str(columns[name][at] or "") if name in columns else "")
            parts.append(undecoded(part, "image"))
            read += len(part)
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


def _configs(repo: DatasetRepo, wanted: Sequence[str]) -> list[str]:
    there = repo.configs(f"{KIND}:{repo.location}")
    known = [config for config in there if column_spelling(config) in ATTRIBUTES]
    for config in wanted:
        if config not in known:
            raise unknown_name(f"attribute config of {repo.location}", config, known or there)
    if not known:
        raise DataError(
            f"{KIND}:{repo.location}: none of its configs ({', '.join(there)}) is named after an attribute; "
            f"known are {', '.join(ATTRIBUTES)}"
        )
    return list(dict.fromkeys(wanted)) or known


def _load(repo: DatasetRepo, config: str) -> Any:
    loaded = repo.load(f"{KIND}:{repo.location}", config)
    found = [split_named(split) for split in loaded]
    if len(set(found)) != len(found):
        raise UsageError(
            f"{KIND}:{repo.location}: the splits {', '.join(loaded)} of {config} are not train, val and test"
        )
    return loaded


def _readings(repo: DatasetRepo, chosen: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Which configs are read, and which attributes of each."""
    if len(chosen) > 1 and ALL_PHOTOS in repo.configs(f"{KIND}:{repo.location}"):
        columns = repo.features(f"{KIND}:{repo.location}", ALL_PHOTOS)
        if all(hasattr(columns.get(config), "names") for config in chosen):
            return [(ALL_PHOTOS, list(chosen))]
    return [(config, [config]) for config in chosen]


def _check(part: Any, repo: str, config: str) -> tuple[tuple[str, ...], str]:
    """Class names and the column of the class, if a config has the columns of FlickrExif."""
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
