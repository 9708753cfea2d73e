"""Compiled random generators, with the numbers of NumPy's ``Generator`` for the same Philox state, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from builders.kernels import entry_point, jit

_PHILOX = tuple(
    np.uint64(number) for number in (0xD2E7470EE14C6C93, 0xCA5A826395121157, 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
)
"""Two multipliers, and what is added to the two halves of the key each round (Salmon et al., table 2)."""

_EDGE = 3.6541528853610087963519472518
"""Where the lowest of the 256 layers of NumPy's ziggurat ends (Marsaglia & Tsang, "The ziggurat method for generating
random variables", Journal of Statistical Software 5, 2000)."""


def _ziggurat() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the layers of 23-bit numbers: bounds uint32, widths float32, and the density at their edges float32, [256]."""
    edge, unit = np.longdouble(_EDGE), np.longdouble(1 << 23)
    area = edge * np.exp(-edge * edge / 2) + math.sqrt(math.pi / 2) * math.erfc(_EDGE / math.sqrt(2))
    edges = [edge]  # from the lowest layer to the highest
    for _ in range(254):
        edges.append(np.sqrt(-2 * np.log(area / edges[-1] + np.exp(-edges[-1] * edges[-1] / 2))))
    x = np.array([*edges, 0])[::-1]
    base = area / np.exp(-edge * edge / 2)  # of the lowest layer with its tail
    bounds = np.concatenate([[edge / base * unit, 0], x[1:255] / x[2:] * unit])
    widths = np.concatenate([[base], x[1:]]) / unit
    return np.rint(bounds).astype(np.uint32), widths.astype(np.float32), np.exp(-x * x / 2).astype(np.float32)


_BOUNDS, _WIDTHS, _DENSITY = _ziggurat()


def _both_halves(context: Any, a: Any, b: Any) -> Any:
    """Upper and lower 64 bits of a product of two uint64, by one multiplication."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, half = ir.IntType(128), ir.IntType(64)
        whole = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        parts = builder.trunc(builder.lshr(whole, wide(64)), half), builder.trunc(whole, half)
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), code


_product: Any = intrinsic(_both_halves)


@jit
def fill_bits(counter: Any, key: Any, result: Any) -> None:
    """The next numbers of a Philox 4 x 64 generator of 10 rounds (Salmon et al., SC 2011), four a step.

    ``counter`` uint64 [4], advanced; ``key`` uint64 [2]; ``result`` uint64, filled, a multiple of 4 long. Two steps are
    computed at once, for instruction-level parallelism, unless the first word of the counter overflows.
    """
    begin = counter[0]
    pairs = result.size // 8 if begin + np.uint64(result.size) > begin else 0
    for pair in range(pairs):
        first, second = key[0], key[1]
        a, b, c, d = begin + np.uint64(2 * pair + 1), counter[1], counter[2], counter[3]
        e, f, g, h = begin + np.uint64(2 * pair + 2), counter[1], counter[2], counter[3]
        for _ in range(10):
            high_a, low_a = _product(a, _PHILOX[0])
            high_c, low_c = _product(c, _PHILOX[1])
            high_e, low_e = _product(e, _PHILOX[0])
            high_g, low_g = _product(g, _PHILOX[1])
            a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
            e, f, g, h = high_g ^ f ^ first, low_g, high_e ^ h ^ second, low_e
            first, second = first + _PHILOX[2], second + _PHILOX[3]
        at = 8 * pair
        result[at], result[at + 1], result[at + 2], result[at + 3] = a, b, c, d
        result[at + 4], result[at + 5], result[at + 6], result[at + 7] = e, f, g, h
    counter[0] = begin + np.uint64(2 * pairs)
    for at in range(8 * pairs, result.size, 4):
        counter[0] += np.uint64(1)
        for i in range(3):
            if counter[i] != 0:
                break
            counter[i + 1] += np.uint64(1)
        a, b, c, d = counter[0], counter[1], counter[2], counter[3]
        first, second = key[0], key[1]
        for _ in range(10):
            high_a, low_a = _product(a, _PHILOX[0])
            high_c, low_c = _product(c, _PHILOX[1])
            a, b, c, d = high_c ^ b ^ first, low_c, high_a ^ d ^ second, low_a
            first, second = first + _PHILOX[2], second + _PHILOX[3]
        result[at], result[at + 1], result[at + 2], result[at + 3] = a, b, c, d


@jit
def _unit_interval(word: Any) -> Any:
    """float32 in [0, 1) of a uint32."""
    return np.float32(word >> np.uint32(8)) * np.float32(1.0 / 16777216.0)


@entry_point
def put_normals(counter: Any, key: Any, skip: int, result: Any) -> int:
    """Fill ``result`` float32 [n] with standard normal numbers, like ``Generator.standard_normal``.

    Args:
        counter, key: of ``fill_bits``.
        skip: 32-bit halves of its first numbers that have been used.
        result: filled.

    Returns:
        Number of used halves including ``skip``; -1 if the buffer was too small, and ``result`` is not complete.
    """
    bits = np.empty(4 * ((result.size + result.size // 16 + skip + 400) // 8), np.uint64)
    fill_bits(counter, key, bits)
    words, edge, inverse = bits.view(np.uint32), np.float32(_EDGE), np.float32(1.0 / _EDGE)
    last, at = words.size - 200, skip
    for i in range(result.size):
        while True:
            if at > last:
                return -1
            word = words[at]
            at += 1
            layer, magnitude = word & np.uint32(0xFF), (word >> np.uint32(9)) & np.uint32(0x7FFFFF)
            x = np.float32(magnitude) * _WIDTHS[layer]
            x = -x if word & np.uint32(0x100) else x
            if magnitude < _BOUNDS[layer]:
                break
            if layer != 0:
                above, below = _DENSITY[layer - np.uint32(1)], _DENSITY[layer]
                at += 1
                if (above - below) * _unit_interval(words[at - 1]) + below < math.exp(
                    -0.5 * np.float64(x) * np.float64(x)
                ):
                    break
                continue
            while at <= last + 190:  # the tail
                x = -inverse * np.float32(math.log1p(-_unit_interval(words[at])))
                y = -np.float32(math.log1p(-_unit_interval(words[at + 1])))
                at += 2
                if y + y > x * x:
                    break
            x = -(edge + x) if magnitude & np.uint32(0x100) else edge + x
            break
        result[i] = x
    return at
