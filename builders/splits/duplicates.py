"""The guard of builds: equal and nearly equal photos on one side of the splits, or a count of those that are not."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from builders.errors import DataError, UsageError
from builders.photos import CLUSTER, NEAR_DUPLICATES, SPLITS, PhotoSet
from builders.splits.groups import NEAR_LIMIT, check_given_splits, column_of_groups, fingerprints

DuplicatePolicy = Literal["keep", "move", "refuse", "ignore"]
"""What happens to equal and nearly equal photos of different splits: they are ``keep``-t and counted, ``move``-d to one
split, the data set is ``refuse``-d, or they are not looked for (``ignore``)."""

POLICIES: tuple[str, ...] = get_args(DuplicatePolicy)

EVIDENCE = "duplicates"
"""Key of ``PhotoSet.evidence`` under which the guard says what it did."""

RECORD = "duplicates.json.gz"
"""Name of the file that holds ``Guarded.record``, in the folder of a plan."""


@dataclass(frozen=True)
class Guarded:
    """A photo set after the guard."""

    photos: PhotoSet
    """``evidence["duplicates"]`` says what was found and done. The column ``near_duplicates`` names the group of each
    photo, if there are some."""
    policy: str
    """The ``DuplicatePolicy`` that was followed."""
    left: int
    """Groups of equal or nearly equal photos that are still in several splits, as far as they were looked for."""
    digests: tuple[str, ...] | None = None
    """SHA-256 of the file of each photo in hex, "" if it cannot be read; None if they were not needed."""

    def record(self) -> bytes:
        """What ``guarded_by`` needs, so that ranks of one build read no photo to find what is equal."""
        names = self.photos.columns.get(NEAR_DUPLICATES, np.zeros(0, dtype=str)).tolist()
        values = {
            "ids": self.photos.ids_hash(),
            "splits": base64.b64encode(self.photos.splits.astype("<i1").tobytes()).decode(),
            "near_duplicates": {str(i): name for i, name in enumerate(names) if name},
            "evidence": self.photos.evidence.get(EVIDENCE),
            "policy": self.policy,
            "left": self.left,
        }
        return gzip.compress(json.dumps(values).encode(), mtime=0)


def default_policy(photos: PhotoSet) -> DuplicatePolicy:
    """``move`` where the splits were drawn by seed, ``keep`` where the source gives them."""
    return "move" if photos.drawn_splits else "keep"


def guarded_by(photos: PhotoSet, record: bytes) -> Guarded:
    """The result of the guard for the same photos, from its record.

    Args:
        photos: as they were before the guard.
        record: of ``Guarded.record``; untrusted.

    Raises:
        DataError: it is no such record, or one of other photos.

    >>> photos = PhotoSet.of_bytes("two", {"a": b"1", "b": b"1"}, splits=["train", "val"])
    >>> guarded = with_duplicates_on_one_side(photos, "move")
    >>> guarded_by(photos, guarded.record()).photos.splits.tolist()
    [0, 0]
    """
    try:
        stated = json.loads(gzip.decompress(record))
        splits = np.frombuffer(base64.b64decode(stated["splits"]), dtype="<i1").astype(np.int8)
        near = {int(i): str(name) for i, name in stated["near_duplicates"].items()}
        note, policy, left = stated["evidence"], str(stated["policy"]), int(stated["left"])
        if len(splits) == len(photos):
            guarded = replace(photos, splits=splits)
            if near:
                column = np.array([near.get(i, "") for i in range(len(photos))], dtype=str)
                guarded = replace(guarded, columns={**photos.columns, NEAR_DUPLICATES: column})
            if guarded.ids_hash() == stated["ids"]:
                return Guarded(guarded if note is None else _noted(guarded, str(note)), policy, left)
    except (AttributeError, EOFError, KeyError, OSError, TypeError, ValueError, zlib.error):
        raise DataError(f"{RECORD}: does not say which photos are equal; make the plan again") from None
    raise DataError(f"{photos.name}: other photos than the plan was made of; make the plan again")


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
    known = fingerprints(photos, cached_for, workers=workers)
    guard = check_given_splits(photos.splits, hashes=known.hashes, digests=known.digests)
    searched = "equal and nearly equal photos"
    if len(photos) > NEAR_LIMIT:
        searched += f" (neither turned nor cropped, of more than {NEAR_LIMIT:,} photos)"
    if NEAR_DUPLICATES not in photos.columns:
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
