"""Columns that the headers of the files give: ``group=quality=header:jpeg_quality``. No picture is decoded.

Numbers are bands, so that a group has enough photos. A field that a file cannot have (the JPEG quality of a PNG) is
unknown, as is every field of a file that cannot be read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from builders.errors import PhotoError, unknown_name
from builders.exif import HEAD_BYTES, FileFacts, file_facts
from builders.photos import HEADER, FactCache, Labels, PhotoSet, labels_of
from builders.processes import progress_bar
from builders.sources.folders import FolderSource

QUALITY_STEP = 5
"""Width of a band of JPEG qualities, from 50 on."""

MEGAPIXELS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Lower ends of bands of megapixels."""

ASPECTS = ((0.6, "tall"), (0.95, "portrait"), (1.05, "square"), (1.6, "landscape"), (float("inf"), "wide"))
"""Upper ends of bands of width over height, and their names."""

MOST_TEXT = 40
"""Characters of the name of a program: versions of one program differ in what follows."""

_UNKNOWN = ""


def _quality(facts: FileFacts) -> str:
    quality = facts.header.nearest_quality
    low = quality // QUALITY_STEP * QUALITY_STEP
    if not quality:
        return _UNKNOWN
    return "under 50" if low < 50 else "100" if low == 100 else f"{low} to {low + QUALITY_STEP - 1}"


def _megapixels(facts: FileFacts) -> str:
    value = facts.header.width * facts.header.height / 1e6
    band = bisect_right(MEGAPIXELS, value)
    if not value:
        return _UNKNOWN
    if band in (0, len(MEGAPIXELS)):
        return f"under {MEGAPIXELS[0]:g}" if not band else f"{MEGAPIXELS[-1]:g} or more"
    return f"{MEGAPIXELS[band - 1]:g} to {MEGAPIXELS[band]:g}"


def _aspect(facts: FileFacts) -> str:
    width, height = facts.header.width, facts.header.height
    return next(name for end, name in ASPECTS if width / height < end) if width and height else _UNKNOWN


def _of_jpeg(field: str) -> Callable[[FileFacts], str]:
    return lambda facts: str(getattr(facts.header, field)) if facts.header.format == "JPEG" else _UNKNOWN


HEADER_FIELDS: Mapping[str, tuple[str, Callable[[FileFacts], str]]] = MappingProxyType(
    {
        "format": ("file format", lambda facts: facts.header.format),
        "jpeg_quality": ("JPEG quality", _quality),
        "subsampling": ("chroma subsampling", _of_jpeg("subsampling")),
        "progressive": ("progressive or baseline JPEG", _of_jpeg("coding")),
        "megapixels": ("size in megapixels", _megapixels),
        "aspect": ("aspect ratio", _aspect),
        "has_exif": ("Exif or not", lambda facts: "yes" if "Exif" in facts.header.metadata else "no"),
        "software": ("software named by Exif", lambda facts: (facts.exif.software or "none")[:MOST_TEXT]),
    }
)
"""Title and function of each field, by name."""

HEADERS_VERSION = "headers 2 " + " ".join(HEADER_FIELDS)
"""Facts of another version are read again."""


def header_columns(photos: PhotoSet, fields: Sequence[str] = tuple(HEADER_FIELDS)) -> dict[str, Labels]:
    """Fields of the headers of photos as labels, by SOURCE: ``header:format``, ...

    Every file is read once for all fields. Facts of files of a folder are cached under the stamps of the files.

    Args:
        photos: with pictures.
        fields: of ``HEADER_FIELDS``.

    Raises:
        UsageError: there is no such field.
        DataError: the photos have no pictures.

    >>> import io
    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (400, 300)).save(buffer, "JPEG", quality=75)
    >>> columns = header_columns(PhotoSet.of_bytes("one", {"a": buffer.getvalue()}))
    >>> columns["header:jpeg_quality"].names, columns["header:megapixels"].names
    (('75 to 79',), ('0.1 to 0.25',))
    """
    for field in fields:
        if field not in HEADER_FIELDS:
            raise unknown_name("field of header:", field, HEADER_FIELDS)
    photos.require_pictures(f"{HEADER}{fields[0]}")
    source = photos.source
    cached = None
    if isinstance(source, FolderSource):
        cached = FactCache("headers", Path(source.root), source.stamps(photos.rows), HEADERS_VERSION)
    texts: list[str] = []
    rows: dict[str, list[str]] = {"": [_UNKNOWN] * len(HEADER_FIELDS)}  # of few different ones, for a million photos
    bar = progress_bar(total=len(photos), desc="reading headers", unit="photo", delay=2)
    with bar:
        try:
            for index in range(len(photos)):
                text = cached.get(index) if cached else None
                if text is None:
                    text = _text(photos, index)
                    if cached and text:
                        cached.put(index, text)
                rows.setdefault(text, text.split("\t"))
                texts.append(text)
                bar.update()
        finally:
            if cached:
                cached.save()
    place = {field: number for number, field in enumerate(HEADER_FIELDS)}
    return {f"{HEADER}{field}": labels_of(rows[text][place[field]] or None for text in texts) for field in fields}


def _text(photos: PhotoSet, index: int) -> str:
    """The fields of one file, with tabs between them; empty where it cannot be read."""
    try:
        facts = file_facts(photos.head(index, HEAD_BYTES), lambda limit: photos.head(index, limit))
    except PhotoError:
        return ""
    return "\t".join(of(facts).replace("\t", " ") for _, of in HEADER_FIELDS.values())
