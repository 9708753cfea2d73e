"""Which bytes of a file the audit reads, and the whole table of its features."""

import numpy as np
import pytest

from builders.errors import PhotoError
from builders.exif import Acquisition, file_facts
from builders.photos import Head
from tests.benchmark.audit.planted import exif, jpeg, picture
from tests.support.images import image_bytes

IMAGE = picture(np.random.default_rng(0))


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
        (b"", "empty"),
        (b"sixteen bytes...", "format"),
        (jpeg(IMAGE)[:60], "before"),
    ],
)
def test_file_facts__refuses_in_a_sentence(data, reason):
    with pytest.raises(PhotoError) as error:
        reading(data, 1 << 16)
    assert reason in str(error.value)
