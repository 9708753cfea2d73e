"""Bytes of a photo -> RGB pixels by the decoder of another library, as serving code and data loaders call it.

=============  ========================================================================================================
``pillow``     as everywhere in camtrace (``builders.pixels.decode_rgb``)
``opencv``     ``cv2.imdecode``
``torchvision``  ``torchvision.io.decode_image``
``simplejpeg``   ``simplejpeg.decode_jpeg``, JPEG alone
=============  ========================================================================================================

Size and work of every file are checked by Pillow before another library reads it.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps

from builders.errors import CamtraceError, PhotoError, UsageError, missing_package
from builders.pixels import check_work, decode_rgb
from builders.untrusted import describe_error

DECODERS = ("pillow", "opencv", "torchvision", "simplejpeg")

ORIENTATIONS = ("upright", "stored")
"""Whether the Exif orientation is applied."""

COLOURS = ("rgb", "bgr", "srgb")
"""Channels as they are; blue and red swapped, the usual mistake with OpenCV; or converted from the embedded profile."""

_MODULES = {"opencv": "cv2", "torchvision": "torchvision", "simplejpeg": "simplejpeg"}


def require_decoder(decoder: str) -> None:
    """Raises ``UsageError`` where the library of a decoder is not installed: one sentence with the pip command."""
    import importlib

    if decoder in _MODULES:
        try:
            importlib.import_module(_MODULES[decoder])
        except ImportError:
            raise UsageError(missing_package(_MODULES[decoder], f"decoder={decoder}")) from None


def decoded(data: bytes, decoder: str = "pillow", orientation: str = "upright", colour: str = "rgb") -> Image.Image:
    """A photo by one decoder.

    Args:
        data: the file.
        decoder: one of ``DECODERS``.
        orientation: one of ``ORIENTATIONS``.
        colour: one of ``COLOURS``.

    Raises:
        PhotoError: this decoder does not read the file.

    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (4, 3), (200, 30, 90)).save(buffer, "PNG")
    >>> decoded(buffer.getvalue(), colour="bgr").getpixel((0, 0))
    (90, 30, 200)
    """
    upright = orientation == "upright"
    try:
        if decoder == "pillow":
            picture = decode_rgb(data, upright=upright)
        else:
            with Image.open(io.BytesIO(data)) as image:
                check_work(image, data)
            pixels = {"opencv": _opencv, "torchvision": _torchvision, "simplejpeg": _simplejpeg}[decoder](data, upright)
            picture = Image.fromarray(np.ascontiguousarray(pixels))
        if colour == "srgb":
            picture = _in_srgb(picture, data)
    except CamtraceError:
        raise
    except Exception as error:  # decoders of hostile files raise anything
        raise PhotoError(f"{decoder} does not read it ({describe_error(error)})") from None
    return Image.fromarray(np.ascontiguousarray(np.asarray(picture)[..., ::-1])) if colour == "bgr" else picture


def _opencv(data: bytes, upright: bool) -> np.ndarray:
    import cv2

    how = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    if pixels is None:
        raise PhotoError("OpenCV does not read it")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _torchvision(data: bytes, upright: bool) -> np.ndarray:
    import torch
    from torchvision.io import ImageReadMode, decode_image

    packed = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    with warnings.catch_warnings():  # torchvision 0.29 announces that it will end; loaders still call it
        warnings.simplefilter("ignore", DeprecationWarning)
        pixels = decode_image(packed, mode=ImageReadMode.RGB, apply_exif_orientation=upright)
    return pixels.permute(1, 2, 0).numpy()


def _simplejpeg(data: bytes, upright: bool) -> np.ndarray:
    import simplejpeg

    pixels = simplejpeg.decode_jpeg(data, colorspace="RGB")
    if not upright:
        return pixels
    with Image.open(io.BytesIO(data)) as header:  # the library reads no Exif
        turned = Image.fromarray(pixels)
        turned.getexif().update(header.getexif())
        return np.asarray(ImageOps.exif_transpose(turned))


def _in_srgb(picture: Image.Image, data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        profile, mode = image.info.get("icc_profile"), image.mode
    if not profile or mode != "RGB":
        return picture
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB")) or picture
