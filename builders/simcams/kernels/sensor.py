"""Compiled loops of ``stages.sensor.read_out`` (photons and read-out), with the same values bit for bit."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from builders.kernels import entry_point, jit
from builders.simcams.kernels import random
from builders.simcams.kernels.random import fill_bits

_SERIES = (
    8.333333333333333e-02, -2.777777777777778e-03, 7.936507936507937e-04, -5.952380952380952e-04, 8.417508417508418e-04,
    -1.917526917526918e-03, 6.410256410256410e-03, -2.955065359477124e-02, 1.796443723688307e-01, -1.39243221690590e00,
)  # fmt: skip
"""B(2k) / (2k (2k - 1)) for k = 1 to 10, Stirling's series (Abramowitz & Stegun 6.1.40), with the digits of NumPy."""

_LOG_TWO_PI = 1.8378770664093453
_TWO_PI = 6.283185307179586

_TOLERANCE = 1e-6
"""Difference of two logarithms under which ``_accepts`` computes each as NumPy does. Stirling's series cut after its
second term errs by 1 / (1260 k^5), 2.4e-8 at 8, and NumPy's own rounding by 1e-8 at means of 1e6."""

_BUFFER = 1028
"""Size of the buffer of uniform numbers: four for a number that is left over, the rest is a multiple of 4."""

SMALL = 10.0
"""Mean below which NumPy multiplies uniform numbers, and from which it rejects (PTRS)."""


@jit
def _log_factorial(k: float) -> float:
    """log(k!), k >= 2 or so, by the series shifted to 7, each step as NumPy's generator takes it."""
    x = k + 1.0
    if x == 1.0 or x == 2.0:
        return 0.0
    shift = int(7.0 - x) if x < 7.0 else 0
    at = x + shift
    inverse_square = (1.0 / at) * (1.0 / at)
    tail = _SERIES[9]
    for i in range(8, -1, -1):
        tail = tail * inverse_square + _SERIES[i]
    result = tail / at + 0.5 * _LOG_TWO_PI + (at - 0.5) * math.log(at) - at
    for _ in range(shift):
        result -= math.log(at - 1.0)
        at -= 1.0
    return result


@jit
def _accepts(k: float, mean: float, rest: float, v: float, a: float, b: float) -> bool:
    """Whether PTRS accepts ``k`` if its bounds do not decide: a comparison of two logarithms.

    With Stirling's series both sides need two logarithms instead of five or more and are exact to 1e-7. Only where they
    differ by less than ``_TOLERANCE`` are they computed in the way of NumPy's generator.
    """
    scale = 1.1239 + 1.1328 / (b - 3.4)
    if k >= 8.0 and mean < 1e6:
        inverse = 1.0 / k
        tail = (1.0 / 12.0 - inverse * inverse / 360.0) * inverse
        bound = math.log(v * scale * math.sqrt(_TWO_PI * k) / (a / (rest * rest) + b)) + tail
        distance = bound - (k * math.log(mean * inverse) + (k - mean))
        if abs(distance) > _TOLERANCE:
            return distance < 0.0
    left = math.log(v) + math.log(scale) - math.log(a / (rest * rest) + b)
    return left <= -mean + k * math.log(mean) - _log_factorial(k)


@jit
def _fill_uniform(counter: Any, key: Any, bits: Any, result: Any) -> None:
    """The next numbers in [0, 1) of ``fill_bits``, float64; ``bits`` is a uint64 buffer of the same length."""
    fill_bits(counter, key, bits)
    for i in range(bits.size):
        result[i] = np.float64(bits[i] >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@functools.partial(entry_point, parts=(random,))
def poisson_numbers(expected: Any, counter: Any, key: Any, most: float, result: Any) -> int:
    """Poisson numbers float32 of means float32 [h, w], at most ``most``, by the uniform numbers of ``_fill_uniform``.

    Hoermann's transformed rejection PTRS ("The transformed rejection method for generating Poisson random variables",
    Insurance: Mathematics and Economics 12, 1993) from ``SMALL``, products of uniform numbers below it.

    Returns:
        Number of uniform numbers that were used.
    """
    width = expected.shape[1]
    means, twice_a, bs, surely = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    uniform, bits, filled = np.empty(_BUFFER), np.empty(_BUFFER - 4, np.uint64), 0
    at = _BUFFER
    for row in range(expected.shape[0]):
        for column in range(width):  # everything without random numbers, vectorised
            mean = np.float64(expected[row, column])
            b = 0.931 + 2.53 * math.sqrt(mean)
            means[column], bs[column] = mean, b
            twice_a[column] = 2.0 * (-0.059 + 0.02483 * b)
            surely[column] = 0.9277 - 3.6224 / (b - 2.0)
        for column in range(width):
            mean, b = means[column], bs[column]
            k = 0.0
            if mean >= SMALL:
                while True:
                    if at + 2 > _BUFFER:  # at most one is left
                        uniform[3] = uniform[_BUFFER - 1]
                        at = 4 - (_BUFFER - at)
                        _fill_uniform(counter, key, bits, uniform[4:])
                        filled += _BUFFER - 4
                    u, v = uniform[at] - 0.5, uniform[at + 1]
                    at += 2
                    rest = 0.5 - abs(u)
                    k = np.floor((twice_a[column] / rest + b) * u + mean + 0.43)
                    if rest >= 0.07 and v <= surely[column]:
                        break
                    if k < 0 or (rest < 0.013 and v > rest):
                        continue
                    if _accepts(k, mean, rest, v, 0.5 * twice_a[column], b):
                        break
            elif mean > 0:
                least, product = math.exp(-mean), 1.0
                while True:
                    if at == _BUFFER:
                        at = 4
                        _fill_uniform(counter, key, bits, uniform[4:])
                        filled += _BUFFER - 4
                    product *= uniform[at]
                    at += 1
                    if product <= least:
                        break
                    k += 1.0
            result[row, column] = min(k, most)
    return filled - (_BUFFER - at)


@entry_point
def expected_electrons(exposure: Any, sensitivity: Any, dark: Any, white_e: Any, seconds: Any) -> Any:
    """exposure * sensitivity * white_e + dark * seconds, float32 [h, w]."""
    result = np.empty_like(exposure)
    for row in range(exposure.shape[0]):
        for column in range(exposure.shape[1]):
            result[row, column] = (
                exposure[row, column] * sensitivity[row, column] * white_e + dark[row, column] * seconds
            )
    return result


@entry_point
def digital_numbers(
    electrons: Any, noise: Any, row_noise: Any, sigma: Any, row_sigma: Any, gain: Any, black: Any, white: Any
) -> Any:
    """uint16 [h, w] of electrons float32 [h, w]: read and row noise (standard normal float32), gain, pedestal, clip."""
    zero = np.float32(0)
    result = np.empty(electrons.shape, np.uint16)
    for row in range(electrons.shape[0]):
        row_offset = row_sigma * row_noise[row]
        for column in range(electrons.shape[1]):
            value = electrons[row, column] + sigma * noise[row, column] + row_offset
            result[row, column] = np.uint16(min(max(np.rint(value * gain + black), zero), white))
    return result
