"""Near-duplicates: a perceptual hash (DCT) of a picture, and exact search for near pairs among very many hashes.

The hash is pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010): signs of the
low-frequency DCT coefficients about their median. It survives recompression, resizing and mild edits, not cropping
(``builders.splits.variants``).
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

from builders.pixels import check_work, decode_rgb, strict_pillow

MAX_DISTANCE = 4
"""Default threshold in bits: re-saved and resized copies differ in 0 to 4 of 63 bits, unrelated photos in 31 +- 4.
Distances are nearly always even, because every hash has about as many ones as zeros."""

FLAT_DEVIATION = 2.0
"""Pictures whose 32 x 32 grey values (0 to 255) have a smaller standard deviation get ``NO_HASH``."""

NO_HASH = 0
"""The hash of a picture without structure, or of no picture. It has no near-duplicates."""

FEW = 32
"""Largest bucket of hashes in which all pairs are compared."""

SIDE = 32
"""Pixels of each side of the grey picture that is transformed."""

_LOW = 8


@dataclass(frozen=True)
class NearPairs:
    """Pairs of near-equal hashes, each pair once."""

    values: np.ndarray
    """uint64, the distinct hashes, sorted, without ``NO_HASH``."""
    first: np.ndarray
    """int64 [pairs], position in ``values`` of the first hash of each pair."""
    second: np.ndarray
    """int64 [pairs], position in ``values`` of the second hash; ``first < second``."""


def perceptual_hash(image: Image.Image) -> int:
    """The perceptual hash of a picture of any mode and size: 63 bits, or ``NO_HASH`` if it is flat.

    >>> photo = Image.linear_gradient("L").rotate(30)
    >>> bin(perceptual_hash(photo) ^ perceptual_hash(photo.resize((90, 70)))).count("1") <= MAX_DISTANCE
    True
    """
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, dtype=np.float64)
    return NO_HASH if pixels.std() < FLAT_DEVIATION else int(hashes_of_coefficients(low_frequencies(pixels)))


def low_frequencies(pixels: np.ndarray) -> np.ndarray:
    """The 8 x 8 lowest coefficients of the orthonormal DCT-II of pictures: float64 [..., SIDE, SIDE] -> [..., 8, 8]."""
    transformed: np.ndarray = dctn(pixels, axes=(-2, -1), norm="ortho")
    return transformed[..., :_LOW, :_LOW]


def hashes_of_coefficients(low: np.ndarray) -> np.ndarray:
    """uint64 [...]: which of the coefficients [..., 8, 8] lie above their median, without the first."""
    # rounded, so that a coefficient that is zero by symmetry has no random sign
    low = np.round(low.reshape(*low.shape[:-2], _LOW * _LOW), 6)
    bits = low > np.median(low[..., 1:], axis=-1, keepdims=True)
    bits[..., 0] = False  # mean brightness does not depend on content
    return np.packbits(bits, axis=-1).view(">u8")[..., 0].astype(np.uint64)


def photo_hash(data: bytes) -> int:
    """``perceptual_hash`` of a photo file, turned upright.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    return perceptual_hash(small_photo(data))


def small_photo(data: bytes, mode: str = "L", side: int = 4 * SIDE) -> Image.Image:
    """A photo file turned upright, of any size: JPEGs are decoded at a reduced size if that is enough.

    Args:
        data: the file.
        mode: ``L`` or ``RGB`` for JPEGs; other files are RGB.
        side: pixels of each side that are enough, where the photo has them. By default those of a perceptual hash.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    if data[:2] != b"\xff\xd8":
        return decode_rgb(data)
    try:
        with warnings.catch_warnings(), strict_pillow():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            check_work(image, data)
            image.draft(mode, (side, side))
            upright = ImageOps.exif_transpose(image)
            upright.load()
            return upright
    except Exception:  # the error of decode_rgb names the reason in one sentence
        return decode_rgb(data)


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Number of differing bits of two uint64 arrays, elementwise: uint8, 0 to 64 (population count by halves)."""
    x = np.asarray(first ^ second)
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    with np.errstate(over="ignore"):  # the product wraps on purpose; numpy warns for scalars
        return ((x * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


def near_pairs(hashes: np.ndarray, max_distance: int = MAX_DISTANCE) -> NearPairs:
    """All pairs of distinct hashes that differ in at most ``max_distance`` bits, exactly.

    Multi-index hashing (Norouzi et al., CVPR 2012): the 64 bits are cut into ``max_distance + 2`` blocks. Two hashes
    within the distance agree in at least two blocks, so only hashes that agree in some pair of blocks are compared: for
    500,000 photos 6 million comparisons instead of 125 billion, if the hashes are spread evenly.

    Args:
        hashes: uint64 [photos].
        max_distance: 0 to 10 bits.
    """
    if not 0 <= max_distance <= 10:
        raise ValueError(f"max_distance must be 0 to 10 bits, not {max_distance}")
    values = np.unique(np.asarray(hashes, dtype=np.uint64))
    values = values[values != NO_HASH]
    buckets = _buckets(values, max_distance)
    codes = np.unique(np.concatenate([_near_in_buckets(values, *bucket, max_distance) for bucket in buckets]))
    return NearPairs(values, codes // len(values), codes % len(values))


def near_duplicate_groups(hashes: np.ndarray, max_distance: int = MAX_DISTANCE) -> np.ndarray:
    """Group numbers: int64 [photos]. Chains of near-duplicates are one group; ``NO_HASH`` joins no group."""
    from scipy.sparse import coo_array  # 0.1 s to import, and few runs need it
    from scipy.sparse.csgraph import connected_components

    hashes = np.asarray(hashes, dtype=np.uint64)
    values = np.unique(hashes[hashes != NO_HASH])
    n = len(values)
    joined = np.arange(n, dtype=np.int64)
    for order, keys in _buckets(values, max_distance) if n else ():
        edges = _spanning_edges(values, order, keys, max_distance)
        links = np.concatenate([edges, np.stack([np.arange(n), joined])], axis=1)
        graph = coo_array((np.ones(links.shape[1], dtype=bool), (links[0], links[1])), shape=(n, n))
        labels = connected_components(graph)[1]
        joined = np.unique(labels, return_index=True)[1][labels]  # the first hash of each group represents it
    groups = n + np.arange(len(hashes), dtype=np.int64)
    hashed = hashes != NO_HASH
    groups[hashed] = joined[np.searchsorted(values, hashes[hashed])]
    return groups


def _buckets(values: np.ndarray, max_distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each pair of blocks of bits: the order of the hashes by these bits, and the bits in this order."""
    edges = np.linspace(0, 64, max_distance + 3).astype(int)
    blocks = [((1 << int(stop - start)) - 1) << int(start) for start, stop in pairwise(edges)]
    for first, second in combinations(blocks, 2):
        keys = values & np.uint64(first | second)
        order = np.argsort(keys)
        yield order, keys[order]


def _spanning_edges(values: np.ndarray, order: np.ndarray, keys: np.ndarray, max_distance: int) -> np.ndarray:
    """int64 [2, edges]: near pairs of equal keys, enough of them to join all hashes that chains of near pairs join.

    In a large bucket, a hash is compared only with hashes that are not joined yet. If all are near each other, that is
    one comparison per hash, not one per pair.
    """
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    sizes = np.diff(np.r_[starts, len(keys)])
    small = np.repeat(sizes <= FEW, sizes)
    pairs = _near_in_buckets(values, order[small], keys[small], max_distance)
    edges = [np.stack([pairs // len(values), pairs % len(values)])]
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
                    edges.append(np.stack([np.full(int(near.sum()), head), left[near]]))
                    reached.append(left[near])
                    left = left[~near]
                if not len(left):
                    break
    return np.concatenate(edges, axis=1)


def _near_in_buckets(values: np.ndarray, order: np.ndarray, keys: np.ndarray, max_distance: int) -> np.ndarray:
    """Codes ``first * n + second`` of the near pairs whose (sorted) keys are equal."""
    codes = [np.zeros(0, dtype=np.int64)]
    ordered = values[order]
    here = np.arange(len(keys) - 1)
    step = 1
    while len(here):
        here = here[here + step < len(keys)]
        here = here[keys[here] == keys[here + step]]
        near = here[distances(ordered[here], ordered[here + step]) <= max_distance]
        if len(near):
            a, b = order[near], order[near + step]
            codes.append(np.minimum(a, b) * len(values) + np.maximum(a, b))
        step += 1
    return np.concatenate(codes)
