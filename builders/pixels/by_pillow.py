"""A processing by Pillow alone: the definition, and the reference of every engine."""

from __future__ import annotations

import io

from PIL import Image, ImageEnhance

from builders.errors import PhotoError
from builders.outside import readable_line
from builders.pixels.engine.request import EngineRequest
from builders.pixels.parameters import Processing, Subsampling, random_scale


def process_by_pillow(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """``process`` by Pillow alone: the definition, and the reference of every engine."""
    return open_processed(processed_file(image, processing, photo_id, seed))


def request(processing: Processing, size: tuple[int, int], photo_id: str, seed: int) -> EngineRequest:
    """A processing of a photo of this (width, height), with its random scale decided."""
    scale = random_scale(photo_id, seed) if processing.scale is None else processing.scale
    return EngineRequest(
        processing.quality,
        processing.subsampling,
        processing.sharpness,
        size if scale == 1 else (int(size[0] * scale), int(size[1] * scale)),
        int(processing.resample),
        baseline_jpeg=processing.file_format == "JPEG" and not processing.options,
    )


def processed_file(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> bytes:
    """The file of ``image`` after ``processing``, without any metadata. Arguments and errors as in ``process``."""
    transformed = image
    if processing.sharpness != 1:
        transformed = ImageEnhance.Sharpness(transformed).enhance(processing.sharpness)
    scale = random_scale(photo_id, seed) if processing.scale is None else processing.scale
    if scale != 1:
        size = (int(image.width * scale), int(image.height * scale))
        if min(size) < 1:
            raise PhotoError(f"{image.width} x {image.height} resized by {scale:g} leaves no pixel")
        transformed = transformed.resize(size, processing.resample)
    return _saved(transformed, processing)


def encode_jpeg(image: Image.Image, quality: int, subsampling: Subsampling) -> bytes:
    """A baseline JPEG file of an RGB image, without any metadata."""
    return _saved(image, Processing("", quality, subsampling))


def open_processed(data: bytes) -> Image.Image:
    """The pixels of a file that ``processed_file`` made: RGB, as Pillow opens it."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _saved(image: Image.Image, processing: Processing) -> bytes:
    buffer = io.BytesIO()
    image.load()
    clean = image._new(image.im)  # the same pixels, not copied; Pillow writes what `info` says of the source
    clean.info = {}
    try:
        clean.save(buffer, **processing.saving)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError) as error:  # KeyError: a format that this Pillow cannot write
        what = f"{image.width} x {image.height} cannot be saved as {processing.file_format}"
        raise PhotoError(f"{what} ({readable_line(error)})") from None
    return buffer.getvalue()
