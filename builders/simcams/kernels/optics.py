"""Compiled loops of ``stages.optics.light_on_sensor`` (blur and geometry), with the same values bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from builders.kernels import entry_point, jit

_SINC_ZERO = np.finfo(np.float32).eps
"""Argument that ``numpy.sinc`` uses instead of 0."""


@jit
def _turn(fy: Any, fx: Any, motion: Any) -> Any:
    """The argument of the sine of ``numpy.sinc(fx * motion[0] + fy * motion[1])``, float32."""
    turn = np.float32(math.pi) * (fx * motion[0] + fy * motion[1])
    return turn if turn != 0 else _SINC_ZERO


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
    raw: Any, prefilter: Any, disc: Any, indices: Any, sines: Any, fy: Any, fx: Any, motion: Any, down: Any, across: Any
) -> None:
    """Multiply spectra by all transfer functions, in place.

    Args:
        raw: float32 [3, h, w, 2], real and imaginary parts.
        prefilter: float32 [h, w].
        disc, indices: of ``disc_transfer``, float32 [k] and int32 [h, w]; not used if ``disc`` is empty.
        sines: of ``turns``, float32 [h, w]; not used if it is empty.
        fy, fx, motion: of ``turns``.
        down, across: float32 [4, h] and [4, w], Gaussians of the three colours, then that of all colours.
    """
    _, height, width, _ = raw.shape
    shared = np.empty(width, np.float32)
    for y in range(height):
        for x in range(width):
            shared[x] = down[3, y] * across[3, x]
        if disc.size:
            for x in range(width):
                shared[x] *= disc[indices[y, x]]
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


_LANES = 8
"""Pixels whose splines are summed in one vector: 512 bits of float64, which LLVM splits for shorter registers."""


def _vector_sums(
    context: Any, planes: Any, even: Any, odd: Any, stride: Any, down: Any, across: Any, at: Any, total: Any
) -> Any:
    """Sums of 4 x 4 weighted coefficients for ``_LANES`` pixels that are two columns of the plane apart.

    Args:
        context: of the compiler.
        planes: float32, columns separated as by ``_separate_columns``.
        even, odd: indices of the first and second coefficient of the first pixel; those of the others follow.
        stride: from one row of the plane to the next.
        down, across: float64 [4, w], weights.
        at: index of the first pixel.
        total: float64 [w], filled from ``at`` on.
    """

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        whole = ir.IntType(64)
        singles, doubles = (ir.VectorType(kind, _LANES) for kind in (ir.FloatType(), ir.DoubleType()))
        _, even, odd, stride, _, _, at, _ = arguments
        planes, down, across, total = (
            context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 4, 5, 7)
        )

        def place(array: Any, index: Any, kind: Any) -> Any:
            return build.bitcast(build.gep(array.data, [index]), kind.as_pointer())

        def weights(array: Any, row: int) -> Any:
            width = cgutils.unpack_tuple(build, array.shape)[1]
            return build.load(place(array, build.add(build.mul(width, whole(row)), at), doubles), align=8)

        columns = [weights(across, j) for j in range(4)]
        sums = ir.Constant(doubles, [0.0] * _LANES)
        for i in range(4):
            row = weights(down, i)
            for j in range(4):
                begin = build.add(odd if j % 2 else even, whole(j // 2))
                coefficients = build.fpext(build.load(place(planes, begin, singles), align=4), doubles)
                sums = build.fadd(sums, build.fmul(build.fmul(coefficients, row), columns[j]))
            even, odd = build.add(even, stride), build.add(odd, stride)
        build.store(sums, place(total, at, doubles), align=8)
        return context.get_dummy_value()

    return types.void(planes, even, odd, stride, down, across, at, total), code


_sums: Any = intrinsic(_vector_sums)


@jit
def _separate_columns(planes: Any, scale: Any) -> None:
    """Multiply ``planes`` float32 [3, H, W] by ``scale`` and move the even columns before the odd ones, in place."""
    half = planes.shape[2] // 2
    line = np.empty(2 * half, np.float32)
    for c in range(3):
        for row in range(planes.shape[1]):
            here = planes[c, row]
            for x in range(2 * half):
                line[x] = here[x] * scale
            for x in range(half):
                here[x], here[half + x] = line[2 * x], line[2 * x + 1]


@jit
def _splines(separated: Any, width: int, start: Any, left: Any, down: Any, across: Any, total: Any) -> None:
    """Splines of pixels of one colour in a row; coefficients are summed in the order of their rows and columns.

    Args:
        separated: float32 [3 H W], of ``_separate_columns``.
        width: W.
        start, left: int64 [w], of the first of the 4 x 4 coefficients of each pixel: index of the beginning of its row,
            and its column before the separation.
        down, across: of ``_weights``.
        total: float64 [w], filled.
    """
    half, i = width // 2, 0
    while i < start.size:
        uneven = 1
        if i + _LANES <= start.size:  # usually every second column of the plane, in one row
            uneven = 0
            for j in range(1, _LANES):
                uneven |= (start[i + j] - start[i]) | (left[i + j] - left[i] - 2 * j)
        even, odd = left[i] >> 1, (left[i] + 1) >> 1
        if left[i] & 1:
            even += half
        else:
            odd += half
        even, odd = start[i] + even, start[i] + odd
        if uneven == 0:
            _sums(separated, even, odd, width, down, across, i, total)
            i += _LANES
            continue
        sum_here = 0.0
        for k in range(4):
            sum_here += np.float64(separated[even]) * down[k, i] * across[0, i]
            sum_here += np.float64(separated[odd]) * down[k, i] * across[1, i]
            sum_here += np.float64(separated[even + 1]) * down[k, i] * across[2, i]
            sum_here += np.float64(separated[odd + 1]) * down[k, i] * across[3, i]
            even, odd = even + width, odd + width
        total[i] = sum_here
        i += 1


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
    transmission: Any,
    mosaic: Any,
) -> bool:
    """Fill ``mosaic`` float32 [h, w] with the spline of the plane of each pixel; False if a pixel is beyond the edge.

    Args:
        planes: float32 [3, H, W], coefficients over ``scale`` of the rows from ``first``; W is even; overwritten.
        scale: float32.
        first: see ``planes``.
        grid_y, grid_x, r2: float32 [h], [w], [h, w]: from the centre, and the squared radius.
        colours: int64 [2, 2], of the Bayer cell.
        geometry: float32 [3, 2], distortion and magnification of each colour.
        turn, centre: float32 [2]: cosine and sine; y and x.
        transmission: float32 [h / 2, w / 2], share of the light that the lens transmits, in the lower right quarter.
        mosaic: float32 [h, w], filled.
    """
    one, zero = np.float32(1), np.float32(0)
    height, half = mosaic.shape[0], mosaic.shape[1] // 2
    _, rows, columns = planes.shape
    _separate_columns(planes, scale)
    separated = planes.reshape(-1)
    cos, sin = turn[0], turn[1]
    at_y, at_x, whole_y, whole_x, total = np.empty(half), np.empty(half), np.empty(half), np.empty(half), np.empty(half)
    starts, lefts = np.empty(half, np.int64), np.empty(half, np.int64)
    weights_y, weights_x = np.empty((4, half)), np.empty((4, half))
    for row in range(height):
        y, line = grid_y[row], mosaic[row]
        quarter = transmission[row - height // 2 if row >= height // 2 else height // 2 - 1 - row]
        for second in range(2):  # every second pixel has one colour; loops without branches are vectorised
            colour = colours[row % 2, second]
            bent, magnified, outside = geometry[colour, 0], geometry[colour, 1], 0
            radius, x = r2[row, second:], grid_x[second:]
            for i in range(half):
                stretch = (one - bent * radius[2 * i]) * magnified
                at_y[i] = stretch * (cos * y + sin * x[2 * i]) + centre[0]
                at_x[i] = stretch * (cos * x[2 * i] - sin * y) + centre[1]
            for i in range(half):
                whole_y[i], whole_x[i] = np.floor(at_y[i]), np.floor(at_x[i])
            for i in range(half):
                top, left = np.int64(whole_y[i]) - 1 - first, np.int64(whole_x[i]) - 1
                outside += (top < 0) | (left < 0) | (top + 3 >= rows) | (left + 3 >= columns)
                starts[i], lefts[i] = (colour * rows + top) * columns, left
            if outside:
                return False
            _weights(at_y, whole_y, weights_y)
            _weights(at_x, whole_x, weights_x)
            _splines(separated, columns, starts, lefts, weights_y, weights_x, total)
            for i in range(half):
                column = 2 * i + second
                light = quarter[column - half] if column >= half else quarter[half - 1 - column]
                line[column] = max(np.float32(total[i]) * light, zero)
    return True
