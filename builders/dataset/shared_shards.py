"""Shards that several configs share, so that each photo is stored once.

Photos are grouped by the config splits that they belong to. A photo is in one file, with its labels for every config; a
split of a config is the files of some groups, selected by one pattern. The digits of a group's name stand for the
configs in their order: ``test-101`` has the test photos of the first and the third of three configs. Photos that are in
different splits of different configs (released splits) are in groups such as ``mixed-104``, whose digits are sums of 1
for train, 2 for validation and 4 for test.
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
"""Folder of the groups below ``data``, and the config that contains every photo once."""

MIXED = "mixed"
"""Name of groups of photos that are in different splits."""


@dataclass(frozen=True)
class LabelledPart:
    """The rows of one split of one config."""

    config: str
    split: str
    """One of ``HUB_SPLITS``."""
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
    """int64 [rows], ascending positions in the collection of photos."""
    labels: np.ndarray
    """int64 [rows, configs], ``UNLABELLED`` if the photo is not in the config."""


def grouped(parts: Sequence[LabelledPart], configs: Sequence[str]) -> list[Group]:
    """The groups of some parts, sorted by name. A part without rows has no group, as ``load_dataset`` refuses
    empty splits.

    A photo with two labels of one config, or twice in one split, has several rows.

    Args:
        parts: parts of all configs.
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


def in_split(name: str, digit: int, split: str) -> bool:
    """Whether a group's photos are in a split of the config at position ``digit``.

    >>> in_split("test-101", 2, "test"), in_split("test-101", 1, "test"), in_split("mixed-104", 2, "test")
    (True, False, True)
    """
    prefix, _, digits = name.partition("-")
    if prefix == MIXED:
        return bool(int(digits[digit]) & _bit(split))
    return prefix == split and digits[digit] == "1"


def patterns(names: Sequence[str], digit: int, split: str) -> list[str]:
    """Path patterns that match exactly the files of one split of a config, relative to the folder of the data set.

    Args:
        names: names of all groups.
        digit: position of the config's digit.
        split: one of ``HUB_SPLITS``.

    >>> patterns(["test-101", "test-011", "train-101"], 0, "test")
    ['data/photos/test-1??-*.parquet']
    """
    paths = []
    for prefix in (split, MIXED):
        if any(in_split(name, digit, split) for name in names if name.startswith(f"{prefix}-")):
            length = len(names[0].partition("-")[2])
            allowed = "1" if prefix == split else f"[{''.join(str(d) for d in range(8) if d & _bit(split))}]"
            digits = "?" * digit + allowed + "?" * (length - digit - 1)
            paths.append(f"data/{PHOTOS}/{prefix}-{digits}-*.parquet")
    return paths


@dataclass(frozen=True)
class SharedShards:
    """The written groups of a data set; the splits of each config follow from the names of the groups."""

    configs: tuple[str, ...]
    """In the order of the digits."""
    groups: tuple[SplitShards, ...]
    """Shards of the config ``PHOTOS``, by group: ``split`` is the name of the group."""

    def whole(self) -> list[SplitShards]:
        """Every group once, as a part of the split of its photos."""
        return [SplitShards(PHOTOS, group.split.partition("-")[0], group.shards) for group in self.groups]

    def splits(self) -> list[SplitShards]:
        """The splits of each config, and of ``PHOTOS`` if no photo is in two splits.

        Raises:
            ValueError: the name of a group does not have the expected form.
        """
        names = [group.split for group in self.groups]
        for name in names:
            if not re.fullmatch(rf"({'|'.join(HUB_SPLITS)})-[01]{{{len(self.configs)}}}", name) and not re.fullmatch(
                rf"{MIXED}-[0-7]{{{len(self.configs)}}}", name
            ):
                raise ValueError(f"{name!r} is not a group of {len(self.configs)} configs")
        splits = []
        for digit, config in enumerate(self.configs):
            for split in HUB_SPLITS:
                shards = _shards(group for group in self.groups if in_split(group.split, digit, split))
                if shards:
                    splits.append(SplitShards(config, split, shards, tuple(patterns(names, digit, split))))
        if not any(name.startswith(MIXED) for name in names):
            for split in HUB_SPLITS:
                shards = _shards(group for group in self.groups if group.split.startswith(f"{split}-"))
                if shards:
                    splits.append(SplitShards(PHOTOS, split, shards, (f"data/{PHOTOS}/{split}-*.parquet",)))
        return splits


def _shards(groups: Iterable[SplitShards]) -> tuple[Shard, ...]:
    return tuple(shard for group in groups for shard in group.shards)


def _layer(
    parts: Sequence[LabelledPart], columns: dict[str, int]
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], list[LabelledPart]]:
    """One row for each photo (positions, masks, labels), and the parts of which rows are left over."""
    count = 1 + max((int(part.photos.max()) for part in parts if len(part.photos)), default=-1)
    masks = np.zeros((count, len(columns)), dtype=np.uint8)
    labels = np.full((count, len(columns)), UNLABELLED, dtype=np.int64)
    rest = []
    for part in parts:
        column, bit = columns[part.config], _bit(part.split)
        first = np.zeros(len(part.photos), dtype=bool)
        first[np.unique(part.photos, return_index=True)[1]] = True
        has_label = masks[part.photos, column] > 0
        fits = (
            first
            & (~has_label | (labels[part.photos, column] == part.labels))
            & (masks[part.photos, column] & bit == 0)
        )
        masks[part.photos[fits], column] |= bit
        labels[part.photos[fits], column] = part.labels[fits]
        if not fits.all():
            rest.append(LabelledPart(part.config, part.split, part.names, part.photos[~fits], part.labels[~fits]))
    rows = np.flatnonzero(masks.any(axis=1))
    return (rows, masks[rows], labels[rows]), rest


def _name(code: np.ndarray) -> str:
    values = {int(d) for d in code if d}
    for split in HUB_SPLITS:
        if values == {_bit(split)}:
            return f"{split}-{''.join('1' if d else '0' for d in code)}"
    return f"{MIXED}-{''.join(map(str, code))}"


def _bit(split: str) -> int:
    return 1 << HUB_SPLITS.index(split)
