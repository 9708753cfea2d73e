"""Groups of photos and the guard of given splits, compared with splits made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from builders.photos import PhotoSet
from builders.splits import NO_HASH, check_given_splits, perceptual_hashes, photo_groups, split_guard
from tests.support.images import image_bytes


def picture(seed: int, quality: int = 95) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return image_bytes(Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC), "JPEG", quality=quality)


def photos() -> PhotoSet:
    """Four photos: the first, its file again, a re-saved copy of it, and another picture."""
    files = {"a": picture(1), "b": picture(1), "c": picture(1, 40), "d": picture(2)}
    made = PhotoSet.of_bytes("four", files, splits=["train", "val", "test", "test"])
    columns = {"owner": np.array(["ann", "", "", "ann"]), "scene": np.array(["", "", "s", "s"])}
    return replace(made, columns=columns)


@pytest.mark.parametrize(
    ("kinds", "straddling"),
    [(["file"], 1), (["near-duplicate"], 2), (["owner"], 1), (["scene"], 0), (["scene", "near-duplicate"], 2)],
)
def test_split_guard__counts_the_splits_that_a_group_has_too_many(kinds, straddling):
    guard = split_guard(photos(), kinds)
    assert guard is not None
    assert guard.straddling == straddling


def test_split_guard__of_nothing_reads_nothing():
    class Unreadable:
        def read(self, row: int) -> bytes:
            raise AssertionError("read")

    assert split_guard(replace(photos(), source=Unreadable()), ()) is None


def test_photo_groups__a_scene_joins_what_an_owner_does_not():
    groups = photo_groups(4, owners=["ann", "ben", "", "ben"], scenes=["x", "", "x", ""])
    assert groups.tolist() == [0, 1, 0, 1]


def test_check_given_splits__a_group_in_three_splits_counts_twice():
    guard = check_given_splits(np.array([0, 1, 2, 0]), digests=["f", "f", "f", ""])
    assert (guard.groups.tolist(), guard.straddling) == ([0, 0, 0, 1], 2)


def test_perceptual_hashes__what_cannot_be_decoded_has_none():
    made = PhotoSet.of_bytes("two", {"a": picture(1), "b": b"\xff\xd8 no picture"})
    hashes = perceptual_hashes(made, workers=1)
    assert hashes[0] != NO_HASH
    assert hashes[1] == NO_HASH
