"""RGB <-> YCbCr of JFIF in libjpeg's 16-bit fixed point (jccolor.c, jdcolor.c)."""

from __future__ import annotations

from typing import Any

from builders.engine.lanes import Index, Memory, kernel

BITS = 16
HALF = 1 << (BITS - 1)
CENTRE = 128 << BITS
"""Chroma is stored around 128. jccolor.c adds ``HALF - 1`` to it, not ``HALF``, so that it cannot reach 256."""


def to_ycc(r: Any, g: Any, b: Any) -> tuple[Any, Any, Any]:
    """0..255 in, 0..255 out; constants are 0.299, 0.587, 0.114, 0.16874, 0.33126, 0.41869, 0.08131 times 2**16."""
    y = (r * 19595 + g * 38470 + b * 7471 + HALF) >> BITS
    cb = (b * 32768 - r * 11059 - g * 21709 + (CENTRE + HALF - 1)) >> BITS
    cr = (r * 32768 - g * 27439 - b * 5329 + (CENTRE + HALF - 1)) >> BITS
    return y, cb, cr


def to_rgb(y: Any, cb: Any, cr: Any) -> tuple[Any, Any, Any]:
    """0..255 in; the result is not yet clipped. Constants are 1.402, 0.34414, 0.71414, 1.772 times 2**16."""
    blue, red = cb - 128, cr - 128
    r = y + ((red * 91881 + HALF) >> BITS)
    g = y + ((blue * -22554 + red * -46802 + HALF) >> BITS)
    b = y + ((blue * 116130 + HALF) >> BITS)
    return r, g, b


@kernel
def rgb_to_ycc(rgb: Memory, channel: Index, ycc: Memory, plane: Index) -> None:
    """``LANES`` pixels; ``channel`` and ``plane`` are the distances between the three colours."""
    converted = to_ycc(rgb.load(), rgb.at(channel).load(), rgb.at(channel * 2).load())
    for k, lanes in enumerate(converted):
        ycc.at(plane * k).store(lanes)


@kernel
def ycc_to_rgb(y: Memory, cb: Memory, cr: Memory, rgb: Memory, channel: Index) -> None:
    """``LANES`` pixels; ``channel`` is the distance between the three colours of the result."""
    for k, lanes in enumerate(to_rgb(y.load(), cb.load(), cr.load())):
        rgb.at(channel * k).store(lanes.clip(0, 255))
