"""Perceptual hashes of a picture as it is, turned, mirrored, cropped at its centre, and without its border.

A copy that was turned, mirrored, cropped or framed has another perceptual hash than its original, but nearly the hash
of one of these variants of it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from builders.splits.near_duplicates import (
    FLAT_DEVIATION,
    NO_HASH,
    SIDE,
    hashes_of_coefficients,
    low_frequencies,
    small_photo,
)

CROPS = (1.0, 0.9, 0.8)
"""Shares of both sides that centre crops keep."""

BORDER_DEVIATION = 3.0
"""Rows and columns at the edge whose grey values (0 to 255) deviate less are a border."""

ORIENTATIONS = 8
"""Four turns by 90 degrees, each also mirrored."""

VARIANTS = (len(CROPS) + 1) * ORIENTATIONS
"""Hashes of one picture. The first is ``perceptual_hash``."""

FRAME_DEVIATION = 1.5
"""Rows and columns whose grey values deviate less separate a picture from the frame around it."""

FRAMED = 0.75
"""Share of the area up to which a picture inside a frame stands for the whole."""

LEAST_FRAMED = 0.2
"""Share of each side from which on something inside a frame is a picture, not a line of text."""

FRAME_SIDE = 512
"""Pixels of each side that are enough to see the bars of a window around a picture."""

_SIGNS = np.where(np.arange(8) % 2, -1.0, 1.0)


def photo_variants(data: bytes) -> np.ndarray:
    """The hashes of the variants of a photo file, turned upright: uint64 [VARIANTS].

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    return variant_hashes(unframed_photo(data))


def unframed_photo(data: bytes) -> Image.Image:
    """A photo file in small and grey, turned upright; of a screenshot of a photo, the photo.

    What many photos share, such as the bars of a window, would make them alike.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    image = small_photo(data).convert("L")
    if _inside_frame(image) is None:
        return image
    fine = small_photo(data, side=FRAME_SIDE).convert("L")
    box = _inside_frame(fine)
    return image if box is None else fine.crop(box)


def _inside_frame(grey: Image.Image) -> tuple[int, int, int, int] | None:
    """The largest picture between uniform rows and columns, if it is much smaller than the whole."""
    values = np.asarray(grey, dtype=np.float64)
    top, bottom, left, right = 0, grey.height, 0, grey.width
    for _ in range(4):
        before = top, bottom, left, right
        top, bottom = _longest(values[:, left:right].std(axis=1) > FRAME_DEVIATION, top, bottom)
        if bottom - top < LEAST_FRAMED * grey.height:
            return None
        left, right = _longest(values[top:bottom].std(axis=0) > FRAME_DEVIATION, left, right)
        if right - left < LEAST_FRAMED * grey.width:
            return None
        if before == (top, bottom, left, right):
            break
    small = (bottom - top) * (right - left) <= FRAMED * grey.width * grey.height
    return (left, top, right, bottom) if small else None


def _longest(kept: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Start and end of the longest run of True in a part of an array; an empty one if there is none."""
    edges = np.flatnonzero(np.diff(np.r_[0, kept[start:end].astype(np.int8), 0]))
    if not edges.size:
        return start, start
    longest = 2 * int(np.argmax(edges[1::2] - edges[::2]))
    return start + int(edges[longest]), start + int(edges[longest + 1])


def variant_hashes(image: Image.Image) -> np.ndarray:
    """The perceptual hash of each variant of a picture: uint64 [VARIANTS], ``NO_HASH`` where a variant is flat.

    The DCT of a mirrored picture differs in the signs of odd coefficients, that of a transposed one is the transpose
    (Rao and Yip, "Discrete Cosine Transform", 1990), so all orientations come from one transform.

    >>> photo = Image.radial_gradient("L").crop((0, 40, 256, 200)).rotate(20)
    >>> turned = variant_hashes(photo.transpose(Image.Transpose.ROTATE_90))
    >>> bool(np.isin(turned[0], variant_hashes(photo)))
    True
    """
    grey = image.convert("L")
    pixels = np.stack([_pixels(grey, box) for box in _boxes(grey)])
    hashes = hashes_of_coefficients(orientations(low_frequencies(pixels)))
    hashes[pixels.std(axis=(1, 2)) < FLAT_DEVIATION] = NO_HASH
    return hashes.ravel()


def orientations(low: np.ndarray) -> np.ndarray:
    """Coefficients of pictures in each orientation, the upright one first: [n, 8, 8] -> [n, ORIENTATIONS, 8, 8]."""
    flips = np.stack([low, low * _SIGNS, low * _SIGNS[:, None], low * _SIGNS * _SIGNS[:, None]], axis=1)
    return np.concatenate([flips, flips.swapaxes(-1, -2)], axis=1)


def _pixels(grey: Image.Image, box: tuple[float, float, float, float]) -> np.ndarray:
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX, box=box), dtype=np.float64)


def _boxes(grey: Image.Image) -> list[tuple[float, float, float, float]]:
    """The whole picture, its centre crops, and what is inside its border (the whole picture where it has none)."""
    width, height = grey.size
    boxes = [(width * (1 - s) / 2, height * (1 - s) / 2, width * (1 + s) / 2, height * (1 + s) / 2) for s in CROPS]
    values = np.asarray(grey, dtype=np.float64)
    rows = np.flatnonzero(values.std(axis=1) > BORDER_DEVIATION)
    columns = np.flatnonzero(values.std(axis=0) > BORDER_DEVIATION)
    if len(rows) < 2 or len(columns) < 2:
        return [*boxes, (0.0, 0.0, width, height)]
    return [*boxes, (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))]
