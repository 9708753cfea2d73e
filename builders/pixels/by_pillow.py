"""A processing by Pillow alone: the definition, and the reference of every engine."""

from __future__ import annotations

import io

from PIL import Image, ImageEnhance

from builders.errors import PhotoError
from builders.pixels.engine.request import Request
from builders.pixels.parameters import Processing, random_scale


def process_by_pillow(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """``process`` by Pillow alone: the definition, and the reference of every engine."""
    return decode_jpeg(encode(image, processing, photo_id, seed))


def request(processing: Processing, size: tuple[int, int], photo_id: str, seed: int) -> Request:
    """A processing of a photo of this (width, height), with its random scale decided."""
    scale = random_scale(photo_id, seed) if processing.scale is None else processing.scale
    target = size if scale == 1 else (int(size[0] * scale), int(size[1] * scale))
    return Request(processing.quality, processing.subsampling, processing.sharpness, target, int(processing.resample))


def encode(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> bytes:
    """The JPEG file of ``image`` after ``processing``. Arguments and errors as in ``process``."""
    transformed = image
    if processing.sharpness != 1:
        transformed = ImageEnhance.Sharpness(transformed).enhance(processing.sharpness)
    scale = random_scale(photo_id, seed) if processing.scale is None else processing.scale
    if scale != 1:
        size = (int(image.width * scale), int(image.height * scale))
        if min(size) < 1:
            raise PhotoError(f"{image.width} x {image.height} resized by {scale:g} leaves no pixel")
        transformed = transformed.resize(size, processing.resample)
    return encode_jpeg(transformed, processing.quality, processing.subsampling)


def encode_jpeg(image: Image.Image, quality: int, subsampling: str) -> bytes:
    """A baseline JPEG file of an RGB image, without any metadata."""
    buffer = io.BytesIO()
    clean = image if not image.info else Image.frombytes("RGB", image.size, image.tobytes())
    try:
        clean.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    except (OSError, ValueError) as error:
        raise PhotoError(f"{image.width} x {image.height} cannot be saved as JPEG ({error})") from None
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> Image.Image:
    """The RGB pixels of a JPEG file that this module made."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
