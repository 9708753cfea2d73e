"""Groups of photos and the guard of given splits, compared with splits made by hand."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from builders.photos import PhotoSet
from builders.splits import NO_HASH, check_given_splits, fingerprints, near_duplicate_column, photo_groups
from tests.support.images import image_bytes


def picture(seed: int, quality: int = 95) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return image_bytes(Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC), "JPEG", quality=quality)


def test_photo_groups__a_scene_joins_what_an_owner_does_not():
    groups = photo_groups(4, owners=["ann", "ben", "", "ben"], scenes=["x", "", "x", ""])
    assert groups.tolist() == [0, 1, 0, 1]


def test_check_given_splits__a_group_in_three_splits_counts_twice():
    guard = check_given_splits(np.array([0, 1, 2, 0]), digests=["f", "f", "f", ""])
    assert (guard.groups.tolist(), guard.straddling) == ([0, 0, 0, 1], 2)


def test_fingerprints__what_cannot_be_decoded_has_a_digest_alone():
    made = PhotoSet.of_bytes("two", {"a": picture(1), "b": b"\xff\xd8 no picture"})
    known = fingerprints(made, workers=1)
    assert (known.hashes[0, :-1] != NO_HASH).all()
    assert (known.hashes[1] == NO_HASH).all()
    assert known.digests == tuple(hashlib.sha256(made.read(i)).hexdigest() for i in range(2))


def test_photo_groups__any_variant_joins():
    hashes = np.array([[1 << 40, 1 << 41], [7 << 20, (1 << 41) + 3], [2**64 - 2, NO_HASH]], dtype=np.uint64)
    assert photo_groups(3, hashes=hashes).tolist() == [0, 0, 1]


def test_near_duplicate_column__names_the_first_of_each_group_and_only_groups() -> None:
    hashes = np.array([1 << 60, NO_HASH, 0xFF00FF, 1 << 60, 0xFF00FE, NO_HASH], dtype=np.uint64)
    column = near_duplicate_column(list("abcdef"), hashes)["near_duplicates"]
    assert column.tolist() == ["a", "", "c", "a", "c", ""]
    assert near_duplicate_column(list("ab"), np.array([NO_HASH, NO_HASH], dtype=np.uint64)) == {}
    same_file = near_duplicate_column(list("ab"), np.array([NO_HASH, NO_HASH], dtype=np.uint64), ["x", "x"])
    assert same_file["near_duplicates"].tolist() == ["a", "a"]
