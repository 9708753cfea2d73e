"""Compiled loops of ``stages.develop``, with the same values bit for bit. NumPy computes matrix products, powers and
exponentials."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders.kernels import entry_point, jit

_CHUNK = 256
"""Pixels whose positions on the tone curve are computed before it is read: few enough for the level 1 cache."""


@entry_point
def balanced_padded(dn: Any, black: Any, span: Any, correction: Any, gains: Any) -> Any:
    """uint16 [h, w] -> float32 [h + 4, w + 4]: black subtracted, times ``correction`` float32 [h, w] and ``gains``
    float32 [2, 2], clipped at 1, two pixels mirrored about each edge."""
    white = np.float32(1)
    height, width = dn.shape
    padded = np.empty((height + 4, width + 4), np.float32)
    for row in range(height):
        for column in range(width):
            value = (np.float32(dn[row, column]) - black) / span
            value = value * correction[row, column] * gains[row % 2, column % 2]
            padded[row + 2, column + 2] = min(value, white)
    for row in range(2, height + 2):
        padded[row, 0], padded[row, 1] = padded[row, 4], padded[row, 3]
        padded[row, width + 2], padded[row, width + 3] = padded[row, width], padded[row, width - 1]
    for column in range(
        width + 4
    ):  # assignment of whole rows would compile an error message for shapes, which takes two seconds
        padded[0, column], padded[1, column] = padded[4, column], padded[3, column]
        padded[height + 2, column], padded[height + 3, column] = padded[height, column], padded[height - 1, column]
    return padded


@entry_point
def demosaiced(padded: Any, colours: Any, malvar: bool) -> Any:
    """Colour planes float32 [3, h, w] of ``balanced_padded``; ``colours`` int64 [2, 2] of the Bayer cell."""
    half, six, eight, more = np.float32(2), np.float32(6), np.float32(8), np.float32(1.5)
    four, five = np.float32(4), np.float32(5)
    height, width = padded.shape[0] - 4, padded.shape[1] - 4
    planes = np.empty((3, height, width), np.float32)
    for first in range(2):
        for second in range(2):
            colour = colours[first, second]
            in_row = colours[first, 1 - second]
            for row in range(first, height, 2):
                two_up, up, here = padded[row], padded[row + 1], padded[row + 2]
                down, two_down = padded[row + 3], padded[row + 4]
                for column in range(second, width, 2):
                    x = column + 2
                    centre = here[x]
                    h1, v1 = here[x - 1] + here[x + 1], up[x] + down[x]
                    diagonal = up[x - 1] + up[x + 1] + down[x - 1] + down[x + 1]
                    planes[colour, row, column] = centre
                    if malvar:
                        h2, v2 = here[x - 2] + here[x + 2], two_up[x] + two_down[x]
                        if colour == 1:
                            along = (five * centre + four * h1 - h2 + v2 / half - diagonal) / eight
                            across = (five * centre + four * v1 - v2 + h2 / half - diagonal) / eight
                            planes[in_row, row, column], planes[2 - in_row, row, column] = along, across
                        else:
                            planes[1, row, column] = (four * centre + half * (h1 + v1) - (h2 + v2)) / eight
                            opposite = (six * centre + half * diagonal - more * (h2 + v2)) / eight
                            planes[2 - colour, row, column] = opposite
                    elif colour == 1:
                        planes[in_row, row, column], planes[2 - in_row, row, column] = h1 / half, v1 / half
                    else:
                        planes[1, row, column] = (h1 + v1) / four
                        planes[2 - colour, row, column] = diagonal / four
    return planes


@jit
def _mirrored(i: int, length: int) -> int:
    """Index within ``length`` after mirroring that repeats the edge."""
    if i < 0:
        return -1 - i
    return 2 * length - 1 - i if i >= length else i


@jit
def _smooth(plane: Any, taps: Any, step: int, result: Any) -> None:
    """Separable symmetric kernel (centre first) with taps ``step`` apart, down and then across, into ``result``."""
    height, width = plane.shape
    reach = step * (taps.size - 1)
    line = np.empty(width + 2 * reach, plane.dtype)
    middle = line[reach : reach + width]
    for row in range(height):
        here, out = plane[row], result[row]
        for column in range(width):
            middle[column] = here[column] * taps[0]
        for i in range(1, taps.size):
            tap = taps[i]
            above, below = plane[_mirrored(row - i * step, height)], plane[_mirrored(row + i * step, height)]
            for column in range(width):
                middle[column] += (above[column] + below[column]) * tap
        for column in range(-reach, 0):
            line[reach + column] = middle[_mirrored(column, width)]
            line[reach + width - 1 - column] = middle[_mirrored(width - 1 - column, width)]
        for column in range(width):
            out[column] = middle[column] * taps[0]
        for i in range(1, taps.size):
            tap, before, after = taps[i], line[reach - i * step :], line[reach + i * step :]
            for column in range(width):
                out[column] += (before[column] + after[column]) * tap


@jit
def _smooth_b3(plane: Any, taps: Any, step: int, result: Any) -> None:
    """``_smooth`` with the three ``taps`` of the B3 spline, each pass in one sweep."""
    height, width = plane.shape
    reach, centre, near, far = 2 * step, taps[0], taps[1], taps[2]
    line = np.empty(width + 2 * reach, plane.dtype)
    middle = line[reach : reach + width]
    left, right, outer_left, outer_right = line[step:], line[3 * step :], line, line[4 * step :]
    for row in range(height):
        here, out = plane[row], result[row]
        above, below = plane[_mirrored(row - step, height)], plane[_mirrored(row + step, height)]
        top, bottom = plane[_mirrored(row - reach, height)], plane[_mirrored(row + reach, height)]
        for x in range(width):
            middle[x] = here[x] * centre + (above[x] + below[x]) * near + (top[x] + bottom[x]) * far
        for x in range(-reach, 0):
            line[reach + x] = middle[_mirrored(x, width)]
            line[reach + width - 1 - x] = middle[_mirrored(width - 1 - x, width)]
        for x in range(width):
            out[x] = middle[x] * centre + (left[x] + right[x]) * near + (outer_left[x] + outer_right[x]) * far


@entry_point
def stabilised(planes: Any, white_e: Any, offset: Any) -> Any:
    """2 sqrt(max(planes * white_e + offset, 0)), float32 [3, h, w]."""
    zero, two = np.float32(0), np.float32(2)
    result = np.empty_like(planes)
    for c in range(3):
        for row in range(planes.shape[1]):
            for column in range(planes.shape[2]):
                result[c, row, column] = two * np.sqrt(max(planes[c, row, column] * white_e + offset, zero))
    return result


@entry_point
def denoised(stable: Any, luma: Any, cuts: Any, chroma_levels: int, taps: Any, white_e: Any, offset: Any) -> Any:
    """Shrink luma by wavelets, smooth chroma and convert back to light: float32 [3, h, w], overwrites ``stable``.

    ``cuts`` float32 [levels], empty for no shrinkage; ``taps`` float32 [3] of the B3 spline.
    """
    four, bias = np.float32(4), offset - np.float32(0.25)
    height, width = luma.shape
    smooth = np.empty_like(luma)
    shrunk = luma
    if cuts.size:
        shrunk, coarse = np.zeros_like(luma), luma.copy()
        for level in range(cuts.size):
            _smooth_b3(coarse, taps, 1 << level, smooth)
            cut = cuts[level]
            for row in range(height):
                for column in range(width):
                    detail = coarse[row, column] - smooth[row, column]
                    shrunk[row, column] += detail - min(max(detail, -cut), cut)
            coarse, smooth = smooth, coarse
        for row in range(height):
            for column in range(width):
                shrunk[row, column] += coarse[row, column]
    chroma = np.empty_like(luma)
    for c in range(3):
        for row in range(height):
            for column in range(width):
                chroma[row, column] = stable[c, row, column] - luma[row, column]
        for level in range(chroma_levels):
            _smooth_b3(chroma, taps, 1 << level, smooth)
            chroma, smooth = smooth, chroma
        for row in range(height):
            for column in range(width):
                value = shrunk[row, column] + chroma[row, column]
                stable[c, row, column] = (value * value / four - bias) / white_e
    return stable


@jit
def _mean_down(plane: Any, size: int, result: Any) -> None:
    """Mean of ``size`` (odd) rows around each row, edges repeated, by the running sum of ``scipy.ndimage``."""
    height, width = plane.shape
    half, run = size // 2, np.zeros(width)
    for row in range(-half, half + 1):
        line = plane[min(max(row, 0), height - 1)]
        for column in range(width):
            run[column] += np.float64(line[column])
    for row in range(height):
        if row:
            added, removed = plane[min(row + half, height - 1)], plane[max(row - half - 1, 0)]
            for column in range(width):
                run[column] += np.float64(added[column]) - np.float64(removed[column])
        out = result[row]
        for column in range(width):
            out[column] = run[column] / np.float64(size)


@jit
def _mean_across(plane: Any, size: int, result: Any) -> None:
    """``_mean_down`` along the other axis."""
    height, width = plane.shape
    half, line, change = size // 2, np.empty(width + 2 * (size // 2)), np.empty(width)
    for row in range(height):
        here, out = plane[row], result[row]
        line[:half], line[half + width :] = here[0], here[width - 1]
        for column in range(width):
            line[half + column] = np.float64(here[column])
        run = 0.0
        for column in range(size):
            run += line[column]
        change[0] = run
        for column in range(1, width):
            change[column] = line[column + size - 1] - line[column - 1]
        for column in range(1, width):
            run += change[column]
            change[column] = run
        for column in range(width):
            out[column] = change[column] / np.float64(size)


@entry_point
def surroundings(luma: Any, size: int) -> Any:
    """``scipy.ndimage.uniform_filter(luma, size, mode="nearest")`` twice, float32 [h, w]; ``size`` is odd."""
    down, both = np.empty_like(luma), np.empty_like(luma)
    _mean_down(luma, size, down)
    _mean_across(down, size, both)
    _mean_down(both, size, down)
    _mean_across(down, size, both)
    return both


@entry_point
def toned(linear: Any, curve: Any) -> Any:
    """Linear interpolation of ``curve`` float32 [steps + 1]: float32 [3, h, w] -> float64 [3, h, w]."""
    steps, last, zero = np.float32(curve.size - 1), np.int32(curve.size - 2), np.float32(0)
    result = np.empty(linear.shape, np.float64)
    source, target = linear.reshape(-1), result.reshape(-1)
    position, rest = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK)
    for begin in range(0, source.size, _CHUNK):
        count = min(_CHUNK, source.size - begin)
        for i in range(count):  # vectorised, unlike the reads of the curve
            index = min(max(source[begin + i] * steps, zero), steps)
            low = min(np.int32(index), last)
            position[i], rest[i] = np.uint32(low), np.float64(index) - np.float64(low)
        for i in range(count):
            start = curve[position[i]]
            slope = np.float64(curve[position[i] + np.uint32(1)] - start)
            target[begin + i] = np.float64(start) + rest[i] * slope
    return result


@entry_point
def sharpened_bytes(encoded: Any, luma: Any, taps: Any, amount: Any) -> Any:
    """Unsharp mask with ``luma`` float64 [h, w], none if ``taps`` is empty; clipped and rounded to uint8 [h, w, 3]."""
    _, height, width = encoded.shape
    result = np.empty((height, width, 3), np.uint8)
    blurred = np.empty((height, width), np.float64)
    if taps.size:
        _smooth(luma, taps, 1, blurred)
    for row in range(height):
        for column in range(width):
            detail = amount * (luma[row, column] - blurred[row, column]) if taps.size else 0.0
            for c in range(3):
                value = encoded[c, row, column] + detail if taps.size else encoded[c, row, column]
                result[row, column, c] = np.uint8(np.rint(min(max(value, 0.0), 1.0) * 255.0))
    return result
