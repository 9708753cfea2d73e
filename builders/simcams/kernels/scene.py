"""Compiled loops of ``stages.scene.paint``, with the same values bit for bit. NumPy computes exponentials and sines.

Visibility is computed from the last shape to the first, so that each pixel is painted once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from builders.kernels import entry_point, jit


@jit
def _coordinates(place: Any, i: int, y: Any, x: Any) -> Any:
    """Coordinates (u, v) relative to shape ``i``, 1 at its edge."""
    down, right = (y - place[i, 0]) / place[i, 2], (x - place[i, 1]) / place[i, 2]
    u = (place[i, 3] * right + place[i, 4] * down) / place[i, 5]
    return u, (place[i, 3] * down - place[i, 4] * right) * place[i, 5]


@entry_point
def visible_shapes(place: Any, window: Any, boxes: bool, height: int, width: int) -> Any:
    """Index of the last shape over each pixel, int32 [height, width]; -1 without a shape.

    ``place`` float32 [n, 6]: centre (y, x), radius, cosine and sine of the angle, and aspect of each shape. ``window``
    int64 [n, 4]: bounds of each shape: top, bottom, left, right.
    """
    limit, edge = np.float32(1), np.float32(0.9)
    owner = np.full((height, width), -1, np.int32)
    grid = np.arange(width).astype(np.float32)
    for i in range(place.shape[0] - 1, -1, -1):
        index, left, right = np.int32(i), window[i, 2], window[i, 3]
        centre, radius, cos, sin, aspect = place[i, 1], place[i, 2], place[i, 3], place[i, 4], place[i, 5]
        x = grid[left:right]
        for row in range(window[i, 0], window[i, 1]):
            down = (np.float32(row) - place[i, 0]) / radius
            line = owner[row, left:right]
            for j in range(line.size):  # loops without branches are vectorised
                across = (x[j] - centre) / radius
                u, v = (cos * across + sin * down) / aspect, (cos * down - sin * across) * aspect
                inside = max(abs(u), abs(v)) < edge if boxes else u * u + v * v < limit
                line[j] = index if inside & (line[j] < 0) else line[j]
    return owner


@entry_point
def textured_pixels(owner: Any, place: Any, shade: Any, wave: Any, flat: Any) -> Any:
    """Exponents of the shading of all textured pixels, and phases of the stripes of striped ones, in row-major order:
    float32 [m], float32 [k]. ``shade`` float32 [n, 2]; ``wave`` float32 [n], 0 without stripes."""
    exponents = np.empty(owner.size, np.float32)
    phases = np.empty(owner.size, np.float32)
    m = k = 0
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            i = owner[row, column]
            if i < 0 or flat[i]:
                continue
            u, v = _coordinates(place, i, np.float32(row), np.float32(column))
            exponents[m] = shade[i, 0] * u + shade[i, 1] * v
            m += 1
            if wave[i] != 0:
                phases[k] = u * wave[i]
                k += 1
    return exponents[:m], phases[:k]


@entry_point
def grating_phases(owner: Any, turn: Any, period: Any) -> Any:
    """Phases of two crossed gratings (``stages.scene.Weave``) at the samples without a shape, in row-major order,
    float64 [2, m]. ``turn`` float32 [3]: cosine and sine of the angle, and bend; ``period`` float64 [2]."""
    full = np.float32(2 * math.pi)
    phases = np.empty((2, np.sum(owner < 0)))
    m = 0
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            if owner[row, column] < 0:
                y, x = np.float32(row), np.float32(column)
                u, v = x * turn[0] + y * turn[1], y * turn[0] - x * turn[1]
                phases[0, m] = np.float64(full * (u + turn[2] * u * u)) / period[0]
                phases[1, m] = np.float64(full * (v + turn[2] * v * v)) / period[1]
                m += 1
    return phases


@entry_point
def composed(
    background: Any,
    waves: Any,
    depth: Any,
    owner: Any,
    colour: Any,
    flat: Any,
    window: Any,
    offset: Any,
    grain: Any,
    shading: Any,
    signs: Any,
    stripes: Any,
) -> Any:
    """The light averaged over pixels of 2 x 2 samples, float32 [height, width, 3].

    Args:
        background: float32 [height, width, 3], the same for the four samples of a pixel.
        waves, depth: float64 [2, m] and [2], sines of ``grating_phases`` and their weights; empty without gratings.
        owner: of ``visible_shapes``.
        colour: float32 [n, 3].
        flat: bool [n], shapes of one colour.
        window, offset: int64 [n, 4] and [n, 2], bounds of each shape and its position in the grain.
        grain: float32 [height, width].
        shading, signs: float32, exponentials and signs of sines of the results of ``textured_pixels``.
        stripes: float32 [n], depth.
    """
    one, four = np.float32(1), np.float32(4)
    height, width = grain.shape
    rows = np.empty((2, 2 * width, 3), np.float32)
    result = np.empty((height, width, 3), np.float32)
    m = k = free = 0
    for row in range(owner.shape[0]):
        line = rows[row % 2]
        for column in range(owner.shape[1]):
            i = owner[row, column]
            if i < 0:
                factor = 1.0
                if depth.size:
                    factor = 1.0 + depth[0] * waves[0, free] + depth[1] * waves[1, free]
                    free += 1
                for c in range(3):
                    line[column, c] = background[row // 2, column // 2, c] * factor
                continue
            if flat[i]:
                for c in range(3):
                    line[column, c] = colour[i, c]
                continue
            texture = shading[m]
            m += 1
            if stripes[i] != 0:
                texture *= one + stripes[i] * signs[k]
                k += 1
            y, x = row - window[i, 0] + offset[i, 0], column - window[i, 2] + offset[i, 1]
            y, x = y - 2 * height if y >= 2 * height else y, x - 2 * width if x >= 2 * width else x
            texture *= grain[y // 2, x // 2]
            for c in range(3):
                line[column, c] = texture * colour[i, c]
        if row % 2:
            for x in range(width):
                for c in range(3):
                    above = rows[0, 2 * x, c] + rows[0, 2 * x + 1, c]
                    result[row // 2, x, c] = (above + rows[1, 2 * x, c] + rows[1, 2 * x + 1, c]) / four
    return result
