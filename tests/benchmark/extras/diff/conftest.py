"""Oblong photos of two classes, warm and cold, and an encoder that is a small thumbnail."""

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort
from builders.photos import PhotoSet
from tests.support.images import image_bytes
from tests.support.scoring import as_rows, toy_encoder


def picture(seed: int, width: int = 120, height: int = 60) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 12, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float64)
    tint = np.array([200.0, 120, 50])[:: 1 if seed % 2 else -1]
    noisy = tint + 0.4 * (smooth - 128) + rng.normal(0, 12, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def oblong_photos() -> PhotoSet:
    files = {f"{i:02d}.jpg": image_bytes(picture(i), "JPEG", quality=92) for i in range(40)}
    return PhotoSet.of_bytes("oblong", files, ["warm" if i % 2 else "cold" for i in range(40)])


@pytest.fixture(scope="session")
def thumbnail():
    pixels = Pixels((ResizeShort(20, int(Image.Resampling.BILINEAR)), CenterCrop(20, 20)))
    record = {"steps": pixels.describe(), "mean": [0.0] * 3, "std": [1.0] * 3}
    return toy_encoder(as_rows, pixels, 1200, preprocessing=record)
