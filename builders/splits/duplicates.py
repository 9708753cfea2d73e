"""The guard of builds: equal and nearly equal photos on one side of the splits, or a count of those that are not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from builders.errors import DataError, UsageError
from builders.photos import CLUSTER, NEAR_DUPLICATES, SPLITS, PhotoSet
from builders.splits.groups import check_given_splits, column_of_groups, fingerprints

DuplicatePolicy = Literal["keep", "move", "refuse", "ignore"]
"""What happens to equal and nearly equal photos of different splits: they are ``keep``-t and counted, ``move``-d to one
split, the data set is ``refuse``-d, or they are not looked for (``ignore``)."""

POLICIES: tuple[str, ...] = get_args(DuplicatePolicy)

EVIDENCE = "duplicates"
"""Key of ``PhotoSet.evidence`` under which the guard says what it did."""

NEAR_LIMIT = 300_000
"""Photos above which only equal files are looked for: hashes of the variants of more do not fit into 2 GB."""


@dataclass(frozen=True)
class Guarded:
    """A photo set after the guard."""

    photos: PhotoSet
    """``evidence["duplicates"]`` says what was found and done. The column ``near_duplicates`` names the group of each
    photo, if there are some; not with ``keep``, where the rows of a build follow without reading every photo."""
    policy: str
    """The ``DuplicatePolicy`` that was followed."""
    left: int
    """Groups of equal or nearly equal photos that are still in several splits, as far as they were looked for."""
    digests: tuple[str, ...] | None = None
    """SHA-256 of the file of each photo in hex, "" if it cannot be read; None if they were not needed."""


def default_policy(photos: PhotoSet) -> DuplicatePolicy:
    """``move`` where the splits were drawn by seed, ``keep`` where the source gives them."""
    return "move" if photos.drawn_splits else "keep"


def with_duplicates_on_one_side(
    photos: PhotoSet, policy: str | None = None, *, workers: int | None = None, cached_for: Path | None = None
) -> Guarded:
    """A photo set whose equal and nearly equal photos are on one side of its splits, or counted if they are not.

    Photos with the same bytes, and photos of which one is nearly a variant of the other (``builders.splits.variants``),
    are one group; chains count. A group that is moved goes to train if one of its photos is there, otherwise to the
    split of its first photo.

    Args:
        photos: the set; every photo is read once.
        policy: a ``DuplicatePolicy``; None for ``default_policy``.
        workers: threads that read photos; one per core if None.
        cached_for: folder of the build; its next guard reads only photos whose file changed.

    Raises:
        UsageError: ``policy`` is unknown.
        DataError: the policy is ``refuse``, and a group is on several sides.
    """
    if policy is None:
        policy = default_policy(photos)
    if policy not in POLICIES:
        raise UsageError(f"--duplicates {policy}: choose {', '.join(POLICIES)}")
    if policy == "ignore" or len(np.unique(photos.splits)) < 2:
        return Guarded(photos, policy, 0)
    near = len(photos) <= NEAR_LIMIT
    known = fingerprints(photos, cached_for, workers=workers)
    guard = check_given_splits(photos.splits, hashes=known.hashes if near else None, digests=known.digests)
    searched = "equal and nearly equal photos" if near else f"equal files (nearly equal: up to {NEAR_LIMIT:,} photos)"
    if near and policy != "keep" and NEAR_DUPLICATES not in photos.columns:
        photos = replace(photos, columns={**photos.columns, **column_of_groups(photos.ids, guard.groups)})
    straddling = _straddling(guard.groups, photos.splits)
    groups = len(np.unique(guard.groups[straddling]))
    if not groups:
        return Guarded(_noted(photos, f"no {searched} in different splits"), policy, 0, known.digests)
    sentence = f"{int(straddling.sum()):,} {searched} in {groups:,} groups were in different splits"
    if policy == "refuse":
        named = ", ".join(photos.ids[i] for i in np.flatnonzero(guard.groups == guard.groups[straddling][0])[:2])
        raise DataError(f"{photos.name}: {sentence}, for example {named}; --duplicates move or keep builds the set")
    if policy == "keep":
        return Guarded(
            _noted(photos, f"{sentence}, as the source has them, and were left there"), policy, groups, known.digests
        )
    if CLUSTER in photos.columns:  # the cluster of a photo moves with it
        clusters = [str(name) for name in photos.columns[CLUSTER]]
        guard = check_given_splits(photos.splits, owners=clusters, scenes=[str(group) for group in guard.groups])
        straddling = _straddling(guard.groups, photos.splits)
    splits = photos.splits.copy()
    target = np.full(int(guard.groups.max()) + 1, -1, dtype=np.int64)
    for i in np.flatnonzero(straddling)[::-1].tolist():  # backwards: the first photo of a group decides last
        target[guard.groups[i]] = splits[i]
    target[guard.groups[straddling & (splits == SPLITS.index("train"))]] = SPLITS.index("train")
    splits[straddling] = target[guard.groups[straddling]]
    moved = int((splits != photos.splits).sum())
    text = f"{sentence}; {moved:,} were moved to the split of their group"
    return Guarded(_noted(replace(photos, splits=splits), text), policy, 0, known.digests)


def _straddling(groups: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """bool [photos]: whether the group of a photo is in several splits."""
    sides = np.unique(np.stack([groups, splits]), axis=1)[0]
    return (np.bincount(sides, minlength=int(groups.max()) + 1) > 1)[groups]


def _noted(photos: PhotoSet, text: str) -> PhotoSet:
    return replace(photos, evidence=MappingProxyType({**photos.evidence, EVIDENCE: text}))
