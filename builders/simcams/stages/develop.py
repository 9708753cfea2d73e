"""Image processing of the camera: raw mosaic to 8-bit sRGB. No step rescales the picture by its own statistics."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import scipy.ndimage

from builders.simcams.camera import Body, Camera, Pipeline, Settings
from builders.simcams.stages.optics import bayer_sites, falloff_stops
from builders.simcams.stages.sensor import Raw

Padded = np.ndarray
"""A mosaic with two mirrored pixels on every side. Mirroring about the edge pixel preserves the Bayer phase."""


def demosaic(mosaic: np.ndarray, pattern: str, method: str) -> np.ndarray:
    """Colour planes float32 [3, height, width] of a mosaic float32 [height, width]. Overshoots are not clipped.

    Args:
        mosaic: both sides even, at least 4.
        pattern: ``RGGB``, ``BGGR``, ``GRBG`` or ``GBRG``.
        method: a name in ``METHODS``.

    >>> demosaic(np.full((4, 4), 0.5, np.float32), "RGGB", "malvar").round(3).min()
    np.float32(0.5)
    """
    if mosaic.shape[0] % 2 or mosaic.shape[1] % 2:
        raise ValueError(f"a Bayer mosaic has even sides, not {mosaic.shape}")
    green_at, along_at, across_at, opposite_at = METHODS[method]
    padded = np.pad(mosaic.astype(np.float32, copy=False), 2, mode="reflect")
    planes = np.empty((3, *mosaic.shape), np.float32)
    sites = bayer_sites(pattern)
    for row, column, colour in sites:
        view = _Site(padded, row, column, mosaic.shape)
        at = (slice(row, None, 2), slice(column, None, 2))
        planes[colour][at] = view(0, 0)
        if colour == 1:
            in_row = next(c for r, k, c in sites if r == row and k != column)
            planes[in_row][at] = along_at(view)
            planes[2 - in_row][at] = across_at(view)
        else:
            planes[1][at] = green_at(view)
            planes[2 - colour][at] = opposite_at(view)
    return planes


class _Site:
    """Neighbours of all pixels at one Bayer site, by offset: ``site(dy, dx)``."""

    def __init__(self, padded: Padded, row: int, column: int, shape: tuple[int, ...]) -> None:
        self.padded, self.row, self.column, self.shape = padded, row, column, shape

    def __call__(self, dy: int, dx: int) -> np.ndarray:
        top, left = 2 + self.row + dy, 2 + self.column + dx
        return self.padded[top : top + self.shape[0] - self.row : 2, left : left + self.shape[1] - self.column : 2]

    def horizontal(self, d: int) -> np.ndarray:
        return self(0, -d) + self(0, d)

    def vertical(self, d: int) -> np.ndarray:
        return self(-d, 0) + self(d, 0)

    def cross(self, d: int) -> np.ndarray:
        return self.horizontal(d) + self.vertical(d)

    def diagonal(self) -> np.ndarray:
        return self(-1, -1) + self(-1, 1) + self(1, -1) + self(1, 1)


Estimate = Callable[[_Site], np.ndarray]

_BILINEAR: tuple[Estimate, ...] = (
    lambda s: s.cross(1) / 4,
    lambda s: s.horizontal(1) / 2,
    lambda s: s.vertical(1) / 2,
    lambda s: s.diagonal() / 4,
)

_MALVAR: tuple[Estimate, ...] = (
    lambda s: (4 * s(0, 0) + 2 * s.cross(1) - s.cross(2)) / 8,
    lambda s: (5 * s(0, 0) + 4 * s.horizontal(1) - s.horizontal(2) + s.vertical(2) / 2 - s.diagonal()) / 8,
    lambda s: (5 * s(0, 0) + 4 * s.vertical(1) - s.vertical(2) + s.horizontal(2) / 2 - s.diagonal()) / 8,
    lambda s: (6 * s(0, 0) + 2 * s.diagonal() - 1.5 * s.cross(2)) / 8,
)

METHODS: Mapping[str, tuple[Estimate, ...]] = MappingProxyType({"bilinear": _BILINEAR, "malvar": _MALVAR})
"""Estimates of green at red/blue, of a colour at green with that colour along the row, the same across the rows, and
of red at blue / blue at red. ``malvar``: the four 5 x 5 filters of Malvar, He and Cutler, "High-quality linear
interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004, figure 2."""

LUMA = np.array([0.25, 0.5, 0.25], np.float32)
"""Weights of red, green and blue in the luma of denoising: their shares of a Bayer cell."""

REC709 = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Luminance of linear sRGB (ITU-R BT.709)."""

REC601 = np.array([0.299, 0.587, 0.114], np.float32)
"""Luma of JPEG files (ITU-R BT.601), for sharpening."""

WAVELET_NOISE = (0.889, 0.200, 0.086)
"""Standard deviation of white noise of deviation 1 in the levels of the B3-spline a trous transform (Starck & Murtagh,
"Astronomical Image and Data Analysis", table 2.1)."""

WAVELET_LEVELS = 2
"""Number of levels that are shrunk."""

B3_SPLINE = (6 / 16, 4 / 16, 1 / 16)
"""Taps of the centre and one side."""

_TONE_STEPS = 4096


def develop(raw: Raw, camera: Camera, settings: Settings) -> np.ndarray:
    """uint8 sRGB [height, width, 3] of a raw shot: shading, white balance, demosaic, denoise, colour, tone, sharpen."""
    mosaic = balanced_mosaic(raw, camera, settings)
    planes = demosaic(mosaic, camera.body.bayer, camera.pipeline.demosaic)
    planes = denoise(planes, raw.white_e, camera.body.total_read_noise_e(settings.iso), camera.pipeline)
    linear = np.tensordot(colour_correction(camera.body, camera.pipeline).astype(np.float32), planes, axes=1)
    encoded = sharpen(tone(linear, camera.pipeline), camera.pipeline)
    np.clip(encoded, 0, 1, out=encoded)
    encoded *= 255
    return np.ascontiguousarray(np.moveaxis(np.rint(encoded).astype(np.uint8), 0, -1))


def balanced_mosaic(raw: Raw, camera: Camera, settings: Settings) -> np.ndarray:
    """Subtract black, correct shading, balance white, clip at white: float32 [height, width].

    Clipping makes all colours of a blown highlight equal, so that it is white and not pink. Values below black stay
    negative: clipping them would brighten the shadows.
    """
    body = camera.body
    mosaic = (raw.dn.astype(np.float32) - body.black_level) / (body.white_level - body.black_level)
    if camera.lens.shading_correction > 0:
        lost = falloff_stops(mosaic.shape[0], mosaic.shape[1], camera.lens, settings)
        mosaic *= np.exp2(np.float32(camera.lens.shading_correction) * lost)
    for row, column, colour in bayer_sites(body.bayer):
        mosaic[row::2, column::2] *= np.float32(raw.white_balance[colour])
    return np.minimum(mosaic, 1, out=mosaic)


def denoise(planes: np.ndarray, white_e: float, read_noise_e: float, pipeline: Pipeline) -> np.ndarray:
    """Reduce noise in float32 [3, height, width]: wavelet shrinkage of luma, smoothing of chroma.

    Works after the generalised Anscombe transform 2 sqrt(e + 3/8 + sigma^2) (Starck & Murtagh), where noise has
    deviation 1 at every level. The strength is thus proportional to the noise at this ISO, as in a camera.
    """
    if pipeline.luma_threshold == 0 and pipeline.chroma_levels == 0:
        return planes
    offset = np.float32(0.375 + read_noise_e**2)
    stable = 2 * np.sqrt(np.maximum(planes * np.float32(white_e) + offset, 0))
    luma = np.tensordot(LUMA, stable, axes=1)
    shrunk = shrink_wavelets(luma, pipeline.luma_threshold)
    for colour in range(3):
        chroma = stable[colour] - luma
        for level in range(pipeline.chroma_levels):
            chroma = smooth_b3(chroma, 1 << level)
        stable[colour] = shrunk + chroma
    stable *= stable
    return (stable / 4 - (offset - np.float32(0.25))) / np.float32(white_e)


def shrink_wavelets(plane: np.ndarray, threshold: float, levels: int = WAVELET_LEVELS) -> np.ndarray:
    """Soft-threshold the finest ``levels`` of the a trous transform, in deviations of the noise of each level.

    The luma of demosaiced noise of deviation 1 has a deviation of about 0.6, which the threshold includes.
    """
    if threshold == 0:
        return plane
    result = np.zeros_like(plane)
    coarse = plane
    for level in range(levels):
        smooth = smooth_b3(coarse, 1 << level)
        detail = coarse - smooth
        cut = np.float32(0.6 * threshold * WAVELET_NOISE[level])
        result += detail - np.clip(detail, -cut, cut)
        coarse = smooth
    return result + coarse


def smooth_b3(plane: np.ndarray, step: int) -> np.ndarray:
    """Smooth float32 [height, width] by the B3 spline [1 4 6 4 1] / 16, taps ``step`` apart, edges mirrored."""
    return _smooth_rows(_smooth_rows(plane, step).T, step).T


@functools.lru_cache(maxsize=64)
def colour_correction(body: Body, pipeline: Pipeline) -> np.ndarray:
    """Colour matrix with the rendering of the make: saturation about luminance, rotation of hues; rows sum to 1."""
    saturation = pipeline.saturation * np.eye(3) + (1 - pipeline.saturation) * np.tile(REC709, (3, 1))
    twist = pipeline.hue_twist * np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    return (saturation + twist) @ np.array(body.colour_matrix)


def tone(linear: np.ndarray, pipeline: Pipeline) -> np.ndarray:
    """sRGB curve, S-curve and local contrast: linear planes [3, height, width] -> encoded in about [0, 1], float32."""
    if pipeline.local_contrast > 0:
        linear = local_contrast(linear, pipeline.local_contrast)
    index = linear * np.float32(_TONE_STEPS)
    np.clip(index, 0, _TONE_STEPS, out=index)
    low = np.minimum(index.astype(np.int32), _TONE_STEPS - 1)
    curve = tone_table(pipeline.contrast)
    start = curve[low]
    return start + (index - low) * (curve[low + 1] - start)


def tone_curve(linear: np.ndarray, contrast: float) -> np.ndarray:
    """IEC 61966-2-1 encoding, blended with its smoothstep 3y^2 - 2y^3 (the S-curve of Brooks et al. 2019)."""
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return (1 - contrast) * encoded + contrast * encoded**2 * (3 - 2 * encoded)


def sharpen(encoded: np.ndarray, pipeline: Pipeline) -> np.ndarray:
    """Unsharp mask of the luma, the same on all three planes [3, height, width]."""
    if pipeline.sharpen_amount == 0:
        return encoded
    luma = np.tensordot(REC601, encoded, axes=1)
    blurred = _gaussian(luma, pipeline.sharpen_radius_px)
    return encoded + np.float32(pipeline.sharpen_amount) * (luma - blurred)


def local_contrast(linear: np.ndarray, amount: float) -> np.ndarray:
    """Multiply by (luma / surroundings)^amount over a twentieth of the frame, like the tone mapping of phones."""
    luma, size = contrast_luma(linear)
    around = scipy.ndimage.uniform_filter(
        scipy.ndimage.uniform_filter(luma, size, mode="nearest"), size, mode="nearest"
    )
    return linear * (luma / around) ** np.float32(amount)


def contrast_luma(linear: np.ndarray) -> tuple[np.ndarray, int]:
    """Luma for ``local_contrast``, float32 [height, width], and the odd width of its surroundings in pixels."""
    luma = np.maximum(np.tensordot(REC709, linear, axes=1), 0) + np.float32(0.02)
    return luma, max(3, max(luma.shape) // 20 | 1)


@functools.lru_cache(maxsize=64)
def tone_table(contrast: float) -> np.ndarray:
    """``tone_curve`` at 4,097 levels from 0 to 1, float32."""
    return tone_curve(np.arange(_TONE_STEPS + 1) / _TONE_STEPS, contrast).astype(np.float32)


@functools.lru_cache(maxsize=64)
def gaussian_taps(sigma_px: float) -> tuple[float, ...]:
    """Taps of the centre and one side of a Gaussian cut at three deviations; the sum over both sides is 1."""
    radius = max(1, math.ceil(3 * sigma_px))
    taps = np.exp(-(np.arange(radius + 1) ** 2) / (2 * sigma_px**2))
    return tuple(taps / (taps[0] + 2 * taps[1:].sum()))


def _gaussian(plane: np.ndarray, sigma_px: float) -> np.ndarray:
    taps = gaussian_taps(sigma_px)
    return _symmetric_rows(_symmetric_rows(plane, taps, 1).T, taps, 1).T


def _smooth_rows(plane: np.ndarray, step: int) -> np.ndarray:
    return _symmetric_rows(plane, B3_SPLINE, step)


def _symmetric_rows(plane: np.ndarray, taps: tuple[float, ...], step: int) -> np.ndarray:
    """Correlate along the first axis with a symmetric kernel (centre first) whose taps are ``step`` apart."""
    reach = step * (len(taps) - 1)
    height = plane.shape[0]
    padded = np.pad(plane, ((reach, reach), (0, 0)), mode="symmetric")
    result = padded[reach : reach + height] * np.float32(taps[0])
    for i, tap in enumerate(taps[1:], start=1):
        pair = (
            padded[reach - i * step : reach - i * step + height] + padded[reach + i * step : reach + i * step + height]
        )
        pair *= np.float32(tap)
        result += pair
    return result
