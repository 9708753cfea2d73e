"""Train, val and test that share no owner, no near-duplicate, and no photo between attributes.

Photos are joined into groups (same owner, same scene, nearly the same pixels), each group gets one split for
every attribute, and then each attribute takes the same number of photos of each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEFT_OUT = -1
"""In ``Splits.selected``: the photo is in no split of this attribute."""


@dataclass(frozen=True)
class Sizes:
    """Photos per class in each split. ``None``: as many as the rarest class has."""

    train: int | None = None
    val: int | None = None
    test: int | None = None


@dataclass(frozen=True)
class Splits:
    """Splits of one photo collection."""

    groups: np.ndarray
    """int64 [photos], the group of each photo; groups never straddle splits."""
    splits: np.ndarray
    """int8 [photos], index into ``photos.SPLITS``; decided once, for every attribute."""
    selected: Mapping[str, np.ndarray]
    """By attribute: int8 [photos], the split if the photo was taken for the balanced set, else ``LEFT_OUT``."""


def make_splits(
    ids: Sequence[str],
    labels: Mapping[str, np.ndarray],
    *,
    owners: Sequence[str] | None = None,
    hashes: np.ndarray | None = None,
    digests: Sequence[str] | None = None,
    sizes: Sizes | Mapping[str, Sizes] = Sizes(),  # noqa: B008 (frozen)
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2),
    assign: Literal["hash", "stratified"] = "hash",
    max_distance: int = 6,
    seed: int = 0,
) -> Splits:
    """Split a collection.

    Args:
        ids: unique photo ids.
        labels: by attribute, int32 [photos] class indices, ``UNLABELLED`` where there is no class.
        owners: owner or scene of each photo; "" is nobody's.
        hashes: uint64 [photos] perceptual hashes (``perceptual_hash.perceptual_hash``).
        digests: sha256 of each file: equal files are joined.
        sizes: photos per class and split, for all attributes or by attribute.
        shares: of the groups, for train, val, test.
        assign: ``hash``: a group's split depends only on its own name and the seed, so that a take-down moves nothing
            else. ``stratified``: iterative stratification over classes, for small collections.
        max_distance: photos whose hashes differ in at most this many bits are near-duplicates.
        seed: of every choice.
    """
    raise NotImplementedError
