"""Train, val and test splits that share no owner and no near-duplicate, the same for all attributes.

Photos are joined into groups (``builders.splits.groups``). Each group gets one split, for all attributes at once. Then
each attribute takes the same number of photos of each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from builders.errors import DataError, UsageError
from builders.photos import SPLITS, UNLABELLED, hash64, rank_within
from builders.splits.groups import group_names, photo_groups
from builders.splits.near_duplicates import MAX_DISTANCE

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_OPEN = -1
"""Split of a group that is not assigned yet."""


def stratified(
    groups: np.ndarray,
    labels: Mapping[str, np.ndarray],
    priority: np.ndarray,
    shares: tuple[float, float, float],
) -> np.ndarray:
    """Iterative stratification (Sechidis et al., ECML PKDD 2011) of groups instead of single examples.

    Classes of all attributes are processed from the rarest on. Each group of a class, the largest first, is assigned
    to the split that lacks most photos of that class; among equals, to the split that lacks most photos in all.

    Args:
        groups: int64 [photos], numbers from 0 without a gap.
        labels: by attribute, int32 [photos] class indices, ``UNLABELLED`` if the class is unknown.
        priority: int64 [photos], a seeded order of the photos that decides between equal groups.
        shares: shares of the photos in train, val and test; zero is allowed.

    Returns:
        int8 [groups], index into ``photos.SPLITS``.

    >>> make = np.array([0, 0, 1, 1, 0, 0])  # photos 0 and 1 are one group
    >>> stratified(np.array([0, 0, 1, 2, 3, 4]), {"make": make}, np.arange(6), (0.5, 0, 0.5)).tolist()
    [0, 0, 2, 2, 2]
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    table = _photos_by_group_and_class(groups, labels, count)
    total = np.asarray(table.sum(axis=0)).ravel().astype(np.float64)
    share = np.array(shares) / sum(shares)
    lacking = share[:, None] * total[None, :]
    sizes = np.bincount(groups, minlength=count)
    lacking_photos = share * len(groups)
    first = np.full(count, len(groups), dtype=np.int64)
    np.minimum.at(first, groups, priority)
    split_of = np.full(count, _OPEN, dtype=np.int8)
    usable = [s for s in range(len(SPLITS)) if share[s] > 0]
    columns = table.tocsc()

    def assign(group: int, split: int) -> None:
        split_of[group] = split
        row = slice(table.indptr[group], table.indptr[group + 1])
        lacking[split, table.indices[row]] -= table.data[row]
        lacking_photos[split] -= sizes[group]

    for column in np.argsort(total, kind="stable"):
        part = slice(columns.indptr[column], columns.indptr[column + 1])
        members, amounts = columns.indices[part], columns.data[part]
        for group in members[np.lexsort((first[members], -amounts))]:
            if split_of[group] == _OPEN:
                assign(group, max(usable, key=lambda s: (lacking[s, column], lacking_photos[s], -s)))
    for group in np.argsort(first, kind="stable"):
        if split_of[group] == _OPEN:
            assign(group, max(usable, key=lambda s: (lacking_photos[s], -s)))
    return split_of


def _photos_by_group_and_class(groups: np.ndarray, labels: Mapping[str, np.ndarray], count: int) -> csr_array:
    """Photos of each group and class: int64 [groups, all classes of all attributes]."""
    from scipy.sparse import coo_array  # 0.1 s to import, and few runs need it

    rows, columns, width = [], [], 0
    for name in sorted(labels):
        values = np.asarray(labels[name])
        labelled = np.flatnonzero(values != UNLABELLED)
        rows.append(groups[labelled])
        columns.append(width + values[labelled].astype(np.int64))
        width += int(values.max()) + 1 if len(labelled) else 0
    at = (np.concatenate(rows), np.concatenate(columns)) if rows else (np.zeros(0, int), np.zeros(0, int))
    return coo_array((np.ones(len(at[0]), dtype=np.int64), at), shape=(count, width)).tocsr()


LEFT_OUT = -1
"""Value in ``Splits.selected`` of a photo that is in no split of the attribute."""


@dataclass(frozen=True)
class Sizes:
    """Most photos per class in each split. ``None``: as many as the rarest class has."""

    train: int | None = None
    val: int | None = None
    test: int | None = None
    least: int = 1
    """A class that has fewer photos in any split is left out."""


@dataclass(frozen=True)
class Splits:
    """The splits of one collection of photos."""

    groups: np.ndarray
    """int64 [photos], the group of each photo. All photos of a group are in one split."""
    splits: np.ndarray
    """int8 [photos], index into ``photos.SPLITS``, the same for every attribute."""
    selected: Mapping[str, np.ndarray]
    """By attribute: int8 [photos], the split of a photo in the balanced set, ``LEFT_OUT`` of every other photo."""
    classes: Mapping[str, np.ndarray]
    """By attribute: int32, indices of the classes that have enough photos; the others are left out."""
    evidence: Mapping[str, str]
    """How the splits were drawn: seed, shares, rule, number of groups, largest group."""


def make_splits(
    ids: Sequence[str],
    labels: Mapping[str, np.ndarray],
    *,
    owners: Sequence[str] | None = None,
    hashes: np.ndarray | None = None,
    digests: Sequence[str] | None = None,
    near: np.ndarray | None = None,
    sizes: Sizes | Mapping[str, Sizes] | None = None,
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2),
    assign: Literal["hash", "stratified"] = "hash",
    max_distance: int = MAX_DISTANCE,
    seed: int = 0,
) -> Splits:
    """Draw the splits of a collection. The order of the photos does not matter.

    Args:
        ids: unique photo ids.
        labels: by attribute, int32 [photos] class indices, ``UNLABELLED`` if the class is unknown.
        owners: owner or scene of each photo; "" is unknown.
        hashes: uint64 [photos], perceptual hashes (``photo_hash``).
        digests: SHA-256 of each file, to join equal files; "" is unknown.
        near: int64 [photos], groups that ``photo_groups`` made of hashes, instead of hashes.
        sizes: photos per class and split, for all attributes or by attribute.
        shares: shares of the groups in train, val and test; zero is allowed.
        assign: ``hash``: the split of a group depends only on its smallest owner or id and on the seed, so that a
            removed or a new photo moves no other group. ``stratified``: iterative stratification over
            (attribute, class), for collections with so few groups that some class would have no test photo by chance.
        max_distance: photos whose hashes differ in at most this many bits are near-duplicates.
        seed: of every choice.

    Raises:
        DataError: ids repeat, or columns have different lengths.
        UsageError: ``shares`` are not three numbers of 0 or more, or ``assign`` is unknown.
    """
    _check(ids, labels, owners, hashes, digests, shares)
    order = np.argsort(np.array([hash64(f"photo\0{seed}\0{i}") for i in ids], dtype=np.uint64), kind="stable")
    priority = np.empty(len(ids), dtype=np.int64)
    priority[order] = np.arange(len(ids))
    scenes = None if near is None else [str(group) for group in near.tolist()]
    groups = photo_groups(
        len(ids), owners=owners, scenes=scenes, hashes=hashes, digests=digests, max_distance=max_distance
    )
    if assign == "hash":
        split_of = _by_hash(group_names(groups, ids, owners), shares, seed)
    elif assign == "stratified":
        split_of = stratified(groups, labels, priority, shares)
    else:
        raise UsageError(f"assign={assign!r}: choose 'hash' or 'stratified'")
    splits = split_of[groups]
    selected: dict[str, np.ndarray] = {}
    classes: dict[str, np.ndarray] = {}
    for name, values in labels.items():
        attribute_sizes = sizes if isinstance(sizes, Sizes) else (sizes or {}).get(name, Sizes())
        in_use = [s for s in range(len(SPLITS)) if shares[s] > 0]
        selected[name], classes[name] = balance(np.asarray(values), splits, groups, priority, attribute_sizes, in_use)
    counts = np.bincount(groups) if len(groups) else np.zeros(1, dtype=int)
    evidence = {
        "seed": str(seed),
        "shares": "/".join(f"{share:g}" for share in shares),
        "assign": assign,
        "near-duplicate distance": "not searched" if hashes is None and near is None else str(max_distance),
        "groups": str(len(counts)),
        "photos in the largest group": str(int(counts.max())),
    }
    frozen = MappingProxyType
    return Splits(groups, splits, frozen(selected), frozen(classes), frozen(evidence))


class Balanced(NamedTuple):
    """A set with the same number of photos of each class in each split."""

    splits: np.ndarray
    """int8 [photos], the split of each photo in the set, ``LEFT_OUT`` of every other photo."""
    classes: np.ndarray
    """int32, indices of the classes that have enough photos."""


def balance(
    values: np.ndarray,
    splits: np.ndarray,
    groups: np.ndarray,
    priority: np.ndarray,
    sizes: Sizes,
    in_use: Sequence[int],
) -> Balanced:
    """Choose the same number of photos of each class in each split.

    In a class and split, the first photo of every group is chosen before the second photo of any group, so that no
    owner dominates a class.

    Args:
        values: int32 [photos] class indices.
        splits: int8 [photos].
        groups: int64 [photos].
        priority: int64 [photos], a seeded order of the photos.
        sizes: most photos per class.
        in_use: indices of the splits that exist.
    """
    chosen = np.full(len(values), LEFT_OUT, dtype=np.int8)
    labelled = np.flatnonzero(values != UNLABELLED)
    if not len(labelled):
        return Balanced(chosen, np.zeros(0, dtype=np.int32))
    counts = np.zeros((len(SPLITS), int(values.max()) + 1), dtype=np.int64)
    np.add.at(counts, (splits[labelled], values[labelled]), 1)
    classes = np.flatnonzero((counts[list(in_use)] >= max(1, sizes.least)).all(axis=0))
    if not len(classes):
        return Balanced(chosen, classes.astype(np.int32))
    members = labelled[np.isin(values[labelled], classes)]
    cell = values[members].astype(np.int64) * len(SPLITS) + splits[members]
    turn = _rank_by(priority[members], cell * (int(groups.max()) + 1) + groups[members])
    rank = _rank_by(turn * len(values) + priority[members], cell)
    limits = [
        int(counts[split, classes].min()) if most is None else min(most, int(counts[split, classes].min()))
        for split, most in enumerate((sizes.train, sizes.val, sizes.test))
    ]
    selected = members[rank < np.array(limits)[splits[members]]]
    chosen[selected] = splits[selected]
    return Balanced(chosen, classes.astype(np.int32))


def _rank_by(priority: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Rank of each element in its group, by priority."""
    order = np.argsort(priority, kind="stable")
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = rank_within(groups[order])
    return rank


def _by_hash(names: Sequence[str], shares: tuple[float, float, float], seed: int) -> np.ndarray:
    position = np.array([(hash64(f"group\0{seed}\0{name}") >> 11) * 2.0**-53 for name in names])
    edges = np.cumsum(shares) / sum(shares)
    last = max(s for s in range(len(SPLITS)) if shares[s] > 0)
    return np.minimum(np.searchsorted(edges, position, side="right"), last).astype(np.int8)


def _check(
    ids: Sequence[str],
    labels: Mapping[str, np.ndarray],
    owners: Sequence[str] | None,
    hashes: np.ndarray | None,
    digests: Sequence[str] | None,
    shares: tuple[float, float, float],
) -> None:
    if len(set(ids)) != len(ids):
        raise DataError("photo ids repeat: one photo in two splits looks like two photos; make them unique")
    named = {**labels, "owners": owners, "hashes": hashes, "digests": digests}
    for name, column in named.items():
        if column is not None and len(column) != len(ids):
            raise DataError(f"{name}: {len(column)} values for {len(ids)} photos")
    if len(shares) != len(SPLITS) or min(shares) < 0 or sum(shares) <= 0:
        raise UsageError(f"shares={shares}: give three numbers of 0 or more for train, val and test")
