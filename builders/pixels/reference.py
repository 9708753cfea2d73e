"""Processings by Pillow: the definition, and the reference of every engine."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageEnhance, features
from PIL import __version__ as pillow_version

from builders.errors import PhotoError
from builders.pixels.parameters import (
    ALL_PROCESSINGS,
    PROCESSINGS,
    STUDY_PROCESSINGS,
    Processing,
    Subsampling,
    random_scale,
)
from builders.pixels.requests import EngineRequest
from builders.untrusted import first_line


def process_by_pillow(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """``process`` by Pillow alone."""
    return open_processed(processed_file(image, processing, photo_id, seed))


def request(processing: Processing, size: tuple[int, int], photo_id: str, seed: int) -> EngineRequest:
    """A processing of a photo of this (width, height) as a request to an engine, with its random scale."""
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
    """The pixels of a file of ``processed_file``: RGB, as Pillow opens it."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _saved(image: Image.Image, processing: Processing) -> bytes:
    buffer = io.BytesIO()
    image.load()
    clean = image._new(image.im)  # the same pixels, not copied; Pillow would write the metadata in `info`
    clean.info = {}
    try:
        clean.save(buffer, **processing.saving)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError) as error:  # KeyError: a format that this Pillow cannot write
        what = f"{image.width} x {image.height} cannot be saved as {processing.file_format}"
        raise PhotoError(f"{what} ({first_line(error)})") from None
    return buffer.getvalue()


def codec_versions() -> dict[str, str]:
    """Versions of the libraries that determine the pixels of processings: Pillow, and the codec of each file format."""
    others = {p.file_format.lower() for p in PROCESSINGS.values()} - {"jpeg"}
    return {
        "pillow": pillow_version,
        "libjpeg_turbo": features.version("libjpeg_turbo") or "absent",
        "jpeg": features.version("jpg") or "absent",
        **{name: features.version(name) or "absent" for name in sorted(others & {*features.modules})},
    }


def codec_canary(processings: Iterable[str] = ()) -> str:
    """A hash of a small picture after the study's 14 processings by the codecs of this machine.

    Two results are comparable only if their canaries agree, so other entries of ``ALL_PROCESSINGS`` do not change it.
    The picture is tall enough to show the order of the two passes of a resize, and odd-sized to show the padding of the
    codec.

    Args:
        processings: names of the processings in use. If some are outside the study, they may need other codecs: a
            second hash, of these alone, is appended. A key or recipe with the canary stays complete.

    >>> codec_canary(["jpeg-q75-420"]) == codec_canary()
    True
    """
    others = tuple(name for name in processings if name not in STUDY_PROCESSINGS)
    return "-".join(_hash_of(names) for names in (STUDY_PROCESSINGS, others) if names)


@functools.cache
def _hash_of(processings: tuple[str, ...]) -> str:
    y, x = np.mgrid[0:83, 0:37]
    noise = np.frombuffer(hashlib.shake_256(b"camtrace canary").digest(83 * 37 * 3), np.uint8).reshape(83, 37, 3)
    ramp = np.stack([x * 255 // 36, y * 255 // 82, (x * y) % 256], axis=-1)
    picture = Image.fromarray(np.where((x + y)[..., None] % 5 == 0, noise, ramp).astype(np.uint8))
    digest = hashlib.sha256()
    for name in processings:
        result = process_by_pillow(picture, ALL_PROCESSINGS[name], "canary")
        digest.update(f"{name} {result.size}".encode())
        digest.update(result.tobytes())
    return digest.hexdigest()[:16]
