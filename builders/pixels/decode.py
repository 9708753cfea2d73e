"""Bytes of a photo -> RGB pixels, by the same rules for every file.

The rules, in order:

1. The file is opened by its content, never by its name. HEIC and AVIF need ``pi-heif``.
2. More than ``MAX_PIXELS`` pixels, or a side under 2 pixels, is refused before any pixel is decoded.
3. A truncated file is refused: half a photo is not that photo.
4. The first frame of an animation is the photo.
5. The Exif orientation is applied (a lossless transpose), so that pixels are as people see them.
6. Pixel values are used as stored; an embedded ICC profile is *not* applied. Encoders are trained that way,
   and colour management would be a further processing.
7. Mode -> RGB: ``RGB`` unchanged; ``1``, ``L``, ``CMYK``, ``YCbCr``, ``HSV`` and ``P`` by Pillow's
   ``convert``; 16-bit greys (``I;16*``, ``I``) are scaled by 255/65535 and rounded, never clipped; anything with
   transparency is composited over white, as viewers show it. Floating-point images are refused.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from builders.errors import PhotoError, missing_package
from builders.pixels.decoders import try_unbounded
from builders.pixels.strict import strict_pillow
from builders.processes import reserve_for
from builders.untrusted import describe_error, heif_package

MAX_PIXELS = 178_956_970
"""Largest photo decoded: twice Pillow's warning limit (2 * 2**28 / 3 bytes of RGB), about 180 megapixels."""

MAX_SCANNED = 20 * MAX_PIXELS
"""Pixels times scans of a JPEG file: ten bytes are enough for a scan, which visits all pixels. Photos have about 10
scans."""

MIN_SIDE = 2
"""Smallest side: resizing by 0.5 must leave at least one pixel."""

_HEIF_BRANDS = (
    *(b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1", b"avif", b"avis"),
)
"""Brands of which the reader of HEIF takes one. A file is read by it or not whatever was read before."""
_ORIENTATION, _TRANSPOSED = 0x0112, range(2, 9)
"""The Exif tag, and its values that need a transpose."""
_heif_registered = False


def decode_rgb(data: bytes, *, upright: bool = True) -> Image.Image:
    """Decode a photo to an 8-bit RGB image by the rules at the top of this module.

    Args:
        data: the file.
        upright: apply rule 5; without it pixels stay as stored, as in loaders of ImageNet.

    Raises:
        PhotoError: the bytes are empty, not an image, truncated, too large, too small, or of a floating-point mode.

    >>> buffer = io.BytesIO()
    >>> Image.new("LA", (4, 3), (0, 0)).save(buffer, "PNG")
    >>> decode_rgb(buffer.getvalue()).getpixel((0, 0))
    (255, 255, 255)
    """
    if not data:
        raise PhotoError("the file is empty")
    _register_heif_if_needed(data)
    try:
        with warnings.catch_warnings(), strict_pillow():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            check_work(image, data)
            reservation = reserve_for(image.width, image.height)
            try:
                image.load()
                picture = as_rgb(_upright(image) if upright else _pixels_of(image))
            except BaseException:
                reservation.release()
                raise
            reservation.tie_to(picture)
            return picture
    except PhotoError:
        raise
    except UnidentifiedImageError:
        raise PhotoError("not an image in a format that can be read") from None
    except Image.DecompressionBombError:
        raise PhotoError(f"more than {MAX_PIXELS} pixels, refused as a possible decompression bomb") from None
    except MemoryError:
        raise PhotoError("not enough memory to decode it") from None
    except Exception as error:  # decoders of hostile files raise anything: struct.error, SyntaxError, KeyError, ...
        raise PhotoError(f"cannot be decoded ({describe_error(error)})") from None


def as_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB, by rule 7. Always returns a new image or ``image`` itself if it is RGB.

    Raises:
        PhotoError: the mode is floating point.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _from_sixteen_bits(image).convert("RGB")
    if image.mode == "F":
        raise PhotoError("floating-point pixels have no defined way to 8 bits")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Apply the Exif orientation. A broken Exif block counts as upright and is no error."""
    try:
        if image.getexif().get(_ORIENTATION) in _TRANSPOSED:  # of a photo that is upright exif_transpose makes a copy
            return ImageOps.exif_transpose(image)
    except Exception:
        pass
    return _pixels_of(image)


def _pixels_of(image: Image.Image) -> Image.Image:
    """The same pixels and metadata without the reader of the file; nothing is copied."""
    return image._new(image.im)


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise PhotoError("32-bit grey values outside 0..65535 have no defined way to 8 bits")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def check_work(image: Image.Image, data: bytes) -> None:
    """Raise for a file that costs too much, or is no picture, before a pixel is decoded.

    Args:
        image: opened, not loaded.
        data: its file.

    Raises:
        PhotoError: too many or too few pixels, scans that visit them too often, a program, or a container that costs
            more than a trial may.
    """
    _check_size(image.width, image.height)
    if image.format == "EPS":
        raise PhotoError("EPS is a program, not a photo")
    if image.format in ("JPEG", "MPO"):
        scans = data.count(b"\xff\xda")
        if scans * image.width * image.height > MAX_SCANNED:
            raise PhotoError(f"{scans} scans of {image.width} x {image.height} pixels, refused as a bomb")
    try_unbounded(image, data)


def _check_size(width: int, height: int) -> None:
    if width < MIN_SIDE or height < MIN_SIDE:
        raise PhotoError(f"{width} x {height} pixels: a side is under {MIN_SIDE}")
    if width * height > MAX_PIXELS:
        raise PhotoError(f"{width} x {height} is more than {MAX_PIXELS} pixels")


def _register_heif_if_needed(data: bytes) -> None:
    global _heif_registered
    if _heif_registered or data[4:8] != b"ftyp" or data[8:12] not in _HEIF_BRANDS:
        return
    try:
        package = heif_package()
    except ImportError:
        raise PhotoError(missing_package("pi_heif", "a HEIC photo")) from None
    package.register_heif_opener()
    _heif_registered = True
