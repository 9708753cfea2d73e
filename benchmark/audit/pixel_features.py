"""Features of decoded pixels: a few interpretable numbers, and the vectors of the pixel and border layers.

An earlier JPEG compression is detectable after a later, finer one: block DCT coefficients gather near multiples of the
coarser step (Popescu and Farid, "Statistical tools for digital forensics", 2004). The effect of a single compression is
estimated from the same picture shifted off its grid (Fridrich, Goljan and Hogea, "Steganalysis of JPEG images: breaking
the F5 algorithm", 2002), so that a smooth sky is not mistaken for a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from builders.pixels import decode_rgb, read_jpeg_header, scaled_tables
from builders.splits import photo_hash

QUALITIES = tuple(range(30, 96, 5))
"""Earlier qualities that are searched."""

COARSER = 1.3
"""Least ratio of an earlier step to the last one; with a smaller ratio the two cannot be distinguished."""

EVIDENCE = 0.2
"""Least evidence (mean cosine, 0 to 1) for an earlier table. Of 60 photos saved once none had more than .09; of photos
with a coarser earlier save 95 of 100 had more than .27."""

MAX_SIDE = 1024
"""Longest side in pixels of the centre that numbers and earlier compressions are computed from; it limits memory."""

_COEFFICIENTS = 12
"""Number of AC coefficients, in zigzag order, that are used: higher ones are zero in most blocks."""

BORDER_SHARE = 0.1
"""Share of the rows of a picture in the border layer (at least 16 rows), half at the top and half at the bottom."""


@dataclass(frozen=True)
class PixelFacts:
    """Features of one decoded photo."""

    numbers: Mapping[str, float]
    """By name in ``PIXEL_FEATURES``; NaN where there is none."""
    whole: np.ndarray
    """float32 [D], statistics of block DCT coefficients (``control:jpeg-statistics``) of the whole photo."""
    border: np.ndarray
    """float32 [D], the same statistics of its border, which has little of the content."""
    perceptual_hash: int
    """``builders.splits.photo_hash``."""


@dataclass(frozen=True)
class PixelFeature:
    """One number of the pixel layer."""

    title: str
    of: Callable[[np.ndarray], float]
    """From uint8 RGB [height, width, 3]."""


def pixel_facts(data: bytes) -> PixelFacts:
    """All pixel features of a photo, which is decoded once. Raises ``PhotoError``."""
    image = decode_rgb(data)
    pixels = np.asarray(image)
    centre = pixels[_centre(pixels.shape[0]), _centre(pixels.shape[1])]
    numbers = {name: feature.of(centre) for name, feature in PIXEL_FEATURES.items()}
    numbers["earlier_quality"] = float(earlier_quality(pixels, _last_table(data)))
    statistics = _statistics()
    return PixelFacts(numbers, statistics(image), statistics(_border(pixels)), photo_hash(data))


def earlier_quality(pixels: np.ndarray, last_table: np.ndarray | None = None) -> int:
    """Quality of an earlier, coarser JPEG compression on the same grid, in steps of 5; 0 if none is detected.

    None is detected after a crop off the grid or a resize, or where the last compression is the coarser one.

    Args:
        pixels: uint8 RGB [height, width, 3].
        last_table: luminance table of the file itself in natural order [64], if it is a JPEG file.
    """
    luma = _luma(pixels)
    if min(luma.shape) < 24:
        return 0
    steps = np.ones(64) if last_table is None else last_table.astype(np.float64)
    on_grid, off_grid = _coefficients(luma), _coefficients(luma[4:-4, 4:-4])
    best, detected = EVIDENCE, 0
    for quality in QUALITIES:
        earlier = np.array(scaled_tables(quality)[0], dtype=np.float64)[_ZIGZAG]
        evidence = [
            _comb(on_grid[:, k], step) - _comb(_quantised(off_grid[:, k], last), step)
            for k, (step, last) in enumerate(zip(earlier, steps[_ZIGZAG], strict=True))
            if step >= max(3.0, COARSER * last)
        ]
        if len(evidence) >= 3 and (mean := float(np.mean(evidence))) > best:
            best, detected = mean, quality
    return detected


def _comb(coefficients: np.ndarray, step: float) -> float:
    """Mean cosine at the period ``step`` of the coefficients that are not near 0."""
    away = coefficients[np.abs(coefficients) > 0.6 * step]
    return float(np.cos(2 * np.pi / step * away).mean()) if len(away) >= 12 else 0.0


def _quantised(coefficients: np.ndarray, step: float) -> np.ndarray:
    return np.round(coefficients / step) * step if step > 1 else coefficients


def _luma(pixels: np.ndarray) -> np.ndarray:
    """float32 [height, width], luminance minus 128 of the centre, cut on the grid."""
    part = pixels[_centre(pixels.shape[0]), _centre(pixels.shape[1])]
    return part.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) - 128


def _centre(side: int) -> slice:
    """The central ``MAX_SIDE`` pixels of a side, beginning at a multiple of 16."""
    start = max(0, side - MAX_SIDE) // 2 // 16 * 16
    return slice(start, min(side, start + MAX_SIDE))


def _coefficients(plane: np.ndarray) -> np.ndarray:
    """float32 [blocks, ``_COEFFICIENTS``]: the first AC coefficients of each 8x8 block."""
    height, width = (side // 8 * 8 for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 64)
    return blocks @ _basis()


_FREQUENCIES = sorted(
    ((u, v) for u in range(8) for v in range(8)), key=lambda p: (sum(p), p[0] if sum(p) % 2 else p[1])
)
_ZIGZAG = np.array([8 * u + v for u, v in _FREQUENCIES[1 : _COEFFICIENTS + 1]])


@cache
def _basis() -> np.ndarray:
    """float32 [64, ``_COEFFICIENTS``]: the orthonormal DCT-II of a flattened block."""
    n = np.arange(8)
    basis = np.cos((2 * n[None, :] + 1) * n[:, None] * np.pi / 16) * np.where(n[:, None] == 0, 8**-0.5, 0.5)
    return np.stack([np.outer(basis[u], basis[v]).ravel() for u, v in _FREQUENCIES[1 : _COEFFICIENTS + 1]], 1).astype(
        np.float32
    )


def _last_table(data: bytes) -> np.ndarray | None:
    header = read_jpeg_header(data)
    return np.array(header.tables[0]) if header and len(header.tables[0]) == 64 else None


def _border(pixels: np.ndarray) -> Image.Image:
    """The rows at the top and at the bottom, on the 16-pixel grid of 4:2:0, joined."""
    rows = max(16, int(pixels.shape[0] * BORDER_SHARE / 2) // 16 * 16)
    if pixels.shape[0] <= 2 * rows:
        return Image.fromarray(pixels)
    bottom = (pixels.shape[0] - rows) // 16 * 16
    return Image.fromarray(np.concatenate([pixels[:rows], pixels[bottom : bottom + rows]]))


@cache
def _statistics() -> Callable[[Image.Image], np.ndarray]:
    from benchmark.encoders import load_encoder  # imported late: the loaders take time

    return load_encoder("control:jpeg-statistics", device="cpu").preprocess


def _brightness(pixels: np.ndarray) -> float:
    return float(pixels.mean())


def _contrast(pixels: np.ndarray) -> float:
    return float(pixels.mean(axis=2).std())


def _saturation(pixels: np.ndarray) -> float:
    return float((pixels.max(axis=2).astype(np.int16) - pixels.min(axis=2)).mean())


def _sharpness(pixels: np.ndarray) -> float:
    grey = pixels.mean(axis=2)
    second = grey[1:-1, 1:-1] * 4 - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(np.log2(second.var() + 1)) if second.size else float("nan")


def _blockiness(pixels: np.ndarray) -> float:
    grey = pixels.mean(axis=2)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    if len(steps) < 16:
        return float("nan")
    at_edges = steps[7::8].mean()
    return float(np.log2((at_edges + 0.1) / (np.delete(steps, np.s_[7::8]).mean() + 0.1)))


PIXEL_FEATURES: dict[str, PixelFeature] = {
    "brightness": PixelFeature("brightness", _brightness),
    "contrast": PixelFeature("contrast", _contrast),
    "saturation": PixelFeature("saturation", _saturation),
    "sharpness": PixelFeature("sharpness", _sharpness),
    "blockiness": PixelFeature("steps at the edges of 8x8 blocks", _blockiness),
}
"""Numbers of the pixel layer by name. ``earlier_quality`` is computed separately: it needs the file too."""
