"""Columns from file headers: what each field says of files of many kinds, by any door."""

import numpy as np
import pytest
from PIL import Image

from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet
from builders.sources import HEADER_FIELDS, header_columns
from tests.support.images import image_bytes


def picture(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(100, 140, (height, width, 3), np.uint8))


def exif(software):
    block = Image.Exif()
    block[305] = software
    return block.tobytes()


FILES = {
    "plain.jpg": image_bytes(picture(400, 300), "JPEG", quality=75, subsampling="4:2:0"),
    "fine.jpg": image_bytes(picture(300, 300), "JPEG", quality=98, subsampling="4:4:4", progressive=True),
    "poor.jpg": image_bytes(picture(90, 200), "JPEG", quality=20),
    "edited.jpg": image_bytes(picture(800, 300), "JPEG", quality=92, exif=exif("Editor 3")),
    "drawn.png": image_bytes(picture(300, 400), "PNG"),
    "broken.jpg": b"not a picture",
}
EXPECTED = {
    "format": ["JPEG", "JPEG", "JPEG", "JPEG", "PNG", None],
    "jpeg_quality": ["75 to 79", "95 to 99", "under 50", "90 to 94", None, None],
    "subsampling": ["4:2:0", "4:4:4", "4:2:0", "4:2:0", None, None],
    "progressive": ["baseline", "progressive", "baseline", "baseline", None, None],
    "megapixels": ["0.1 to 0.25", "under 0.1", "under 0.1", "0.1 to 0.25", "0.1 to 0.25", None],
    "aspect": ["landscape", "square", "tall", "wide", "portrait", None],
    "has_exif": ["no", "no", "no", "yes", "no", None],
    "software": ["none", "none", "none", "Editor 3", "none", None],
}


def values(labels):
    return [labels.names[value] if value >= 0 else None for value in labels.values]


@pytest.mark.parametrize("field", HEADER_FIELDS)
def test_header_columns__every_field_of_every_file(field):
    columns = header_columns(PhotoSet.of_bytes("files", FILES), [field])
    assert values(columns[f"header:{field}"]) == EXPECTED[field]


def test_header__is_a_source_of_folders_and_tables(tmp_path):
    for name, data in FILES.items():
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(data)
    (tmp_path / "t.csv").write_text("path,kind\n" + "".join(f"a/{name},k\n" for name in FILES))
    for data in (f"folder:{tmp_path}?", f"table:{tmp_path / 't.csv'}?image=path&label=kind&"):
        photos = open_photos(f"{data}group=quality=header:jpeg_quality&group=header:format")
        named = dict(zip(photos.ids, values(photos.groups["quality"]), strict=True))
        assert named["a/plain.jpg" if "a/plain.jpg" in named else "plain.jpg"] == "75 to 79"
        assert set(photos.groups) == {"quality", "format"}


def test_header__wrong_requests(tmp_path):
    (tmp_path / "t.csv").write_text("id\n1\n2\n")
    with pytest.raises(DataError, match="pictures"):
        open_photos(f"table:{tmp_path / 't.csv'}?id=id&group=header:format")
    with pytest.raises(UsageError, match="jpeg_qualty"):
        header_columns(PhotoSet.of_bytes("files", FILES), ["jpeg_qualty"])
    (tmp_path / "p.csv").write_text("path\nd.png\n")
    (tmp_path / "d.png").write_bytes(FILES["drawn.png"])
    with pytest.raises(DataError, match="header:jpeg_quality"):
        open_photos(f"table:{tmp_path / 'p.csv'}?image=path&group=header:jpeg_quality")
