"""Groups of photos that belong on one side of a split: one owner, one scene, one file, or nearly one picture.

The owner of this notion: builders that draw splits, those that are given splits, and checks all call it.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from builders.errors import PhotoError
from builders.photos import NEAR_DUPLICATES, FactCache, PhotoSet, photo_digest
from builders.pixels import codec_canary
from builders.processes import in_this_context, progress_bar
from builders.splits.near_duplicates import MAX_DISTANCE, NO_HASH, near_duplicate_groups, perceptual_hash
from builders.splits.parts import THUMB, part_pairs, thumb
from builders.splits.variants import VARIANTS, unframed_photo, variant_hashes

GroupKind = Literal["owner", "scene", "file", "near-duplicate"]
"""What photos of one group share."""

NEAR_LIMIT = 300_000
"""Photos above which each has one hash, of the upright whole picture: the variants of more do not fit into 2 GB."""

_BATCH = 1024
"""Photos that are hashed between two updates of the progress bar."""


def photo_groups(
    n: int,
    *,
    owners: Sequence[str] | None = None,
    scenes: Sequence[str] | None = None,
    hashes: np.ndarray | None = None,
    digests: Sequence[str] | None = None,
    max_distance: int = MAX_DISTANCE,
) -> np.ndarray:
    """Group ``n`` photos that share an owner, a scene, a file or (nearly) a picture.

    Chains count: if A is like B, and B has the owner of C, the three are one group.

    Args:
        n: number of photos.
        owners: owner of each photo; "" is unknown, and joins nothing.
        scenes: scene of each photo; "" is unknown.
        hashes: uint64 [photos] or [photos, variants], perceptual hashes; ``NO_HASH`` joins nothing.
        digests: SHA-256 of each file; "" is unknown.
        max_distance: photos whose hashes differ in at most this many bits are near-duplicates.

    Returns:
        int64 [photos], group numbers from 0 without a gap, in the order of the first photo of each group.

    >>> photo_groups(4, owners=["ann", "ben", "ann", ""]).tolist()
    [0, 1, 0, 2]
    """
    columns = []
    for names in (owners, scenes, digests):
        if names is not None:
            # a photo whose value is unknown is joined with no other
            _, column = np.unique([name or f"\0{i}" for i, name in enumerate(names)], return_inverse=True)
            columns.append(column)
    if hashes is not None:
        columns.append(near_duplicate_groups(np.ravel(hashes), max_distance))
    if not columns or n == 0:
        return np.arange(n, dtype=np.int64)
    # Photos and the things they share are the nodes of one graph; its components are the groups.
    nodes, edges = n, []
    for column in columns:
        edges.append(np.stack([np.repeat(np.arange(n), len(column) // n), nodes + column]))
        nodes += int(column.max()) + 1
    rows, others = np.concatenate(edges, axis=1)
    from scipy.sparse import coo_array  # 0.1 s to import, and few runs need it
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, others)), shape=(nodes, nodes))
    components = connected_components(graph)[1][:n]
    _, first, inverse = np.unique(components, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def near_duplicate_column(
    ids: Sequence[str], hashes: np.ndarray, digests: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The column ``NEAR_DUPLICATES`` of a photo set by its name; no column if no two photos are near-duplicates.

    Args:
        ids: of the photos.
        hashes, digests: as ``photo_groups``.

    >>> column = near_duplicate_column(["a", "b", "c"], np.array([7, 0xFFFF << 40, 7], dtype=np.uint64))
    >>> column["near_duplicates"].tolist()
    ['a', '', 'a']
    """
    return column_of_groups(ids, photo_groups(len(ids), hashes=hashes, digests=digests))


def column_of_groups(ids: Sequence[str], groups: np.ndarray) -> dict[str, np.ndarray]:
    """The column ``NEAR_DUPLICATES`` of groups that ``photo_groups`` made; no column if each photo is alone."""
    names = near_duplicate_names(ids, groups)
    return {NEAR_DUPLICATES: names} if names.any() else {}


def near_duplicate_names(ids: Sequence[str], groups: np.ndarray) -> np.ndarray:
    """The id of the first photo of each photo's group, "" if the photo is alone: str [photos].

    Args:
        ids: of the photos.
        groups: of ``photo_groups``.
    """
    first, sizes = np.unique(groups, return_index=True, return_counts=True)[1:]
    return np.array([ids[first[group]] if sizes[group] > 1 else "" for group in groups.tolist()], dtype=str)


@dataclass(frozen=True)
class GivenSplits:
    """The groups of photos whose splits are given."""

    groups: np.ndarray
    """int64 [photos]."""
    straddling: int
    """How often a group is on one side more than it should be: 1 for a group in two splits, 2 for one in three."""


def check_given_splits(
    splits: np.ndarray,
    *,
    owners: Sequence[str] | None = None,
    scenes: Sequence[str] | None = None,
    hashes: np.ndarray | None = None,
    digests: Sequence[str] | None = None,
    max_distance: int = MAX_DISTANCE,
) -> GivenSplits:
    """Group the photos of given splits, and count the groups that several splits share.

    Args:
        splits: int8 [photos], index into ``photos.SPLITS``.
        owners, scenes, hashes, digests, max_distance: as ``photo_groups``.

    >>> check_given_splits(np.array([0, 2, 0, 1]), owners=["ann", "ann", "ben", "ann"]).straddling
    2
    """
    groups = photo_groups(
        len(splits), owners=owners, scenes=scenes, hashes=hashes, digests=digests, max_distance=max_distance
    )
    sides = len(np.unique(np.stack([groups, splits]), axis=1).T)
    return GivenSplits(groups, sides - len(np.unique(groups)))


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """By what equal and nearly equal photos are recognised."""

    digests: tuple[str, ...]
    """SHA-256 of each file in hex; "" if it cannot be read."""
    hashes: np.ndarray
    """uint64 [photos, VARIANTS + 1], of ``photo_variants``, and of the photo of which it is a part (``part_pairs``);
    ``NO_HASH`` where a photo cannot be decoded. Of more than ``NEAR_LIMIT`` photos [photos, 1]: the whole."""


def fingerprints(photos: PhotoSet, root: Path | None = None, *, workers: int | None = None) -> Fingerprints:
    """The fingerprints of each photo, read from the cache where its file has not changed.

    A photo that cannot be read or decoded has none: the run that needs its pixels reports it.

    Args:
        photos: to be hashed.
        root: folder of their files or of their build, the name under which fingerprints are cached; without it, or if
            the source cannot say whether a file has changed, nothing is cached.
        workers: threads; one per core if ``None``.
    """
    whole = len(photos) > NEAR_LIMIT
    cached = None
    if root is not None and (stamps := photos.stamps()) is not None:
        version = f"perceptual hashes {'of whole pictures' if whole else 3} {codec_canary()}"
        cached = FactCache("perceptual-hashes", root, stamps, version)
    digests = [""] * len(photos)
    hashes = np.full((len(photos), 1 if whole else VARIANTS), NO_HASH, dtype=np.uint64)
    thumbs = np.zeros((0 if whole else len(photos), THUMB, THUMB), dtype=np.uint8)
    uncached = []

    def put(index: int, values: bytes) -> None:
        hashes[index] = np.frombuffer(values, ">u8", hashes.shape[1])
        if not whole:
            thumbs[index] = np.frombuffer(values, np.uint8, offset=8 * VARIANTS).reshape(THUMB, THUMB)

    for index in range(len(photos)):
        if cached is not None and (value := cached.get(index)) is not None:
            digests[index] = value[0]
            put(index, base64.b64decode(value[1]))
        else:
            uncached.append(index)

    def fingerprint(index: int) -> tuple[str, bytes | None]:
        try:
            data = photos.read(index)
        except PhotoError:
            return "", None
        try:
            if whole:
                return photo_digest(data).hex(), perceptual_hash(unframed_photo(data)).to_bytes(8, "big")
            picture = unframed_photo(data)
            return photo_digest(data).hex(), variant_hashes(picture).astype(">u8").tobytes() + thumb(picture).tobytes()
        except PhotoError:
            return photo_digest(data).hex(), None

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        bar = progress_bar(total=len(uncached), desc="looking for near-duplicates", unit="photo")
        try:
            for start in range(0, len(uncached), _BATCH):
                batch = uncached[start : start + _BATCH]
                for index, (digest, values) in zip(batch, pool.map(in_this_context(fingerprint), batch), strict=True):
                    digests[index] = digest
                    if values is not None:
                        put(index, values)
                        if cached is not None:
                            cached.put(index, [digest, base64.b64encode(values).decode()])
                bar.update(len(batch))
        finally:
            bar.close()
            if cached is not None:
                cached.save()
    return Fingerprints(tuple(digests), hashes if whole else np.c_[hashes, _hashes_of_wholes(hashes[:, 0], thumbs)])


def _hashes_of_wholes(hashes: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """The hash of the first of each photo's relatives by ``part_pairs``: uint64 [photos], ``NO_HASH`` without any.

    Args:
        hashes: uint64 [photos], of the whole pictures.
        thumbs: uint8 [photos, THUMB, THUMB].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts, wholes = part_pairs(thumbs).T
    n = len(hashes)
    graph = coo_array((np.ones(len(parts), dtype=bool), (parts, wholes)), shape=(n, n))
    _, first, component = np.unique(connected_components(graph)[1], return_index=True, return_inverse=True)
    alone = np.bincount(component)[component] == 1
    return np.where(alone, np.uint64(NO_HASH), hashes[first][component])


def group_names(groups: np.ndarray, ids: Sequence[str], owners: Sequence[str] | None) -> list[str]:
    """A name for each group that does not depend on other groups: its smallest owner, or its smallest photo id.

    Args:
        groups: int64 [photos], from ``photo_groups``.
        ids: of the photos.
        owners: of the photos; "" is unknown.

    Returns:
        One name for each group, in the order of the group numbers.
    """
    names: dict[int, str] = {}
    for i, group in enumerate(groups.tolist()):
        # owners sort before ids, so that the name of a group stays when one of its photos is removed
        name = f"0{owners[i]}" if owners is not None and owners[i] else f"1{ids[i]}"
        if group not in names or name < names[group]:
            names[group] = name
    return [names[group] for group in range(len(names))]
