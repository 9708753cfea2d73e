"""The last stage: the JPEG file with the quantisation tables and chroma subsampling of the camera, and its Exif."""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from builders.errors import unknown_name
from builders.files import read_package_yaml
from builders.simcams.camera import Camera, JpegSettings, Settings

SOFTWARE = "camtrace simcams"
"""Exif software of every file: it shows that no camera took the photo."""

_TIFF = b"MM\0*\0\0\0\x08"
"""Big-endian header; the first directory follows directly (TIFF 6.0, section 2)."""

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED = 2, 3, 4, 5, 7

_Field = tuple[int, int, int, bytes]
"""Tag, type, count, value."""


def exif_block(camera: Camera, settings: Settings, width: int, height: int, taken: str) -> bytes:
    """An Exif block for ``encode_file``.

    Args:
        camera: gives make and model.
        settings: exposure time, f-number, ISO and both focal lengths.
        width: of the picture, pixels.
        height: of the picture, pixels.
        taken: ``YYYY:MM:DD HH:MM:SS``, the same for all shots of a scene so that the date names no camera.
    """
    real_mm = Fraction(settings.focal_length_mm(camera.lens)).limit_denominator(100)
    make, model, software = _ascii(0x010F, camera.make), _ascii(0x0110, camera.model), _ascii(0x0131, SOFTWARE)
    exif = (
        _rational(0x829A, settings.exposure_s),
        _rational(0x829D, Fraction(settings.f_number).limit_denominator(10)),
        _short(0x8827, settings.iso),
        (0x9000, _UNDEFINED, 4, b"0230"),
        _ascii(0x9003, taken),  # DateTimeOriginal
        _short(0x9209, 0),  # no flash
        _rational(0x920A, real_mm),
        _short(0xA001, 1),  # sRGB
        _long(0xA002, width),
        _long(0xA003, height),
        _short(0xA405, round(settings.focal_length_35mm)),
    )
    first = (make, model, _short(0x0112, 1), software, _ascii(0x0132, taken))
    begin = len(_TIFF)
    exif_begin = begin + len(_directory((*first, _long(0x8769, 0)), begin, 4))
    first_directory = _directory((*first, _long(0x8769, exif_begin)), begin, 4)
    return b"Exif\0\0" + _TIFF + first_directory + _directory(exif, exif_begin, 0)


def _directory(fields: Sequence[_Field], begin: int, zeros: int) -> bytes:
    """A directory at offset ``begin``: entries, ``zeros`` zero bytes (the offset of the next one), long values."""
    entries, values = [struct.pack(">H", len(fields))], []
    at = begin + 2 + 12 * len(fields) + zeros
    for tag, kind, count, value in fields:
        if len(value) <= 4:
            entries.append(struct.pack(">HHI", tag, kind, count) + value.ljust(4, b"\0"))
        else:
            entries.append(struct.pack(">HHII", tag, kind, count, at))
            values.append(value)
            at += len(value)
    return b"".join(entries) + bytes(zeros) + b"".join(values)


def _ascii(tag: int, text: str) -> _Field:
    value = text.encode() + b"\0"
    return tag, _ASCII, len(value), value


def _short(tag: int, value: int) -> _Field:
    return tag, _SHORT, 1, struct.pack(">H", value)


def _long(tag: int, value: int) -> _Field:
    return tag, _LONG, 1, struct.pack(">I", value)


def _rational(tag: int, value: Fraction) -> _Field:
    return tag, _RATIONAL, 1, struct.pack(">II", *value.as_integer_ratio())


_PILLOW_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@dataclass(frozen=True)
class QuantisationTables:
    """Luma and chroma tables in natural (row by row) order, 64 numbers each, 1 to 255."""

    luma: tuple[int, ...]
    chroma: tuple[int, ...]
    source: str
    """Source of the measurement."""

    def scaled(self, per_cent: int) -> QuantisationTables:
        """The tables times ``per_cent`` / 100, rounded half up, within 1 to 255, by the rule of libjpeg."""
        luma, chroma = (
            tuple(min(max((q * per_cent + 50) // 100, 1), 255) for q in t) for t in (self.luma, self.chroma)
        )
        return QuantisationTables(luma, chroma, self.source)


def encode_file(rgb: np.ndarray, settings: JpegSettings, per_cent: int, exif: bytes = b"") -> bytes:
    """Encode a baseline JPEG file.

    Args:
        rgb: uint8 [height, width, 3].
        settings: tables and subsampling of the camera.
        per_cent: scale of the tables.
        exif: Exif block.
    """
    tables = _tables(settings.table, per_cent)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(
        buffer,
        "JPEG",
        qtables=[list(tables.luma), list(tables.chroma)],
        subsampling=_PILLOW_SUBSAMPLING[settings.subsampling],
        exif=exif,
    )
    return buffer.getvalue()


def quantisation_tables(name: str) -> QuantisationTables:
    """The pair of tables with a name. Raises ``UsageError`` with the nearest name."""
    tables = all_tables()
    if name not in tables:
        raise unknown_name("quantisation table", name, tables)
    return tables[name]


@functools.cache
def all_tables() -> dict[str, QuantisationTables]:
    """Every pair of tables in ``jpeg_tables.yaml``."""
    table = read_package_yaml(Path(__file__).with_name("jpeg_tables.yaml"))
    return {
        name: QuantisationTables(tuple(entry["luma"]), tuple(entry["chroma"]), entry["source"])
        for name, entry in table["tables"].items()
    }


@functools.lru_cache(maxsize=256)
def _tables(name: str, per_cent: int) -> QuantisationTables:
    return quantisation_tables(name).scaled(per_cent)
