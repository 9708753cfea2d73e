"""The 14 processings and the 4 parameters whose classes they are.

A processing takes a decoded RGB photo and ends in a JPEG encode, so its result is a file: ``encode`` gives the bytes
(what a built data set stores), ``process`` the pixels (what an encoder sees), and the second is always the decoded
first. Definitions: Ramos et al., "Processing and acquisition traces in visual encoders", ICCV 2025, section 3.

Pixels come from Pillow, or from an engine that makes the same ones faster (``builders/pixels/engine/selection.py``).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np
from PIL import Image, ImageEnhance, features
from PIL import __version__ as pillow_version

from builders.errors import PhotoError
from builders.pixels.engine.request import Request
from builders.pixels.engine.selection import engine

Subsampling = Literal["4:2:0", "4:4:4"]

Planner = Callable[[int, int], Callable[[Image.Image], np.ndarray]]
"""(width, height) of a processed photo -> what is done to it, see ``preprocess_all``."""

Views = np.ndarray | list[np.ndarray]
"""The views of one photo after one preprocessing: one array where all were made in one size by an engine, or a list."""

SCALE_RANGE = (0.8, 1.2)
"""``interpolation`` resizes both sides by one random factor from this half-open range."""


@dataclass(frozen=True)
class Processing:
    """One transformation with a name: (sharpen or resize), then JPEG. The default is JPEG q95 4:4:4 alone."""

    name: str
    quality: int = 95
    """JPEG quality, 1..95 in the study, libjpeg's scale."""
    subsampling: Subsampling = "4:4:4"
    sharpness: float = 1.0
    """Factor of Pillow's ``ImageEnhance.Sharpness``; 1 applies nothing."""
    scale: float | None = 1.0
    """Factor on both sides; 1 applies nothing, ``None`` means the photo's own random factor from ``SCALE_RANGE``."""
    resample: Image.Resampling = Image.Resampling.BILINEAR
    """Filter of the resize, antialiased as Pillow does it."""


@dataclass(frozen=True)
class Parameter:
    """One question about processing: its classes, and the processing that makes each."""

    name: str
    classes: tuple[str, ...]
    processings: tuple[str, ...]
    """Names in ``PROCESSINGS``, parallel to ``classes``."""

    @property
    def chance(self) -> float:
        """Expected accuracy of a guess."""
        return 1 / len(self.classes)


def _processings() -> dict[str, Processing]:
    jpeg = [
        Processing(f"jpeg-q{quality}-{subsampling.replace(':', '')}", quality, subsampling)
        for quality in (75, 85, 95)
        for subsampling in ("4:2:0", "4:4:4")
    ]
    sharpening = [Processing(f"sharpening-x{factor}", sharpness=factor) for factor in (2, 4)]
    resizing = [Processing(f"resizing-x{factor}", scale=factor) for factor in (0.5, 2)]
    interpolation = [
        Processing(f"interpolation-{name}", scale=None, resample=Image.Resampling[name.upper()])
        for name in ("bilinear", "bicubic", "lanczos", "box")
    ]
    return {p.name: p for p in (*jpeg, *sharpening, *resizing, *interpolation)}


PROCESSINGS: Mapping[str, Processing] = MappingProxyType(_processings())
"""The 14 distinct processings by name, in the order that banks store them."""

BASELINE = "jpeg-q95-444"
"""The processing that is also the class "none" of sharpening and of resizing."""

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        p.name: p
        for p in (
            Parameter(
                "jpeg", ("q75-420", "q75-444", "q85-420", "q85-444", "q95-420", "q95-444"), tuple(PROCESSINGS)[:6]
            ),
            Parameter("sharpening", ("none", "x2", "x4"), (BASELINE, "sharpening-x2", "sharpening-x4")),
            Parameter("resizing", ("none", "x0.5", "x2"), (BASELINE, "resizing-x0.5", "resizing-x2")),
            Parameter("interpolation", ("bilinear", "bicubic", "lanczos", "box"), tuple(PROCESSINGS)[10:]),
        )
    }
)
"""The 4 parameters by name."""


def process(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
    """The pixels of ``image`` after ``processing``: uint8 RGB, as Pillow opens the saved file.

    Depends on nothing but its arguments, whatever the order, batch size or number of workers.

    Args:
        image: decoded RGB photo, both sides at least 2 pixels.
        processing: one of ``PROCESSINGS``, or your own.
        photo_id: identity of the photo; decides its random scale.
        seed: of the random scale.

    Raises:
        PhotoError: the result cannot be a JPEG file (a side over 65,500 pixels, or of 0).

    >>> photo = Image.new("RGB", (30, 20), (200, 30, 90))
    >>> process(photo, PROCESSINGS["resizing-x0.5"], "a").size
    (15, 10)
    """
    return process_all(image, (processing,), photo_id, seed)[0]


def process_all(
    image: Image.Image, processings: Sequence[Processing], photo_id: str, seed: int = 0
) -> list[Image.Image]:
    """``process`` for several processings of one photo, with the work that they share done once.

    >>> photo = Image.new("RGB", (30, 20), (200, 30, 90))
    >>> [view.size for view in process_all(photo, list(PROCESSINGS.values())[8:10], "a")]
    [(15, 10), (60, 40)]
    """
    made = preprocess_all(image, processings, photo_id, [lambda width, height: _as_it_is], seed)
    return cast(list[Image.Image], made[0])


def _as_it_is(view: Image.Image) -> Any:
    return view


def preprocess_all(
    image: Image.Image, processings: Sequence[Processing], photo_id: str, planners: Sequence[Planner], seed: int = 0
) -> list[Views]:
    """One photo under several processings, each after several preprocessings: [preprocessing][processing].

    The views of a preprocessing are one array [processings, height, width, 3] where an engine made all of them in one
    size, else a list.

    Args:
        image, photo_id, seed: as in ``process``.
        processings: in the order wanted.
        planners: (width, height) of a processed photo -> what is done to it: a ``builders.pixels.resize_crop.ResizeCrop``,
            which is the fast way, or any other function of a picture.

    Raises:
        PhotoError: a result cannot be a JPEG file.
    """
    requests = [request(processing, image.size, photo_id, seed) for processing in processings]
    fast = engine() if image.mode == "RGB" else None
    taken = [i for i, wanted in enumerate(requests) if fast is not None and fast.takes(wanted, image.size)]
    views: list[Views] = [[] for _ in planners]
    if fast is not None and taken:
        views = fast.preprocessed(np.asarray(image), [requests[i] for i in taken], planners)
    if len(taken) == len(processings):
        return views
    merged: list[list[np.ndarray]] = [[] for _ in planners]
    for i, processing in enumerate(processings):
        view = None if i in taken else by_pillow(image, processing, photo_id, seed)
        for k, planner in enumerate(planners):
            merged[k].append(views[k][taken.index(i)] if view is None else planner(*view.size)(view))
    return list(merged)


def reencode(image: Image.Image, quality: int, subsampling: Subsampling) -> Image.Image:
    """The pixels of an RGB image saved as JPEG and opened again.

    Raises:
        PhotoError: it cannot be a JPEG file.

    >>> reencode(Image.new("RGB", (30, 20), (255, 0, 0)), 95, "4:4:4").getpixel((0, 0))
    (254, 0, 0)
    """
    return process(image, Processing("reencode", quality, subsampling), "")


def by_pillow(image: Image.Image, processing: Processing, photo_id: str, seed: int = 0) -> Image.Image:
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


def random_scale(photo_id: str, seed: int = 0) -> float:
    """The photo's own factor in ``SCALE_RANGE``, uniform over photos, the same for the four classes.

    >>> 0.8 <= random_scale("n01440764_36.JPEG") < 1.2
    True
    """
    low, high = SCALE_RANGE
    return low + (high - low) * _unit_hash("scale", photo_id, seed)


def assigned_class(photo_id: str, parameter: Parameter, seed: int = 0) -> int:
    """The class index that assignment ``seed`` gives to a photo: uniform and independent of everything else.

    Builders and benchmark share it: a data set built with ``assignment="uniform"`` and seed s holds exactly the views
    that assignment seed s of the probe trains on.
    """
    return int(_unit_hash(f"class/{parameter.name}", photo_id, seed) * len(parameter.classes))


def _unit_hash(purpose: str, photo_id: str, seed: int) -> float:
    """A number in [0, 1) from the 53 high bits of BLAKE2b of (purpose, seed, photo id)."""
    message = f"{purpose}\0{seed}\0{photo_id}".encode("utf-8", "surrogateescape")
    return (int.from_bytes(hashlib.blake2b(message, digest_size=8).digest(), "big") >> 11) * 2.0**-53


def codec_versions() -> dict[str, str]:
    """The libraries that decide the pixels of a processing."""
    return {
        "pillow": pillow_version,
        "libjpeg_turbo": features.version("libjpeg_turbo") or "absent",
        "jpeg": features.version("jpg") or "absent",
    }


def codec_canary() -> str:
    """A hash of the pixels that this machine's codecs make of one small picture under all 14 processings.

    Two results are comparable only where their canaries agree. The picture is tall enough to show the order of the
    two passes of a resize, and odd-sized to show how the codec pads.
    """
    y, x = np.mgrid[0:83, 0:37]
    noise = np.frombuffer(hashlib.shake_256(b"camtrace canary").digest(83 * 37 * 3), np.uint8).reshape(83, 37, 3)
    ramp = np.stack([x * 255 // 36, y * 255 // 82, (x * y) % 256], axis=-1)
    picture = Image.fromarray(np.where((x + y)[..., None] % 5 == 0, noise, ramp).astype(np.uint8))
    digest = hashlib.sha256()
    for processing in PROCESSINGS.values():
        result = by_pillow(picture, processing, "canary")
        digest.update(f"{processing.name} {result.size}".encode())
        digest.update(result.tobytes())
    return digest.hexdigest()[:16]
