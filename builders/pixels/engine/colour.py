"""RGB <-> YCbCr of JFIF in libjpeg's 16-bit fixed point (jccolor.c, jdcolor.c)."""

from __future__ import annotations

from typing import Any

from builders.pixels.engine.lanes import Index, Memory, kernel

COLOUR_BITS = 16
COLOUR_HALF = 1 << (COLOUR_BITS - 1)
CENTRE = 128 << COLOUR_BITS
"""Chroma is stored around 128. jccolor.c adds ``COLOUR_HALF - 1`` to it, not ``COLOUR_HALF``: it cannot reach 256."""


def to_ycc(r: Any, g: Any, b: Any) -> tuple[Any, Any, Any]:
    """0..255 in, 0..255 out.

    jccolor.c weighs (r, g, b) by (19595, 38470, 7471) for Y, (-11059, -21709, 32768) for Cb and (32768, -27439, -5329)
    for Cr: 0.299, 0.587 and so on times 2**16. Each row sums to 2**16 or 0, so that g can be taken out.
    """
    red, blue = r - g, b - g
    y = g + ((red * 19595 + blue * 7471 + COLOUR_HALF) >> COLOUR_BITS)
    cb = (blue * 32768 - red * 11059 + (CENTRE + COLOUR_HALF - 1)) >> COLOUR_BITS
    cr = (red * 32768 - blue * 5329 + (CENTRE + COLOUR_HALF - 1)) >> COLOUR_BITS
    return y, cb, cr


def to_rgb(y: Any, cb: Any, cr: Any) -> tuple[Any, Any, Any]:
    """0..255 in; the result is not yet clipped.

    jdcolor.c has r = y + 1.402 cr, g = y - 0.34414 cb - 0.71414 cr, b = y + 1.772 cb around 128, in 2**16ths: 91881,
    -22554, -46802 and 116130. Whole multiples of 2**16 are taken out, which leaves factors of 16 bits.
    """
    blue, red = cb - 128, cr - 128
    r = y + red + ((red * (91881 - 65536) + COLOUR_HALF) >> COLOUR_BITS)
    g = y - red + ((red * (65536 - 46802) - blue * 22554 + COLOUR_HALF) >> COLOUR_BITS)
    b = y + blue + blue + ((blue * (116130 - 131072) + COLOUR_HALF) >> COLOUR_BITS)
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
