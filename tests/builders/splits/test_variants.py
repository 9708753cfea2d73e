"""Hashes of variants equal those of pictures that were really turned and cropped; planted copies are recognised."""

import functools

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from builders.splits import VARIANTS, photo_groups, photo_variants
from builders.splits.near_duplicates import perceptual_hash
from builders.splits.variants import CROPS, ORIENTATIONS, variant_hashes
from tests.support.images import image_bytes


def scene(seed, size=(160, 120)):
    """A smooth picture with structure at several scales, as photos have."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((size[1], size[0], 3))
    for cells in (3, 6, 12, 40):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += np.asarray(noise.resize(size, Image.Resampling.BICUBIC), dtype=float) / cells**0.5
    return Image.fromarray(np.uint8(255 * (pixels - pixels.min()) / np.ptp(pixels)))


def jpeg(image, quality=90):
    return image_bytes(image.convert("RGB"), "JPEG", quality=quality)


TURNS = [None, *(Image.Transpose(i) for i in range(7))]


def test_variant_hashes__orientations_are_those_of_turned_pictures():
    image = scene(1, (64, 64)).convert("L")
    expected = {perceptual_hash(image if turn is None else image.transpose(turn)) for turn in TURNS}
    assert len(expected) == ORIENTATIONS
    hashes = variant_hashes(image)
    assert hashes.shape == (VARIANTS,)
    assert set(hashes[:ORIENTATIONS].tolist()) == expected
    assert hashes[0] == perceptual_hash(image)


def test_variant_hashes__crops_are_those_of_cropped_pictures():
    image = scene(2, (200, 160))
    hashes = variant_hashes(image)
    for i, share in enumerate(CROPS):
        half = (image.width * share / 2, image.height * share / 2)
        cropped = image.crop((100 - half[0], 80 - half[1], 100 + half[0], 80 + half[1]))
        assert hashes[ORIENTATIONS * i] == perceptual_hash(cropped)
    framed = ImageOps.expand(image, 20, "white")
    assert variant_hashes(framed)[-ORIENTATIONS] == perceptual_hash(image)
    assert hashes[-ORIENTATIONS] == hashes[0]


def cropped(share):
    def crop(image):
        x, y = image.width * (1 - share) / 2, image.height * (1 - share) / 2
        return image.crop((round(x), round(y), round(image.width - x), round(image.height - y)))

    return crop


COPIES = {
    "same pixels": (lambda image: image, 40),
    "quality 60": (lambda image: image, 40),
    "half size": (lambda image: image.resize((image.width // 2, image.height // 2)), 40),
    "grey": (lambda image: image.convert("L"), 38),
    "brighter": (ImageEnhance.Brightness, 36),
    "crop to 90 %": (cropped(0.9), 38),
    "mirrored": (ImageOps.mirror, 40),
    "turned by 90 degrees": (lambda image: image.transpose(Image.Transpose.ROTATE_90), 40),
    "white border": (lambda image: ImageOps.expand(image, image.width // 10, "white"), 38),
}


@functools.cache
def variants_of_pictures():
    return [photo_variants(jpeg(scene(i))) for i in range(40)]


@pytest.mark.parametrize("kind", COPIES)
def test_photo_groups__planted_copies_join_their_originals_and_nothing_else(kind):
    """40 copies among 400 pictures: how many are recognised depends on the kind; none joins another picture."""
    change, least = COPIES[kind]
    if change is ImageEnhance.Brightness:
        change = lambda image: ImageEnhance.Brightness(image).enhance(1.2)  # noqa: E731
    copies = [jpeg(change(scene(i)), 60 if kind == "quality 60" else 90) for i in range(40)]
    hashes = np.stack([*variants_of_pictures(), *map(photo_variants, copies)])
    groups = photo_groups(80, hashes=hashes)
    assert (groups[:40] == np.arange(40)).all()
    recognised = groups[40:] == groups[:40]
    assert recognised.sum() >= least
    assert (groups[40:][~recognised] >= 40).all()
