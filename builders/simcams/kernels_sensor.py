"""Photons and read-out by compiled loops, with the values of ``sensor.read_out`` bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from builders.pixels import entry_point, jit

_SERIES = (
    8.333333333333333e-02, -2.777777777777778e-03, 7.936507936507937e-04, -5.952380952380952e-04, 8.417508417508418e-04,
    -1.917526917526918e-03, 6.410256410256410e-03, -2.955065359477124e-02, 1.796443723688307e-01, -1.39243221690590e00,
)  # fmt: skip
"""B(2k) / (2k (2k - 1)) for k = 1 to 10, Stirling's series (Abramowitz & Stegun 6.1.40), with the digits NumPy has."""

_LOG_TWO_PI = 1.8378770664093453

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


@entry_point
def poisson_numbers(expected: Any, uniform: Any, most: float, result: Any) -> Any:
    """Poisson numbers float32 of means float32 [h, w], at most ``most``, from ``uniform`` float64 in [0, 1).

    Hoermann's transformed rejection PTRS ("The transformed rejection method for generating Poisson random variables",
    Insurance: Mathematics and Economics 12, 1993) from ``SMALL``, products of uniform numbers below it.

    Returns:
        How many of ``uniform`` were used; -1 if they were too few.
    """
    used, there = 0, uniform.size
    for row in range(expected.shape[0]):
        for column in range(expected.shape[1]):
            mean = np.float64(expected[row, column])
            count = 0
            if mean >= SMALL:
                b = 0.931 + 2.53 * math.sqrt(mean)
                a = -0.059 + 0.02483 * b
                surely = 0.9277 - 3.6224 / (b - 2.0)
                while True:
                    if used + 2 > there:
                        return -1
                    u, v = uniform[used] - 0.5, uniform[used + 1]
                    used += 2
                    rest = 0.5 - abs(u)
                    count = math.floor((2.0 * a / rest + b) * u + mean + 0.43)
                    if rest >= 0.07 and v <= surely:
                        break
                    if count < 0 or (rest < 0.013 and v > rest):
                        continue
                    scale = 1.1239 + 1.1328 / (b - 3.4)
                    left = math.log(v) + math.log(scale) - math.log(a / (rest * rest) + b)
                    if left <= -mean + count * math.log(mean) - _log_factorial(np.float64(count)):
                        break
            elif mean > 0:
                least, product = math.exp(-mean), 1.0
                while True:
                    if used >= there:
                        return -1
                    product *= uniform[used]
                    used += 1
                    if product <= least:
                        break
                    count += 1
            result[row, column] = min(np.float64(count), most)
    return used


@entry_point
def expected_electrons(exposure: Any, sensitivity: Any, dark: Any, white_e: Any, seconds: Any) -> Any:
    """exposure * sensitivity * white_e + dark * seconds, float32 [h, w], and about how many uniform numbers
    ``poisson_numbers`` takes for them: mean + 1 below ``SMALL``, 2.65 at most from there."""
    result = np.empty_like(exposure)
    draws = 0.0
    for row in range(exposure.shape[0]):
        for column in range(exposure.shape[1]):
            result[row, column] = (
                exposure[row, column] * sensitivity[row, column] * white_e + dark[row, column] * seconds
            )
            draws += result[row, column] + 1.0 if result[row, column] < SMALL else 2.65
    return result, draws


@entry_point
def digital_numbers(
    electrons: Any, noise: Any, row_noise: Any, sigma: Any, row_sigma: Any, gain: Any, black: Any, white: Any
) -> Any:
    """uint16 [h, w] of electrons float32 [h, w]: read and row noise (standard normal float32), gain, pedestal, cut."""
    zero = np.float32(0)
    result = np.empty(electrons.shape, np.uint16)
    for row in range(electrons.shape[0]):
        of_row = row_sigma * row_noise[row]
        for column in range(electrons.shape[1]):
            value = electrons[row, column] + sigma * noise[row, column] + of_row
            result[row, column] = np.uint16(min(max(np.rint(value * gain + black), zero), white))
    return result
