"""libjpeg's quantisation tables, and the quality of a file's tables, exact or nearest.

Tables by ITU-T T.81 (annex K), quality on libjpeg's scale. A file has an exact quality only if its tables are exactly
those of libjpeg for that quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

LUMINANCE_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""Table K.1 of ITU-T T.81 in natural order, which libjpeg scales for luminance."""

CHROMINANCE_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip
"""Table K.2 of ITU-T T.81 in natural order, which libjpeg scales for chrominance."""


def quality_of(tables: tuple[bytes, ...]) -> int | None:
    """libjpeg's quality of tables in zigzag order, for each component; ``None`` if they are other tables."""
    if not tables or any(len(table) != 64 for table in tables):
        return None
    natural = [_natural(table) for table in tables]
    quality = quality_by_luminance().get(natural[0])
    if quality is None:
        return None
    return quality if all(table in scaled_tables(quality) for table in natural[1:3]) else None


def nearest_quality(table: bytes) -> int:
    """libjpeg's quality 1..100 whose luminance table is nearest in the mean ratio; 0 for a table that is cut off.

    Args:
        table: 64 or 128 bytes in zigzag order.

    >>> nearest_quality(bytes(scaled_tables(80)[0][position] for position in zigzag_order()))
    80
    """
    if len(table) not in (64, 128):
        return 0
    values = _natural(table)

    def distance(quality: int) -> float:
        return sum(abs(a - b) / (a + b) for a, b in zip(values, scaled_tables(quality)[0], strict=True) if a + b)

    return min(range(1, 101), key=distance)


def _natural(table: bytes) -> tuple[int, ...]:
    size = len(table) // 64
    natural = [0] * 64
    for k, position in enumerate(zigzag_order()):
        natural[position] = int.from_bytes(table[size * k : size * (k + 1)], "big")
    return tuple(natural)


@cache
def scaled_tables(quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """libjpeg's luminance and chrominance tables for ``quality`` 1..100 (``jpeg_set_quality``, baseline)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luminance, chrominance = (
        tuple(min(max((value * scale + 50) // 100, 1), 255) for value in base)
        for base in (LUMINANCE_TABLE, CHROMINANCE_TABLE)
    )
    return luminance, chrominance


@cache
def zigzag_order() -> tuple[int, ...]:
    """Natural position of each of the 64 coefficients in the order they are stored (T.81, figure A.6)."""
    positions = [(row, column) for row in range(8) for column in range(8)]
    positions.sort(key=lambda p: (p[0] + p[1], p[1] if (p[0] + p[1]) % 2 == 0 else p[0]))
    return tuple(8 * row + column for row, column in positions)


@cache
def quality_by_luminance() -> Mapping[tuple[int, ...], int]:
    """Quality by luminance table in natural order."""
    return {scaled_tables(quality)[0]: quality for quality in range(1, 101)}
