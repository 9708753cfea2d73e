"""Processing: pixels against Pillow by hand, and the laws of the photo-keyed random choices."""

import io
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from builders.errors import PhotoError
from builders.pixels import (
    PARAMETERS,
    PROCESSINGS,
    Processing,
    assigned_class,
    codec_canary,
    processed_file,
    random_scale,
    request,
)
from builders.pixels.process import process
from tests.support.images import image_bytes


def photo(width: int = 61, height: int = 47, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    ramp = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    return Image.fromarray(np.where(noise < 80, noise, np.broadcast_to(ramp, noise.shape)))


def saved_and_opened(image: Image.Image, tmp_path, **options) -> np.ndarray:
    """The reference: a file really saved by Pillow and opened again."""
    path = tmp_path / "reference.jpg"
    image.save(path, **options)
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def test_process__other_formats_and_options_are_pillows():
    image = photo()
    for file_format, options in (("WEBP", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        processing = Processing("own", 60, file_format=file_format, options=tuple(options.items()), sharpness=2)
        sharper, saved = ImageEnhance.Sharpness(image).enhance(2), io.BytesIO()
        sharper.save(saved, file_format, quality=60, **options)
        assert processed_file(image, processing, "id") == saved.getvalue()
        expected = np.asarray(Image.open(saved))
        assert np.array_equal(expected, np.asarray(sharper)) == (file_format == "PNG" or "lossless" in options)
        np.testing.assert_array_equal(np.asarray(process(image, processing, "id")), expected)


@pytest.mark.parametrize("options", [(("progressive", True),), (("optimize", True),)])
def test_process__options_of_entropy_coding_change_the_file_and_no_pixel(options):
    image, processing = photo(), Processing("own", 80, "4:2:0", options=options)
    assert processed_file(image, processing, "id") == image_bytes(
        image, "JPEG", quality=80, subsampling="4:2:0", **dict(options)
    )
    assert processed_file(image, processing, "id") != processed_file(image, Processing("own", 80, "4:2:0"), "id")
    np.testing.assert_array_equal(
        np.asarray(process(image, processing, "id")), np.asarray(process(image, Processing("own", 80, "4:2:0"), "id"))
    )


def test_process__jpeg_with_given_tables_is_left_to_pillow():
    image, tables = photo(), ((17,) * 64, (40,) * 64)
    processing = Processing("own", 100, "4:2:0", options=(("qtables", tables),))
    assert processed_file(image, processing, "id") == image_bytes(
        image, "JPEG", quality=100, subsampling="4:2:0", qtables=[list(table) for table in tables]
    )
    assert not request(processing, image.size, "id", 0).baseline_jpeg


def test_process__what_a_format_cannot_hold_is_one_sentence():
    with pytest.raises(PhotoError, match="20000"):
        process(Image.new("RGB", (20_000, 2)), Processing("own", file_format="WEBP"), "id")
    with pytest.raises(PhotoError):
        process(Image.new("RGB", (9, 9)), Processing("own", file_format="NONSENSE"), "id")


@pytest.mark.parametrize("quality", [75, 85, 95])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_process__jpeg_equals_a_saved_file(quality, subsampling, tmp_path):
    image = photo()
    expected = saved_and_opened(image, tmp_path, quality=quality, subsampling=subsampling)
    name = f"jpeg-q{quality}-{subsampling.replace(':', '')}"
    np.testing.assert_array_equal(np.asarray(process(image, PROCESSINGS[name], "id")), expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_process__sharpening_equals_pillow(factor, tmp_path):
    image = photo()
    expected = saved_and_opened(ImageEnhance.Sharpness(image).enhance(factor), tmp_path, quality=95, subsampling=0)
    np.testing.assert_array_equal(np.asarray(process(image, PROCESSINGS[f"sharpening-x{factor}"], "id")), expected)


@pytest.mark.parametrize(("name", "size"), [("resizing-x0.5", (30, 23)), ("resizing-x2", (122, 94))])
def test_process__resizing_truncates_and_is_bilinear(name, size, tmp_path):
    image = photo()
    resized = image.resize(size, Image.Resampling.BILINEAR)
    expected = saved_and_opened(resized, tmp_path, quality=95, subsampling=0)
    np.testing.assert_array_equal(np.asarray(process(image, PROCESSINGS[name], "id")), expected)


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic", "lanczos", "box"])
def test_process__interpolation_uses_the_photos_own_scale(filter_name, tmp_path):
    image = photo()
    scale = random_scale("some/photo.jpg", 5)
    size = (int(61 * scale), int(47 * scale))
    resized = image.resize(size, Image.Resampling[filter_name.upper()])
    expected = saved_and_opened(resized, tmp_path, quality=95, subsampling=0)
    result = process(image, PROCESSINGS[f"interpolation-{filter_name}"], "some/photo.jpg", 5)
    np.testing.assert_array_equal(np.asarray(result), expected)


def test_process__none_is_a_q95_444_file(tmp_path):
    image = photo()
    expected = saved_and_opened(image, tmp_path, quality=95, subsampling=0)
    for parameter in ("sharpening", "resizing"):
        name = PARAMETERS[parameter].processings[PARAMETERS[parameter].classes.index("none")]
        np.testing.assert_array_equal(np.asarray(process(image, PROCESSINGS[name], "id")), expected)


def test_encode__carries_no_metadata_of_the_source():
    image = photo()
    image.info.update(comment=b"a secret", dpi=(72, 72), icc_profile=b"profile", exif=b"Exif\0\0")
    clean = photo()
    data = processed_file(image, PROCESSINGS["jpeg-q95-444"], "id")
    assert data == processed_file(clean, PROCESSINGS["jpeg-q95-444"], "id")
    assert b"secret" not in data
    assert image.info["comment"] == b"a secret"  # the photo is the caller's


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "PNG", "TIFF"])
def test_encode__the_pixels_are_saved_as_they_lie(file_format, monkeypatch):
    """No copy of them, and nothing of the source in a file of any format."""
    plain, buffer = photo(), io.BytesIO()
    plain.save(buffer, "TIFF", description="a secret", icc_profile=b"a secret profile")
    image = Image.open(buffer)  # not loaded yet
    with monkeypatch.context() as patched:
        for name in ("copy", "tobytes", "frombytes"):
            patched.setattr(Image, name, None) if name == "frombytes" else patched.setattr(Image.Image, name, None)
        data = processed_file(image, Processing("saved", 95, file_format=file_format), "id")
    expected = io.BytesIO()
    chroma = {"subsampling": "4:4:4"} if file_format == "JPEG" else {}
    plain.save(expected, file_format, quality=95, **chroma)
    assert data == expected.getvalue()


def test_process__too_large_for_jpeg_is_a_photo_error():
    with pytest.raises(PhotoError):
        process(Image.new("RGB", (33_000, 2)), PROCESSINGS["resizing-x2"], "id")


def test_process__no_pixel_left_is_a_photo_error():
    with pytest.raises(PhotoError, match="leaves no pixel"):
        process(Image.new("RGB", (1, 9)), PROCESSINGS["resizing-x0.5"], "id")


def _pixels(arguments: tuple[int, str]) -> dict[str, bytes]:
    seed, photo_id = arguments
    return {name: process(photo(seed=seed), p, photo_id, 3).tobytes() for name, p in PROCESSINGS.items()}


def test_process__same_pixels_whatever_order_or_workers():
    jobs = [(i, f"photo-{i}") for i in range(6)]
    alone = [_pixels(job) for job in jobs]
    backwards = [_pixels(job) for job in reversed(jobs)][::-1]
    with ProcessPoolExecutor(2) as pool:
        in_workers = list(pool.map(_pixels, jobs))
    assert alone == backwards == in_workers


@given(st.text(), st.integers(0, 2**31))
def test_random_scale__stays_in_range_and_depends_on_nothing_else(photo_id, seed):
    scale = random_scale(photo_id, seed)
    assert 0.8 <= scale < 1.2
    assert scale == random_scale(photo_id, seed)


def test_random_scale__is_uniform_over_photos():
    scales = np.array([random_scale(f"{i}.jpg") for i in range(20_000)])
    counts = np.histogram(scales, bins=10, range=(0.8, 1.2))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001


@pytest.mark.parametrize("parameter", PARAMETERS.values(), ids=lambda p: p.name)
def test_assigned_class__is_uniform_and_independent_between_seeds(parameter):
    c = len(parameter.classes)
    table = np.zeros((c, c))
    for i in range(6000):
        table[assigned_class(f"{i}", parameter, 0), assigned_class(f"{i}", parameter, 1)] += 1
    expected = 6000 / c**2
    statistic = ((table - expected) ** 2 / expected).sum()
    limits = {9: 26.1, 16: 37.7, 36: 66.6}  # chi-square at p = 0.001 with cells - 1 degrees of freedom
    assert statistic < limits[c * c]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from(sorted(PROCESSINGS)))
def test_process__any_small_size_gives_rgb_of_the_stated_size(width, height, name):
    result = process(photo(width, height), PROCESSINGS[name], "x")
    scale = PROCESSINGS[name].scale or random_scale("x")
    assert result.mode == "RGB"
    assert result.size == (int(width * scale), int(height * scale))


def test_codec_canary__is_stable_within_a_process_and_names_the_codec():
    assert codec_canary() == codec_canary()
    assert len(codec_canary()) == 16
