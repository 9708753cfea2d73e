"""Photo sets with a confound of known strength: for each photo a coin says whether its file gets the planted trait.

With two classes and traits at (1 +- v) / 2 the Cramer's V of label and trait is v.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import piexif
from PIL import Image

from builders.photos import PhotoSet
from tests.support.images import image_bytes

SIDE = 64


def picture(rng: np.random.Generator, side: int = SIDE) -> Image.Image:
    """Smooth noise with an edge: compresses like a photo, and no two are alike."""
    coarse = rng.integers(0, 256, (side // 8 + 1, side // 8 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    fine = rng.normal(0, 12, (side, side, 1))
    return Image.fromarray(np.clip(np.asarray(image) + fine, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 85, subsampling: str = "4:2:0", **options) -> bytes:
    return image_bytes(image, "JPEG", quality=quality, subsampling=subsampling, **options)


def exif(**tags: str) -> bytes:
    return piexif.dump({"0th": {getattr(piexif.ImageIFD, name): value.encode() for name, value in tags.items()}})


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


TRAITS: dict[str, Callable[[Image.Image, bool], bytes]] = {
    "format": lambda image, with_trait: image_bytes(image) if with_trait else jpeg(image),
    "quality": lambda image, with_trait: jpeg(image, 75 if with_trait else 90),
    "subsampling": lambda image, with_trait: jpeg(image, 85, "4:4:4" if with_trait else "4:2:0"),
    "dimensions": lambda image, with_trait: jpeg(image.crop((0, 0, 56, 64)) if with_trait else image),
    "software": lambda image, with_trait: jpeg(image, exif=exif(Software="GIMP 2.10" if with_trait else "11.4")),
    "model": lambda image, with_trait: jpeg(image, exif=exif(Make="Canon", Model="EOS 5D" if with_trait else "EOS 7D")),
    # a common re-save at quality 92 hides from every header that half of the photos had been saved at 60 before
    "earlier_quality": lambda image, with_trait: jpeg(opened(jpeg(image, 60)) if with_trait else image, 92),
}
"""The trait by the feature that shows it."""


def planted(trait: str, strength: float, photos: int, seed: int = 0, side: int = SIDE) -> PhotoSet:
    """Two classes whose files differ in one trait, with V about ``strength``."""
    rng = np.random.default_rng(seed)
    labels = np.arange(photos) % 2
    # exact shares, so that the planted V is the one asked for and not a draw of it
    with_trait = np.zeros(photos, dtype=bool)
    for label, share in ((0, (1 - strength) / 2), (1, (1 + strength) / 2)):
        members = rng.permutation(np.flatnonzero(labels == label))
        with_trait[members[: round(share * len(members))]] = True
    files = {f"{i:05d}.img": TRAITS[trait](picture(rng, side), bool(with_trait[i])) for i in range(photos)}
    return PhotoSet.of_bytes(f"planted-{trait}", files, [("real", "fake")[k] for k in labels])
