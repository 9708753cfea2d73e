"""What a header says, by files whose making is known."""

import io

import numpy as np
import pytest

from benchmark.audit.features import FEATURES, values_of
from benchmark.audit.pixel_features import earlier_quality, pixel_facts
from builders.exif import file_facts
from builders.photos import Head
from builders.pixels import read_image_header
from tests.benchmark.audit.planted import exif, jpeg, opened, picture
from tests.support.images import image_bytes

IMAGE = picture(np.random.default_rng(0))


def values(data, limit=64 << 10):
    return values_of(file_facts(Head(data[:limit], len(data)), lambda more: Head(data[:more], len(data))))


def saved(format, **options):
    return image_bytes(IMAGE, format, **options)


CAMERA = {"make": "Canon", "model": "EOS", "software": "GIMP"}
SMALL = {"dimensions": "64 x 64"}
FILES = [
    (jpeg(IMAGE, 83, "4:4:4"), {"quality": "83", "subsampling": "4:4:4", "nearest_quality": 83.0}),
    (jpeg(IMAGE), {"huffman": "standard", "coding": "baseline", "restart": "0", "thumbnail": "no", **SMALL}),
    (jpeg(IMAGE, progressive=True), {"coding": "progressive", "huffman": "optimised"}),
    (jpeg(IMAGE, optimize=True), {"huffman": "optimised", "coding": "baseline"}),
    (jpeg(IMAGE, restart_marker_blocks=4), {"restart": "4", "order": "SOI APP0 DQT SOF0 DHT DRI"}),
    (jpeg(IMAGE, comment=b"CREATOR: gd\x1b v1.0"), {"comment": "CREATOR: gd v1.0", "metadata": "JFIF, comment"}),
    (jpeg(IMAGE.convert("L")), {"subsampling": "grey", "channels": "1 x 8 bit"}),
    (jpeg(IMAGE, qtables=[[7] * 64, [9] * 64]), {"quality": "own tables"}),
    (jpeg(IMAGE, exif=exif(Make="Canon", Model="EOS", Software="GIMP")), CAMERA),
    (image_bytes(IMAGE), {"format": "PNG", "channels": "RGB x 8 bit", "coding": "lossless", "order": "IHDR", **SMALL}),
    (saved("WEBP", quality=50), {"format": "WebP", "coding": "lossy", **SMALL}),
    (saved("WEBP", lossless=True), {"format": "WebP", "coding": "lossless", **SMALL}),
    (saved("WEBP", exif=exif(Software="X")), {"metadata": "Exif", "software": "X"}),
    (saved("GIF"), {"format": "GIF", **SMALL}),
    (saved("BMP"), {"format": "BMP", **SMALL}),
    (saved("PPM"), {"format": "PPM", **SMALL}),
    (saved("TIFF"), {"format": "TIFF"}),
]


@pytest.mark.parametrize(("data", "expected"), FILES)
def test_values_of__files_of_known_making(data, expected):
    result = values(data)
    assert {name: result[name] for name in expected} == expected
    assert result.keys() == FEATURES.keys()


def test_values_of__a_header_longer_than_the_first_read():
    long = jpeg(IMAGE, icc_profile=b"x" * 150_000)
    assert len(long) > 150_000
    assert values(long)["quality"] == "85"
    assert values(long)["metadata"] == "ICC, JFIF"


def test_values_of__heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(IMAGE).save(buffer)
    result = values(buffer.getvalue())
    assert (result["format"], result["dimensions"]) == ("HEIC", "64 x 64")


def test_values_of__name_of_a_colour_profile():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert values(jpeg(IMAGE, icc_profile=profile))["icc"] == "sRGB built-in"


def test_values_of__text_of_a_png_generator():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "a cat, Steps: 20")
    assert values(saved("PNG", pnginfo=info))["comment"] == "parameters: a cat, Steps: 20"


def test_read_image_header__never_raises():
    rng = np.random.default_rng(0)
    originals = [jpeg(IMAGE, exif=exif(Make="X")), image_bytes(IMAGE), saved("WEBP"), saved("GIF"), saved("BMP")]
    for k in range(400):
        data = bytearray(originals[k % len(originals)])
        for at in rng.integers(0, min(len(data), 300), 6):
            data[at] = rng.integers(0, 256)
        header = read_image_header(bytes(data[: rng.integers(0, len(data))]))
        assert isinstance(header.order, str)
        assert header.order.isprintable()


@pytest.mark.parametrize("last", [95, 90, None])
@pytest.mark.parametrize("earlier", [50, 70, 80])
def test_earlier_quality__of_a_coarser_save_on_the_same_grid(earlier, last):
    image = picture(np.random.default_rng(earlier), 160)
    twice = opened(jpeg(image, earlier))
    data = image_bytes(twice) if last is None else jpeg(twice, last)
    assert pixel_facts(data).numbers["earlier_quality"] == earlier


@pytest.mark.parametrize("last", [95, 75, None])
def test_earlier_quality__of_one_save_is_none(last):
    image = picture(np.random.default_rng(9), 160)
    assert pixel_facts(image_bytes(image) if last is None else jpeg(image, last)).numbers["earlier_quality"] == 0


def test_earlier_quality__off_its_grid_is_none():
    pixels = np.asarray(opened(jpeg(picture(np.random.default_rng(9), 160), 60)))
    assert earlier_quality(pixels) == 60
    assert earlier_quality(pixels[3:, 5:]) == 0
    assert earlier_quality(pixels[:16, :16]) == 0
