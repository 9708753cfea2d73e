"""Pixels once: photos of a data set with several questions, in shards by the set of config splits they belong to.

A photo lies in one file, with its labels for every config; a config's split is the files of some groups, which one
pattern names. The digits of a group's name stand for the configs in their order: ``test-101`` holds the test photos of
the first and third of three configs. Photos that are in different splits of different configs (splits that somebody
released) are in groups such as ``mixed-104``, whose digits add up 1 for train, 2 for validation and 4 for test.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from builders.dataset.shards import Shard
from builders.dataset.write import SplitShards
from builders.photos import HUB_SPLITS, UNLABELLED

PHOTOS = "photos"
"""Folder of the groups below ``data``, and the config that holds every photo once."""

MIXED = "mixed"
"""How groups of photos in different splits are named."""


@dataclass(frozen=True)
class LabelledPart:
    """The rows of one split of one config."""

    config: str
    split: str
    """Of ``HUB_SPLITS``."""
    names: tuple[str, ...]
    """Class names."""
    photos: np.ndarray
    """int64 [rows], positions in the collection of photos."""
    labels: np.ndarray
    """int64 [rows]."""


@dataclass(frozen=True)
class Group:
    """Photos that belong to the same config splits."""

    name: str
    photos: np.ndarray
    """int64 [rows], positions in the collection of photos, rising."""
    labels: np.ndarray
    """int64 [rows, configs], ``UNLABELLED`` where the photo is not in the config."""


def grouped(parts: Sequence[LabelledPart], configs: Sequence[str]) -> list[Group]:
    """The groups of some parts, by name. A part without rows has no group: ``load_dataset`` cannot read an empty split.

    A photo with two labels of one config, or twice in one split, is in as many rows as it takes.

    Args:
        parts: of all configs.
        configs: in the order of the digits.
    """
    columns = {config: i for i, config in enumerate(configs)}
    layers = []
    left = [part for part in parts if len(part.photos)]
    if not left:
        return []
    while left:
        layer, left = _layer(left, columns)
        layers.append(layer)
    photos, masks, labels = (np.concatenate([layer[i] for layer in layers]) for i in range(3))
    groups = []
    codes, which = np.unique(masks, axis=0, return_inverse=True)
    for number, code in enumerate(codes):
        rows = np.flatnonzero(which.reshape(-1) == number)
        rows = rows[np.argsort(photos[rows], kind="stable")]
        groups.append(Group(_name(code), photos[rows], labels[rows]))
    return sorted(groups, key=lambda group: group.name)


def in_split(name: str, place: int, split: str) -> bool:
    """Whether a group's photos are in a split of the config with digit ``place``.

    >>> in_split("test-101", 2, "test"), in_split("test-101", 1, "test"), in_split("mixed-104", 2, "test")
    (True, False, True)
    """
    of, _, digits = name.partition("-")
    return bool(int(digits[place]) & _bit(split)) if of == MIXED else of == split and digits[place] == "1"


def patterns(names: Sequence[str], place: int, split: str) -> list[str]:
    """Paths that name a config split's files, and no others, below the folder of a data set.

    Args:
        names: of all groups.
        place: digit of the config.
        split: of ``HUB_SPLITS``.

    >>> patterns(["test-101", "test-011", "train-101"], 0, "test")
    ['data/photos/test-1??-*.parquet']
    """
    found = []
    for of in (split, MIXED):
        if any(in_split(name, place, split) for name in names if name.startswith(f"{of}-")):
            length = len(names[0].partition("-")[2])
            own = "1" if of == split else f"[{''.join(str(d) for d in range(8) if d & _bit(split))}]"
            digits = "?" * place + own + "?" * (length - place - 1)
            found.append(f"data/{PHOTOS}/{of}-{digits}-*.parquet")
    return found


@dataclass(frozen=True)
class SharedShards:
    """The written groups of a data set; which config has which split follows from their names."""

    configs: tuple[str, ...]
    """In the order of the digits."""
    groups: tuple[SplitShards, ...]
    """Of config ``PHOTOS``; their split is the name of the group."""

    def whole(self) -> list[SplitShards]:
        """Every group once, under the split of its photos."""
        return [SplitShards(PHOTOS, group.split.partition("-")[0], group.shards) for group in self.groups]

    def splits(self) -> list[SplitShards]:
        """The splits of each config, and of ``PHOTOS`` where no photo is in two of them.

        Raises:
            ValueError: a name is not of this form.
        """
        names = [group.split for group in self.groups]
        for name in names:
            if not re.fullmatch(rf"({'|'.join(HUB_SPLITS)})-[01]{{{len(self.configs)}}}", name) and not re.fullmatch(
                rf"{MIXED}-[0-7]{{{len(self.configs)}}}", name
            ):
                raise ValueError(f"{name!r} is no group of {len(self.configs)} configs")
        found = []
        for place, config in enumerate(self.configs):
            for split in HUB_SPLITS:
                shards = _shards(group for group in self.groups if in_split(group.split, place, split))
                if shards:
                    found.append(SplitShards(config, split, shards, tuple(patterns(names, place, split))))
        if not any(name.startswith(MIXED) for name in names):
            for split in HUB_SPLITS:
                shards = _shards(group for group in self.groups if group.split.startswith(f"{split}-"))
                if shards:
                    found.append(SplitShards(PHOTOS, split, shards, (f"data/{PHOTOS}/{split}-*.parquet",)))
        return found


def _shards(groups: Iterable[SplitShards]) -> tuple[Shard, ...]:
    return tuple(shard for group in groups for shard in group.shards)


def _layer(
    parts: Sequence[LabelledPart], columns: dict[str, int]
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], list[LabelledPart]]:
    """One row for each photo (positions, masks, labels), and what of the parts does not fit into it."""
    count = 1 + max((int(part.photos.max()) for part in parts if len(part.photos)), default=-1)
    masks = np.zeros((count, len(columns)), dtype=np.uint8)
    labels = np.full((count, len(columns)), UNLABELLED, dtype=np.int64)
    left = []
    for part in parts:
        column, bit = columns[part.config], _bit(part.split)
        first = np.zeros(len(part.photos), dtype=bool)
        first[np.unique(part.photos, return_index=True)[1]] = True
        taken = masks[part.photos, column] > 0
        fits = first & (~taken | (labels[part.photos, column] == part.labels)) & (masks[part.photos, column] & bit == 0)
        masks[part.photos[fits], column] |= bit
        labels[part.photos[fits], column] = part.labels[fits]
        if not fits.all():
            left.append(LabelledPart(part.config, part.split, part.names, part.photos[~fits], part.labels[~fits]))
    rows = np.flatnonzero(masks.any(axis=1))
    return (rows, masks[rows], labels[rows]), left


def _name(code: np.ndarray) -> str:
    values = {int(d) for d in code if d}
    for split in HUB_SPLITS:
        if values == {_bit(split)}:
            return f"{split}-{''.join('1' if d else '0' for d in code)}"
    return f"{MIXED}-{''.join(map(str, code))}"


def _bit(split: str) -> int:
    return 1 << HUB_SPLITS.index(split)
