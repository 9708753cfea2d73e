"""Which photos are nearly the same: a DCT hash of the picture, and near-duplicate search over very many of them.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): signs of the
low-frequency DCT coefficients about their median. It survives recompression, resizing and mild edits, not cropping.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from PIL import Image, ImageOps
from scipy.fft import dctn

from builders.pixels import check_work, decode_rgb

MAX_DISTANCE = 4
"""Default threshold in bits: re-saved and resized copies differ in 0 to 4 of 63, unrelated photos in 31 +- 4. Distances
are even nearly always, because every hash has about as many ones as zeros."""

FLAT_DEVIATION = 2.0
"""A picture whose 32 x 32 grey values deviate less than this (of 255) has nothing to compare: ``NO_HASH``."""

NO_HASH = 0
"""The hash of a picture without structure, or of none at all; never anybody's near-duplicate."""

FEW = 32
"""Hashes of one bucket up to which all are compared with all at once."""

_SIDE = 32
_LOW = 8


@dataclass(frozen=True)
class NearPairs:
    """Pairs of near-equal hashes, each once."""

    values: np.ndarray
    """uint64, the distinct hashes, sorted, without ``NO_HASH``."""
    first: np.ndarray
    """int64 [pairs], positions in ``values``."""
    second: np.ndarray
    """int64 [pairs], ``first < second``."""


def perceptual_hash(image: Image.Image) -> int:
    """The hash of a picture of any mode and size: 63 bits, or ``NO_HASH`` if it is flat.

    >>> photo = Image.linear_gradient("L").rotate(30)
    >>> bin(perceptual_hash(photo) ^ perceptual_hash(photo.resize((90, 70)))).count("1") <= MAX_DISTANCE
    True
    """
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, dtype=np.float64)
    if pixels.std() < FLAT_DEVIATION:
        return NO_HASH
    # rounded, so that a coefficient that is zero by symmetry has no random sign
    low = np.round(dctn(pixels, norm="ortho")[:_LOW, :_LOW].ravel(), 6)
    bits = low > np.median(low[1:])
    bits[0] = False  # mean brightness says nothing about content
    return int(np.packbits(bits).view(">u8")[0])


def photo_hash(data: bytes) -> int:
    """``perceptual_hash`` of an upright photo file; a JPEG is decoded at an eighth of its size where that is enough.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    if data[:2] != b"\xff\xd8":
        return perceptual_hash(decode_rgb(data))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            check_work(image, data)
            image.draft("L", (4 * _SIDE, 4 * _SIDE))
            return perceptual_hash(ImageOps.exif_transpose(image))
    except Exception:  # decode_rgb says in one sentence what is wrong with it
        return perceptual_hash(decode_rgb(data))


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How many bits differ between uint64 arrays, elementwise: uint8, 0 to 64 (population count by halves)."""
    x = np.asarray(first ^ second)
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    with np.errstate(over="ignore"):  # the product is meant to wrap; numpy warns of it for scalars
        return ((x * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


def near_pairs(hashes: np.ndarray, max_distance: int = MAX_DISTANCE) -> NearPairs:
    """All pairs of distinct hashes that differ in at most ``max_distance`` bits, exactly.

    Multi-index hashing (Norouzi et al., CVPR 2012): the 64 bits are cut into ``max_distance + 2`` blocks; two hashes
    within the distance agree in at least two blocks, so only hashes that share such a pair of blocks are compared:
    for 500,000 photos 6 million comparisons instead of 125 billion, if hashes spread evenly.

    Args:
        hashes: uint64 [photos].
        max_distance: 0 to 10 bits.
    """
    if not 0 <= max_distance <= 10:
        raise ValueError(f"max_distance must be 0 to 10 bits, not {max_distance}")
    values = np.unique(np.asarray(hashes, dtype=np.uint64))
    values = values[values != NO_HASH]
    none = np.zeros(0, dtype=np.int64)
    if max_distance == 0 or len(values) < 2:
        return NearPairs(values, none, none)
    found = [none]
    for order, keys in _buckets(values, max_distance):
        found.append(_near_in_buckets(values, order, keys, max_distance))
    codes = np.unique(np.concatenate(found))
    return NearPairs(values, codes // len(values), codes % len(values))


def near_duplicate_groups(hashes: np.ndarray, max_distance: int = MAX_DISTANCE) -> np.ndarray:
    """Group number of each photo: int64 [photos]; chains of near-duplicates are one group, ``NO_HASH`` stands alone."""
    from scipy.sparse import coo_array  # with its linear algebra 0.1 s, in every run, for what few do
    from scipy.sparse.csgraph import connected_components

    hashes = np.asarray(hashes, dtype=np.uint64)
    values = np.unique(hashes[hashes != NO_HASH])
    n = len(values)
    joined = np.arange(n, dtype=np.int64)
    for order, keys in _buckets(values, max_distance) if n > 1 and max_distance else ():
        edges = _spanning_edges(values, order, keys, max_distance)
        links = np.concatenate([edges, np.stack([np.arange(n), joined])], axis=1)
        graph = coo_array((np.ones(links.shape[1], dtype=bool), (links[0], links[1])), shape=(n, n))
        labels = connected_components(graph, directed=False)[1]
        joined = np.unique(labels, return_index=True)[1][labels]  # the first of each group stands for it
    groups = n + np.arange(len(hashes), dtype=np.int64)
    hashed = hashes != NO_HASH
    groups[hashed] = joined[np.searchsorted(values, hashes[hashed])]
    return groups


def _buckets(values: np.ndarray, max_distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each two blocks of bits: the hashes' order by these, and the bits in that order; equal bits are a bucket."""
    edges = np.linspace(0, 64, max_distance + 3).astype(int)
    blocks = [((1 << int(stop - start)) - 1) << int(start) for start, stop in pairwise(edges)]
    for one, two in combinations(blocks, 2):
        keys = values & np.uint64(one | two)
        order = np.argsort(keys)
        yield order, keys[order]


def _spanning_edges(values: np.ndarray, order: np.ndarray, keys: np.ndarray, max_distance: int) -> np.ndarray:
    """int64 [2, edges]: near pairs whose keys are equal, as many as join all that chains of such pairs join.

    In a bucket of many, a hash is compared with those alone that nothing has reached: where all are near each other,
    that is once for each, and not once for each pair.
    """
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    small = np.repeat(sizes <= FEW, sizes)
    pairs = _near_in_buckets(values, order[small], keys[small], max_distance)
    found = [np.stack([pairs // len(values), pairs % len(values)])]
    for start, size in zip(starts[sizes > FEW], sizes[sizes > FEW], strict=True):
        left = order[start : start + size]
        reached: list[np.ndarray] = []
        while len(left):
            if not reached:
                reached, left = [left[:1]], left[1:]
            heads = reached.pop()
            for head in heads:
                near = distances(values[left], values[head]) <= max_distance
                if near.any():
                    found.append(np.stack([np.full(int(near.sum()), head), left[near]]))
                    reached.append(left[near])
                    left = left[~near]
                if not len(left):
                    break
    return np.concatenate(found, axis=1)


def _near_in_buckets(values: np.ndarray, order: np.ndarray, keys: np.ndarray, max_distance: int) -> np.ndarray:
    """Codes ``first * n + second`` of the near pairs whose (sorted) keys are equal."""
    found = [np.zeros(0, dtype=np.int64)]
    ordered = values[order]
    here = np.arange(len(keys) - 1)
    step = 1
    while len(here):
        here = here[here + step < len(keys)]
        here = here[keys[here] == keys[here + step]]
        near = here[distances(ordered[here], ordered[here + step]) <= max_distance]
        if len(near):
            a, b = order[near], order[near + step]
            found.append(np.minimum(a, b) * len(values) + np.maximum(a, b))
        step += 1
    return np.concatenate(found)
