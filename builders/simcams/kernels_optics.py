"""Blur and geometry of a shot by compiled loops, with the values of ``optics.light_on_sensor`` bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from builders.pixels import entry_point, jit

_LEAST = np.finfo(np.float32).eps
"""What ``numpy.sinc`` takes for 0."""


@jit
def _turn(fy: Any, fx: Any, motion: Any) -> Any:
    """The argument of the sine of ``numpy.sinc(fx * motion[0] + fy * motion[1])``, float32."""
    turn = np.float32(math.pi) * (fx * motion[0] + fy * motion[1])
    return turn if turn != 0 else _LEAST


@entry_point
def turns(fy: Any, fx: Any, motion: Any) -> Any:
    """``_turn`` of all frequencies float32 [h] and [w], float32 [h, w]; ``motion`` float32 [2], x and y."""
    result = np.empty((fy.size, fx.size), np.float32)
    for y in range(fy.size):
        for x in range(fx.size):
            result[y, x] = _turn(fy[y], fx[x], motion)
    return result


@entry_point
def filter_in_place(
    raw: Any, prefilter: Any, disc: Any, places: Any, sines: Any, fy: Any, fx: Any, motion: Any, down: Any, across: Any
) -> None:
    """Multiply spectra by all transfer functions.

    Args:
        raw: float32 [3, h, w, 2], real and imaginary parts.
        prefilter: float32 [h, w].
        disc, places: float32 [k] and where its numbers stand, int32 [h, w]; not read where ``disc`` is empty.
        sines: of ``turns``, float32 [h, w]; not read where it is empty.
        fy, fx, motion: of ``turns``.
        down, across: float32 [4, h] and [4, w], Gaussians of three colours and the one that they share.
    """
    _, height, width, _ = raw.shape
    shared = np.empty(width, np.float32)
    for y in range(height):
        for x in range(width):
            shared[x] = down[3, y] * across[3, x]
        if disc.size:
            for x in range(width):
                shared[x] *= disc[places[y, x]]
        if sines.size:
            for x in range(width):
                shared[x] *= sines[y, x] / _turn(fy[y], fx[x], motion)
        for x in range(width):
            shared[x] = prefilter[y, x] * shared[x]
        for c in range(3):
            for x in range(width):
                factor = shared[x] * (down[c, y] * across[c, x])
                raw[c, y, x, 0] *= factor
                raw[c, y, x, 1] *= factor


@jit
def _weights(at: Any, whole: Any, weights: Any) -> None:
    """Cubic B-splines at the four samples around each ``at`` float64 [w], whose floor is ``whole``, into float64 [4, w]
    (Unser 1999); the last is what is missing to 1."""
    for i in range(at.size):
        y = at[i] - whole[i]
        z = 1.0 - y
        first = z * z * z / 6.0
        second = (y * y * (y - 2.0) * 3.0 + 4.0) / 6.0
        third = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0
        weights[0, i], weights[1, i], weights[2, i], weights[3, i] = first, second, third, 1.0 - first - second - third


@entry_point
def sampled(
    planes: Any,
    scale: Any,
    first: int,
    grid_y: Any,
    grid_x: Any,
    r2: Any,
    colours: Any,
    geometry: Any,
    turn: Any,
    centre: Any,
    kept: Any,
    mosaic: Any,
) -> bool:
    """Fill ``mosaic`` float32 [h, w] with the spline of one plane a pixel; False where a pixel looks over the edge.

    Args:
        planes: float32 [3, H, W], coefficients over ``scale``, of the rows from ``first``.
        scale: float32.
        first: see ``planes``.
        grid_y, grid_x, r2: float32 [h], [w], [h, w]: from the centre, and the squared radius.
        colours: int64 [2, 2], of the Bayer cell.
        geometry: float32 [3, 2], distortion and magnification of each colour.
        turn, centre: float32 [2]: cosine and sine; y and x.
        kept: float32 [h / 2, w / 2], share of the light that the lens lets through, of the lower right quarter.
    """
    one, zero = np.float32(1), np.float32(0)
    (height, width), half = mosaic.shape, mosaic.shape[1] // 2
    flat, stride, steps = planes.reshape(-1), np.uint64(planes.shape[2]), (np.uint64(1), np.uint64(2), np.uint64(3))
    cos, sin = turn[0], turn[1]
    bent, magnified, light = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    at_y, at_x, whole_y, whole_x = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    total = np.empty(width)
    start, weights_y, weights_x = np.empty(width, np.uint64), np.empty((4, width)), np.empty((4, width))
    for row in range(height):  # loops over columns without branches: in vectors, but for the sums
        y, radius, outside = grid_y[row], r2[row], 0
        for column in range(width):
            c = colours[row % 2, column % 2]
            bent[column], magnified[column] = geometry[c, 0], geometry[c, 1]
        for column in range(width):
            stretch, x = (one - bent[column] * radius[column]) * magnified[column], grid_x[column]
            at_y[column] = stretch * (cos * y + sin * x) + centre[0]
            at_x[column] = stretch * (cos * x - sin * y) + centre[1]
        for column in range(width):
            whole_y[column], whole_x[column] = np.floor(at_y[column]), np.floor(at_x[column])
        for column in range(width):
            top, left = np.int32(whole_y[column]) - 1 - first, np.int32(whole_x[column]) - 1
            outside += (top < 0) | (left < 0) | (top + 3 >= planes.shape[1]) | (left + 3 >= planes.shape[2])
            plane = colours[row % 2, column % 2] * planes.shape[1]
            start[column] = np.uint64((plane + top) * planes.shape[2] + left)
        if outside:
            return False
        _weights(at_y, whole_y, weights_y)
        _weights(at_x, whole_x, weights_x)
        for column in range(width):
            at, sum_here = start[column], 0.0
            for i in range(4):
                down = weights_y[i, column]
                sum_here += np.float64(flat[at] * scale) * down * weights_x[0, column]
                sum_here += np.float64(flat[at + steps[0]] * scale) * down * weights_x[1, column]
                sum_here += np.float64(flat[at + steps[1]] * scale) * down * weights_x[2, column]
                sum_here += np.float64(flat[at + steps[2]] * scale) * down * weights_x[3, column]
                at += stride
            total[column] = sum_here
        quarter, line = kept[row - height // 2 if row >= height // 2 else height // 2 - 1 - row], mosaic[row]
        for column in range(half):
            light[half + column], light[half - 1 - column] = quarter[column], quarter[column]
        for column in range(width):
            line[column] = max(np.float32(total[column]) * light[column], zero)
    return True
