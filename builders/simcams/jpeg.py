"""The last stage: the camera's own quantisation tables and chroma subsampling, and the file."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from builders.errors import unknown_name
from builders.files import read_own_yaml
from builders.simcams.camera import JpegSettings

_PILLOW_SUBSAMPLING = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


@dataclass(frozen=True)
class QuantisationTables:
    """Luma and chroma tables, natural (row by row) order, 64 numbers each, 1 to 255."""

    luma: tuple[int, ...]
    chroma: tuple[int, ...]
    source: str
    """Where the numbers were measured."""

    def scaled(self, per_cent: int) -> QuantisationTables:
        """Every step times ``per_cent`` / 100, rounded half up, within 1 to 255: libjpeg's own rule."""
        luma, chroma = (
            tuple(min(max((q * per_cent + 50) // 100, 1), 255) for q in t) for t in (self.luma, self.chroma)
        )
        return QuantisationTables(luma, chroma, self.source)


def encode_file(rgb: np.ndarray, settings: JpegSettings, per_cent: int, exif: bytes = b"") -> bytes:
    """A baseline JPEG file of uint8 [height, width, 3] with the camera's tables at ``per_cent`` and its Exif block."""
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
    """The pair of tables of that name. Raises ``UsageError`` with the nearest name."""
    tables = all_tables()
    if name not in tables:
        raise unknown_name("quantisation table", name, tables)
    return tables[name]


@functools.cache
def all_tables() -> dict[str, QuantisationTables]:
    """Every pair of tables in ``jpeg_tables.yaml``."""
    table = read_own_yaml(Path(__file__).with_name("jpeg_tables.yaml"))
    return {
        name: QuantisationTables(tuple(entry["luma"]), tuple(entry["chroma"]), entry["source"])
        for name, entry in table["tables"].items()
    }


@functools.lru_cache(maxsize=256)
def _tables(name: str, per_cent: int) -> QuantisationTables:
    return quantisation_tables(name).scaled(per_cent)
