"""Blur and geometry of a shot by compiled loops, with the values of ``optics.light_on_sensor`` bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from builders.pixels import entry_point, jit


@entry_point
def filtered(raw: Any, shared: Any, down: Any, across: Any) -> Any:
    """``raw`` complex64 [3, h, w] times ``shared`` float32 [h, w] times the outer products of ``down`` float32 [3, h]
    and ``across`` float32 [3, w]."""
    result = np.empty_like(raw)
    for c in range(3):
        for y in range(raw.shape[1]):
            for x in range(raw.shape[2]):
                factor = shared[y, x] * (down[c, y] * across[c, x])
                value = raw[c, y, x]
                result[c, y, x] = complex(value.real * factor, value.imag * factor)
    return result


@jit
def _weights(x: Any) -> Any:
    """Cubic B-spline at the four samples around ``x``, float64 (Unser 1999); the last is what is missing to 1."""
    y = x - math.floor(x)
    z = 1.0 - y
    first = z * z * z / 6.0
    second = (y * y * (y - 2.0) * 3.0 + 4.0) / 6.0
    third = (z * z * (z - 2.0) * 3.0 + 4.0) / 6.0
    return first, second, third, 1.0 - first - second - third


@entry_point
def sampled(
    planes: Any, grid_y: Any, grid_x: Any, r2: Any, colours: Any, geometry: Any, turn: Any, centre: Any, mosaic: Any
) -> bool:
    """Fill ``mosaic`` float32 [h, w] with the spline of one plane a pixel; False where a pixel looks over the edge.

    Args:
        planes: float32 [3, H, W], coefficients.
        grid_y, grid_x, r2: float32 [h], [w], [h, w]: from the centre, and the squared radius.
        colours: int64 [2, 2], of the Bayer cell.
        geometry: float32 [3, 2], distortion and magnification of each colour.
        turn, centre: float32 [2]: cosine and sine; y and x.
    """
    one = np.float32(1)
    for row in range(mosaic.shape[0]):
        for column in range(mosaic.shape[1]):
            c = colours[row % 2, column % 2]
            stretch = (one - geometry[c, 0] * r2[row, column]) * geometry[c, 1]
            y, x = grid_y[row], grid_x[column]
            at_y = np.float64(stretch * (turn[0] * y + turn[1] * x) + centre[0])
            at_x = np.float64(stretch * (turn[0] * x - turn[1] * y) + centre[1])
            top, left = math.floor(at_y) - 1, math.floor(at_x) - 1
            if top < 0 or left < 0 or top + 3 >= planes.shape[1] or left + 3 >= planes.shape[2]:
                return False
            wx0, wx1, wx2, wx3 = _weights(at_x)
            weights_y = _weights(at_y)
            total = 0.0
            for i in range(4):
                wy = weights_y[i]
                total += np.float64(planes[c, top + i, left]) * wy * wx0
                total += np.float64(planes[c, top + i, left + 1]) * wy * wx1
                total += np.float64(planes[c, top + i, left + 2]) * wy * wx2
                total += np.float64(planes[c, top + i, left + 3]) * wy * wx3
            mosaic[row, column] = total
    return True
