"""Images as files in memory, and back."""

import io
from typing import Any

import numpy as np
from PIL import Image


def image_bytes(image: Image.Image | np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file; ``image`` is an image or its pixels [h, w] or [h, w, 3] in uint8."""
    buffer = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(buffer, format, **options)
    return buffer.getvalue()


def image_pixels(data: bytes, mode: str = "RGB") -> np.ndarray:
    """The pixels of an image file in uint8: [h, w, 3], or [h, w] for mode "L"."""
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def ppm(seed: int, height: int = 24, width: int = 32) -> bytes:
    """Noise in a format that is read without decoding."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return b"P6 %d %d 255\n" % (width, height) + pixels.tobytes()


def mean_colour(image: Image.Image) -> np.ndarray:
    """A preprocessing that yields three numbers."""
    return np.asarray(image, dtype=np.float32).mean((0, 1))
