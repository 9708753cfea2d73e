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
from builders.pixels.codecs import format_versions, registered
from builders.pixels.edits import edited, size_of_resize
from builders.pixels.parameters import (
    ALL_PROCESSINGS,
    PROCESSINGS,
    STUDY_PROCESSINGS,
)
from builders.pixels.processing import Processing, Subsampling
from builders.pixels.requests import EngineRequest
from builders.pixels.strict import strict_pillow
from builders.untrusted import first_line


def process_by_pillow(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """``process`` by Pillow alone."""
    return open_processed(processed_file(image, processing, photo_id, seed))


def request(processing: Processing, size: tuple[int, int], photo_id: str, seed: int) -> EngineRequest:
    """The last stage of a processing, without its edits, as a request to an engine, with the photo's random numbers.

    Args:
        processing: of which ``edits`` and ``before`` are done already.
        size: (width, height) of the picture.
        photo_id: decides random numbers.
        seed: of random numbers.
    """
    drawn = processing.drawn(photo_id, seed)
    assert drawn.scale is not None
    resized = (int(size[0] * drawn.scale), int(size[1] * drawn.scale)) if drawn.fit is None else drawn.fit.size(size)
    return EngineRequest(
        drawn.quality,
        drawn.subsampling,
        drawn.sharpness,
        resized if drawn.resizes else size,
        int(drawn.resample),
        baseline_jpeg=drawn.is_plain_jpeg,
    )


def processed_file(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> bytes:
    """The file of ``image`` after ``processing``, without any metadata. Arguments and errors as in ``process``."""
    drawn = processing.drawn(photo_id, seed)
    for stage in drawn.before:
        image = open_processed(file_of_stage(image, stage))
    return file_of_stage(image, drawn)


def file_of_stage(image: Image.Image, stage: Processing) -> bytes:
    """The file of the last stage of a processing whose numbers are drawn, after its edits. Errors as in ``process``."""
    for edit in stage.edits:
        image = edited(image, edit)
    if stage.sharpness != 1:
        image = ImageEnhance.Sharpness(image).enhance(stage.sharpness)
    if stage.resizes:
        size = size_of_resize(image.size, stage.scale or 1.0, stage.fit)
        image = image.resize(size, stage.resample) if size != image.size else image
    return _saved(image, stage)


def encode_jpeg(image: Image.Image, quality: int, subsampling: Subsampling) -> bytes:
    """A baseline JPEG file of an RGB image, without any metadata."""
    return _saved(image, Processing("", quality, subsampling))


def open_processed(data: bytes) -> Image.Image:
    """The pixels of a file of ``processed_file``: RGB, as Pillow opens it."""
    with strict_pillow():
        image = Image.open(io.BytesIO(data))
        image.load()
    return image


def _saved(image: Image.Image, processing: Processing) -> bytes:
    registered(processing.file_format)
    buffer = io.BytesIO()
    image.load()
    clean = image._new(image.im)  # the same pixels, not copied; Pillow would write the metadata in `info`
    clean.info = {}
    try:
        clean.save(buffer, **processing.saving)
    except (OSError, ValueError, KeyError) as error:  # KeyError: a format that this Pillow cannot write
        what = f"{image.width} x {image.height} cannot be saved as {processing.file_format}"
        raise PhotoError(f"{what} ({first_line(error)})") from None
    return buffer.getvalue()


def codec_versions() -> dict[str, str]:
    """Versions of the libraries that determine the pixels of processings: Pillow, and the codec of each file format."""
    formats = {file_format for p in PROCESSINGS.values() for file_format in p.formats} - {"JPEG"}
    return {
        "pillow": pillow_version,
        "libjpeg_turbo": features.version("libjpeg_turbo") or "absent",
        "jpeg": features.version("jpg") or "absent",
        **format_versions(formats),
    }


def codec_canary(processings: Iterable[str | Processing] = ()) -> str:
    """A hash of a small picture after the study's 14 processings by the codecs of this machine.

    Two results are comparable only if their canaries agree, so other entries of ``ALL_PROCESSINGS`` do not change it.
    The picture is tall enough to show the order of the two passes of a resize, and odd-sized to show the padding of the
    codec.

    Args:
        processings: the processings in use, or their names. If some are outside the study, they may need other
            codecs: a second hash, of these alone and of the versions of these codecs, is appended. A key or recipe with
            the canary stays complete.

    >>> codec_canary(["jpeg-q75-420"]) == codec_canary()
    True
    """
    values = [ALL_PROCESSINGS[p] if isinstance(p, str) else p for p in processings]
    others = tuple(processing for processing in values if processing.name not in STUDY_PROCESSINGS)
    study = tuple(ALL_PROCESSINGS[name] for name in STUDY_PROCESSINGS)
    return "-".join(_hash_of(each) for each in (study, others) if each)


@functools.cache
def _hash_of(processings: tuple[Processing, ...]) -> str:
    y, x = np.mgrid[0:83, 0:37]
    noise = np.frombuffer(hashlib.shake_256(b"camtrace canary").digest(83 * 37 * 3), np.uint8).reshape(83, 37, 3)
    ramp = np.stack([x * 255 // 36, y * 255 // 82, (x * y) % 256], axis=-1)
    picture = Image.fromarray(np.where((x + y)[..., None] % 5 == 0, noise, ramp).astype(np.uint8))
    digest = hashlib.sha256()
    for processing in processings:
        if "edits" in (key := processing.key()) or "before" in key or processing.formats != {"JPEG"}:
            digest.update(repr(format_versions(processing.formats)).encode())
        try:
            result = process_by_pillow(picture, processing, "canary")
        except PhotoError as error:  # a crop that leaves nothing of so small a picture
            digest.update(f"{processing.name} {error}".encode())
            continue
        digest.update(f"{processing.name} {result.size}".encode())
        digest.update(result.tobytes())
    return digest.hexdigest()[:16]
