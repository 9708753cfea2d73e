"""One photo under each processing of a file: bytes, likeness and a cut-out, as a page that loads nothing."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from builders.dataset import render
from builders.errors import PhotoError
from builders.pixels import Definitions, Processing, decode_rgb, engine_of, open_processed, processed_file, psnr, ssim

CUT = 240
"""Most pixels of a side of a cut-out."""

MOVES = ("crop", "orient")
"""Steps after which pixels stand elsewhere, so that no likeness is measured."""


@dataclass(frozen=True)
class Processed:
    """A photo under one processing."""

    name: str
    steps: str
    by: str
    """What makes it in a run: the exact engine, Pillow, or both."""
    size: tuple[int, int]
    """(width, height); (0, 0) if it failed."""
    count: int
    """Bytes of the file."""
    psnr: float | None
    """dB, against the photo resized to this size (Lanczos); None where pixels stand elsewhere."""
    ssim: float | None
    cut: str
    """A cut-out of the centre at full size: the URI of a PNG file."""
    failure: str = ""
    """Why there is none."""


def pipeline_rows(data: bytes, photo_id: str, definitions: Definitions, seed: int = 0) -> list[Processed]:
    """A photo under each processing.

    Args:
        data: file of the photo.
        photo_id: decides random numbers.
        definitions: of a processing file.
        seed: of random numbers.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    photo = decode_rgb(data)
    return [_processed(photo, processing, photo_id, seed) for processing in definitions.processings.values()]


def _processed(photo: Image.Image, processing: Processing, photo_id: str, seed: int) -> Processed:
    drawn = processing.drawn(photo_id, seed)
    about = processing.name, str(drawn), engine_of(processing, photo.size)
    try:
        file = processed_file(photo, drawn, photo_id, seed)
        view = open_processed(file)
    except PhotoError as error:
        return Processed(*about, (0, 0), 0, None, None, "", str(error))
    moved = any(edit.kind in MOVES for stage in (*drawn.before, drawn) for edit in stage.edits)
    likeness: tuple[float | None, float | None] = (None, None)
    if not moved:
        same_size = photo if view.size == photo.size else photo.resize(view.size, Image.Resampling.LANCZOS)
        pair = np.asarray(view), np.asarray(same_size)
        likeness = psnr(*pair), ssim(*pair)
    return Processed(*about, view.size, len(file), *likeness, _cut(view))


def _cut(image: Image.Image) -> str:
    width, height = (min(side, CUT) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    buffer = io.BytesIO()
    image.crop((left, top, left + width, top + height)).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def pipeline_page(title: str, photo: str, data: bytes, rows: Sequence[Processed]) -> str:
    """The page.

    Args:
        title: of the processing file.
        photo: name of the photo.
        data: file of the photo.
        rows: from ``pipeline_rows``.
    """
    image = decode_rgb(data)
    about = {"title": title, "photo": photo, "size": image.size, "count": len(data), "cut": _cut(image)}
    return render("pipeline.html.jinja", rows=rows, decibel=decibel, **about)


def decibel(value: float | None) -> str:
    """PSNR for people.

    >>> decibel(31.416), decibel(math.inf), decibel(None)
    ('31.4 dB', 'equal', '-')
    """
    return "-" if value is None else "equal" if math.isinf(value) else f"{value:.1f} dB"


def pipeline_table(rows: Sequence[Processed]) -> list[list[str]]:
    """Name, size, bytes, PSNR, SSIM and maker of each row, as texts."""
    return [
        [
            row.name,
            f"{row.size[0]} x {row.size[1]}" if not row.failure else row.failure,
            f"{row.count:,}",
            decibel(row.psnr),
            "-" if row.ssim is None else f"{row.ssim:.4f}",
            row.by,
        ]
        for row in rows
    ]
