"""Which bytes of a file the audit reads, and the whole table of its features."""

import datetime
import math
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.audit import features
from benchmark.audit.features import FEATURES, LAYERS, values_of
from builders.errors import PhotoError
from builders.exif import Acquisition, FileFacts, file_facts
from builders.photos import Head
from tests.benchmark.audit.planted import exif, jpeg, picture
from tests.support.images import image_bytes

IMAGE = picture(np.random.default_rng(0))

EXPECTED = {
    "format": ("file format", "header", "value"),
    "coding": ("coding (baseline, progressive, lossless)", "header", "value"),
    "channels": ("channels and bits", "header", "value"),
    "quality": ("JPEG quality", "header", "value"),
    "tables": ("quantisation tables (fingerprint)", "header", "value"),
    "subsampling": ("chroma subsampling", "header", "value"),
    "huffman": ("Huffman tables", "header", "value"),
    "restart": ("restart interval", "header", "value"),
    "order": ("order of markers or chunks", "header", "value"),
    "metadata": ("kinds of metadata", "header", "value"),
    "icc": ("colour profile", "header", "value"),
    "comment": ("comment or text of the writer", "header", "value"),
    "thumbnail": ("embedded thumbnail", "header", "value"),
    "nearest_quality": ("JPEG quality (nearest)", "header", "number"),
    "dimensions": ("width x height", "size", "value"),
    "pixels": ("number of pixels", "size", "number"),
    "aspect": ("aspect ratio", "size", "number"),
    "bytes": ("bytes of the file", "weight", "number"),
    "bytes_per_pixel": ("bytes per pixel", "weight", "number"),
    "make": ("camera make", "exif", "value"),
    "model": ("camera model", "exif", "value"),
    "software": ("software", "exif", "value"),
    "year": ("year taken", "exif", "value"),
}


def test_features__title_layer_and_kind_of_each_in_order():
    assert list(FEATURES) == list(EXPECTED)
    assert {name: (f.title, f.layer, f.kind) for name, f in FEATURES.items()} == EXPECTED
    assert list(LAYERS.items()) == [
        ("header", "file header"), ("size", "size of the picture"), ("exif", "Exif"), ("weight", "bytes of the file"),
        ("pixels", "pixel statistics"), ("hidden", "a narrow border of the picture"),
    ]  # fmt: skip
    assert (features.FILE_LAYERS, features.CONTENT_LAYERS) == (
        ("header", "size", "exif"),
        ("weight", "pixels", "hidden"),
    )


HEADER = {
    "format": "JPEG", "coding": "baseline", "channels": "3 x 8 bit", "quality": "80", "tables": "t", "subsampling": "s",
    "huffman": "h", "restart": "0", "order": "SOI", "metadata": "JFIF", "icc": "i", "comment": "c",
}  # fmt: skip


def facts(size=1 << 20, taken=None, **header):
    head = SimpleNamespace(**{**HEADER, "thumbnail": True, "nearest_quality": 80, "width": 64, "height": 16, **header})
    exif_fields = {"make": "m" * 65, "model": "m" * 64, "software": "", "taken": taken}
    return FileFacts(head, size, SimpleNamespace(**exif_fields))


def test_values_of__each_feature_by_name():
    taken = datetime.datetime(2017, 12, 31)
    assert values_of(facts(taken=taken)) == HEADER | {
        "thumbnail": "yes", "nearest_quality": 80.0, "dimensions": "64 x 16", "pixels": 10.0, "aspect": 2.0,
        "bytes": 20.0, "bytes_per_pixel": 10.0, "make": "m" * 64, "model": "m" * 64, "software": "none", "year": "2017",
    }  # fmt: skip
    empty = values_of(facts(size=0, nearest_quality=None, thumbnail=False, width=0))
    assert {name for name, value in empty.items() if value != value} == {
        "nearest_quality", "pixels", "aspect", "bytes", "bytes_per_pixel",
    }  # fmt: skip
    assert (empty["thumbnail"], empty["year"], empty["dimensions"]) == ("no", "none", "0 x 16")
    assert math.isnan(values_of(facts(nearest_quality=0))["nearest_quality"])


def reading(data, limit):
    """(facts, limits of further reads) of a file whose first bytes are read at first."""
    more = []

    def read_more(count):
        more.append(count)
        return Head(data[:count], len(data))

    return file_facts(Head(data[:limit], len(data)), read_more), more


def saved(format, **options):
    return image_bytes(IMAGE, format, **options)


EXIF = exif(Make="Canon")


@pytest.mark.parametrize(
    ("data", "limit", "again"),
    [
        (jpeg(IMAGE, exif=EXIF), 2000, False),
        (jpeg(IMAGE, exif=EXIF), 30, True),  # the header is not complete
        (saved("WEBP", exif=EXIF), 300, True),  # Exif of WebP is at the end
        (saved("WEBP"), 300, False),
        (saved("TIFF"), 2000, True),
        (saved("PNG"), 2000, False),
    ],
)
def test_file_facts__more_is_read_once_where_the_header_or_the_exif_is_further_on(data, limit, again):
    assert len(data) > limit
    made, more = reading(data, limit)
    assert more == ([4 << 20] if again else [])
    assert made.size == len(data)
    assert made.header.width == (64 if made.header.format != "TIFF" else 0)
    whole, none = reading(data, len(data))
    assert none == []  # the file was read whole
    assert made == whole


def test_file_facts__exif_where_the_header_names_it_and_none_that_is_broken():
    make = {"jpeg": jpeg(IMAGE, exif=EXIF), "webp": saved("WEBP", exif=EXIF), "png": saved("PNG", exif=EXIF)}
    assert {name: reading(data, len(data))[0].exif.make for name, data in make.items()} == dict.fromkeys(make, "Canon")
    assert reading(jpeg(IMAGE), 1 << 16)[0].exif == Acquisition()
    broken = jpeg(IMAGE, exif=b"Exif\0\0no block at all")
    assert "Exif" in reading(broken, 1 << 16)[0].header.metadata
    assert reading(broken, 1 << 16)[0].exif == Acquisition()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"sixteen bytes...", "not an image in a format that is known"),
        (jpeg(IMAGE)[:60], "the file ends before its header does"),
    ],
)
def test_file_facts__refuses_in_a_sentence(data, reason):
    with pytest.raises(PhotoError) as error:
        reading(data, 1 << 16)
    assert str(error.value) == reason
