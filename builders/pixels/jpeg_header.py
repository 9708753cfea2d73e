"""What a JPEG file says about how it was made, read from its header without decoding a pixel.

Quantisation tables, sampling factors and size by the marker syntax of ITU-T T.81 (annex B); the quality is that of
libjpeg's scale, told only where the tables are exactly those that libjpeg makes for one quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

_SOI, _EOI, _SOS, _DQT = 0xD8, 0xD9, 0xDA, 0xDB
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

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
"""Table K.1 of ITU-T T.81, natural order: what libjpeg scales for luminance."""

CHROMINANCE_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    *(99,) * 32,
)  # fmt: skip
"""Table K.2 of ITU-T T.81, natural order: what libjpeg scales for chrominance."""

_SUBSAMPLING = {
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
}


@dataclass(frozen=True)
class JpegHeader:
    """What the header of one JPEG file says."""

    width: int
    """Pixels, as stored (an Exif rotation is not applied)."""
    height: int
    """Pixels, as stored."""
    sampling: tuple[tuple[int, int], ...]
    """Horizontal and vertical sampling factor of each component."""
    tables: tuple[tuple[int, ...], ...]
    """Quantisation table of each component, 64 values in natural (row by row) order."""
    progressive: bool
    """True if the coefficients come in several scans."""

    @property
    def quality(self) -> int | None:
        """libjpeg's quality 1..100 if every table is exactly that quality's, else ``None`` (a maker's own tables)."""
        quality = _quality_by_luminance().get(self.tables[0])
        if quality is None:
            return None
        # RGB and CMYK files use the luminance table for every component.
        return quality if all(table in scaled_tables(quality) for table in self.tables[1:3]) else None

    @property
    def subsampling(self) -> str:
        """``4:4:4``, ``4:2:2``, ``4:2:0``, ``4:4:0``, ``4:1:1``, ``4:1:0``, ``grey``, or the factors themselves."""
        if len(self.sampling) < 3:
            return "grey"
        (h0, v0), first, second = self.sampling[:3]
        if first == second and h0 % first[0] == 0 and v0 % first[1] == 0:
            name = _SUBSAMPLING.get((h0 // first[0], v0 // first[1]))
            if name:
                return name
        return ",".join(f"{h}x{v}" for h, v in self.sampling)


def read_jpeg_header(data: bytes) -> JpegHeader | None:
    """Read the header of a JPEG file; ``None`` if the bytes are no JPEG file or a damaged one.

    Never raises, and never reads past the first scan: the image behind a broken end still has its header.

    >>> import io
    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (40, 30)).save(buffer, "JPEG", quality=85, subsampling="4:2:0")
    >>> header = read_jpeg_header(buffer.getvalue())
    >>> header.quality, header.subsampling, header.width, header.height
    (85, '4:2:0', 40, 30)
    """
    try:
        return _read(data)
    except (IndexError, KeyError):
        return None


@cache
def scaled_tables(quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """libjpeg's luminance and chrominance tables for ``quality`` 1..100 (``jpeg_set_quality``, baseline)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luminance, chrominance = (
        tuple(min(max((value * scale + 50) // 100, 1), 255) for value in base)
        for base in (LUMINANCE_TABLE, CHROMINANCE_TABLE)
    )
    return luminance, chrominance


def _read(data: bytes) -> JpegHeader | None:
    if data[:2] != bytes((0xFF, _SOI)):
        return None
    tables: dict[int, tuple[int, ...]] = {}
    frame: tuple[int, int, list[tuple[int, int, int]], bool] | None = None
    at = 2
    while True:
        if data[at] != 0xFF:
            return None
        while data[at] == 0xFF:  # any number of fill bytes may stand before a marker
            at += 1
        marker = data[at]
        at += 1
        if marker in _STANDALONE:
            continue
        if marker == _EOI:
            return None
        if marker == _SOS:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        segment = data[at + 2 : at + length]
        if length < 2 or len(segment) != length - 2:
            return None
        if marker == _DQT:
            _read_tables(segment, tables)
        elif marker in _START_OF_FRAME and frame is None:
            frame = (*_read_frame(segment), marker in _PROGRESSIVE)
        at += length
    if frame is None:
        return None
    height, width, components, progressive = frame
    if not components or not width or any(not h or not v for h, v, _ in components):
        return None
    return JpegHeader(
        width,
        height,
        tuple((h, v) for h, v, _ in components),
        tuple(tables[table] for _, _, table in components),
        progressive,
    )


def _read_tables(segment: bytes, tables: dict[int, tuple[int, ...]]) -> None:
    at = 0
    while at < len(segment):
        size = 2 if segment[at] >> 4 else 1
        zigzag = segment[at + 1 : at + 1 + 64 * size]
        natural = [0] * 64
        for k, place in enumerate(_zigzag()):
            natural[place] = zigzag[k] if size == 1 else zigzag[2 * k] << 8 | zigzag[2 * k + 1]
        tables[segment[at] & 15] = tuple(natural)
        at += 1 + 64 * size


def _read_frame(segment: bytes) -> tuple[int, int, list[tuple[int, int, int]]]:
    height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    parts = [segment[6 + 3 * i : 9 + 3 * i] for i in range(segment[5])]
    return height, width, [(part[1] >> 4, part[1] & 15, part[2]) for part in parts]


@cache
def _zigzag() -> tuple[int, ...]:
    """Natural position of each of the 64 coefficients in the order they are stored (T.81, figure A.6)."""
    places = [(row, column) for row in range(8) for column in range(8)]
    places.sort(key=lambda p: (p[0] + p[1], p[1] if (p[0] + p[1]) % 2 == 0 else p[0]))
    return tuple(8 * row + column for row, column in places)


@cache
def _quality_by_luminance() -> Mapping[tuple[int, ...], int]:
    return {scaled_tables(quality)[0]: quality for quality in range(1, 101)}
