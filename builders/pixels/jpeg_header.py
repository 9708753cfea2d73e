"""What a JPEG file says about how it was made, read from its header without decoding a pixel.

Quantisation tables, sampling factors and size by the marker syntax of ITU-T T.81 (annex B); the quality is that of
libjpeg's scale, told only where the tables are exactly those that libjpeg makes for one quality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        return subsampling_name(self.sampling)


@dataclass(frozen=True)
class FrameOfJpeg:
    """The start of frame, as it stands in the file."""

    marker: int
    """0xC0 (baseline), 0xC2 (progressive), ..."""
    precision: int
    """Bits of a sample."""
    width: int
    height: int
    components: tuple[tuple[int, int, int], ...]
    """Horizontal and vertical sampling factor, and number of the quantisation table, of each."""


@dataclass
class StructureOfJpeg:
    """Everything before the first scan, by its markers: what ``image_header`` reads an encoder's habits from."""

    markers: list[int] = field(default_factory=list)
    """Every marker between the start of image and the start of scan, in order."""
    segments: list[tuple[int, bytes]] = field(default_factory=list)
    """(marker, payload) of the application segments and comments."""
    tables: dict[int, bytes] = field(default_factory=dict)
    """Quantisation table by number, 64 or 128 bytes in zigzag order."""
    huffman: set[bytes] = field(default_factory=set)
    """Class and number (one byte), then the 16 counts of code lengths, of each Huffman table."""
    restart: int = 0
    frame: FrameOfJpeg | None = None
    complete: bool = False
    """True if the start of scan was reached."""


def subsampling_name(sampling: tuple[tuple[int, int], ...]) -> str:
    """The usual name of sampling factors, see ``JpegHeader.subsampling``.

    >>> subsampling_name(((2, 2), (1, 1), (1, 1)))
    '4:2:0'
    """
    if len(sampling) < 3:
        return "grey"
    (h0, v0), first, second = sampling[:3]
    if first == second and first[0] and first[1] and h0 % first[0] == 0 and v0 % first[1] == 0:
        name = _SUBSAMPLING.get((h0 // first[0], v0 // first[1]))
        if name:
            return name
    return ",".join(f"{h}x{v}" for h, v in sampling)


def read_structure(data: bytes) -> StructureOfJpeg:
    """Walk the markers of a JPEG file up to its first scan. What is damaged or cut ends the walk; never raises."""
    found = StructureOfJpeg()
    at, end = 2, len(data)
    while at + 4 <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        if marker in (_SOS, _EOI):
            found.complete = marker == _SOS
            break
        length = data[at + 2] << 8 | data[at + 3]
        payload = data[at + 4 : at + 2 + length]
        if length < 2 or len(payload) != length - 2:
            break
        found.markers.append(marker)
        _take_segment(found, marker, payload)
        at += 2 + length
    return found


def _take_segment(found: StructureOfJpeg, marker: int, payload: bytes) -> None:
    if 0xE0 <= marker <= 0xEF or marker == 0xFE:
        found.segments.append((marker, payload))
    elif marker == _DQT:
        at = 0
        while at < len(payload):
            size = 129 if payload[at] >> 4 else 65
            found.tables[payload[at] & 15] = payload[at + 1 : at + size]
            at += size
    elif marker == 0xC4:
        at = 0
        while at + 17 <= len(payload):
            found.huffman.add(payload[at : at + 17])
            at += 17 + sum(payload[at + 1 : at + 17])
    elif marker == 0xDD and len(payload) >= 2:
        found.restart = payload[0] << 8 | payload[1]
    elif marker in _START_OF_FRAME and found.frame is None and len(payload) >= 6 + 3 * payload[5]:
        height, width, components = _read_frame(payload)
        if components:
            found.frame = FrameOfJpeg(marker, payload[0], width, height, tuple(components))


def quality_of(tables: tuple[bytes, ...]) -> int | None:
    """libjpeg's quality of tables in zigzag order, one for each component; ``None`` if they are not its own."""
    if not tables or any(len(table) != 64 for table in tables):
        return None
    natural = [_natural(table) for table in tables]
    quality = _quality_by_luminance().get(natural[0])
    if quality is None:
        return None
    return quality if all(table in scaled_tables(quality) for table in natural[1:3]) else None


def nearest_quality(table: bytes) -> int:
    """libjpeg's quality 1..100 whose luminance table is nearest in the mean ratio; of 64 or 128 bytes in zigzag order.

    >>> nearest_quality(bytes(scaled_tables(80)[0][place] for place in _zigzag()))
    80
    """
    values = _natural(table)
    if len(values) != 64:
        return 0

    def distance(quality: int) -> float:
        return sum(abs(a - b) / (a + b) for a, b in zip(values, scaled_tables(quality)[0], strict=True) if a + b)

    return min(range(1, 101), key=distance)


def _natural(table: bytes) -> tuple[int, ...]:
    size = len(table) // 64
    natural = [0] * 64
    for k, place in enumerate(_zigzag()):
        natural[place] = int.from_bytes(table[size * k : size * (k + 1)], "big")
    return tuple(natural)


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
