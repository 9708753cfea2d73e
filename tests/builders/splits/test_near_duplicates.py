"""Perceptual hash: copies are near and other photos far; the search equals a brute-force loop."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from builders.errors import PhotoError
from builders.splits import NO_HASH, near_duplicate_groups, near_pairs, photo_hash, small_photo
from builders.splits.near_duplicates import MAX_DISTANCE, distances, perceptual_hash
from tests.support.images import image_bytes


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Soft random shapes: structure at low frequencies, as photos have."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def jpeg(image: Image.Image, quality: int = 90, **options: object) -> bytes:
    return image_bytes(image, "JPEG", quality=quality, **options)


def bits(first: int, second: int) -> int:
    return bin(first ^ second).count("1")


@pytest.mark.parametrize("seed", range(5))
def test_perceptual_hash__copies_are_near(seed):
    photo = scene(seed)
    changed = perceptual_hash(photo)
    copies = {
        "q30": Image.open(io.BytesIO(jpeg(photo, 30))),
        "half": photo.resize((160, 120)),
        "stretched": photo.resize((300, 300)),
        "grey": photo.convert("L"),
        "soft": photo.filter(ImageFilter.GaussianBlur(1)),
        "darker": photo.point(lambda v: v * 4 // 5),
    }
    assert {
        name: bits(changed, perceptual_hash(copy)) <= MAX_DISTANCE for name, copy in copies.items()
    } == dict.fromkeys(copies, True)


def test_perceptual_hash__others_are_far():
    hashes = np.array([perceptual_hash(scene(seed)) for seed in range(60)], dtype=np.uint64)
    between = distances(hashes[:, None], hashes[None, :])[np.triu_indices(60, 1)]
    assert between.min() > 2 * MAX_DISTANCE
    assert 29 < between.mean() < 33


def test_perceptual_hash__mirror_image_is_another_picture():
    photo = scene(3)
    assert bits(perceptual_hash(photo), perceptual_hash(photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))) > 10


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "1", "RGBA"])
def test_perceptual_hash__flat_has_none(mode):
    assert perceptual_hash(Image.new(mode, (50, 40))) == NO_HASH


def test_photo_hash__small_decoding_and_orientation_do_not_matter():
    photo = scene(7, (1040, 780))
    changed = perceptual_hash(photo)
    assert bits(photo_hash(jpeg(photo)), changed) <= 2
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned by 90 degrees
    assert bits(photo_hash(jpeg(photo.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())), changed) <= 2
    assert photo_hash(image_bytes(photo, "PNG")) == changed


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 not a photo", jpeg(scene(1))[:3000]])
def test_photo_hash__what_cannot_be_decoded_is_a_photo_error(data):
    with pytest.raises(PhotoError):
        photo_hash(data)


def test_distances__against_python():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**64 - 1, (2, 1000), dtype=np.uint64)
    assert distances(a, b).tolist() == [bits(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    assert distances(np.uint64(0), np.uint64(2**64 - 1)) == 64


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 10))
def test_near_pairs__equals_brute_force(seed, max_distance):
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**63, 12, dtype=np.uint64)
    hashes = np.repeat(centres, 12)
    for _ in range(6):  # up to six flipped bits around each centre
        flips = np.uint64(1) << rng.integers(0, 64, len(hashes)).astype(np.uint64)
        hashes = np.where(rng.random(len(hashes)) < 0.6, hashes ^ flips, hashes)
    result = near_pairs(hashes, max_distance)
    values = sorted({int(h) for h in hashes} - {NO_HASH})
    expected = {
        (i, j)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if bits(values[i], values[j]) <= max_distance
    }
    assert result.values.tolist() == values
    assert set(zip(result.first.tolist(), result.second.tolist(), strict=True)) == expected
    assert len(result.first) == len(expected)  # each once


def test_near_duplicate_groups__chains_join_and_flat_photos_stand_alone():
    base = 0x123456789ABCDEF0
    hashes = np.array([base, NO_HASH, base ^ 0b1111, base ^ 0b11111111, NO_HASH, ~base & (2**64 - 1)], dtype=np.uint64)
    groups = near_duplicate_groups(hashes, 4)
    assert groups[0] == groups[2] == groups[3]  # 0 and 3 differ in 8 bits, 2 lies between them
    assert len({int(groups[i]) for i in (0, 1, 4, 5)}) == 4


@pytest.mark.parametrize("hashes", [[], [5], [0, 0, 0]])
def test_near_duplicate_groups__few_photos(hashes):
    groups = near_duplicate_groups(np.array(hashes, dtype=np.uint64))
    assert len(set(groups.tolist())) == len(hashes)


def test_near_pairs__distance_out_of_range():
    with pytest.raises(ValueError, match="0 to 10"):
        near_pairs(np.zeros(3, dtype=np.uint64), 11)


def brute_groups(hashes, max_distance):
    """By joining every near pair, one at a time."""
    group = list(range(len(hashes)))
    for i in range(len(hashes)):
        for j in range(i):
            if hashes[i] and hashes[j] and bin(int(hashes[i]) ^ int(hashes[j])).count("1") <= max_distance:
                old, new = group[i], group[j]
                group = [new if g == old else g for g in group]
    return group


def partition(groups):
    members = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    return sorted(members.values())


@pytest.mark.parametrize("spread", [3, 8, 20])
@pytest.mark.parametrize("few", [0, 2, 32])
def test_near_duplicate_groups__equals_brute_force_in_crowded_buckets(monkeypatch, spread, few):
    """Clouds of hashes around three centres, most of whose bits are equal: chains and buckets of many."""
    monkeypatch.setattr("builders.splits.near_duplicates.FEW", few)
    rng = np.random.default_rng(spread)
    hashes = []
    for centre in rng.integers(1, 2**62, 3):
        for _ in range(40):
            bits = rng.choice(spread, size=rng.integers(0, min(spread, 6) + 1), replace=False)
            hashes.append(int(centre) ^ sum(1 << int(bit) for bit in bits))
    hashes = np.array([*hashes, *hashes[:5], 0, 0], dtype=np.uint64)
    for distance in (1, 2, 4):
        assert partition(near_duplicate_groups(hashes, distance)) == partition(brute_groups(hashes, distance))


def plain_hash(pixels):
    """pHash by its definition: cosine sums, the signs about the median of 63 coefficients, first coefficient off."""
    n = np.arange(32)
    cosines = np.cos(np.pi * (2 * n[None, :] + 1) * np.arange(8)[:, None] / 64) * np.sqrt(2 / 32)
    cosines[0] /= np.sqrt(2)
    low = (cosines @ pixels @ cosines.T).ravel().round(6)
    return int("".join("01"[int(i > 0 and value > np.median(low[1:]))] for i, value in enumerate(low)), 2)


@pytest.mark.parametrize("seed", range(5))
def test_perceptual_hash__by_its_definition(seed):
    grey = scene(seed).convert("L").resize((32, 32), Image.Resampling.BOX)
    assert perceptual_hash(grey) == plain_hash(np.asarray(grey, dtype=float))
    assert perceptual_hash(Image.fromarray(255 - np.asarray(grey))) == plain_hash(255.0 - np.asarray(grey))


def test_perceptual_hash__of_steps_as_flat_as_the_limit():
    """Half of the picture 4 grey values lighter: their deviation is 2, at which a picture is not flat yet."""
    steps = [np.where(np.arange(32)[None, :] < 16, 100, 100 + step).repeat(32, 0).astype(np.uint8) for step in (3, 4)]
    assert [perceptual_hash(Image.fromarray(picture)) == NO_HASH for picture in steps] == [True, False]


@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
def test_small_photo__other_formats_are_decoded_as_photos_are(mode):
    picture = image_bytes(scene(2).convert(mode), "PNG")
    assert (small_photo(picture).mode, small_photo(picture).size) == ("RGB", (320, 240))
    large = jpeg(scene(2, (1040, 780)))
    assert (small_photo(large).mode, small_photo(large).size) == ("L", (260, 195))
    assert (small_photo(large, "RGB", 390).mode, small_photo(large, "RGB", 390).size) == ("RGB", (520, 390))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_small_photo__is_upright_with_and_without_a_reduced_size(orientation):
    picture, exif = scene(2, (640, 480)), Image.Exif()
    exif[0x0112] = orientation
    data = image_bytes(picture, "JPEG", exif=exif)
    for side, scale in ((128, 2), (640, 1)):
        small = small_photo(data, "RGB", side)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        assert small.size == (upright.width // scale, upright.height // scale)
        by_hand = np.asarray(upright.resize(small.size, Image.Resampling.BOX), dtype=float)
        assert abs(np.asarray(small.convert("RGB"), dtype=float) - by_hand).mean() < 3


def test_near_pairs__a_photo_without_a_hash_is_near_none():
    pairs = near_pairs(np.array([NO_HASH, 1, 3, NO_HASH], dtype=np.uint64))
    assert pairs.values.tolist() == [1, 3]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [1])
